//! A crowd of simulated shoppers, to switch on: they come to every device that sells, buy this and that, and fetch what they
//! bought for pickup.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use popmesh_tests::wares::{DROP, WARES};
use popmesh_tests::{Api, Random};
use serde_json::{Value, json};

/// How long until the next shopper comes to a device, at most.
const NEXT_MS: u64 = 2_400;
/// How long somebody waits for a unit from another device.
const PATIENCE_MS: u64 = 1_500;
/// Of so many shoppers one buys what is to be fetched at the locker.
const PICKUPS: u64 = 6;
/// How often somebody who is not wanted looks whether that has changed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The shoppers.
#[derive(Debug)]
pub(crate) struct Crowd {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    on: AtomicBool,
    closing: Arc<AtomicBool>,
    bought: AtomicU64,
    refused: AtomicU64,
    fetched: AtomicU64,
}

impl Crowd {
    /// Shoppers for these devices, who come as soon as they are wanted, until the venue closes.
    pub(crate) fn new(devices: Vec<Api<'static>>, closing: &Arc<AtomicBool>) -> Self {
        let shared = Arc::new(Shared { closing: Arc::clone(closing), ..Shared::default() });
        let locker = devices.iter().find(|device| device.name == "locker").cloned();
        for (number, device) in devices.into_iter().enumerate() {
            // Tills sell; the stream sells what is fetched later.
            if matches!(device.name.as_str(), "till-1" | "till-2" | "encoder") {
                let (shared, locker) = (Arc::clone(&shared), locker.clone());
                thread::spawn(move || shared.come(&device, locker.as_ref(), number as u64));
            }
        }
        Self { shared }
    }

    /// Lets them come, or sends them home; says what happens.
    pub(crate) fn switch(&self, on: bool) -> String {
        self.shared.on.store(on, Ordering::Relaxed);
        let said = if on { "the crowd comes" } else { "the crowd goes home" };
        format!("{said}; {}", self.told())
    }

    /// Whether they come.
    pub(crate) fn is_on(&self) -> bool {
        self.shared.on.load(Ordering::Relaxed)
    }

    /// What they did so far.
    pub(crate) fn told(&self) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let shared = &self.shared;
        format!(
            "so far it bought {} times, fetched {} pickups, and was refused {} times",
            of(&shared.bought),
            of(&shared.fetched),
            of(&shared.refused)
        )
    }
}

impl Shared {
    fn come(&self, device: &Api<'static>, locker: Option<&Api<'static>>, seed: u64) {
        let mut random = Random::new(seed);
        let locker = locker.and_then(|locker| Some((locker, locker.device().ok()?)));
        while !self.closing.load(Ordering::Relaxed) {
            if !self.on.load(Ordering::Relaxed) {
                thread::sleep(LOOK_EVERY);
                continue;
            }
            // Where a plug is pulled nobody is served; they come again.
            let _ = self.buy(device, locker.as_ref(), &mut random);
            thread::sleep(Duration::from_millis(random.next() % NEXT_MS));
        }
    }

    fn buy(
        &self,
        device: &Api<'static>,
        locker: Option<&(&Api<'static>, String)>,
        random: &mut Random,
    ) -> Result<()> {
        let ware = WARES[(random.next() % WARES.len() as u64) as usize];
        let tender = if random.ratio() < 0.5 { "cash" } else { "card" };
        let mut sale = json!({
            "drop": DROP, "items": [{"sku": ware.sku}], "tender": tender, "wait_ms": PATIENCE_MS,
        });
        let pickup = locker.filter(|_| device.name == "encoder" || random.next().is_multiple_of(PICKUPS));
        if let Some((_, at)) = pickup {
            sale["pickup_at"] = json!(at);
        }
        let answer = device.post("/v1/sales", &sale, None)?;
        if !answer.code().is_empty() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.bought.fetch_add(1, Ordering::Relaxed);
        // Half of them fetch it at once, the others have not come yet.
        if let Some((locker, _)) = pickup
            && random.ratio() < 0.5
            && let Some(claim) = answer.body["claim"].as_str()
        {
            let token: Value = device.get(&format!("/v1/claims/{claim}/token"))?;
            let shown = locker.post("/v1/redemptions", &json!({"token": token["token"]}), None)?;
            if shown.code().is_empty() {
                self.fetched.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}
