//! The device's own small certificate authority for its API.
//!
//! Its key is P-256, since browsers take nothing from an Ed25519 key. The device's key vouches for it: the authority's
//! certificate carries, as a URI among its names, the device and its signature over the authority's public key. So
//! whoever knows the device from the mesh can tell its API from anybody else's. The certificate that the server shows
//! is made anew at each start, for the addresses that it has then.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::{SecretKey, Signature};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::folder::{self, Folder, FolderError};

const VOUCHED: &str = "urn:popmesh:device:";
/// What the device's signature begins with, so that it means nothing elsewhere.
const CONTEXT: &[u8] = b"popmesh api certificate v1";

/// How long before its start a server's certificate begins, since clocks differ: two days.
const EARLIER_MS: u64 = 2 * 86_400_000;
/// How long it lasts: 395 days.
const LIFE_MS: u64 = 395 * 86_400_000;
/// What a clock that is wrong counts as: the year 2096.
const LATEST_MS: u64 = 4_000_000_000_000;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The two files do not belong together, or not to this device.
    #[error(
        "{} and {} are not one pair made by this device; remove both to have new ones made, and hand the new fingerprint out",
        key.display(), certificate.display()
    )]
    Foreign {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate for the API: {0}")]
    Make(#[from] rcgen::Error),
    /// TLS refuses what was made.
    #[error("cannot use the API's certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// The authority of one device.
pub struct Authority {
    key: KeyPair,
    der: CertificateDer<'static>,
    pem: String,
    device: DeviceId,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority of {:?}", self.device)
    }
}

impl Authority {
    /// The authority in `folder`, or a new one.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn open(folder: &Folder, device: &SecretKey) -> Result<Self, CertificateError> {
        let (key_path, path) = (folder.api_key_path(), folder.api_certificate_path());
        let foreign = || CertificateError::Foreign { key: key_path.clone(), certificate: path.clone() };
        let kept = folder::found(folder::read_private_text(&key_path))?;
        let pem = folder::found(folder::read_text(&path))?;
        let key = match &kept {
            Some(kept) => KeyPair::from_pem(kept).map_err(|_| foreign())?,
            // A certificate alone is one whose key is lost: those who trust it are to hear of it.
            None if pem.is_some() => return Err(foreign()),
            None => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                folder::write_new(&key_path, &key.serialize_pem())?;
                key
            }
        };
        let pem = match pem {
            Some(pem) => pem,
            None => {
                let pem = parameters(&key, device)?.self_signed(&key)?.pem();
                folder::replace(&path, &pem)?;
                pem
            }
        };
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| foreign())?;
        if vouched_device(&der) != Some(device.id()) || public_key(&der) != Some(key.public_key_der()) {
            return Err(foreign());
        }
        Ok(Self { key, der, pem, device: device.id() })
    }

    /// The certificate to trust, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its SHA-256.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.der)
    }

    /// What a server at these addresses and names shows. TLS 1.3 alone.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn server(
        &self,
        addresses: &[IpAddr],
        names: &[String],
        now_ms: u64,
    ) -> Result<ServerConfig, CertificateError> {
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name.push(DnType::CommonName, format!("popmesh API of {}", self.device.short()));
        leaf.subject_alt_names = addresses.iter().map(|address| SanType::IpAddress(*address)).collect();
        for name in names {
            leaf.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        // Clocks of callers differ. A node that runs for longer than this is to be started again.
        let after_1970 = |ms: u64| date_time_ymd(1970, 1, 1) + Duration::from_millis(ms);
        let now_ms = now_ms.min(LATEST_MS);
        leaf.not_before = after_1970(now_ms.saturating_sub(EARLIER_MS));
        leaf.not_after = after_1970(now_ms + LIFE_MS);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        // Only the name and the key of the issuer go into what it signs, and these are the stored certificate's.
        let issuer = issuer(&self.device).self_signed(&self.key)?;
        let leaf = leaf.signed_by(&key, &issuer, &self.key)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])?
                .with_no_client_auth()
                .with_single_cert(vec![leaf.der().clone(), self.der.clone()], private)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn issuer(device: &DeviceId) -> CertificateParams {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, format!("popmesh device {}", device.short()));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority
}

/// The authority's own certificate. Whoever trusts it trusts it for addresses and local names, never for a site of
/// the Internet.
fn parameters(key: &KeyPair, device: &SecretKey) -> Result<CertificateParams, CertificateError> {
    let mut authority = issuer(&device.id());
    // No clock of a new box is to be relied on; what ends is the certificate that the server shows.
    (authority.not_before, authority.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2099, 1, 1));
    authority.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
            GeneralSubtree::DnsName("local".to_owned()),
            GeneralSubtree::DnsName("localhost".to_owned()),
        ],
        excluded_subtrees: vec![],
    });
    let signature = device.sign(&vouching(&key.public_key_der()));
    let word = format!("{VOUCHED}{}:{}", device.id(), hex::encode(signature.0));
    authority.subject_alt_names = vec![SanType::URI(word.as_str().try_into()?)];
    Ok(authority)
}

fn vouching(public_key: &[u8]) -> Vec<u8> {
    [CONTEXT, public_key].concat()
}

/// SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` shows it.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// The device whose key vouches for this authority's certificate.
pub fn vouched_device(certificate: &[u8]) -> Option<DeviceId> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| {
        let GeneralName::URI(uri) = name else { return None };
        let (device, signature) = uri.strip_prefix(VOUCHED)?.split_once(':')?;
        let device = DeviceId::from_str(device).ok()?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(signature, &mut bytes).ok()?;
        Signature(bytes).verifies(&device, &vouching(parsed.public_key().raw)).then_some(device)
    })
}

fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.public_key().raw.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    #[test]
    fn an_authority_stays_the_same_and_its_device_vouches_for_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::TempDir::new().unwrap();
        let folder = Folder::new(dir.path());
        let made = Authority::open(&folder, &key(1)).unwrap();
        let again = Authority::open(&folder, &key(1)).unwrap();
        assert_eq!((made.pem(), made.fingerprint()), (again.pem(), again.fingerprint()));
        assert_eq!(vouched_device(&made.der), Some(key(1).id()));
        let mode = std::fs::metadata(folder.api_key_path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(Authority::open(&folder, &key(2)), Err(CertificateError::Foreign { .. })));
        std::fs::remove_file(folder.api_key_path()).unwrap();
        assert!(matches!(Authority::open(&folder, &key(1)), Err(CertificateError::Foreign { .. })));
        assert!(!folder.api_key_path().exists(), "nothing was changed");
    }

    #[test]
    fn nobody_else_can_claim_a_devices_word() {
        let dir = tempfile::TempDir::new().unwrap();
        let made = Authority::open(&Folder::new(dir.path()), &key(1)).unwrap();
        let der = made.der.to_vec();
        for at in 0..der.len() {
            let mut altered = der.clone();
            altered[at] ^= 1;
            if vouched_device(&altered) == Some(key(1).id()) {
                // What was altered is neither the key nor the device's word, and the pair still is what it was.
                assert_eq!(public_key(&altered), public_key(&der), "{at}");
            }
        }
        let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut stolen = parameters(&made.key, &key(1)).unwrap();
        stolen.is_ca = IsCa::NoCa;
        let stolen = stolen.self_signed(&other).unwrap();
        assert_eq!(vouched_device(stolen.der()), None, "the word is for another key");
    }
}
