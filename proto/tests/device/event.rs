//! An evening's event in the world, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::Device;
use popmesh_proto::command::{
    Claim, ClaimItem, Command, DropNew, Lot, LotMint, ProductAdd, Refusal, Reply, Sell, SellItem,
};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, Check, ClaimFilter, Head, Levels, Query, Status, StockFilter, StockLine};
use popmesh_proto::record::StepKind;
use popmesh_proto::text::{DropId, Sku};

use crate::world::World;

pub(crate) fn night() -> DropId {
    "night".parse().unwrap()
}

pub(crate) fn shirt() -> Sku {
    "shirt".parse().unwrap()
}

/// A hall with an hq, a till and a locker, in this order, and so many shirts on sale.
pub(crate) fn hall_with_locker(seed: u64, units: u32) -> World {
    hall_with(seed, units, "locker")
}

/// The same, with a third device of these roles.
pub(crate) fn hall_with(seed: u64, units: u32, roles: &str) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("locker", roles, "hall");
    world.link_all();
    world.open_drop(0, units);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

/// A walk-in sale of so many shirts.
pub(crate) fn sell(quantity: u64, wait_ms: u64) -> Sell {
    Sell { wait_ms, ..Sell::of(vec![SellItem { sku: shirt(), quantity, unit_price: None }]) }
}

pub(crate) fn mint(first: u32, last: u32) -> LotMint {
    LotMint { drop: night(), sku: shirt(), first, last, numbered: true, place: None, edition: None }
}

pub(crate) fn claim_of(outcome: Result<Reply, Refusal>) -> Claim {
    match outcome {
        Ok(Reply::Sale(claim)) => claim,
        other => panic!("not a sale: {other:?}"),
    }
}

/// The units of claims that were not taken back, each named by its lot and serial; fails if one is there twice.
pub(crate) fn units_of<'a>(claims: impl IntoIterator<Item = &'a Claim>) -> BTreeSet<(Ref, u32)> {
    let mut sold = BTreeSet::new();
    for claim in claims {
        let back: BTreeSet<(Ref, u32)> = serials(&claim.refunded).collect();
        for unit in serials(&claim.items).filter(|unit| !back.contains(unit)) {
            assert!(sold.insert(unit), "unit {} of {} is sold twice", unit.1, unit.0);
        }
    }
    sold
}

fn serials(items: &[ClaimItem]) -> impl Iterator<Item = (Ref, u32)> {
    items.iter().flat_map(|item| item.units.iter().map(|serial| (item.lot, serial)))
}

impl World {
    /// Opens a drop of one product on `hq`, with a lot of `units` if there are any.
    pub(crate) fn open_drop(&mut self, hq: usize, units: u32) -> Option<Lot> {
        let product = ProductAdd::of(shirt(), "Shirt", 2500);
        self.done(hq, Command::ProductAdd(product)).unwrap();
        self.done(hq, Command::DropNew(DropNew::of(night(), "Night".to_owned()))).unwrap();
        let lot = (units > 0).then(|| match self.done(hq, Command::LotMint(mint(1, units))) {
            Ok(Reply::Lot(lot)) => lot,
            other => panic!("not minted: {other:?}"),
        });
        self.done(hq, Command::step(night(), StepKind::Open)).unwrap();
        lot
    }

    pub(crate) fn status(&mut self, at: usize) -> Status {
        match self.query(at, Query::Status) {
            Answer::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    /// Gives the shirt another price.
    pub(crate) fn product(&mut self, hq: usize, price: i64) {
        let product = ProductAdd::of(shirt(), "Shirt", price);
        self.done(hq, Command::ProductAdd(product)).unwrap();
    }

    /// The programme in words.
    pub(crate) fn programme(&mut self, at: usize) -> String {
        match self.query(at, Query::Programme) {
            Answer::Programme(programme) => format!("{programme:?}"),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn frontier(&mut self, at: usize) -> Vec<Head> {
        match self.query(at, Query::Frontier) {
            Answer::Frontier(heads) => heads,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn check(&mut self, at: usize) -> Check {
        match self.query(at, Query::Check) {
            Answer::Check(check) => check,
            other => panic!("{other:?}"),
        }
    }

    /// Stock of the shirt, where it is known.
    pub(crate) fn stock(&mut self, at: usize) -> Option<StockLine> {
        match self.query(at, Query::Stock(StockFilter::default())) {
            Answer::Stock(stock) => stock.lines.into_iter().find(|line| line.sku == shirt()),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn available(&mut self, at: usize) -> u64 {
        self.stock(at).map_or(0, |line| line.own.available)
    }

    pub(crate) fn claims(&mut self, at: usize) -> BTreeMap<Ref, Claim> {
        let filter = ClaimFilter { limit: Some(u32::MAX), ..ClaimFilter::default() };
        match self.query(at, Query::Claims(filter)) {
            Answer::Claims(claims) => claims.claims.into_iter().map(|claim| (claim.claim, claim)).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn powered(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|at| self.nodes[*at].device.is_some()).collect()
    }

    /// Those with power that nobody with power knows to be retired: only these hear of everything.
    pub(crate) fn in_touch(&self) -> Vec<usize> {
        let knows = |at: usize, of: usize| {
            let device = self.nodes[at].device.as_ref();
            device.is_some_and(|device| device.trust().retired().contains_key(&self.nodes[of].id))
        };
        let retired = |of: usize| (0..self.nodes.len()).any(|at| knows(at, of));
        self.powered().into_iter().filter(|at| !retired(*at)).collect()
    }

    /// Runs until all devices with power have the same log, all of it durable, and nothing waits; fails after
    /// `within_ms`. Returns how long it took.
    pub(crate) fn converge(&mut self, within_ms: u64) -> u64 {
        let from = self.time;
        loop {
            let powered = self.in_touch();
            // One that is about to begin anew answers nothing.
            let statuses: Vec<Status> = powered
                .iter()
                .filter_map(|at| match self.query(*at, Query::Status) {
                    Answer::Status(status) => Some(status),
                    _ => None,
                })
                .collect();
            let answer = statuses.len() == powered.len();
            let equal = statuses.windows(2).all(|pair| pair[0].digest == pair[1].digest);
            let quiet = statuses.iter().all(|status| status.waiting == 0 && status.sales_waiting == 0);
            let durable =
                powered.iter().all(|at| self.nodes[*at].device.as_ref().is_some_and(Device::is_all_durable));
            if answer && equal && quiet && durable {
                return self.time - from;
            }
            let behind = || {
                let of = |status: &Status| (status.device.name.clone(), status.entries, status.waiting);
                statuses.iter().map(of).collect::<Vec<_>>()
            };
            assert!(self.time - from < within_ms, "still different after {within_ms} ms: {:?}", behind());
            self.run_ms(20);
        }
    }

    /// What must hold on every device at every moment, as far as it knows.
    pub(crate) fn assert_sound(&mut self) {
        for at in self.powered() {
            let check = self.check(at);
            assert_eq!(check.problems, Vec::<String>::new(), "on device {at}");
            assert_eq!(check.incidents, Vec::<String>::new(), "on device {at}");
            assert_eq!(check.sold_twice, 0, "on device {at}");
            if let Some(line) = self.stock(at) {
                let Levels { available, held, committed, damaged, in_transit, sold, frozen, .. } = line.mesh;
                let sum = available + held + committed + damaged + in_transit + sold + frozen;
                assert_eq!(line.minted, sum, "on device {at}: {:?}", line.mesh);
            }
        }
    }

    /// What must hold once all devices agree: the same views, and each unit in exactly one device's hands or sold.
    pub(crate) fn assert_agreed(&mut self) {
        self.assert_sound();
        let powered = self.in_touch();
        let (frontier, claims) = (self.frontier(powered[0]), self.claims(powered[0]));
        let mesh = self.stock(powered[0]).map(|line| (line.minted, line.mesh.sold, line.mesh.committed));
        units_of(claims.values());
        let mut own = 0;
        for at in &powered {
            assert_eq!(self.frontier(*at), frontier);
            assert_eq!(self.claims(*at), claims);
            let line = self.stock(*at);
            assert_eq!(line.as_ref().map(|line| (line.minted, line.mesh.sold, line.mesh.committed)), mesh);
            own += line
                .map_or(0, |line| line.own.available + line.own.sold + line.own.committed + line.own.damaged);
        }
        if powered.len() == self.nodes.len() {
            assert_eq!(mesh.map_or(0, |(minted, ..)| minted), own, "the devices' own stocks add up");
        }
    }
}
