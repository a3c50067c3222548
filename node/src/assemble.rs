//! Puts a device together: its store, its runtime and its mesh.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use hkdf::Hkdf;
use popmesh_ble::Adapter;
use popmesh_proto::clock::utc;
use popmesh_proto::id::{DeviceId, EventId, Nonce};
use popmesh_proto::identity::{SignedCertificate, SignedCharter};
use popmesh_proto::pin::{EventSecret, EventSecrets};
use popmesh_proto::{Config, Device};
use popmesh_store::Store;
use sha2::Sha256;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use crate::bridge::{MeshLinks, MeshWindow, deliver, tell_known};
use crate::clock::now_ms;
use crate::door::{Doors, Keeper};
use crate::folder::{self, Folder, Identity};
use crate::mesh::{
    Admit, BLE_PING_EVERY, BleConfig, Listen, Membership, MembershipKey, Mesh, MeshConfig, MeshError, Unfit,
};
use crate::run::{RunOptions, Started, Starter, Transports};
use crate::runtime::{self, Keep, Runtime, RuntimeJoin};
use crate::shut_out::ShutOut;

/// Starts a device over SQLite and libp2p.
#[derive(Debug, Clone, Copy)]
pub struct Node;

impl Starter for Node {
    async fn start(
        self,
        identity: Identity,
        options: &RunOptions,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Started> {
        let folder = options.data.path().to_owned();
        let event = identity.charter.event();
        let device = identity.certificate.device;
        // The store first: a folder that is in use must not show up in the mesh for a moment.
        let (store, loaded) = spawn_blocking(move || Store::open(&folder, event, device)).await??;
        let shut_out = ShutOut::default();
        let keys = Keys::of(&identity)?;
        let config = mesh_config(&identity, &keys, &shut_out, options)?;
        let (mesh, events) = Mesh::start(config).await.map_err(advise)?;
        let mesh = Arc::new(mesh);
        let (inbound, inbound_events) = runtime::inbound();
        let links = Box::new(MeshLinks(Arc::clone(&mesh), shut_out));
        let mut config = config_of(identity)?;
        let doors = options.door.as_ref().map(|spec| Doors::new(spec, options.door_within));
        config.doors = doors.is_some();
        config.restored = loaded.restored;
        config.mark.clone_from(&loaded.mark);
        config.carries_kbit_per_s = options.venue_kbit;
        if loaded.restored {
            tracing::error!(
                "the mark beside the database is lost: whether that was set back to an earlier state nothing here can tell, so nothing is sold or handed out until another device has told what is missing, or until `popmesh past accept`"
            );
        }
        let started =
            spawn_blocking(move || Runtime::start::<Device>(config, store, loaded, links, inbound_events))
                .await?;
        let runtime = match started {
            Ok(runtime) => runtime,
            Err(error) => {
                mesh.stop().await;
                return Err(error.into());
            }
        };
        tokio::spawn(deliver(Arc::clone(&mesh), events, inbound));
        let keeper = doors.as_ref().map(|doors| {
            Keeper::start(doors, runtime.doors, runtime.handle.clone(), Arc::clone(&runtime.metrics))
        });
        tokio::spawn(keep(options.data.clone(), Arc::clone(&mesh), keys, runtime.kept));
        tokio::spawn(tell_known(Arc::clone(&mesh), runtime.handle.clone()));
        Ok(Started {
            handle: runtime.handle,
            mesh: Arc::new(MeshWindow(Arc::clone(&mesh))),
            counters: runtime.metrics,
            doors,
            running: Box::pin(until_stopped(runtime.join, mesh, keeper, stop)),
        })
    }
}

/// Keeps in the folder what the next start is to find there, and has the mesh go by it.
async fn keep(data: Folder, mesh: Arc<Mesh>, keys: Keys, mut kept: mpsc::UnboundedReceiver<Keep>) {
    while let Some(keep) = kept.recv().await {
        let data = data.clone();
        let (what, written) = match keep {
            Keep::Certificate(certificate) => {
                keep_certificate(&data, &mesh, certificate).await;
                continue;
            }
            Keep::Secrets(secrets) => {
                keys.set(&mesh, &secrets);
                ("event's secret", spawn_blocking(move || data.install_secrets(&secrets)).await)
            }
            Keep::Retired(retired) => {
                ("list of retired devices", spawn_blocking(move || data.keep_retired(&retired)).await)
            }
        };
        // It is in the log all the same, and comes again at the next start.
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the {what} cannot be kept in the folder"),
            Err(error) => tracing::error!(%error, "the {what} cannot be kept in the folder"),
        }
    }
}

/// Keeps a renewed certificate in the folder, and has it shown to peers. Those that are linked see the new one when the old
/// one ends.
async fn keep_certificate(data: &Folder, mesh: &Mesh, certificate: SignedCertificate) {
    let (path, text) = (data.certificate_path(), format!("{}\n", certificate.to_text()));
    let kept = spawn_blocking(move || folder::replace(&path, &text)).await;
    let until = utc(certificate.not_after_ms);
    match kept {
        Ok(Ok(())) => tracing::info!(%until, "this device's certificate was renewed"),
        // It is in the log all the same, and comes again at the next start.
        Ok(Err(error)) => {
            tracing::error!(%error, %until, "the renewed certificate cannot be kept in the folder")
        }
        Err(error) => {
            tracing::error!(%error, %until, "the renewed certificate cannot be kept in the folder")
        }
    }
    if let Err(error) = mesh.set_certificate(certificate.bytes().to_vec()) {
        tracing::error!(%error, "peers are shown the old certificate");
    }
}

/// The device of a folder, in a new life.
fn config_of(identity: Identity) -> anyhow::Result<Config> {
    let Identity { key, charter, certificate, secrets } = identity;
    let program = Some(env!("CARGO_PKG_VERSION").to_owned());
    Ok(Config { secrets, program, ..Config::new(key, charter, certificate, fresh_nonce()?) })
}

async fn until_stopped(
    mut join: RuntimeJoin,
    mesh: Arc<Mesh>,
    keeper: Option<Keeper>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let ended = tokio::select! {
        // A sender that is gone means the same as one that says stop.
        _ = stop.wait_for(|stop| *stop) => None,
        ended = join.ended() => Some(ended),
    };
    // Doors that are being opened are still reported on, while there is a device to write it down.
    if let Some(keeper) = keeper {
        keeper.stop().await;
    }
    let ended = match ended {
        Some(ended) => ended,
        None => join.stop().await,
    };
    mesh.stop().await;
    ended.context("the device ended")
}

fn mesh_config(
    identity: &Identity,
    keys: &Keys,
    shut_out: &ShutOut,
    options: &RunOptions,
) -> anyhow::Result<MeshConfig> {
    Ok(MeshConfig {
        secret: identity.key.seed().into(),
        event: identity.charter.event().0,
        membership: keys.membership.clone(),
        certificate: identity.certificate.bytes().to_vec(),
        admit: admit(identity.charter.clone(), identity.certificate.not_before_ms, shut_out.clone()),
        listen: Listen {
            interfaces: (!options.interfaces.is_empty()).then(|| options.interfaces.clone()),
            port: options.listen_port,
            tcp: matches!(options.transports, Transports::Both | Transports::TcpOnly),
            quic: matches!(options.transports, Transports::Both | Transports::QuicOnly),
        },
        peers: options.peers.clone(),
        mdns: options.mdns,
        ble: options
            .ble
            .clone()
            .map(|adapter| ble_config(keys, &identity.secrets, adapter, options.ble_links)),
    })
}

/// By what the devices of this event recognise each other: keys that follow from each epoch of the event's secret, one for
/// each purpose, so that what is on the air says nothing about PINs, which are under the same secret.
#[derive(Debug, Clone)]
struct Keys {
    event: EventId,
    /// In the network.
    membership: Membership,
}

impl Keys {
    fn of(identity: &Identity) -> anyhow::Result<Self> {
        anyhow::ensure!(
            identity.secrets.current().is_some(),
            "this device does not have the event's secret, by which the event's devices recognise each other; have the \
             organiser sign its enrolment again, and install that certificate"
        );
        let event = identity.charter.event();
        Ok(Self { event, membership: Membership::new(keys_for(&event, &identity.secrets, MESH)) })
    }

    /// Goes by these secrets from now on.
    fn set(&self, mesh: &Mesh, secrets: &EventSecrets) {
        self.membership.set(keys_for(&self.event, secrets, MESH));
        mesh.set_radio_keys(keys_for(&self.event, secrets, BLUETOOTH));
    }
}

const MESH: &[u8] = b"popmesh mesh 1";
const BLUETOOTH: &[u8] = b"popmesh bluetooth 1";

/// By what the devices of this event recognise each other in the network.
///
/// # Errors
/// If this device does not have the event's secret.
pub fn membership(identity: &Identity) -> anyhow::Result<Membership> {
    Ok(Keys::of(identity)?.membership)
}

fn ble_config(keys: &Keys, secrets: &EventSecrets, adapter: Adapter, links_max: usize) -> BleConfig {
    let keys = keys_for(&keys.event, secrets, BLUETOOTH);
    BleConfig { adapter, keys, links_max, ping_every: BLE_PING_EVERY }
}

/// The keys for a purpose, of each epoch, the newest first.
fn keys_for(event: &EventId, secrets: &EventSecrets, purpose: &[u8]) -> Vec<MembershipKey> {
    let key = |secret: &EventSecret| {
        let mut key = Zeroizing::new([0; 32]);
        // Fails for keys of more than 8 kB alone.
        Hkdf::<Sha256>::new(Some(&event.0), secret.bytes()).expand(purpose, &mut *key).ok()?;
        Some(key)
    };
    secrets.all().filter_map(key).collect()
}

/// A certificate of this event, of the device at the other end, that is valid by this device's clock. One that shows a time
/// before this device's own certificate, which begins at `own_from_ms`, cannot tell whose has not begun yet.
fn admit(charter: SignedCharter, own_from_ms: u64, shut_out: ShutOut) -> Admit {
    Arc::new(move |device, certificate| {
        if shut_out.has(&DeviceId(*device)) {
            return Err(Unfit::Retired);
        }
        let judge = || {
            let certificate = SignedCertificate::from_bytes(certificate, &charter)?;
            certificate.belongs_to(&DeviceId(*device))?;
            match now_ms() {
                impossible if impossible < own_from_ms => {
                    certificate.valid_at(own_from_ms.max(certificate.not_before_ms))
                }
                now_ms => certificate.valid_at(now_ms),
            }
        };
        judge().map_err(|error| error.to_string().into())
    })
}

fn advise(error: MeshError) -> anyhow::Error {
    let advice = match &error {
        MeshError::Listen { .. } => {
            "another program has it, or this user may not; choose another with --listen-port, or leave it out"
        }
        MeshError::NoAddress => "see `ip address`; name interfaces that are up with --interface",
        MeshError::CertificateTooLarge => "have the organiser sign a new one with a shorter name",
        MeshError::NoTransport | MeshError::Setup(_) => "run `popmesh doctor`",
    };
    anyhow::anyhow!("{error}; {advice}")
}

fn fresh_nonce() -> anyhow::Result<Nonce> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).context("the operating system gives no random bytes")?;
    Ok(Nonce(nonce))
}

/// Reads the whole database of a folder whose node is not running, and takes the log up as a start would. Says what is
/// there, or what is wrong and what to do.
///
/// # Errors
/// What is wrong, in words.
pub fn check_store(folder: &Path) -> Result<String, String> {
    check(folder).map_err(|error| format!("{error:#}"))
}

fn check(path: &Path) -> anyhow::Result<String> {
    if !path.join(popmesh_store::DATABASE_FILE).exists() {
        return Ok("none yet; the first start makes it".to_owned());
    }
    let identity = Folder::new(path).identity().context("the database cannot be checked")?;
    let (store, loaded) = Store::open(path, identity.charter.event(), identity.certificate.device)?;
    let problems = store.integrity_check()?;
    anyhow::ensure!(
        problems.is_empty(),
        "damaged ({}); move popmesh.db and popmesh.db-wal to another folder, keep them, and start again: this device \
         then gets its past back from the other devices",
        problems.join("; ")
    );
    let mut read_error = None;
    let entries = store.entries().map_while(|entry| entry.map_err(|error| read_error = Some(error)).ok());
    let mut config = config_of(identity)?;
    config.restored = loaded.restored;
    config.mark = loaded.mark;
    let now = popmesh_proto::clock::Now { wall_ms: now_ms(), mono_ms: 0 };
    let opened = Device::open(config, entries, now);
    if let Some(error) = read_error {
        return Err(error.into());
    }
    let past = opened?.past_info();
    anyhow::ensure!(!past.unknown, "this device's own past is {past}");
    Ok(format!("{} entries, all read back and checked", loaded.entries))
}
