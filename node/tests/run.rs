//! `popmesh run` around a device that is a double.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::sync::Arc;

use futures::future::BoxFuture;
use popmesh::api::{MeshSnapshot, MeshView};
use popmesh::folder::{self, Folder, Identity};
use popmesh::run::{LogFormat, RunOptions, Started, Starter, Transports, run};
use popmesh::runtime::{Events, Handle};
use popmesh_proto::id::{DeviceId, Nonce};
use popmesh_proto::identity::{Certificate, Charter, Role, SecretKey, SignedCertificate, SignedCharter};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

struct NoMesh;

impl MeshView for NoMesh {
    fn set_links(&self, _: bool) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn snapshot(&self) -> BoxFuture<'_, Option<MeshSnapshot>> {
        Box::pin(async { None })
    }
}

struct Failing;

impl Starter for Failing {
    async fn start(self, _: Identity, _: &RunOptions, _: watch::Receiver<bool>) -> anyhow::Result<Started> {
        let handle = Handle::new(mpsc::channel(1).0, Events::in_memory(DeviceId([7; 32])));
        let running = Box::pin(async { anyhow::bail!("the disk is gone") });
        Ok(Started { handle, mesh: Arc::new(NoMesh), counters: Arc::default(), doors: None, running })
    }
}

fn installed() -> (TempDir, RunOptions) {
    let dir = TempDir::new().unwrap();
    let data = Folder::new(dir.path());
    let (root, key) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
    let charter = Charter {
        name: "Neon".to_owned(),
        currency: "EUR".parse().unwrap(),
        root: root.id(),
        created_ms: 1,
        nonce: Nonce([3; 16]),
    };
    let charter = SignedCharter::sign(charter, &root).unwrap();
    let certificate = Certificate {
        device: key.id(),
        name: "till-1".to_owned(),
        roles: [Role::Pos].into_iter().collect(),
        venue: "hall-a".parse().unwrap(),
        not_before_ms: 0,
        not_after_ms: u64::MAX,
    };
    let certificate = SignedCertificate::sign(certificate, &root, &charter).unwrap();
    folder::write_key(&data.key_path(), &key).unwrap();
    folder::replace(&data.charter_path(), &charter.to_text()).unwrap();
    folder::replace(&data.certificate_path(), &certificate.to_text()).unwrap();
    let options = RunOptions {
        data,
        api: "127.0.0.1:0".parse().unwrap(),
        api_tls: false,
        screen: None,
        interfaces: vec![],
        listen_port: 0,
        peers: vec![],
        mdns: false,
        transports: Transports::Both,
        ble: None,
        venue_kbit: 4_000,
        ble_links: 4,
        log_format: LogFormat::Human,
        door: None,
        door_within: popmesh::door::OPENS_WITHIN,
    };
    (dir, options)
}

#[test]
fn a_device_that_fails_ends_the_run_with_its_reason() {
    let (_dir, options) = installed();
    let data = options.data.clone();
    let error = run(options, Failing, |_| async {}).unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
    assert_eq!(data.announced_api(), None, "nobody is sent to an API that has gone");
}

#[test]
fn a_port_in_use_says_so_before_the_device_starts() {
    struct NeverStarted;
    impl Starter for NeverStarted {
        async fn start(
            self,
            _: Identity,
            _: &RunOptions,
            _: watch::Receiver<bool>,
        ) -> anyhow::Result<Started> {
            panic!("the device was started")
        }
    }
    let (_dir, mut options) = installed();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    options.api = taken.local_addr().unwrap();
    let error = run(options, NeverStarted, |_| async {}).unwrap_err().to_string();
    assert!(error.contains("in use") && error.contains("--api"), "{error}");
}
