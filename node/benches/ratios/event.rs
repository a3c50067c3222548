//! An event to measure with: its devices, its drops, and a night's sales with all that is irregular about them.

use popmesh_proto::Config;
use popmesh_proto::clock::Now;
use popmesh_proto::command::{
    Command, DropNew, LotMint, ProductAdd, Sell, SellItem, Tender, Transfer, Units,
};
use popmesh_proto::id::{DeviceId, Nonce};
use popmesh_proto::identity::{Certificate, Charter, Role, SecretKey, SignedCertificate, SignedCharter};
use popmesh_proto::io::Entry;
use popmesh_proto::record::StepKind;
use popmesh_proto::text::DropId;

use crate::local::{Disk, Local, meet};
use crate::measure::Random;

const VENUE: &str = "hall-1";
const SKUS: [&str; 4] = ["tee-s", "tee-m", "poster", "vinyl"];
/// The evening that is measured with: 2026-06-01, 16:00 UTC.
pub(crate) const EVENING_MS: u64 = 1_780_329_600_000;
const UNITS_OF_LOT: u32 = 1_000_000;
/// Commands that a device is given at once while a night is made up.
const AT_ONCE: usize = 512;

/// An event's charter, with the key to sign certificates.
pub(crate) struct Event {
    root: SecretKey,
    pub(crate) charter: SignedCharter,
}

impl Event {
    /// The same event every time.
    pub(crate) fn new() -> Self {
        let root = SecretKey::from_seed(&[7; 32]);
        let charter = Charter {
            name: "Bench".to_owned(),
            currency: "EUR".parse().unwrap(),
            root: root.id(),
            created_ms: EVENING_MS - 86_400_000,
            nonce: Nonce([1; 16]),
        };
        let charter = SignedCharter::sign(charter, &root).unwrap();
        Self { root, charter }
    }

    fn config(&self, number: u8, name: &str, roles: &[Role], nonce: u64) -> Config {
        let secret = SecretKey::from_seed(&[100 + number; 32]);
        let certificate = Certificate {
            device: secret.id(),
            name: name.to_owned(),
            roles: roles.iter().copied().collect(),
            venue: VENUE.parse().unwrap(),
            not_before_ms: EVENING_MS - 3_600_000,
            not_after_ms: EVENING_MS + 10 * 365 * 86_400_000,
        };
        let certificate = SignedCertificate::sign(certificate, &self.root, &self.charter).unwrap();
        let mut random = Random::new(nonce.wrapping_mul(256) + u64::from(number));
        let nonce = Nonce(std::array::from_fn(|_| random.below(256) as u8));
        Config::new(secret, self.charter.clone(), certificate, nonce)
    }

    /// The device that organises, and sells too.
    pub(crate) fn hq(&self, nonce: u64) -> Config {
        self.config(0, "hq", &[Role::Hq, Role::Pos], nonce)
    }

    /// A till.
    pub(crate) fn till(&self, number: u8) -> Config {
        self.config(number, &format!("till-{number}"), &[Role::Pos], 1)
    }

    /// A till that has not been there yet.
    pub(crate) fn newcomer(&self, nonce: u64) -> Config {
        self.config(99, "newcomer", &[Role::Pos], nonce)
    }
}

pub(crate) fn drop_named(number: usize) -> DropId {
    format!("night-{number}").parse().unwrap()
}

/// What hq does before anybody sells: products, open drops, and a lot of each SKU in each.
pub(crate) fn opening(drops: usize) -> Vec<Command> {
    let mut commands = Vec::new();
    for (at, sku) in SKUS.iter().enumerate() {
        commands.push(Command::ProductAdd(ProductAdd::of(
            sku.parse().unwrap(),
            format!("Product {sku}"),
            1_500 + 700 * at as i64,
        )));
    }
    for (index, drop) in (0..drops).map(drop_named).enumerate() {
        // Printed serials are those of one drop alone.
        let first = 1 + index as u32 * UNITS_OF_LOT;
        commands.push(Command::DropNew(DropNew::of(drop.clone(), format!("Drop {drop}"))));
        commands.push(Command::step(drop.clone(), StepKind::Open));
        for sku in SKUS {
            commands.push(Command::LotMint(LotMint {
                drop: drop.clone(),
                sku: sku.parse().unwrap(),
                first,
                last: first + UNITS_OF_LOT - 1,
                numbered: true,
                place: None,
                edition: None,
            }));
        }
    }
    commands
}

/// A sale as they come: mostly one piece of one thing, now and then more, cash or card.
pub(crate) fn sale(random: &mut Random, drop: &DropId) -> Command {
    let first = random.below(SKUS.len() as u64) as usize;
    let item = |sku: &str, quantity| SellItem { sku: sku.parse().unwrap(), quantity, unit_price: None };
    let mut items = vec![item(SKUS[first], if random.below(5) == 0 { 2 } else { 1 })];
    if random.below(8) == 0 {
        items.push(item(SKUS[(first + 1) % SKUS.len()], 1));
    }
    Command::Sell(Sell {
        drop: Some(drop.clone()),
        tender: if random.below(3) == 0 { Tender::Card } else { Tender::Cash },
        ..Sell::of(items)
    })
}

/// A night: hq and its tills, of which hq has everything.
pub(crate) struct Night {
    pub(crate) hq: Local,
    tills: Vec<Local>,
    random: Random,
}

impl Night {
    /// Makes one up in which `tills` tills write `sales` sales between them, in `drops` drops.
    pub(crate) fn of(event: &Event, drops: usize, tills: u8, sales: usize) -> Self {
        let start = Now { wall_ms: EVENING_MS, mono_ms: 0 };
        let mut hq = Local::open(event.hq(1), Disk::memory(), start);
        hq.commands(opening(drops));
        let mut tills: Vec<Local> =
            (1..=tills).map(|number| Local::open(event.till(number), Disk::memory(), start)).collect();
        for till in &mut tills {
            meet(&mut hq, till);
            let given = (0..drops).flat_map(|number| SKUS.map(|sku| give(number, sku, till.id()))).collect();
            hq.commands(given);
            meet(&mut hq, till);
        }
        let mut night = Self { hq, tills, random: Random::new(11) };
        let of_till = sales.div_ceil(night.tills.len());
        let per_drop = of_till.div_ceil(drops);
        for number in 0..drops {
            night.sell(number, per_drop);
        }
        for till in &mut night.tills {
            meet(&mut night.hq, till);
        }
        night
    }

    fn sell(&mut self, drop_number: usize, sales: usize) {
        let drop = drop_named(drop_number);
        for till in &mut self.tills {
            let mut left = sales;
            while left > 0 {
                // A till gets out of stock sooner or later, and is given more than it can sell.
                let some = left.min(AT_ONCE);
                let commands: Vec<Command> = (0..some).map(|_| sale(&mut self.random, &drop)).collect();
                till.commands_over_time(commands, &mut self.random);
                left -= some;
            }
        }
    }

    /// One more sale by the first till, which hq learns of.
    pub(crate) fn one_more_sale(&mut self) {
        let command = sale(&mut self.random, &drop_named(0));
        self.tills[0].commands_over_time(vec![command], &mut self.random);
        meet(&mut self.hq, &mut self.tills[0]);
    }

    /// Everything that hq has stored.
    pub(crate) fn entries(&self) -> &[Entry] {
        self.hq.entries()
    }
}

fn give(drop_number: usize, sku: &str, to: DeviceId) -> Command {
    let units = Units::Count(10_000);
    Command::Transfer(Transfer { drop: drop_named(drop_number), sku: sku.parse().unwrap(), units, to })
}
