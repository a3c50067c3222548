//! A disk that fills up under a running node.

use std::fs;
use std::path::Path;

use popmesh_proto::command::Refusal;
use popmesh_proto::links::Width;
use popmesh_proto::query::{Answer, Query};
use popmesh_store::testing::{mount, with_own_mounts};

use super::{CallError, Guard, MeshEvent, PEER, Setup, StoreHealth, key, plan, stored};

#[test]
fn a_full_disk_refuses_and_goes_on_by_itself() {
    with_own_mounts("runtime::tests::outage::a_full_disk_refuses_and_goes_on_by_itself", |folder| {
        mount(&["-t", "tmpfs", "-o", "size=2m", "none"], folder);
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(outage(folder));
    });
}

async fn outage(folder: &Path) {
    let mut setup = Setup::start(folder);
    let handle = setup.handle().clone();
    let kept = handle.command(plan("d1", "kept"), key(1, 1)).await.unwrap();
    setup.mesh.put(MeshEvent::LinkUp { peer: PEER, width: Width::Broad }, Guard::none()).unwrap();
    let filler = folder.join("filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap();

    let mut done = 1;
    let problem = loop {
        match handle.command(plan("large", ""), key(done + 10, 0)).await {
            Ok(_) => done += 1,
            Err(CallError::Refused(Refusal::NotStored { problem })) => break problem,
            Err(other) => panic!("{other}"),
        }
        assert!(done < 200, "2 MiB took 2 MB");
    };
    assert!(problem.contains("make room"), "{problem}");
    setup.watch.until("store failed").await;

    // Refused at once and for the same reason; what was done before is still known; the mesh hears nothing of it.
    let refused = handle.command(plan("d1", "small"), key(3, 3)).await;
    assert_eq!(refused, Err(CallError::Refused(Refusal::NotStored { problem: problem.clone() })));
    assert_eq!(handle.query(Query::Status).await.unwrap(), Answer::Failed(problem.clone()));
    let StoreHealth::Failing { problem: health, since_ms } = handle.health().await.unwrap() else {
        panic!("writing fails");
    };
    assert_eq!(health, problem);
    assert!(since_ms > 1_600_000_000_000);
    let again = handle.command(plan("d1", "kept"), key(1, 1)).await.unwrap();
    assert_eq!((again.reply, again.repeated), (kept.reply, true));
    setup.mesh.put(MeshEvent::Gossip { from: PEER, bytes: vec![1], token: 9 }, Guard::none()).unwrap();
    setup.watch.until("judge 9 Ignore").await;
    let late = popmesh_proto::id::DeviceId([4; 32]);
    setup.mesh.put(MeshEvent::LinkUp { peer: late, width: Width::Broad }, Guard::none()).unwrap();

    fs::remove_file(&filler).unwrap();
    assert_eq!(setup.watch.until("opened").await, format!("opened {done} fresh"));
    setup.watch.until(&format!("link up {PEER}")).await;
    setup.watch.until(&format!("link up {late}")).await;
    assert_eq!(handle.health().await.unwrap(), StoreHealth::Writable);
    // A key that was refused is free again.
    assert!(!handle.command(plan("d1", "small"), key(3, 3)).await.unwrap().repeated);
    let metrics = &setup.runtime.metrics;
    assert_eq!((metrics.outages.get(), metrics.writes_failed.get(), metrics.mesh_dropped.get()), (1, 1, 1));
    setup.runtime.join.stop().await.unwrap();
    let entries = stored(folder);
    assert_eq!(entries.len(), usize::from(done) + 1);
    assert_eq!(entries.last().unwrap().body, b"small");
    assert_ne!(entries.first().unwrap().chain, entries.last().unwrap().chain);
}
