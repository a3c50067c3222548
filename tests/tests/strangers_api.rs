//! Strangers at the API of a till that serves tablets: half-sent bodies, silent connections, streams that outlive their
//! token, and what all of them leave in the log.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use popmesh_tests::{Child, Event, Host, Network};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const PORT: u16 = 7443;
const TILL: usize = 0;
const TABLET: usize = 1;
/// The hosts of strangers, from here on.
const STRANGERS: usize = 2;
const DEADLINE: Duration = Duration::from_secs(30);
/// Within this whoever has a right to it must be answered.
const SOON: Duration = Duration::from_secs(3);

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A till that runs on host 0, and serves its API to all.
struct Till<'a> {
    event: Event,
    host: &'a Host,
    child: Child,
    client: Arc<ClientConfig>,
}

impl<'a> Till<'a> {
    fn start(network: &'a Network) -> Result<Self> {
        let event = Event::found("Neon Drop")?;
        event.enrol("till", "hq,pos", "hall-a")?;
        let host = network.host(TILL);
        let mut command = host.command(event.program());
        command.current_dir(event.path()).env("NO_COLOR", "1").env_remove("POPMESH_DATA");
        command.args(["--data", "till", "run", "--no-mdns", "--api", &format!("0.0.0.0:{PORT}")]);
        let mut child = Child::start("till", &mut command)?;
        child.wait_for_output(" running ", DEADLINE)?;
        let client = trusting(&event.path().join("till/api-ca.pem"))?;
        Ok(Self { event, host, child, client })
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((self.host.address(), PORT))
    }

    fn token(&self, scope: &str) -> Result<(String, String)> {
        let made = self
            .event
            .popmesh(&["--data", "till", "api", "token", "new", "--for", "1h", "--scope", scope])?;
        let text = |name: &str| made[name].as_str().map(str::to_owned).context("no token");
        Ok((text("id")?, text("token")?))
    }

    /// The token that the running node leaves for its owner.
    fn owner(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.event.path().join("till/api.token"))?.trim().to_owned())
    }

    fn talk(&self, to: SocketAddr) -> Result<Tls> {
        let stream = TcpStream::connect_timeout(&to, DEADLINE)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(to.ip().to_string())?;
        let mut tls = StreamOwned::new(ClientConnection::new(Arc::clone(&self.client), name)?, stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(tls)
    }

    /// The status that `GET /v1/status` gets from one host, and how long that took.
    fn status_from(&self, from: &Host, to: SocketAddr, token: &str) -> Result<(u16, Duration)> {
        let began = Instant::now();
        let status = from.in_namespace(|| {
            let mut tls = self.talk(to)?;
            tls.write_all(head("GET", "/v1/status", to, token, 0).as_bytes())?;
            status(&mut tls)
        })?;
        Ok((status, began.elapsed()))
    }

    /// Whether the owner on the host, by whatever of its addresses, and a tablet elsewhere are answered soon.
    fn assert_answers(&self, tablet: &Host, token: &str, when: &str) -> Result<()> {
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        let owner = self.owner()?;
        for (who, from, to, token) in [
            ("the owner", self.host, own, owner.as_str()),
            ("the owner by the host's address", self.host, self.address(), owner.as_str()),
            ("a tablet", tablet, self.address(), token),
        ] {
            let (status, took) =
                self.status_from(from, to, token).with_context(|| format!("{when}: {who}"))?;
            println!("{when}: {who} gets {status} in {took:?}");
            ensure!(status == 200 && took < SOON, "{when}: {who} got {status} after {took:?}");
        }
        Ok(())
    }
}

fn trusting(certificate: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).map_err(|error| anyhow::anyhow!("{error:?}"))?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(client.with_root_certificates(roots).with_no_client_auth()))
}

fn head(method: &str, path: &str, to: SocketAddr, token: &str, body: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {to}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {body}\r\n\r\n"
    )
}

fn status(tls: &mut Tls) -> Result<u16> {
    let mut first = [0; 12];
    tls.read_exact(&mut first).context("no answer")?;
    String::from_utf8_lossy(&first[9..]).parse().context("no status")
}

/// Whether the other end has closed it, or answered.
fn is_over(tls: &mut Tls) -> bool {
    let mut byte = [0];
    // Only what is there already is looked at.
    if tls.sock.set_nonblocking(true).is_err() {
        return true;
    }
    !matches!(tls.read(&mut byte), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// This process holds both ends of more connections than it may have files for at first.
fn many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("more files")
}

#[test]
fn half_sent_bodies_shut_neither_the_owner_out_nor_another_token() -> Result<()> {
    many_files()?;
    // Six hosts, so that no limit of one address is what helps.
    let network = Network::new(81, STRANGERS + 6)?;
    let till = Till::start(&network)?;
    let ((_, stolen), (_, tablet)) = (till.token("till")?, till.token("read-only")?);
    till.assert_answers(network.host(TABLET), &tablet, "before")?;
    let held: Vec<Vec<Tls>> = std::thread::scope(|scope| {
        let strangers: Vec<_> = network.hosts()[STRANGERS..]
            .iter()
            .map(|host| {
                let (till, stolen) = (&till, &stolen);
                scope.spawn(move || {
                    host.in_namespace(|| {
                        let half = head("POST", "/v1/sales", till.address(), stolen, 1_000) + "{\"items\":";
                        (0..90)
                            .map(|_| {
                                let mut tls = till.talk(till.address())?;
                                tls.write_all(half.as_bytes())?;
                                // As fast as one token may ask; what comes faster is refused and holds nothing.
                                std::thread::sleep(Duration::from_millis(6 * 1_000 / 45));
                                Ok(tls)
                            })
                            .collect::<Result<Vec<_>>>()
                    })
                })
            })
            .collect();
        let all: Result<Vec<_>> =
            strangers.into_iter().map(|stranger| stranger.join().expect("a stranger panicked")).collect();
        all
    })?;
    let mut held: Vec<Tls> = held.into_iter().flatten().collect();
    println!(
        "540 half-sent bodies; {} are over already",
        held.iter_mut().map(is_over).filter(|over| *over).count()
    );
    till.assert_answers(network.host(TABLET), &tablet, "with 540 half-sent bodies")?;
    // And none of them is waited for.
    popmesh_tests::wait_until("the half-sent bodies to be let go", DEADLINE, || {
        held.retain_mut(|tls| !is_over(tls));
        Ok(held.is_empty().then_some(()))
    })?;
    till.assert_answers(network.host(TABLET), &tablet, "after them")
}

#[test]
fn silent_connections_keep_nobody_out() -> Result<()> {
    many_files()?;
    // So many addresses, with as many connections as one may have, are all that there are.
    let network = Network::new(82, STRANGERS + 8)?;
    let till = Till::start(&network)?;
    let (_, tablet) = till.token("read-only")?;
    till.assert_answers(network.host(TABLET), &tablet, "before")?;
    // All at once, so that the first still are there when the last come.
    let held = std::thread::scope(|scope| {
        let strangers: Vec<_> = network.hosts()[STRANGERS..]
            .iter()
            .map(|host| {
                let till = &till;
                // Once TLS is agreed on, a head may take long.
                let silent = move || (0..128).map(|_| till.talk(till.address())).collect::<Result<Vec<_>>>();
                scope.spawn(move || host.in_namespace(silent))
            })
            .collect();
        let all: Result<Vec<_>> =
            strangers.into_iter().map(|stranger| stranger.join().expect("a stranger panicked")).collect();
        all
    })?;
    let held: Vec<Tls> = held.into_iter().flatten().collect();
    till.assert_answers(network.host(TABLET), &tablet, &format!("with {} silent connections", held.len()))
}

#[test]
fn a_stream_ends_with_its_token_and_refusals_are_summed() -> Result<()> {
    let network = Network::new(83, STRANGERS + 1)?;
    let mut till = Till::start(&network)?;
    let (id, screen) = till.token("read-only")?;
    let mut stream = network.host(TABLET).in_namespace(|| {
        let mut tls = till.talk(till.address())?;
        tls.write_all(head("GET", "/v1/events", till.address(), &screen, 0).as_bytes())?;
        Ok(tls)
    })?;
    ensure!(status(&mut stream)? == 200);
    till.event.popmesh(&["--data", "till", "api", "token", "revoke", &id, "--yes"])?;
    let began = Instant::now();
    let mut rest = Vec::new();
    // Without the end of TLS it ended all the same.
    let _ = stream.read_to_end(&mut rest);
    let took = began.elapsed();
    println!("the stream of a revoked token ended after {took:?}");
    ensure!(took < Duration::from_secs(2), "it went on for {took:?}");

    network.host(STRANGERS).in_namespace(|| {
        for _ in 0..60 {
            let mut plain = TcpStream::connect_timeout(&till.address(), DEADLINE)?;
            plain.write_all(&[0x16, 3, 1, 0xff, 0xff, 0, 0, 0])?;
        }
        for _ in 0..30 {
            let mut tls = till.talk(till.address())?;
            tls.write_all(head("GET", "/v1/status", till.address(), "popmesh_guess", 0).as_bytes())?;
            let status = status(&mut tls)?;
            if ![401, 429].contains(&status) {
                bail!("a guess got {status}");
            }
        }
        Ok(())
    })?;
    till.child.signal(Signal::TERM)?;
    till.child.wait(DEADLINE)?;
    let said = till.child.output()?;
    let lines: Vec<&str> =
        said.lines().filter(|line| line.contains("WARN") && line.contains("refused")).collect();
    ensure!((1..=2).contains(&lines.len()), "{} lines for 90 refusals:\n{said}", lines.len());
    println!("{}", lines.join("\n"));
    ensure!(lines.iter().all(|line| line.contains("in the last minute")), "{lines:?}");
    ensure!(lines.iter().any(|line| line.contains("10 with an unknown token")), "{lines:?}");
    Ok(())
}
