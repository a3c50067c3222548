//! Answers to queries, from the views and the log.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::words::describe;
use crate::claim_code::ClaimCode;
use crate::command::{ClaimState, Lot, Refusal, Reply};
use crate::document::Document;
use crate::export;
use crate::holdings::Holdings;
use crate::id::Ref;
use crate::log::{Chain, Newest};
use crate::query::{
    Answer, CartFilter, Check, ClaimCount, ClaimFilter, Claims, ClaimsAfter, DeedKind, DeviceInfo, Head,
    Levels, LogFilter, LogLine, Moment, Part, PlaceCount, Programme, Query, Status, Stock, StockFilter,
    StockLine,
};
use crate::record::{Body, Record};
use crate::text::{DropId, Place, Sku};
use crate::units::UnitSet;

impl Device {
    pub(super) fn device_infos(&self) -> Vec<DeviceInfo> {
        let mut infos = self.peers.infos(&self.me, self.now, &self.budgets);
        for info in &mut infos {
            info.retired_by = self.trust.retired().get(&info.device).map(|by| self.name_of(&by.by));
            info.has_newest_secret = self.has_newest_secret(&info.device);
            info.suspended = self.suspended.contains_key(&info.device);
            info.left_to = self.trust.left(&info.device).map(|(_, to)| self.name_of(&to));
            if info.device == self.me {
                info.program.clone_from(&self.config.program);
            }
        }
        infos
    }

    pub(super) fn answer(&self, query: Query) -> Answer {
        match query {
            Query::Status => Answer::Status(self.status()),
            Query::Devices => Answer::Devices(self.device_infos()),
            Query::Mesh => Answer::Mesh(self.mesh_picture()),
            Query::Programme => Answer::Programme(self.programme_view()),
            Query::Picture(sku) => Answer::Picture(self.product(&sku).map(|_| self.programme.picture(&sku))),
            Query::Stock(filter) => Answer::Stock(self.stock(&filter)),
            Query::Board(drop) => Answer::Board(self.board(self.now, &drop).map(Box::new)),
            Query::Claims(filter) => Answer::Claims(self.claims(&filter)),
            Query::Carts(filter) => Answer::Carts(self.carts(&filter)),
            Query::Steps(drop) => Answer::Steps(self.steps_shown(&drop)),
            Query::Late(drop) => Answer::Late(self.late_sales(&drop)),
            Query::CartToken(cart) => Answer::CartToken(self.token_of_cart(cart)),
            Query::Incidents => Answer::Incidents(self.incidents()),
            Query::Registrars => Answer::Registrars(self.registrars()),
            Query::Retirement(device) => Answer::Retirement(self.retirement_risk(device)),
            Query::Claim(claim) => {
                Answer::Claim(self.known_claim(&claim).map(Box::new).ok_or(Refusal::UnknownClaim { claim }))
            }
            Query::Token(claim) => Answer::Token(self.token_of(claim)),
            Query::Doors => Answer::Doors(self.doors_view()),
            Query::Door(claim) => Answer::Door(self.door_of(claim)),
            Query::Receipts(filter) => Answer::Receipts(self.list_receipts(&filter)),
            Query::Receipt { device, number } => Answer::Receipt(Box::new(self.find_receipt(device, number))),
            Query::Takings(filter) => Answer::Takings(self.takings(&filter)),
            Query::WaitingPayments => Answer::WaitingPayments(self.waiting_payments()),
            Query::People(filter) => Answer::People(self.list_people(&filter)),
            Query::Sealed(filter) => Answer::Sealed(self.list_sealed(&filter)),
            Query::LastAct => Answer::LastAct(self.last_act().map(Box::new)),
            Query::ClaimsNamed(text) => Answer::ClaimsNamed(self.claims_named(&text)),
            Query::Log(filter) => Answer::Log(self.log_lines(&filter)),
            Query::Entry(entry) => {
                let line = self.log.chain(&entry.chain).and_then(|chain| self.log_line(chain, entry));
                Answer::Entry(line.ok_or_else(|| Refusal::UnknownEntry { entry, what: "entry".to_owned() }))
            }
            Query::Deed(DeedKind::Cart, cart) => {
                let known = self.cart_known(cart).map(|cart| Box::new(Reply::Cart(cart)));
                Answer::Deed(known.ok_or(Refusal::UnknownCart { cart }))
            }
            Query::Deed(kind, entry) => Answer::Deed(self.deed(kind, entry).map(Box::new)),
            Query::Frontier => Answer::Frontier(self.frontier()),
            Query::Check => Answer::Check(self.check()),
            Query::Export => match export::documents(&self.log, &self.programme) {
                Ok(documents) => Answer::Export(documents),
                Err(error) => Answer::Failed(error.to_string()),
            },
        }
    }

    fn status(&self) -> Status {
        let devices = self.device_infos();
        let reachable = devices.iter().filter(|device| device.reachable).count() as u64;
        let own = devices.iter().find(|device| device.device == self.me).cloned();
        let certificate = &self.config.certificate;
        Status {
            devices: devices.len() as u64,
            reachable,
            device: own.unwrap_or_else(|| crate::query::DeviceInfo {
                device: self.me,
                name: certificate.name.clone(),
                roles: certificate.roles.iter().collect(),
                venue: certificate.venue.clone(),
                certificate_until_ms: certificate.not_after_ms,
                linked: false,
                reachable: true,
                last_heard_ms: Some(self.now.wall_ms),
                faults: 0,
                unread: 0,
                cut_off_until_ms: None,
                clock_ahead_ms: None,
                retired_by: None,
                has_newest_secret: None,
                suspended: false,
                left_to: None,
                program: self.config.program.clone(),
            }),
            event: self.gate.event(),
            event_name: self.config.charter.charter().name.clone(),
            currency: self.config.charter.charter().currency,
            drops: self.drops_shown(),
            drop_to_claim: self.drops_to_claim(),
            entries: self.log.len(),
            chains: self.log.chains().count() as u64,
            waiting: self.intake.waiting(),
            refused: self.refused,
            unread: self.budgets.unread(),
            postponed: self.postponed,
            cut_off: self.budgets.cut_off(self.now.mono_ms),
            incidents: self.incidents().iter().filter(|incident| incident.resolved.is_none()).count() as u64,
            digest: hex::encode(&self.log.digest(false)[..16]),
            sales_waiting: self.sales.len() as u64,
            claims: self.claim_counts(),
            carts: self.carts(&CartFilter::default()).len() as u64,
            people: self.people_counts(),
            past_unknown: self.past.is_suspected(),
            past: self.past_info(),
            secret: self.secret_info(),
            last_receipt: self.last_receipt.map_or(0, |(number, _)| number),
            deferred: self.deferred.of_own(),
            clocks_apart: self.clocks_apart(),
        }
    }

    fn claim_counts(&self) -> Vec<ClaimCount> {
        let mut counts: BTreeMap<ClaimState, ClaimCount> = BTreeMap::new();
        for (_, claim) in self.holdings.claims() {
            let Some(state) = claim.state() else { continue };
            let count = counts.entry(state).or_insert(ClaimCount { state, own: 0, mesh: 0 });
            count.mesh += 1;
            count.own += u64::from(claim.custodian() == Some(self.me));
        }
        counts.into_values().collect()
    }

    /// A lot as people read it.
    pub(super) fn lot_info(&self, lot: &Ref) -> Option<Lot> {
        let state = self.holdings.lot(lot)?;
        Some(Lot {
            lot: *lot,
            drop: state.drop.clone(),
            sku: state.sku.clone(),
            units: state.units.clone(),
            numbered: state.numbered,
            place: state.place.clone(),
            edition: state.edition.clone(),
            frozen: state.frozen.clone(),
        })
    }

    fn programme_view(&self) -> Programme {
        let lots = self.holdings.lots().filter_map(|(lot, _)| self.lot_info(lot));
        let mut lots: Vec<Lot> = lots.collect();
        lots.sort_by(|a, b| (&a.drop, &a.sku, &a.lot).cmp(&(&b.drop, &b.sku, &b.lot)));
        Programme {
            products: self.programme.products().values().cloned().collect(),
            drops: self.drops_shown(),
            lots,
            rules: self.programme.rules().clone(),
        }
    }

    fn stock(&self, filter: &StockFilter) -> Stock {
        let mut shelves: Vec<(DropId, Sku)> = self
            .holdings
            .lots()
            .map(|(_, lot)| (lot.drop.clone(), lot.sku.clone()))
            .filter(|(drop, sku)| {
                filter.drop.as_ref().is_none_or(|wanted| wanted == drop)
                    && filter.sku.as_ref().is_none_or(|wanted| wanted == sku)
            })
            .collect();
        shelves.sort();
        shelves.dedup();
        Stock { lines: shelves.into_iter().map(|(drop, sku)| self.stock_line(drop, sku)).collect() }
    }

    fn stock_line(&self, drop: DropId, sku: Sku) -> StockLine {
        let (mut own, mut mesh) = (Levels::default(), Levels::default());
        let (mut minted, mut reachable, mut unreachable) = (0, 0, 0);
        for (_, lot) in self.holdings.lots_of(&drop, &sku) {
            minted += lot.units.len();
            for (device, outcome) in &lot.outcome {
                let mut levels = vec![&mut mesh];
                if *device == self.me {
                    levels.push(&mut own);
                }
                for level in levels {
                    level.sold += outcome.sold;
                    level.redeemed += outcome.sold;
                    level.committed += outcome.committed;
                    level.damaged += outcome.damaged;
                }
            }
        }
        let mut places: BTreeMap<Place, u64> = BTreeMap::new();
        for (_, parcel) in self.holdings.live() {
            if !self.lies_there(parcel, &drop, &sku, None) {
                continue;
            }
            let units = parcel.available_count();
            mesh.held += parcel.held_count();
            mesh.frozen += parcel.frozen.len();
            let mine = parcel.owner == self.me;
            let bucket = if parcel.received { &mut mesh.available } else { &mut mesh.in_transit };
            *bucket += units;
            if mine {
                own.held += parcel.held_count();
                own.frozen += parcel.frozen.len();
                own.available += units;
                *places.entry(parcel.place.clone()).or_default() += units;
            } else if !parcel.received && parcel.from == Some(self.me) {
                own.in_transit += units;
            }
            if mine || self.peers.is_reachable(&parcel.owner) {
                reachable += units;
            } else {
                unreachable += units;
                if self.peers.is_stranded(&parcel.owner, self.now) {
                    mesh.stranded += units;
                }
            }
        }
        for level in [&mut own, &mut mesh] {
            level.on_hand = level.available + level.held + level.committed + level.damaged + level.frozen;
        }
        let holders = self.holders(&drop, &sku);
        let places = places.into_iter().map(|(place, units)| PlaceCount { place, units }).collect();
        StockLine { drop, sku, minted, own, mesh, reachable, unreachable, places, holders }
    }

    fn claims(&self, filter: &ClaimFilter) -> Claims {
        // What can be meant by a token that is not good is nothing.
        let named = filter.named.as_ref().map(|text| self.meant_by(text).unwrap_or_default());
        let named = named.as_ref();
        let coming = Newest::before(self.chains_of_claims(filter), filter.after.map(|after| after.claim))
            .take_while(|(moment, _)| filter.since.is_none_or(|since| moment.at.ms() >= since))
            .filter(|(moment, chain)| self.is_wanted(filter, named, chain, moment.entry))
            .filter_map(|(moment, chain)| {
                Some((moment, (chain.document.drop()?, chain, self.sale(&moment.entry)?.2)))
            })
            .map(|(moment, (drop, chain, sale))| {
                (moment, self.claim(moment.entry, drop, chain, &sale, moment.at.ms()))
            });
        let Part { items, next } = Part::of(coming, filter.limit);
        let count = match filter.after {
            Some(after) => after.count,
            None => self.count_claims(filter, named),
        };
        Claims { count, claims: items, next: next.map(|claim| ClaimsAfter { claim, count }) }
    }

    fn chains_of_claims<'a>(&'a self, filter: &'a ClaimFilter) -> impl Iterator<Item = &'a Chain> {
        self.log.chains().filter(|chain| {
            let Document::Claims(drop) = &chain.document else { return false };
            filter.drop.as_ref().is_none_or(|wanted| wanted == drop)
                && filter.seller.is_none_or(|seller| seller == chain.device)
        })
    }

    /// How many claims fit a filter. Each entry is looked at, most of them no further than to see whether it is a sale.
    fn count_claims(&self, filter: &ClaimFilter, named: Option<&BTreeSet<Ref>>) -> u64 {
        let of_chain = |chain: &Chain| {
            let entries = (1..=chain.len()).map(|seq| Ref { chain: chain.id, seq });
            entries.filter(|entry| self.is_wanted(filter, named, chain, *entry)).count() as u64
        };
        self.chains_of_claims(filter).map(of_chain).sum()
    }

    /// Whether an entry of a chain with claims is a sale that fits a filter.
    fn is_wanted(
        &self,
        filter: &ClaimFilter,
        named: Option<&BTreeSet<Ref>>,
        chain: &Chain,
        claim: Ref,
    ) -> bool {
        let glance = chain.body(claim.seq).and_then(Record::glance);
        let Some((at, _)) = glance.filter(|(_, kind)| *kind == Body::SALE) else { return false };
        let is_for =
            |shopper| self.sale(&claim).is_some_and(|(.., sale)| sale.shopper.as_ref() == Some(shopper));
        filter.since.is_none_or(|since| at.ms() >= since)
            && named.is_none_or(|named| named.contains(&claim))
            && filter.code.is_none_or(|code| code == ClaimCode::of(&claim))
            && filter.state.is_none_or(|state| Some(state) == self.state_of(&claim))
            && filter.custodian.is_none_or(|custodian| Some(custodian) == self.custodian_of(&claim))
            && filter.late.is_none_or(|late| late == self.is_late(&claim))
            && filter.shopper.as_ref().is_none_or(is_for)
    }

    fn log_lines(&self, filter: &LogFilter) -> Part<LogLine, Moment> {
        let of_device = |chain: &&Chain| filter.device.is_none_or(|device| device == chain.device);
        let chains = self.log.chains().filter(of_device);
        let coming = Newest::before(chains, filter.after)
            .take_while(|(moment, _)| filter.since.is_none_or(|since| moment.at.ms() >= since))
            .filter_map(|(moment, chain)| Some((moment, self.log_line(chain, moment.entry)?)));
        Part::of(coming, filter.limit)
    }

    fn log_line(&self, chain: &Chain, entry: Ref) -> Option<LogLine> {
        let (at, text) = describe(self, chain, entry.seq, chain.body(entry.seq)?);
        Some(LogLine {
            entry,
            document: chain.document.clone(),
            author: chain.device,
            author_name: self.name_of(&chain.device),
            at_ms: at.ms(),
            hash: *chain.hash(entry.seq)?,
            text,
        })
    }

    fn frontier(&self) -> Vec<Head> {
        let mut heads: Vec<Head> = self
            .log
            .heads()
            .map(|(chain, seq, hash)| Head {
                document: chain.document.clone(),
                chain: chain.id,
                device: chain.device,
                seq,
                hash: *hash,
            })
            .collect();
        heads.sort();
        heads
    }

    /// Checks the invariants over everything known here: conservation, each unit in one live sale, and the stock view
    /// against one worked out anew.
    fn check(&self) -> Check {
        let mut check = Check {
            entries: self.log.len(),
            minted: 0,
            sold: 0,
            sold_twice: 0,
            problems: Vec::new(),
            receipts: self.receipt_runs(),
            incidents: self
                .holdings
                .incidents()
                .map(str::to_owned)
                .chain(self.money_incidents().into_iter().map(|(_, _, text, _)| text))
                .collect(),
        };
        let mut sold: BTreeMap<Ref, UnitSet> = BTreeMap::new();
        for chain in self.log.chains().filter(|chain| matches!(chain.document, Document::Claims(_))) {
            for seq in 1..=chain.len() {
                let claim = Ref { chain: chain.id, seq };
                let Some(Ok(record)) = chain.body(seq).map(Record::decode) else {
                    check.problems.push(format!("entry {claim} cannot be read"));
                    continue;
                };
                let sale = match record.body {
                    Body::Sale(sale) => sale,
                    Body::Refund(refund) => {
                        check.incidents.extend(self.refund_problem(&claim, &refund));
                        continue;
                    }
                    _ => continue,
                };
                if self.holdings.is_void(&claim) {
                    continue;
                }
                let lost = self.holdings.lost_of(&claim);
                let refunded = self.refunded_of(&claim);
                for line in &sale.lines {
                    let Some(parcel) = self.holdings.parcel(&line.parcel) else { continue };
                    if parcel.owner != chain.device {
                        continue;
                    }
                    let lost = lost.and_then(|lost| lost.get(&line.parcel)).cloned().unwrap_or_default();
                    let mut units = line.units.difference(&lost);
                    if let Some(refunded) = refunded.get(&line.parcel) {
                        units.remove_all(refunded);
                    }
                    let of_lot = sold.entry(parcel.lot).or_default();
                    let twice = of_lot.intersection(&units);
                    check.sold_twice += twice.len();
                    if !twice.is_empty() {
                        check.problems.push(format!("units {twice} are in claim {claim} and in another"));
                    }
                    check.sold += units.len();
                    of_lot.insert_all(&units);
                }
            }
        }
        for (lot, balance) in self.holdings.balances() {
            check.minted += balance.minted;
            if !balance.holds() {
                let sku = self.holdings.lot(&lot).map_or("?", |state| state.sku.as_str());
                check.problems.push(format!("lot {lot} of {sku} does not add up: {balance:?}"));
            }
        }
        let anew = self.holdings_anew();
        if anew != self.holdings {
            check.problems.push("the stock view differs from one worked out anew".to_owned());
        }
        if !self.is_late_right() {
            check
                .problems
                .push("what is listed as sold after a close differs from one worked out anew".to_owned());
        }
        if crate::people::People::anew(&self.log) != self.people {
            check.problems.push("what is known of personal data differs from what was written".to_owned());
        }
        check
    }

    /// The stock view, folded again from the log in an order of its own.
    pub(super) fn holdings_anew(&self) -> Holdings {
        let mut holdings = Holdings::new(self.plant).with_retired(self.trust.retired());
        crate::holdings::refold(&self.log, &mut holdings);
        holdings
    }
}
