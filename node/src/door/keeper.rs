//! Has doors opened as the device wants it, one at a time for each compartment, and says how each behaved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use popmesh_proto::command::{Command, DoorReport};
use popmesh_proto::text::Compartment;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::{Doors, Driver};
use crate::runtime::{CallError, Handle, RuntimeMetrics, Wanted};

/// How long to wait before a word is put in again when the device has no time for it.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Keeps the doors of a running device.
#[derive(Debug)]
pub struct Keeper {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Opens what comes out of `wanted`, and tells `handle` how that went.
    pub fn start(
        doors: &Doors,
        wanted: mpsc::UnboundedReceiver<Wanted>,
        handle: Handle,
        metrics: Arc<RuntimeMetrics>,
    ) -> Self {
        let (stop, stops) = watch::channel(false);
        let driver = Arc::clone(&doors.driver);
        Self { stop, task: tokio::spawn(keep(driver, wanted, handle, metrics, stops)) }
    }

    /// Takes no more doors, and waits for those that are being opened.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // It panics only with a driver that does; what that left open is in doubt, as after a power cut.
        let _ = self.task.await;
    }
}

async fn keep(
    driver: Arc<dyn Driver>,
    mut wanted: mpsc::UnboundedReceiver<Wanted>,
    handle: Handle,
    metrics: Arc<RuntimeMetrics>,
    mut stops: watch::Receiver<bool>,
) {
    let mut turns: BTreeMap<Compartment, Arc<Mutex<()>>> = BTreeMap::new();
    let mut under_way = JoinSet::new();
    loop {
        let next = tokio::select! {
            next = wanted.recv() => next,
            // A sender that is gone means the same as one that says stop.
            _ = stops.wait_for(|stop| *stop) => None,
            Some(_) = under_way.join_next() => continue,
        };
        let Some(Wanted { redemption, compartment }) = next else { break };
        // Locks are fair: doors of one compartment are opened in the order in which they were wanted.
        let turn = Arc::clone(turns.entry(compartment.clone()).or_default());
        let (driver, handle, metrics) = (Arc::clone(&driver), handle.clone(), Arc::clone(&metrics));
        let stops = stops.clone();
        under_way.spawn(async move {
            let guard = turn.lock_owned().await;
            if *stops.borrow() {
                return;
            }
            let opened = driver.open(&compartment).await;
            drop(guard);
            match &opened {
                Ok(()) => metrics.doors_opened.add(1),
                Err(error) => {
                    tracing::warn!(%compartment, %redemption, %error, "a door did not open");
                    metrics.doors_stuck.add(1);
                }
            }
            let problem = opened.err().map(|error| error.to_string());
            tell(&handle, DoorReport { redemption, compartment, problem }).await;
        });
    }
    while under_way.join_next().await.is_some() {}
}

/// What cannot be told leaves the door in doubt, which a person settles.
async fn tell(handle: &Handle, report: DoorReport) {
    loop {
        match handle.command(Command::DoorReport(report.clone()), None).await {
            Ok(_) => return,
            Err(CallError::Busy) => tokio::time::sleep(AGAIN_AFTER).await,
            Err(error) => {
                let (compartment, redemption) = (&report.compartment, &report.redemption);
                tracing::error!(%compartment, %redemption, %error, "how a door behaved could not be written down");
                return;
            }
        }
    }
}
