//! TLS from the caller's side: an API elsewhere is known by its certificate's fingerprint, by its device's key, or by
//! a file. ureq brings a TLS of its own only with roots and a provider that nothing else here needs, so rustls, which
//! QUIC brings along, is put under it.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use popmesh_proto::id::DeviceId;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned,
};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, TcpConnector, Transport,
    TransportAdapter,
};

use super::failure::Failure;
use crate::access::{fingerprint, holds_at, vouched_device};
use crate::folder;

/// What an API elsewhere is known by.
#[derive(Debug, Clone)]
pub(super) enum Trust {
    /// The SHA-256 of its authority's certificate, or the key of the device that vouches for that.
    Pin([u8; 32]),
    /// These authorities.
    Roots(Vec<CertificateDer<'static>>),
}

impl Trust {
    /// What a person gives: 64 hexadecimal digits, with or without colons, or a file.
    pub(super) fn given(text: &str) -> Result<Self, String> {
        let mut pin = [0; 32];
        if hex::decode_to_slice(text.replace(':', ""), &mut pin).is_ok() {
            return Ok(Self::Pin(pin));
        }
        Self::read(Path::new(text)).map_err(|failure| match failure {
            Failure::Here { error, .. } => error,
            _ => "cannot be read".to_owned(),
        })
    }

    /// The certificates of a PEM file.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = folder::read_text(path)?;
        let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        match roots {
            Ok(roots) if !roots.is_empty() => Ok(Self::Roots(roots)),
            _ => Err(Failure::here(format!(
                "{} holds no certificate in PEM; give the fingerprint or the file that `popmesh api certificate` names",
                path.display()
            ))),
        }
    }
}

/// The URL of an API; without a scheme it is `http` for this host and `https` for any other.
pub(super) fn base_of(url: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.contains("://") {
        return url.to_owned();
    }
    let plain = format!("http://{url}");
    if stays_here(&plain) { plain } else { format!("https://{url}") }
}

fn stays_here(base: &str) -> bool {
    let uri = base.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether this can be called safely: a token never leaves this host in the clear, and nobody unknown is trusted.
pub(super) fn check(base: &str, token: Option<&str>, trust: Option<&Trust>) -> Result<(), Failure> {
    let secured = base.starts_with("https://");
    if !secured && token.is_some() && !stays_here(base) {
        return Err(Failure::with_help(
            format!("{base} is not on this host and not https; the token would be read on the way"),
            "call it by https://",
        ));
    }
    if secured && trust.is_none() {
        return Err(Failure::with_help(
            format!("nothing says by what to know {base}"),
            "give the fingerprint that `popmesh api certificate` prints on that device with --trust",
        ));
    }
    if token.is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(Failure::with_help("this is no token", "give it as `popmesh api token new` printed it"));
    }
    Ok(())
}

/// An agent that speaks TLS to whom `trust` names, and plain HTTP.
pub(super) fn agent(config: Config, trust: Option<Trust>) -> Result<Agent, Failure> {
    let connector = Tls(trust.map(client).transpose().map_err(|error| Failure::here(error.to_string()))?);
    Ok(Agent::with_parts(
        config,
        ().chain(TcpConnector::default()).chain(connector),
        DefaultResolver::default(),
    ))
}

fn client(trust: Trust) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Verifier { trust, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Finds the authority that is trusted among those that the server shows, and leaves the rest to webpki.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut roots = RootCertStore::empty();
        // webpki does not ask whether what is trusted has ended.
        let holds = |root: &CertificateDer<'_>| {
            match holds_at(root, now.as_secs()) {
            true => Ok(()),
            false => Err(rustls::Error::General(
                "the certificate of its authority has ended, or begins later; start the device again, and see \
                 `popmesh api certificate` there"
                    .to_owned(),
            )),
        }
        };
        match &self.trust {
            Trust::Roots(trusted) => {
                for root in trusted {
                    holds(root)?;
                    roots.add(root.clone())?;
                }
            }
            Trust::Pin(pin) => {
                let pinned = |shown: &&CertificateDer<'_>| {
                    fingerprint(shown) == *pin || vouched_device(shown) == Some(DeviceId(*pin))
                };
                let shown = intermediates.iter().find(pinned).ok_or_else(|| {
                    rustls::Error::General(
                        "it shows another certificate than the trusted one: it is another device, its folder is new, or somebody is in between"
                            .to_owned(),
                    )
                })?;
                holds(shown)?;
                roots.add(shown.clone().into_owned())?;
            }
        }
        let provider = Arc::clone(&self.provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Wraps connections to `https` in TLS. ureq's part for this is not under its promise of stability; the lock file
/// holds its version.
#[derive(Debug)]
struct Tls(Option<Arc<ClientConfig>>);

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Wrapped>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let config = self.0.clone().ok_or(ureq::Error::TlsRequired)?;
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let name = ServerName::try_from(host).map_err(std::io::Error::other)?.to_owned();
        let failed = |error: rustls::Error| ureq::Error::Io(std::io::Error::other(error));
        let mut connection = ClientConnection::new(config, name).map_err(failed)?;
        let mut socket = TransportAdapter::new(transport.boxed(), Arc::clone(&details.current_time));
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Wrapped { buffers, stream: StreamOwned::new(connection, socket) })))
    }
}

struct Wrapped {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl std::fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wrapped")
    }
}

impl Transport for Wrapped {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
