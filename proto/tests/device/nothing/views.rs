//! Everything that a device shows of the log, in words: what an entry that counts for nothing must leave as it was.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::query::{
    Answer, CartFilter, PeopleFilter, Query, ReceiptFilter, StockFilter, TakingsFilter,
};

use super::stage::EVERYBODY;
use crate::event::night;
use crate::world::World;

/// What a device shows, by what of it.
pub(super) type Views = BTreeMap<String, String>;

/// What is proven to be wrong, or in doubt.
pub(super) type Incidents = BTreeSet<(Ref, String)>;

/// Everything that `at` shows, but what `author` itself says that it took and paid: money is the word of who had it in hand,
/// whether or not the sale counts.
pub(super) fn views(world: &mut World, at: usize, author: DeviceId) -> Views {
    let mut views = Views::new();
    of_stock(world, at, &mut views);
    of_trust(world, at, &mut views);
    of_answers(world, at, author, &mut views);
    views
}

fn of_stock(world: &World, at: usize, views: &mut Views) {
    let holdings = world.nodes[at].device.as_ref().unwrap().holdings();
    let mut show = |what: String, how: String| _ = views.insert(what, how);
    for (lot, state) in holdings.lots() {
        let of = (&state.drop, &state.sku, &state.units, &state.outcome, &state.frozen, &state.doubled);
        show(format!("lot {lot}"), format!("{of:?}"));
    }
    for (reference, parcel) in holdings.live() {
        let of = (&parcel.owner, &parcel.from, &parcel.free, &parcel.held, &parcel.frozen);
        let more = (&parcel.wish, &parcel.place, parcel.received, parcel.available());
        show(format!("parcel {reference}"), format!("{of:?} {more:?}"));
    }
    for (claim, known) in holdings.claims().filter(|(_, known)| known.sold().is_some()) {
        let standing = known.standing(*claim).unwrap();
        let of = (standing.custodian, standing.under, standing.redeemed, &standing.left, &standing.refunded);
        let asked = known.request_for_refund().map(|request| request.by);
        show(format!("claim {claim}"), format!("{:?} {of:?} {} {asked:?}", known.state(), standing.expired));
    }
    for who in EVERYBODY {
        let waiting: Vec<Ref> = holdings.waiting_with(&who.id()).collect();
        show(format!("what waits with {who:?}"), format!("{waiting:?}"));
    }
    for (hold, held) in holdings.holds() {
        show(format!("hold {hold}"), format!("{held:?}"));
    }
    for (redemption, opening) in holdings.openings() {
        let of = (opening.state(), &opening.doors, &opening.settled);
        show(format!("doors {redemption}"), format!("{of:?}"));
    }
    for drop in holdings.drops_with_steps() {
        let steps: Vec<_> = holdings.steps_of(drop).unwrap().all().collect();
        show(format!("steps of {drop}"), format!("{steps:?}"));
    }
    show("balances".to_owned(), format!("{:?}", holdings.balances()));
}

fn of_trust(world: &World, at: usize, views: &mut Views) {
    let device = world.nodes[at].device.as_ref().unwrap();
    let trust = device.trust();
    let mut show = |what: String, how: String| _ = views.insert(what, how);
    show("retired".to_owned(), format!("{:?}", trust.retired()));
    let forked: Vec<_> = trust.forks().collect();
    show("forks".to_owned(), format!("{forked:?}"));
    let epochs = trust.epochs();
    for epoch in epochs.in_order(trust.retired()) {
        let given = epochs.given_to(&epoch, trust.retired());
        show(format!("epoch {epoch}"), format!("{:?} {given:?}", epochs.mark(&epoch)));
    }
    for who in EVERYBODY {
        let right = trust.rights().holder(who.id());
        show(format!("right of {who:?}"), format!("{right:?} {:?}", trust.left(&who.id())));
    }
    for (entry, taken) in device.people().all() {
        show(format!("personal {entry}"), format!("{taken:?}"));
    }
    for (claim, of, wrong, lock) in device.pins() {
        show(format!("PIN of {claim} on {of:?}"), format!("{wrong} {lock:?}"));
    }
    for chain in device.log().chains().filter(|chain| chain.has_ended()) {
        show(format!("end of {:?}", chain.id), format!("{}", chain.len()));
    }
}

fn of_answers(world: &mut World, at: usize, author: DeviceId, views: &mut Views) {
    let all = |world: &mut World, query: Query| format!("{:?}", world.query(at, query));
    for query in [
        Query::Programme,
        Query::Carts(CartFilter::default()),
        Query::Steps(night()),
        Query::Late(night()),
        Query::Registrars,
        Query::Doors,
        Query::WaitingPayments,
        Query::People(PeopleFilter::default()),
        Query::LastAct,
    ] {
        let shown = all(world, query.clone());
        views.insert(format!("answer to {query:?}"), shown);
    }
    let Answer::Stock(stock) = world.query(at, Query::Stock(StockFilter::default())) else {
        panic!("no stock")
    };
    for line in stock.lines {
        // Not when its holders were heard.
        let holders: Vec<_> = line.holders.iter().map(|holder| (holder.device, holder.units)).collect();
        let is = (line.minted, line.own, line.mesh, line.places, holders);
        views.insert(format!("stock of {} in {}", line.sku, line.drop), format!("{is:?}"));
    }
    // A sale that counts for nothing is listed as that: people have to look at it.
    for (claim, shown) in world.claims(at) {
        let holdings = world.nodes[at].device.as_ref().unwrap().holdings();
        if !holdings.is_void(&claim) {
            views.insert(format!("claim {claim} as it is listed"), format!("{shown:?}"));
        }
    }
    let Answer::Board(board) = world.query(at, Query::Board(night())) else { panic!("no board") };
    // Not what it says of sales that count for nothing.
    for sku in board.iter().flat_map(|board| &board.skus) {
        let is =
            (sku.counts.announced, sku.counts.claimed, sku.counts.back, sku.counts.left, sku.counts.frozen);
        views.insert(format!("board of {}", sku.sku), format!("{is:?}"));
    }
    views.insert("board".to_owned(), format!("{:?}", board.as_ref().map(|board| (board.state, board.round))));
    let Answer::Devices(devices) = world.query(at, Query::Devices) else { panic!("no devices") };
    for device in devices {
        let is = (&device.name, &device.roles, &device.venue, device.certificate_until_ms);
        let since = (&device.retired_by, device.has_newest_secret, device.suspended, &device.left_to);
        views.insert(format!("device {:?}", device.device), format!("{is:?} {since:?}"));
    }
    let Answer::Takings(takings) = world.query(at, Query::Takings(TakingsFilter::default())) else {
        panic!("no takings");
    };
    for of in takings.into_iter().filter(|of| of.device != author) {
        views.insert(format!("takings of {:?}", of.device), format!("{of:?}"));
    }
    for who in EVERYBODY.into_iter().filter(|who| who.id() != author) {
        let filter = ReceiptFilter { device: Some(who.id()), ..ReceiptFilter::default() };
        views.insert(format!("receipts of {who:?}"), all(world, Query::Receipts(filter)));
    }
}

pub(super) fn incidents(world: &mut World, at: usize) -> Incidents {
    let Answer::Incidents(incidents) = world.query(at, Query::Incidents) else { panic!("no incidents") };
    // One that was settled is none any more.
    let open = incidents.into_iter().filter(|incident| incident.resolved.is_none());
    open.map(|incident| (incident.incident, format!("{:?}", incident.kind))).collect()
}

/// What is shown otherwise in two views, or in one alone.
pub(super) fn differences(before: &Views, after: &Views) -> Vec<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |key: &&&String| before.get(**key) != after.get(**key);
    let of = |key: &String| {
        let shown = |views: &Views| views.get(key).cloned().unwrap_or_else(|| "nothing".to_owned());
        let (before, after) = (shown(before), shown(after));
        let same = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(60);
        let rest = |text: &str| text.get(same..).unwrap_or(text).chars().take(300).collect::<String>();
        format!("{key}:\n    before … {}\n    after  … {}", rest(&before), rest(&after))
    };
    keys.iter().filter(differs).map(|key| of(key)).collect()
}
