//! Everything that any device has durably written, seen from outside: what is true, whatever a device believes.
//!
//! Each device's own entries are taken in the moment they are durable on its disk, which is before anybody else can know
//! of them. So the ledger has every entry first, and folds them into a stock view of its own: a unit in two sales, a
//! spend of what its author does not hold, an entry that is not what its author wrote, a sale that was acknowledged and
//! is gone: each shows at the step at which it happens.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::change::{self, ChangeParts};
use popmesh_proto::command::Tender;
use popmesh_proto::document::Document;
use popmesh_proto::holdings::{Effect, Event, Holdings};
use popmesh_proto::id::{ChainId, DeviceId, Hash, Ref};
use popmesh_proto::io::Entry;
use popmesh_proto::payment::PaymentSettled;
use popmesh_proto::record::{Body, Record};
use popmesh_proto::trust::Trust;
use popmesh_proto::units::UnitSet;

use super::claims::Claims;
use super::for_sale::ForSale;
use super::hand_outs::HandOuts;
use super::holds::Holds;
use super::prints::Prints;
use super::queue::{Life, NodeIndex};
use super::steps::Steps;
use super::wishes::Wishes;
use crate::judge::Written;

/// A life that nobody leads any more.
const OVER: Life = Life::MAX;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which: `I1` to `I9`.
    pub invariant: &'static str,
    /// What happened.
    pub text: String,
}

impl Breach {
    pub(super) fn new(invariant: &'static str, text: impl Into<String>) -> Self {
        Self { invariant, text: text.into() }
    }
}

/// That a device was retired.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retired {
    pub(super) device: DeviceId,
    pub(super) by: DeviceId,
}

/// One chain, as its author has written it.
#[derive(Debug)]
struct Chain {
    author: DeviceId,
    /// The node that wrote it, and in which of its lives.
    written_by: (NodeIndex, Life),
    /// Absent for the programme, which is not a chain of records.
    document: Option<Document>,
    bodies: Vec<Box<[u8]>>,
    last_hash: Option<Hash>,
}

impl Chain {
    fn record(&self, seq: u64) -> Option<Record> {
        Record::decode(self.bodies.get(seq as usize - 1)?).ok()
    }
}

/// What a device has taken and paid back by one tender, minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) payments: u64,
    pub(super) taken: i64,
    /// What was to be authorised later, whatever became of it.
    pub(super) deferred: i64,
    pub(super) paid_back: i64,
}

/// What is true.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    chains: BTreeMap<ChainId, Chain>,
    pub(super) holdings: Holdings,
    pub(super) claims: Claims,
    pub(super) for_sale: ForSale,
    pub(super) steps: Steps,
    holds: Holds,
    pub(super) wishes: Wishes,
    pub(super) hand_outs: HandOuts,
    pub(super) prints: Prints,
    /// Who was retired. What they write late counts for nothing in the stock view.
    trust: Trust,
    /// Every entry of stock and claims, in the order in which it became durable.
    order: Vec<(Ref, Hash)>,
    /// And of `devices`.
    order_of_trust: Vec<(Ref, Hash)>,
    /// What each device has taken and paid back, by tender.
    pub(super) takings: BTreeMap<(DeviceId, Tender), Taken>,
    /// How many receipts each device has written.
    pub(super) receipts: BTreeMap<DeviceId, u64>,
    pub(super) entries: u64,
    pub(super) units_sold: u64,
    /// Devices whose own signatures will show that they were rolled back, copied, or cheat: what they do may contradict
    /// itself, and becomes an incident.
    pub(super) suspects: BTreeSet<DeviceId>,
    /// Devices that craft entries without the right to, all the time.
    pub(super) adversaries: BTreeSet<DeviceId>,
    /// The chains that they craft. They stand here as they were written, and in no truth.
    pub(super) crafted: BTreeSet<ChainId>,
    /// Those of them whose last entry has two forms.
    pub(super) two_faced: BTreeSet<ChainId>,
    /// Devices that were retired: what they go on to write contradicts what others do, and becomes an incident.
    pub(super) retired: BTreeSet<DeviceId>,
    /// Every retirement that was written.
    pub(super) retirements: Vec<Retired>,
    /// Devices without a person and a drawer.
    pub(super) unattended: BTreeSet<DeviceId>,
    pub(super) incidents: u64,
}

impl Ledger {
    /// Whether something may contradict itself, and become an incident.
    pub(super) fn is_in_doubt(&self) -> bool {
        !self.suspects.is_empty() || !self.retired.is_empty()
    }

    /// Takes in an entry that is durable on `node`, whose device is `me`.
    pub(super) fn stored(
        &mut self,
        node: (NodeIndex, Life),
        me: DeviceId,
        entry: &Entry,
    ) -> Result<(), Breach> {
        if let Some(chain) = self.chains.get(&entry.chain)
            && let Some(known) = chain.bodies.get(entry.seq as usize - 1)
        {
            if **known == *entry.body {
                return Ok(());
            }
            if self.suspects.contains(&chain.author) || self.two_faced.contains(&entry.chain) {
                self.incidents += 1;
                return Ok(());
            }
            let text = format!(
                "entry {}:{} is stored as something that its author did not write",
                entry.chain.short(),
                entry.seq
            );
            return Err(Breach::new("I6", text));
        }
        self.written(node, me, entry)
    }

    /// Who sold a claim.
    pub(super) fn seller_of(&self, claim: &Ref) -> Option<DeviceId> {
        self.chains.get(&claim.chain).map(|chain| chain.author)
    }

    /// Takes in an entry that `node` has read back at a start. What a cut let through without a word is known from here on.
    pub(super) fn read_back(&mut self, node: NodeIndex, me: DeviceId, entry: &Entry) -> Result<(), Breach> {
        let life = self.chains.get(&entry.chain).map_or(OVER, |chain| chain.written_by.1);
        self.stored((node, life), me, entry)
    }

    /// Takes in an entry that nobody has seen before: its author's own.
    fn written(&mut self, node: (NodeIndex, Life), me: DeviceId, entry: &Entry) -> Result<(), Breach> {
        let record = Record::decode(&entry.body).ok();
        let chain = self.chains.entry(entry.chain).or_insert_with(|| Chain {
            author: me,
            written_by: node,
            document: match record.as_ref().map(|record| &record.body) {
                Some(Body::Start(start)) => Some(start.document.clone()),
                _ => None,
            },
            bodies: Vec::new(),
            last_hash: None,
        });
        let name = || format!("{}:{}", entry.chain.short(), entry.seq);
        let suspect = self.suspects.contains(&chain.author) || self.crafted.contains(&entry.chain);
        if chain.author != me && !suspect {
            return Err(Breach::new("I3", format!("{} is known elsewhere before its author has it", name())));
        }
        if chain.written_by != node && !suspect {
            return Err(Breach::new("I3", format!("{} goes on with the chain of an earlier start", name())));
        }
        if chain.bodies.len() as u64 + 1 != entry.seq {
            return Err(Breach::new("I6", format!("{} is stored without the entries before it", name())));
        }
        chain.bodies.push(entry.body.as_slice().into());
        self.entries += 1;
        if self.crafted.contains(&entry.chain) {
            return Ok(());
        }
        let (Some(document), Some(record)) = (chain.document.clone(), record) else { return Ok(()) };
        let hash = hash_of(chain, entry, &record);
        chain.last_hash = Some(hash);
        let author = chain.author;
        let reference = Ref { chain: entry.chain, seq: entry.seq };
        if document == Document::Devices {
            self.order_of_trust.push((reference, hash));
            self.hear_of_trust(reference, author, hash, &record);
        }
        let Some(drop) = document.drop() else { return Ok(()) };
        self.order.push((reference, hash));
        let event = Event { entry: reference, drop, author, hash, record: &record };
        self.fold(&event, suspect)
    }

    fn fold(&mut self, event: &Event<'_>, suspect: bool) -> Result<(), Breach> {
        let claims = self.claims.fold(event);
        self.for_sale.fold(event, claims.is_ok());
        self.steps.fold(event, self.for_sale.now_us);
        let aside = self.holds.fold(event);
        self.hand_outs.fold(event);
        self.prints.fold(event);
        let money = self.fold_money(event);
        let stock = self.fold_stock(event, suspect);
        let stripped = self.wishes.fold(event, &self.holdings);
        if let Err(problem) = stripped
            && !self.is_in_doubt()
        {
            return Err(Breach::new("I8", problem));
        }
        // What it crafted has receipts, too, on which those of its own program follow.
        if !suspect && !self.adversaries.contains(&event.author) {
            money?;
        }
        if let Err(problem) = aside
            && !self.is_in_doubt()
        {
            return Err(Breach::new("I1", format!("{} {problem}", event.author.short())));
        }
        match claims {
            // Whoever heard of a claim from a suspect may be wrong about it in good faith.
            Err(problem) if !self.is_in_doubt() => Err(Breach::new("I2", problem)),
            _ => stock,
        }
    }

    /// Adds up payments, and follows receipts: each device's are numbered without gaps in the order of its writes (I7).
    fn fold_money(&mut self, event: &Event<'_>) -> Result<(), Breach> {
        let number = match &event.record.body {
            Body::Sale(sale) => {
                let goods = sale.lines.iter().map(|line| line.unit_price * line.units.len() as i64).sum();
                for part in sale.payments.parts(goods) {
                    let of = self.takings.entry((event.author, part.tender)).or_default();
                    of.payments += 1;
                    *(if part.deferred { &mut of.deferred } else { &mut of.taken }) += part.taken();
                }
                sale.receipt.number
            }
            Body::Refund(refund) => {
                let forfeited = refund.unclaimed == Some(true) && refund.back.parts.is_empty();
                if !forfeited && self.unattended.contains(&event.author) {
                    let who = event.author.short();
                    return Err(Breach::new("I7", format!("money goes back at {who}, where no person is")));
                }
                for part in refund.back.parts.iter().filter(|part| !part.cancelled) {
                    let of = self.takings.entry((event.author, part.tender)).or_default();
                    of.paid_back += part.amount + part.rounding.unwrap_or(0);
                }
                refund.receipt.number
            }
            Body::PaymentSettled(settled) => {
                self.fold_settlement(event.author, settled);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let before = self.receipts.entry(event.author).or_default();
        *before += 1;
        if *before != number {
            let who = event.author.short();
            return Err(Breach::new("I7", format!("receipt {before} of {who} has the number {number}")));
        }
        Ok(())
    }

    /// What was to be authorised later was taken, or never will be.
    fn fold_settlement(&mut self, author: DeviceId, settled: &PaymentSettled) {
        let record = self.chains.get(&settled.claim.chain).and_then(|chain| chain.record(settled.claim.seq));
        let Some(Body::Sale(sale)) = record.map(|record| record.body) else { return };
        let parts = sale.parts();
        let Some(part) = (settled.payment as usize).checked_sub(1).and_then(|at| parts.get(at)) else {
            return;
        };
        let of = self.takings.entry((author, part.tender)).or_default();
        // What could not be taken stays where it was: it is named apart.
        if !settled.failed {
            of.deferred -= settled.amount;
            of.taken += settled.amount;
        }
    }

    fn fold_stock(&mut self, event: &Event<'_>, suspect: bool) -> Result<(), Breach> {
        let effect = self.holdings.apply(event);
        if let Body::Sale(sale) = &event.record.body {
            self.units_sold += sale.lines.iter().map(|line| line.units.len()).sum::<u64>();
        }
        match effect {
            Effect::None | Effect::Applied => match self.holdings.breach_by(&event.entry) {
                Some(text) if !suspect && !self.is_in_doubt() => Err(Breach::new("I6", text)),
                _ => Ok(()),
            },
            // Who printed it could not know better; that it is told is seen after the night.
            Effect::Doubled(texts) => {
                self.incidents += texts.len() as u64;
                let made = self.prints.any_twice() || suspect || self.is_in_doubt();
                if made { Ok(()) } else { Err(Breach::new("I6", texts.join("; "))) }
            }
            Effect::Contested(texts) => {
                self.incidents += 1;
                // Whoever got units from a suspect may be struck by it in good faith.
                if suspect || self.is_in_doubt() {
                    return Ok(());
                }
                Err(Breach::new("I1", texts.join("; ")))
            }
            Effect::Void(text) => {
                self.incidents += 1;
                if suspect || self.is_in_doubt() { Ok(()) } else { Err(Breach::new("I6", text)) }
            }
        }
    }

    /// Whom to trust, for all that anybody wrote by right.
    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Whether the others distrust a device, for what it wrote: nobody gives it anything, and it gives nobody.
    pub(super) fn is_distrusted(&self, device: &DeviceId) -> bool {
        self.suspects.contains(device) || self.adversaries.contains(device)
    }

    /// Whether a device was retired, for all that anybody wrote.
    pub(super) fn has_retired(&self, device: &DeviceId) -> bool {
        self.trust.retired().contains_key(device)
    }

    /// Takes in a record of `devices`. Whoever is retired by it counts up to there only, and the stock is folded anew.
    fn hear_of_trust(&mut self, entry: Ref, author: DeviceId, hash: Hash, record: &Record) {
        if let Body::Retire(retire) = &record.body {
            self.retired.insert(retire.device);
            self.retirements.push(Retired { device: retire.device, by: author });
        }
        if self.trust.take(entry, author, hash, record) {
            self.fold_anew();
        }
    }

    fn fold_anew(&mut self) {
        let mut holdings = self.holdings.with_retired(self.trust.retired());
        for (entry, hash) in &self.order {
            let Some(chain) = self.chains.get(&entry.chain) else { continue };
            let Some(drop) = chain.document.as_ref().and_then(Document::drop) else { continue };
            let Some(record) = chain.record(entry.seq) else { continue };
            let event = Event { entry: *entry, drop, author: chain.author, hash: *hash, record: &record };
            holdings.apply(&event);
        }
        self.holdings = holdings;
    }

    /// Everything that was written about stock, claims and who is retired.
    pub(super) fn all_written(&self) -> Vec<Written> {
        let all = self.order.iter().chain(&self.order_of_trust);
        let written = all.filter_map(|(entry, hash)| {
            let chain = self.chains.get(&entry.chain)?;
            let drop = chain.document.as_ref().and_then(Document::drop).cloned();
            let record = chain.record(entry.seq)?;
            Some(Written { entry: *entry, author: chain.author, hash: *hash, drop, record })
        });
        written.collect()
    }

    /// Everything that was written about stock and claims, and by whom, in the order in which it became durable.
    pub(super) fn written_of_stock(&self) -> impl Iterator<Item = (Ref, DeviceId, Record)> {
        self.order.iter().filter_map(|(entry, _)| {
            let chain = self.chains.get(&entry.chain)?;
            Some((*entry, chain.author, chain.record(entry.seq)?))
        })
    }

    /// Units that came back and may be sold again, by lot, since this was asked last.
    pub(super) fn take_what_came_back(&mut self) -> Vec<(Ref, UnitSet)> {
        let came_back = self.claims.take_what_came_back().into_iter();
        let lot_of = |parcel: &Ref| self.holdings.parcel(parcel).map(|parcel| parcel.lot);
        came_back.filter_map(|(parcel, units)| Some((lot_of(&parcel)?, units))).collect()
    }

    /// Whether nobody has this entry yet.
    pub(super) fn is_new(&self, chain: &ChainId, seq: u64) -> bool {
        self.chains.get(chain).is_none_or(|chain| (chain.bodies.len() as u64) < seq)
    }

    /// Whether an entry that somebody is told of is durable.
    pub(super) fn acknowledged(&self, entry: &Ref) -> Result<(), Breach> {
        match self.chains.get(&entry.chain) {
            Some(chain) if chain.bodies.len() as u64 >= entry.seq => Ok(()),
            _ => {
                let text =
                    format!("{}:{} was acknowledged before it was durable", entry.chain.short(), entry.seq);
                Err(Breach::new("I3", text))
            }
        }
    }

    /// Compares what a node has read back with what its store had called durable, or had read back before: all of that
    /// may have been told to somebody. `read` is how much of each chain there was.
    pub(super) fn recovered(&self, me: DeviceId, read: &BTreeMap<ChainId, u64>) -> Result<(), Breach> {
        for (id, chain) in
            self.chains.iter().filter(|(id, chain)| chain.author == me && !self.crafted.contains(id))
        {
            let (there, durable) = (read.get(id).copied().unwrap_or(0), chain.bodies.len() as u64);
            if there < durable {
                let text = format!(
                    "{} of {} had {durable} durable entries and came back with {there}",
                    id.short(),
                    me.short(),
                );
                return Err(Breach::new("I3", text));
            }
        }
        Ok(())
    }

    /// A node's disk is gone for good, or went back in time: what it alone knew is nobody's any more.
    pub(super) fn suspect(&mut self, device: DeviceId) {
        self.suspects.insert(device);
    }
}

fn hash_of(chain: &Chain, entry: &Entry, record: &Record) -> Hash {
    let parts = ChangeParts {
        device: chain.author.as_bytes(),
        actor: entry.chain.as_bytes(),
        seq: entry.seq,
        previous: chain.last_hash.as_ref().map(Hash::as_bytes),
        time: (record.at.ms() / 1_000) as i64,
        record: &entry.body,
    };
    Hash(change::hash(&parts, &mut Vec::with_capacity(512)))
}
