//! The device's own small certificate authority for its API.
//!
//! Its key is P-256, since browsers take nothing from an Ed25519 key. The device's key vouches for it: the authority's
//! certificate carries, as a URI among its names, the device and its signature over the authority's public key. So
//! whoever knows the device from the mesh can tell its API from anybody else's. The certificates that the server shows
//! are made anew at each start, for the addresses that it has then.
//!
//! Whoever trusts an authority trusts it for what its certificate permits, and no longer than that holds: for the names and
//! addresses that its host had when it was made, and half a year. Whoever steals its key can pose as this host, and as
//! nobody else. Where the host has another address at a start, or the time is nearly over, the certificate is made anew
//! under the same key: who trusts the device's key need not know; who trusts the certificate gets the new one, and until
//! then can call by name, since what is shown for a name says nothing of addresses.

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
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::folder::{self, Folder, FolderError};

const VOUCHED: &str = "urn:popmesh:device:";
/// What the device's signature begins with, so that it means nothing elsewhere.
const CONTEXT: &[u8] = b"popmesh api certificate v1";

/// How long before its start a server's certificate begins, since clocks differ: two days.
const EARLIER_MS: u64 = 2 * 86_400_000;
/// How long an authority's certificate holds, and what the server shows at most: 180 days.
const LIFE_MS: u64 = 180 * 86_400_000;
/// An authority's certificate that holds for less than this at a start is made anew: 30 days.
const LEFT_MS: u64 = 30 * 86_400_000;
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
    /// This host's addresses are not known.
    #[error("the network interfaces cannot be listed: {0}")]
    Interfaces(std::io::Error),
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

/// By what callers reach a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its names.
    pub names: Vec<String>,
}

impl Reach {
    /// This host, as it is now: all its addresses, `localhost`, and its name in the local network if that is usual.
    ///
    /// # Errors
    /// What the system says when it cannot list its interfaces.
    pub fn of_this_host() -> std::io::Result<Self> {
        let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
        let name = name.split('.').next().unwrap_or_default();
        let usual = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_usual = !name.is_empty() && name.chars().all(usual) && name != "localhost";
        let names = is_usual.then(|| format!("{name}.local")).into_iter().chain([LOCALHOST.to_owned()]);
        let addresses =
            if_addrs::get_if_addrs()?.iter().map(|interface| interface.ip().to_canonical()).collect();
        Ok(Self { addresses, names: names.collect() })
    }

    /// What of `other` this covers.
    fn covered(&self, other: &Self) -> Self {
        let addresses = other.addresses.iter().map(IpAddr::to_canonical);
        let names =
            other.names.iter().filter(|name| self.names.iter().any(|own| own.eq_ignore_ascii_case(name)));
        Self {
            addresses: addresses.filter(|address| self.addresses.contains(address)).collect(),
            names: names.cloned().collect(),
        }
    }

    /// Whether whoever calls at `wanted` finds enough of it here: each name, each address of IPv4, and one address at least.
    /// Addresses of IPv6 come and go by themselves.
    fn is_enough_for(&self, wanted: &Self) -> bool {
        let covered = self.covered(wanted);
        let v4 =
            |reach: &Self| reach.addresses.iter().filter(|address| address.to_canonical().is_ipv4()).count();
        covered.names.len() == wanted.names.len()
            && v4(&covered) == v4(wanted)
            && covered.addresses.is_empty() == wanted.addresses.is_empty()
    }
}

const LOCALHOST: &str = "localhost";

/// The authority of one device.
pub struct Authority {
    key: KeyPair,
    der: CertificateDer<'static>,
    pem: String,
    device: DeviceId,
    permits: Reach,
    ends_ms: u64,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority of {:?}", self.device)
    }
}

impl Authority {
    /// The authority in `folder`, or a new one for this host as it is now.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn open(folder: &Folder, device: &SecretKey) -> Result<Self, CertificateError> {
        let host = Reach::of_this_host().map_err(CertificateError::Interfaces)?;
        Self::open_at(folder, device, None, &host, crate::clock::now_ms())
    }

    /// The same, for a server that is reached by `shown` on a host that is reached by `host`: with a new certificate, under
    /// the same key, where the one in `folder` does not permit that, or not for long enough.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn open_for(
        folder: &Folder,
        device: &SecretKey,
        shown: &Reach,
        host: &Reach,
        now_ms: u64,
    ) -> Result<Self, CertificateError> {
        Self::open_at(folder, device, Some(shown), host, now_ms)
    }

    fn open_at(
        folder: &Folder,
        device: &SecretKey,
        shown: Option<&Reach>,
        host: &Reach,
        now_ms: u64,
    ) -> Result<Self, CertificateError> {
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
        if let Some(pem) = pem {
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| foreign())?;
            if vouched_device(&der) != Some(device.id()) || public_key(&der) != Some(key.public_key_der()) {
                return Err(foreign());
            }
            if let Some((permits, begins_ms, ends_ms)) = permitted(&der) {
                let is_short = ends_ms.saturating_sub(begins_ms) <= LIFE_MS + EARLIER_MS;
                let is_good = (begins_ms..ends_ms.saturating_sub(LEFT_MS)).contains(&now_ms.min(LATEST_MS));
                let is_enough = shown.is_none_or(|shown| is_good && permits.is_enough_for(shown));
                if is_short && is_enough {
                    return Ok(Self { key, der, pem, device: device.id(), permits, ends_ms });
                }
            }
            tracing::warn!(
                "the API's certificate is made anew, for the addresses that this host has now; hand its fingerprint out again, \
                 see `popmesh api certificate`"
            );
        }
        let mut permits = shown.cloned().unwrap_or_default();
        permits.addresses.extend(&host.addresses);
        permits.names.extend(host.names.iter().cloned().chain([LOCALHOST.to_owned()]));
        for address in &mut permits.addresses {
            *address = address.to_canonical();
        }
        permits.addresses.sort();
        permits.addresses.dedup();
        permits.names.sort();
        permits.names.dedup();
        let pem = parameters(&key, device, &permits, now_ms)?.self_signed(&key)?.pem();
        folder::replace(&path, &pem)?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| foreign())?;
        let (permits, _, ends_ms) = permitted(&der).ok_or_else(foreign)?;
        Ok(Self { key, der, pem, device: device.id(), permits, ends_ms })
    }

    /// The certificate to trust, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The same as its bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// When it ends, Unix milliseconds.
    pub fn ends_ms(&self) -> u64 {
        self.ends_ms
    }

    /// Its SHA-256.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.der)
    }

    /// What a server at these addresses and names shows, as far as this authority's certificate permits them: to who calls by
    /// a name the names, to who calls by an address the addresses. TLS 1.3 alone.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn server(
        &self,
        addresses: &[IpAddr],
        names: &[String],
        now_ms: u64,
    ) -> Result<ServerConfig, CertificateError> {
        let wanted = Reach { addresses: addresses.to_vec(), names: names.to_vec() };
        let Reach { addresses, names } = self.permits.covered(&wanted);
        let addresses = addresses.into_iter().map(SanType::IpAddress).collect();
        let names = names
            .iter()
            .map(|name| Ok(SanType::DnsName(name.as_str().try_into()?)))
            .collect::<Result<Vec<_>, rcgen::Error>>()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let shown = Shown {
            by_name: Arc::new(self.leaf(names, now_ms, &provider)?),
            by_address: Arc::new(self.leaf(addresses, now_ms, &provider)?),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn leaf(
        &self,
        names: Vec<SanType>,
        now_ms: u64,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, CertificateError> {
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name.push(DnType::CommonName, format!("popmesh API of {}", self.device.short()));
        leaf.subject_alt_names = names;
        // Clocks of callers differ. A node that runs for longer than this is to be started again.
        let after_1970 = |ms: u64| date_time_ymd(1970, 1, 1) + Duration::from_millis(ms);
        let now_ms = now_ms.min(LATEST_MS);
        leaf.not_before = after_1970(now_ms.saturating_sub(EARLIER_MS));
        leaf.not_after = after_1970((now_ms + LIFE_MS).min(self.ends_ms));
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        // Only the name and the key of the issuer go into what it signs, and these are the stored certificate's.
        let issuer = issuer(&self.device).self_signed(&self.key)?;
        let leaf = leaf.signed_by(&key, &issuer, &self.key)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let private = provider.key_provider.load_private_key(private)?;
        Ok(CertifiedKey::new(vec![leaf.der().clone(), self.der.clone()], private))
    }
}

/// What a server shows, by how it is called.
#[derive(Debug)]
struct Shown {
    by_name: Arc<CertifiedKey>,
    by_address: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Whoever calls by an address names none (RFC 6066).
        let shown = if hello.server_name().is_some() { &self.by_name } else { &self.by_address };
        Some(Arc::clone(shown))
    }
}

fn issuer(device: &DeviceId) -> CertificateParams {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, format!("popmesh device {}", device.short()));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority
}

/// The authority's own certificate. Whoever trusts it trusts it for this host alone, never for another or for a site of
/// the Internet.
fn parameters(
    key: &KeyPair,
    device: &SecretKey,
    permits: &Reach,
    now_ms: u64,
) -> Result<CertificateParams, CertificateError> {
    let mut authority = issuer(&device.id());
    let after_1970 = |ms: u64| date_time_ymd(1970, 1, 1) + Duration::from_millis(ms);
    let now_ms = now_ms.min(LATEST_MS);
    authority.not_before = after_1970(now_ms.saturating_sub(EARLIER_MS));
    authority.not_after = after_1970(now_ms + LIFE_MS);
    authority.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let alone = |address: &IpAddr| {
        GeneralSubtree::IpAddress(match address {
            IpAddr::V4(address) => CidrSubnet::V4(address.octets(), [255; 4]),
            IpAddr::V6(address) => CidrSubnet::V6(address.octets(), [255; 16]),
        })
    };
    // There always is an address and a name: of what is not named at all, everything would be permitted.
    let loopback = [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)];
    let none = permits.addresses.is_empty();
    let addresses = permits.addresses.iter().chain(loopback.iter().filter(|_| none)).map(alone);
    let names = permits.names.iter().cloned().map(GeneralSubtree::DnsName);
    authority.name_constraints = Some(NameConstraints {
        permitted_subtrees: addresses.chain(names).collect(),
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

/// Whether a certificate holds at a time, Unix seconds.
pub fn holds_at(certificate: &[u8], now_s: u64) -> bool {
    let parsed = X509Certificate::from_der(certificate).ok();
    let at = i64::try_from(now_s).ok().and_then(|now| x509_parser::time::ASN1Time::from_timestamp(now).ok());
    parsed.zip(at).is_some_and(|((_, parsed), at)| parsed.validity().is_valid_at(at))
}

/// For what an authority's certificate may sign, and from when until when it holds; `None` if it may sign for more than single
/// addresses and names.
fn permitted(certificate: &[u8]) -> Option<(Reach, u64, u64)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let ms = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).ok()?.checked_mul(1_000);
    let (begins_ms, ends_ms) = (ms(parsed.validity().not_before)?, ms(parsed.validity().not_after)?);
    let mut permits = Reach::default();
    let constraints = parsed.name_constraints().ok()??;
    for subtree in constraints.value.permitted_subtrees.as_deref()? {
        match subtree.base {
            GeneralName::DNSName(name) => permits.names.push(name.to_owned()),
            GeneralName::IPAddress(bytes) => permits.addresses.push(single(bytes)?),
            _ => return None,
        }
    }
    Some((permits, begins_ms, ends_ms))
}

/// An address and a mask that leaves that alone; `None` of a larger network.
fn single(bytes: &[u8]) -> Option<IpAddr> {
    let (address, mask) = bytes.split_at_checked(bytes.len() / 2)?;
    if mask.iter().any(|byte| *byte != 255) {
        return None;
    }
    match address.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(address).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(address).ok()?)),
        _ => None,
    }
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

    fn reach(addresses: &[&str], names: &[&str]) -> Reach {
        Reach {
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    const DAY_MS: u64 = 86_400_000;
    const NOW_MS: u64 = 1_800_000_000_000;

    /// Whether a caller that trusts `trusted` takes what `signer` says for this host.
    fn is_taken(trusted: &Authority, signer: &Authority, host: &str, permits: &Reach, now_ms: u64) -> bool {
        use rustls::client::WebPkiServerVerifier;
        use rustls::client::danger::ServerCertVerifier;
        // As whoever has stolen the key would: without a look at what it is for.
        let thief = Authority {
            key: KeyPair::from_pem(&signer.key.serialize_pem()).unwrap(),
            der: trusted.der.clone(),
            pem: String::new(),
            device: signer.device,
            permits: permits.clone(),
            ends_ms: u64::MAX,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let name = rustls::pki_types::ServerName::try_from(host.to_owned()).unwrap();
        let names = match host.parse::<IpAddr>() {
            Ok(address) => vec![SanType::IpAddress(address)],
            Err(_) => vec![SanType::DnsName(host.try_into().unwrap())],
        };
        let leaf = thief.leaf(names, now_ms, &provider).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted.der.clone()).unwrap();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let now = rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_millis(now_ms));
        verifier.verify_server_cert(&leaf.cert[0], &leaf.cert[1..], &name, &[], now).is_ok()
    }

    #[test]
    fn an_authority_signs_for_its_own_host_alone_and_not_for_long() {
        let dir = tempfile::TempDir::new().unwrap();
        let folder = Folder::new(dir.path());
        let host = reach(&["192.0.2.7", "2001:db8::7"], &["till-1.local", "localhost"]);
        let made = Authority::open_for(&folder, &key(1), &host, &host, NOW_MS).unwrap();
        for own in ["192.0.2.7", "2001:db8::7", "till-1.local", "localhost"] {
            assert!(is_taken(&made, &made, own, &host, NOW_MS), "{own}");
        }
        assert!(
            holds_at(&made.der, NOW_MS / 1_000) && !holds_at(&made.der, (NOW_MS + LIFE_MS + DAY_MS) / 1_000)
        );
        for other in [
            "192.0.2.8",
            "10.0.0.1",
            "127.0.0.1",
            "2001:db8::8",
            "till-2.local",
            "router.local",
            "example.org",
        ] {
            assert!(!is_taken(&made, &made, other, &host, NOW_MS), "{other}");
        }
        let (_, parsed) = X509Certificate::from_der(&made.der).unwrap();
        let basic = parsed.basic_constraints().unwrap().unwrap();
        assert_eq!((basic.critical, basic.value.path_len_constraint), (true, Some(0)));
        assert!(parsed.name_constraints().unwrap().unwrap().critical);
        // What is asked for beyond that is left out.
        made.server(&["192.0.2.7".parse().unwrap(), "10.0.0.1".parse().unwrap()], &[], NOW_MS).unwrap();
    }

    #[test]
    fn a_host_that_moves_gets_a_new_certificate_under_the_same_key_and_is_still_known_by_name() {
        let dir = tempfile::TempDir::new().unwrap();
        let folder = Folder::new(dir.path());
        let names = ["till-1.local", "localhost"];
        let (before, after) = (reach(&["192.0.2.7"], &names), reach(&["198.51.100.9"], &names));
        let first = Authority::open_for(&folder, &key(1), &before, &before, NOW_MS).unwrap();
        let same = Authority::open_for(&folder, &key(1), &before, &before, NOW_MS + 30 * DAY_MS).unwrap();
        assert_eq!(first.fingerprint(), same.fingerprint());
        let moved = Authority::open_for(&folder, &key(1), &after, &after, NOW_MS + 30 * DAY_MS).unwrap();
        assert_ne!(first.fingerprint(), moved.fingerprint());
        assert_eq!(vouched_device(&moved.der), Some(key(1).id()));
        assert_eq!(public_key(&moved.der), public_key(&first.der));
        let later = NOW_MS + 31 * DAY_MS;
        assert!(is_taken(&first, &moved, "till-1.local", &after, later));
        assert!(!is_taken(&first, &moved, "198.51.100.9", &after, later));
        assert!(is_taken(&moved, &moved, "198.51.100.9", &after, later));
        // Addresses of IPv6 change by themselves; one that stays is enough.
        let six = reach(&["198.51.100.9", "2001:db8::1"], &names);
        let again = Authority::open_for(&folder, &key(1), &six, &six, later).unwrap();
        assert_eq!(again.fingerprint(), moved.fingerprint());
        let near_its_end = NOW_MS + 30 * DAY_MS + LIFE_MS - LEFT_MS;
        let renewed = Authority::open_for(&folder, &key(1), &after, &after, near_its_end).unwrap();
        assert_ne!(renewed.fingerprint(), moved.fingerprint());
    }

    #[test]
    fn one_that_signs_for_everything_until_2099_is_replaced() {
        let dir = tempfile::TempDir::new().unwrap();
        let folder = Folder::new(dir.path());
        let host = reach(&["192.0.2.7"], &["localhost"]);
        let made = Authority::open_for(&folder, &key(1), &host, &host, NOW_MS).unwrap();
        let mut wide = parameters(&made.key, &key(1), &host, NOW_MS).unwrap();
        (wide.not_before, wide.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2099, 1, 1));
        wide.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![
                GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
                GeneralSubtree::DnsName("local".to_owned()),
            ],
            excluded_subtrees: vec![],
        });
        let wide = wide.self_signed(&made.key).unwrap();
        std::fs::write(folder.api_certificate_path(), wide.pem()).unwrap();
        let again = Authority::open_for(&folder, &key(1), &host, &host, NOW_MS).unwrap();
        assert_eq!(again.permits, host);
        assert_eq!(again.ends_ms, made.ends_ms);
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
        let mut stolen = parameters(&made.key, &key(1), &made.permits, 1).unwrap();
        stolen.is_ca = IsCa::NoCa;
        let stolen = stolen.self_signed(&other).unwrap();
        assert_eq!(vouched_device(stolen.der()), None, "the word is for another key");
    }
}
