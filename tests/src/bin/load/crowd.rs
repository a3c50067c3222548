//! Shoppers elsewhere: so many sales a second at another device.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use popmesh_tests::Api;
use serde_json::json;

/// How many stand at the counter at once.
const CALLERS: u64 = 32;

/// A crowd that buys without a pause.
#[derive(Debug)]
pub(crate) struct Crowd {
    over: Arc<AtomicBool>,
    sold: Arc<AtomicU64>,
    callers: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Lets it come to a device, `rate` sales a second together.
    pub(crate) fn come(device: &Api<'static>, sku: &str, drop: &str, rate: u32) -> Self {
        let (over, sold) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let sale = json!({"drop": drop, "items": [{"sku": sku}], "tender": "card"});
        let began = Instant::now();
        let caller = |number: u64| {
            let (over, sold, device, sale) =
                (Arc::clone(&over), Arc::clone(&sold), device.clone(), sale.clone());
            thread::spawn(move || {
                let mut turn = number;
                while !over.load(Ordering::Relaxed) {
                    let due = began + Duration::from_secs_f64(turn as f64 / f64::from(rate));
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    // One who is refused comes again.
                    if device.post("/v1/sales", &sale, None).is_ok_and(|answer| answer.status == 201) {
                        sold.fetch_add(1, Ordering::Relaxed);
                    }
                    turn += CALLERS;
                }
            })
        };
        let callers = (0..CALLERS).map(caller).collect();
        Self { over, sold, callers }
    }

    /// Sends it home; answers how often it bought.
    pub(crate) fn go_home(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        for caller in self.callers {
            // What it sold is counted already.
            drop(caller.join());
        }
        self.sold.load(Ordering::Relaxed)
    }
}
