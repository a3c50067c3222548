//! The runtime with a scripted device and a real store.

mod double;
mod outage;

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;

use popmesh_proto::command::{Command, DropNew, Refusal};
use popmesh_proto::id::{DeviceId, EventId};
use popmesh_proto::io::{Entry, Idempotency};
use popmesh_proto::links::Width;
use popmesh_proto::query::{Answer, Query};
use popmesh_store::{DATABASE_FILE, Store, StoreError};

use self::double::{Double, Script, Tell, Watch};
use super::{
    CALL_QUEUE, CallError, Guard, Handle, Inbound, MAX_CALLS_WAITING, MeshEvent, Outcome, Runtime,
    RuntimeError, StoreHealth, inbound,
};

const EVENT: EventId = EventId([1; 32]);
const DEVICE: DeviceId = DeviceId([2; 32]);
const PEER: DeviceId = DeviceId([3; 32]);

struct Setup {
    runtime: Runtime,
    mesh: Inbound,
    watch: Watch,
}

impl Setup {
    fn start(folder: &Path) -> Self {
        let (script, watch) = Script::new();
        let (mesh, events) = inbound();
        let (store, loaded) = Store::open(folder, EVENT, DEVICE).unwrap();
        let links = Tell::of(&script);
        let runtime = Runtime::start::<Double>(script, store, loaded, links, events).unwrap();
        Self { runtime, mesh, watch }
    }

    fn handle(&self) -> &Handle {
        &self.runtime.handle
    }

    /// Keeps the device busy until its gate is opened, so that calls queue up meanwhile.
    async fn block(&mut self) -> UnderWay {
        let blocker = begin(self.handle(), plan("block", ""), None).await;
        self.watch.until("blocking").await;
        blocker
    }
}

fn plan(drop: &str, title: &str) -> Command {
    Command::DropNew(DropNew::of(drop.parse().unwrap(), title.to_owned()))
}

fn key(key: u8, request: u8) -> Option<Idempotency> {
    Some(Idempotency { key: [key; 32], request: [request; 32] })
}

fn stored(folder: &Path) -> Vec<Entry> {
    let (store, _) = Store::open(folder, EVENT, DEVICE).unwrap();
    store.entries().collect::<Result<_, _>>().unwrap()
}

fn bodies(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| std::str::from_utf8(&entry.body).unwrap()).collect()
}

type UnderWay = Pin<Box<dyn Future<Output = Result<Outcome, CallError>>>>;

/// Puts a command that cannot be done at once into the queue.
async fn begin(handle: &Handle, command: Command, idempotency: Option<Idempotency>) -> UnderWay {
    let handle = handle.clone();
    let mut call = Box::pin(async move { handle.command(command, idempotency).await });
    poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    call
}

#[tokio::test]
async fn a_reply_comes_when_its_entry_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let mut setup = Setup::start(folder.path());
    let mut follower = setup.handle().events().follow(None);
    let outcome = setup.handle().command(plan("d1", "one"), None).await.unwrap();
    // What a power cut would leave now.
    for file in [DATABASE_FILE, "popmesh.db-wal"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    assert!(!outcome.repeated);
    assert_eq!(bodies(&stored(copy.path())), ["one"]);
    assert_eq!(setup.watch.until("stored").await, "stored 1");
    let told = follower.take().await.unwrap().events;
    assert_eq!(
        told.iter().map(|event| (event.number, event.kind())).collect::<Vec<_>>(),
        [(1, "programme_changed")]
    );
    assert_eq!(setup.handle().query(Query::Status).await.unwrap(), Answer::Failed("1 entries".to_owned()));
    assert_eq!(setup.handle().health().await.unwrap(), StoreHealth::Writable);
}

#[tokio::test]
async fn what_arrives_together_is_written_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::start(folder.path());
    let _blocker = setup.block().await;
    let mut calls = Vec::new();
    for number in 0..100 {
        calls.push(begin(setup.handle(), plan("d1", &number.to_string()), None).await);
    }
    setup.watch.gate.send(()).unwrap();
    for call in calls {
        call.await.unwrap();
    }
    let metrics = &setup.runtime.metrics;
    assert_eq!(
        (metrics.writes.get(), metrics.entries_written.get(), metrics.commands_done.get()),
        (1, 100, 100)
    );
    assert_eq!(metrics.write_buckets.iter().map(|bucket| bucket.get()).sum::<u64>(), 1);
    setup.runtime.join.stop().await.unwrap();
    let wanted: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(bodies(&stored(folder.path())), wanted);
}

#[tokio::test]
async fn a_key_is_done_once_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::start(folder.path());
    let first = setup.handle().command(plan("d1", "one"), key(1, 1)).await.unwrap();
    let again = setup.handle().command(plan("d1", "one"), key(1, 1)).await.unwrap();
    assert_eq!(again, Outcome { reply: first.reply.clone(), repeated: true });
    let other = setup.handle().command(plan("d1", "two"), key(1, 2)).await;
    assert_eq!(other, Err(CallError::KeyReused));
    setup.runtime.join.stop().await.unwrap();

    let setup = Setup::start(folder.path());
    let again = setup.handle().command(plan("d1", "one"), key(1, 1)).await.unwrap();
    assert_eq!(again, Outcome { reply: first.reply, repeated: true });
    let other = setup.handle().command(plan("d1", "two"), key(1, 2)).await;
    assert_eq!(other, Err(CallError::KeyReused));
    assert_eq!(setup.runtime.metrics.commands_repeated.get(), 1);
    setup.runtime.join.stop().await.unwrap();
    assert_eq!(bodies(&stored(folder.path())), ["one"]);
}

#[tokio::test]
async fn a_key_under_way_is_not_done_twice_and_a_refused_one_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::start(folder.path());
    let hanging = begin(setup.handle(), plan("hang", ""), key(1, 1)).await;
    let same = setup.handle().command(plan("hang", ""), key(1, 1)).await;
    assert_eq!(same, Err(CallError::InProgress));
    let other = setup.handle().command(plan("d1", ""), key(1, 2)).await;
    assert_eq!(other, Err(CallError::KeyReused));
    for _ in 0..2 {
        let refused = setup.handle().command(plan("refuse", ""), key(2, 2)).await;
        assert!(matches!(refused, Err(CallError::Refused(Refusal::DropExists { .. }))), "{refused:?}");
    }
    setup.handle().command(plan("d1", ""), key(2, 3)).await.unwrap();
    setup.runtime.join.stop().await.unwrap();
    assert_eq!(hanging.await, Err(CallError::Stopping));
}

#[tokio::test]
async fn the_device_is_woken_when_it_asked_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::start(folder.path());
    let before = std::time::Instant::now();
    setup.handle().command(plan("tick", ""), None).await.unwrap();
    assert!(before.elapsed().as_millis() >= 29, "{:?}", before.elapsed());
}

#[tokio::test]
async fn the_mesh_is_heard_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::start(folder.path());
    setup.mesh.put(MeshEvent::LinkUp { peer: PEER, width: Width::Broad }, Guard::none()).unwrap();
    setup.watch.until(&format!("link up {PEER}")).await;
    setup.mesh.put(MeshEvent::Message { from: PEER, bytes: vec![0; 5] }, Guard::none()).unwrap();
    setup.watch.until("send 5").await;
    setup.mesh.put(MeshEvent::Gossip { from: PEER, bytes: vec![0; 6], token: 7 }, Guard::none()).unwrap();
    setup.watch.until("judge 7 Accept").await;
    setup.watch.until("publish 6").await;
    setup.mesh.put(MeshEvent::LinkDown { peer: PEER }, Guard::none()).unwrap();
    setup.watch.until("link down").await;
}

#[tokio::test]
async fn a_full_queue_says_busy() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::start(folder.path());
    let _blocker = setup.block().await;
    let mut calls = Vec::new();
    for _ in 0..CALL_QUEUE {
        calls.push(begin(setup.handle(), plan("d1", ""), None).await);
    }
    assert_eq!(setup.handle().command(plan("d1", ""), None).await, Err(CallError::Busy));
    setup.watch.gate.send(()).unwrap();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn too_many_that_wait_say_busy() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::start(folder.path());
    let mut hanging = Vec::new();
    for _ in 0..MAX_CALLS_WAITING / 512 {
        for _ in 0..512 {
            hanging.push(begin(setup.handle(), plan("hang", ""), None).await);
        }
        // Answered when the core has taken in everything before it.
        setup.handle().health().await.unwrap();
    }
    assert_eq!(setup.handle().command(plan("d1", ""), None).await, Err(CallError::Busy));
    let query = setup.handle().query(Query::Status).await.unwrap();
    assert_eq!(query, Answer::Failed(CallError::Busy.to_string()));
    assert_eq!(setup.runtime.metrics.calls_busy.get(), 2);
}

#[tokio::test]
async fn a_stopped_node_has_one_file_and_lets_go_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::start(folder.path());
    setup.handle().command(plan("d1", "one"), None).await.unwrap();
    let handle = setup.handle().clone();
    setup.runtime.join.stop().await.unwrap();
    assert_eq!(handle.command(plan("d1", "two"), None).await, Err(CallError::Stopping));
    assert_eq!(
        setup.mesh.put(MeshEvent::LinkUp { peer: PEER, width: Width::Broad }, Guard::none()),
        Err(CallError::Stopping)
    );
    assert!(!folder.path().join("popmesh.db-wal").exists());
    assert_eq!(bodies(&stored(folder.path())), ["one"]);
}

#[tokio::test]
async fn a_fault_in_the_device_ends_the_runtime_and_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::start(folder.path());
    setup.handle().command(plan("d1", "one"), None).await.unwrap();
    assert_eq!(setup.handle().command(plan("panic", ""), None).await, Err(CallError::Stopping));
    let ended = setup.runtime.join.ended().await;
    assert!(
        matches!(&ended, Err(RuntimeError::Panicked { thread: "core", message }) if message == "told to"),
        "{ended:?}"
    );
    assert_eq!(setup.handle().command(plan("d1", ""), None).await, Err(CallError::Stopping));
    assert_eq!(setup.handle().query(Query::Status).await, Err(CallError::Stopping));
}

#[test]
fn a_log_that_the_device_refuses_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, loaded) = Store::open(folder.path(), EVENT, DEVICE).unwrap();
    store.append(&[], &[]).unwrap();
    let before = std::fs::read(folder.path().join(DATABASE_FILE)).unwrap();
    let (mut script, _watch) = Script::new();
    script.refuse_to_open = true;
    let (_mesh, events) = inbound();
    let links = Tell::of(&script);
    let error = Runtime::start::<Double>(script, store, loaded, links, events).unwrap_err();
    assert!(error.to_string().contains("a chain is broken"), "{error}");
    assert_eq!(std::fs::read(folder.path().join(DATABASE_FILE)).unwrap(), before);
}

#[test]
fn a_log_with_a_hole_keeps_the_node_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path(), EVENT, DEVICE).unwrap();
    let entry =
        |seq| Entry { chain: popmesh_proto::id::ChainId([1; 16]), seq, body: vec![], signature: None };
    store.append(&(1..5_000).map(entry).collect::<Vec<_>>(), &[]).unwrap();
    store.close().unwrap();
    let connection = rusqlite::Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
    connection.execute("DELETE FROM entries WHERE id = 4000", []).unwrap();
    drop(connection);
    let (store, loaded) = Store::open(folder.path(), EVENT, DEVICE).unwrap();
    let (script, _watch) = Script::new();
    let (_mesh, events) = inbound();
    let links = Tell::of(&script);
    let error = Runtime::start::<Double>(script, store, loaded, links, events).unwrap_err();
    assert!(matches!(error, RuntimeError::Store(StoreError::Damaged { .. })), "{error}");
    assert!(error.to_string().contains("entry 4000 is missing"), "{error}");
}
