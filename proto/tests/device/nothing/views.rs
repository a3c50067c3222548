//! Everything that a device shows of the log, in words: what an entry that counts for nothing must leave as it was.

use std::collections::BTreeSet;

use popmesh_crafted::shown::{self, Shown};
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::query::{
    Answer, CartFilter, PeopleFilter, Query, ReceiptFilter, StockFilter, TakingsFilter,
};

use super::stage::EVERYBODY;
use crate::event::night;
use crate::world::World;

/// What a device shows, by what of it.
pub(super) type Views = Shown;

/// What is proven to be wrong, or in doubt.
pub(super) type Incidents = BTreeSet<(Ref, String)>;

/// Everything that `at` shows, but what `author` itself says that it took and paid: money is the word of who had it in hand,
/// whether or not the sale counts.
pub(super) fn views(world: &mut World, at: usize, author: DeviceId) -> Views {
    let mut views = Views::new();
    of_log(world, at, &mut views);
    of_answers(world, at, author, &mut views);
    views
}

fn of_log(world: &World, at: usize, views: &mut Views) {
    let device = world.nodes[at].device.as_ref().unwrap();
    let everybody = || EVERYBODY.into_iter().map(|who| who.id());
    views.extend(shown::of_stock(device.holdings(), everybody()));
    views.extend(shown::of_trust(device.trust(), everybody()));
    let mut show = |what: String, how: String| _ = views.insert(what, how);
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
