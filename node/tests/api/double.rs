//! A double for the runtime: answers calls from a script, and remembers outcomes by idempotency key as the real one
//! does.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use popmesh::api::{self, Api, Direction, Discovered, MeshLink, MeshSnapshot, MeshView, Stranger, Strangers};
use popmesh::door::{DoorSpec, OPENS_WITHIN};
use popmesh::personal::Sealer;
use popmesh::runtime::{Call, CallError, Events, Handle, Outcome, StoreHealth};
use popmesh_proto::claim_code::ClaimCode;
use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{
    Act, ActKind, Cart, Claim, ClaimItem, ClaimState, Command, Door, DoorOpen, DoorSettle, DoorState, Doors,
    DropInfo, DropState, DropStep, Erased, EventRules, Lot, Payload, PersonalInfo, Product, Redeemed,
    Refunded, Refusal, Renewed, Reply, Retired, Settled, StepDone, StepInfo, Swept, Tender, Undone,
    UnitsDone, Unlocked,
};
use popmesh_proto::id::{ChainId, DeviceId, EventId, Hash, Nonce, ReceiptHash, Ref};
use popmesh_proto::identity::{Charter, Role, SecretKey, SignedCharter};
use popmesh_proto::query::{
    Answer, Board, BoardSku, CartToken, Check, ClaimCount, ClaimToken, Claims, ClaimsAfter, CountedFrom,
    Counts, CutOff, DeedKind, DeviceInfo, HeldUnits, Incident, IncidentKind, Levels, Medium, MeshEdge,
    MeshNode, MeshPicture, Moment, Named, Part, PeopleCounts, Programme, Query, Receipt, ReceiptKind,
    Registrar, RetirementRisk, SealedPersonal, SecretInfo, Status, Stock, StockLine,
};
use popmesh_proto::record::PersonalKind;
use popmesh_proto::tax::Prices;
use popmesh_proto::text::DropId;
use popmesh_proto::token::TokenError;
use tokio::sync::{mpsc, oneshot};

pub(crate) const DEVICE: DeviceId = DeviceId([7; 32]);
pub(crate) const OTHER: DeviceId = DeviceId([8; 32]);

pub(crate) type Script = Arc<dyn Fn(&Command) -> Result<Reply, CallError> + Send + Sync>;

/// A served API. It stops when this is dropped.
pub(crate) struct Double {
    pub(crate) address: SocketAddr,
    pub(crate) events: Events,
    /// What was done, in order.
    pub(crate) done: Arc<Mutex<Vec<Command>>>,
    /// Queries asked so far.
    pub(crate) queries: Arc<Mutex<Vec<Query>>>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) served: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
}

pub(crate) async fn start() -> Double {
    start_with(Arc::new(|command| Ok(reply_to(command))), StoreHealth::Writable).await
}

pub(crate) async fn refusing(error: impl Into<CallError>) -> Double {
    let error = error.into();
    start_with(Arc::new(move |_| Err(error.clone())), StoreHealth::Writable).await
}

pub(crate) async fn start_with(script: Script, health: StoreHealth) -> Double {
    let (handle, inside) = behind(script, health);
    serve_at("127.0.0.1:0", None, handle, inside, |api| api).await
}

/// A runtime's double, not yet served.
pub(crate) fn behind(script: Script, health: StoreHealth) -> (Handle, Inside) {
    let (calls, mut inbox) = mpsc::channel(16);
    let events = Events::in_memory(DEVICE);
    let done = Arc::new(Mutex::new(Vec::new()));
    let queries = Arc::new(Mutex::new(Vec::new()));
    let (seen, asked) = (Arc::clone(&done), Arc::clone(&queries));
    tokio::spawn(async move {
        let mut kept: HashMap<[u8; 32], ([u8; 32], Reply)> = HashMap::new();
        while let Some(call) = inbox.recv().await {
            match call {
                Call::Command { command, idempotency, outcome } => {
                    let known = idempotency.and_then(|key| kept.get(&key.key).map(|kept| (key, kept)));
                    let result = match known {
                        Some((key, (request, _))) if *request != key.request => Err(CallError::KeyReused),
                        Some((_, (_, reply))) => Ok(Outcome { reply: reply.clone(), repeated: true }),
                        None => script(&command).map(|reply| Outcome { reply, repeated: false }),
                    };
                    if let Ok(Outcome { reply, repeated: false }) = &result {
                        seen.lock().unwrap().push(command);
                        if let Some(key) = idempotency {
                            kept.insert(key.key, (key.request, reply.clone()));
                        }
                    }
                    let _ = outcome.send(result);
                }
                Call::Query { query, answer } => {
                    let again = asked.lock().unwrap().contains(&query);
                    asked.lock().unwrap().push(query.clone());
                    let _ = answer.send(answer_to(&query, again));
                }
                Call::Health { answer } => {
                    let _ = answer.send(health.clone());
                }
            }
        }
    });
    (Handle::new(calls, events.clone()), Inside { events, done, queries })
}

/// An API whose runtime is given; for what only the queue can do wrong.
pub(crate) async fn serve(
    handle: Handle,
    events: Events,
    done: Arc<Mutex<Vec<Command>>>,
    queries: Arc<Mutex<Vec<Query>>>,
) -> Double {
    let inside = Inside { events, done, queries };
    serve_at("127.0.0.1:0", None, handle, inside, |api| api).await
}

/// What a test sees of the double behind the API.
pub(crate) struct Inside {
    pub(crate) events: Events,
    pub(crate) done: Arc<Mutex<Vec<Command>>>,
    pub(crate) queries: Arc<Mutex<Vec<Query>>>,
}

/// An API at an address of its own, with TLS or without.
pub(crate) async fn serve_at(
    address: &str,
    tls: Option<rustls::ServerConfig>,
    handle: Handle,
    inside: Inside,
    shape: impl FnOnce(Api) -> Api,
) -> Double {
    let listener = api::bind(address.parse().unwrap(), tls).await.unwrap();
    let address = listener.address();
    let (stop, stopped) = oneshot::channel();
    let doors = popmesh::door::Doors::new(&DoorSpec::Virtual, OPENS_WITHIN);
    let api = Api::new(DEVICE, handle, Arc::new(Mesh), Arc::default())
        .with_doors(Some(doors))
        .with_sealer(Sealer::new(&charter(), DEVICE, &SecretKey::from_seed(&[7; 32])));
    let api = shape(api);
    let Inside { events, done, queries } = inside;
    let served = tokio::spawn(listener.serve(api, async move {
        let _ = stopped.await;
    }));
    Double { address, events, done, queries, stop: Some(stop), served: Some(served) }
}

/// Whoever opens what this API seals.
pub(crate) fn organiser() -> SecretKey {
    SecretKey::from_seed(&[9; 32])
}

pub(crate) fn charter() -> SignedCharter {
    let charter = Charter {
        name: "Neon Night".to_owned(),
        currency: "EUR".parse().unwrap(),
        root: organiser().id(),
        created_ms: 1,
        nonce: Nonce([3; 16]),
    };
    SignedCharter::sign(charter, &organiser()).unwrap()
}

fn personal(kind: PersonalKind, size: usize) -> PersonalInfo {
    PersonalInfo {
        entry: entry(13),
        kind,
        shopper: None,
        sku: None,
        drop: None,
        consent: None,
        at_ms: 1_800_000_000_000,
        device: DEVICE,
        device_name: "till-1".to_owned(),
        size: size as u32,
        hash: Hash([1; 32]),
        payload: Payload::Here,
        erased_at_ms: None,
    }
}

struct Mesh;

impl MeshView for Mesh {
    fn set_links(&self, _: bool) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn snapshot(&self) -> BoxFuture<'_, Option<MeshSnapshot>> {
        let link = |rtt_ms| MeshLink {
            device: OTHER,
            addresses: vec!["/ip4/10.0.0.2/tcp/9000".to_owned()],
            transport: "tcp".to_owned(),
            since_ms: 1,
            rssi_dbm: None,
            rtt_ms,
            direction: Direction::Outbound,
            bytes_in: 10,
            bytes_out: 20,
            dropped: 0,
        };
        let unheard = Discovered {
            device: DeviceId([9; 32]),
            addresses: vec!["/ip4/10.0.0.9/tcp/1".to_owned()],
            state: "being dialled".to_owned(),
        };
        let stranger = Stranger {
            name: "somebody".to_owned(),
            address: Some("10.0.0.9".to_owned()),
            why: "it is not of this event".to_owned(),
            heard_ago_ms: 5,
        };
        let snapshot = MeshSnapshot {
            listening: vec!["/ip4/10.0.0.1/tcp/9000".to_owned()],
            links_on: true,
            links: vec![link(Some(3.5)), link(Some(1.5)), link(None)],
            discovered: vec![unheard],
            strangers: Strangers { lately: 400, total: 1_000, last: vec![stranger] },
            addresses_dialled: 7,
            ble: None,
        };
        Box::pin(async { Some(snapshot) })
    }
}

pub(crate) fn entry(seq: u64) -> Ref {
    Ref { chain: ChainId([1; 16]), seq }
}

pub(crate) fn info(device: DeviceId, name: &str) -> DeviceInfo {
    DeviceInfo {
        device,
        name: name.to_owned(),
        roles: vec![Role::Pos],
        venue: "hall-a".parse().unwrap(),
        certificate_until_ms: 2_000_000_000_000,
        linked: true,
        reachable: true,
        last_heard_ms: Some(1_800_000_000_000),
        faults: 0,
        unread: 0,
        cut_off_until_ms: None,
        clock_ahead_ms: None,
        retired_by: None,
        has_newest_secret: None,
        suspended: false,
        left_to: None,
        program: None,
    }
}

pub(crate) fn claim() -> Claim {
    Claim {
        claim: entry(9),
        drop: "neon".parse().unwrap(),
        at_ms: 1_800_000_000_000,
        seller: DEVICE,
        items: vec![ClaimItem {
            sku: "CAP".parse().unwrap(),
            lot: entry(1),
            units: Default::default(),
            unit_price: 2500,
            edition: None,
        }],
        total: 2500,
        currency: "EUR".parse().unwrap(),
        tender: Tender::Cash,
        payments: vec![],
        taxes: vec![],
        receipt: 1,
        custodian: DEVICE,
        state: ClaimState::Redeemed,
        code: ClaimCode::of(&entry(9)),
        pin: false,
        shopper: None,
        expires_ms: None,
        after_close: false,
        redeemed_at_ms: Some(1_800_000_000_000),
        redeemed_by: Some(DEVICE),
        refunded: vec![],
        refund_asked_at_ms: None,
        refund_asked_by: None,
        refund_declined: None,
        contested: vec![],
        door: None,
    }
}

fn incident(incident: Ref, resolved: Option<String>) -> Incident {
    Incident {
        incident,
        kind: IncidentKind::SpentTwice,
        text: "two sales of one unit".to_owned(),
        device: OTHER,
        device_name: "till-2".to_owned(),
        at_ms: 1_800_000_000_000,
        claim: None,
        resolved,
        resolved_by: None,
        resolved_at_ms: None,
    }
}

fn receipt(number: u64) -> Receipt {
    Receipt {
        event: EventId([5; 32]),
        event_name: "Neon <Night>".to_owned(),
        device: DEVICE,
        device_name: "till-1".to_owned(),
        venue: "hall-a".parse().unwrap(),
        number,
        entry: entry(9),
        kind: ReceiptKind::Sale,
        at_ms: 1_800_000_000_000,
        claim: entry(9),
        drop: "neon".parse().unwrap(),
        currency: "EUR".parse().unwrap(),
        items: vec![],
        prices: Prices::Included,
        taxes: vec![],
        total: 2500,
        payments: vec![],
        paid_back: vec![],
        pickup: None,
        previous: None,
        hash: ReceiptHash([3; 16]),
        twice: vec![],
    }
}

fn cart() -> Cart {
    let claim = claim();
    Cart {
        cart: entry(8),
        drop: claim.drop,
        holder: DEVICE,
        items: claim.items,
        total: claim.total,
        currency: claim.currency,
        until_ms: 1_800_000_900_000,
        shopper: None,
        over: false,
    }
}

fn door(claim: Ref) -> Door {
    Door {
        claim,
        redemption: entry(10),
        device: DEVICE,
        name: "till-1".to_owned(),
        at_ms: 1_800_000_000_000,
        compartments: vec!["07".parse().unwrap()],
        shut: vec!["07".parse().unwrap()],
        state: DoorState::Opening,
        being_opened: true,
        in_doubt: false,
        problem: None,
        handed_over: None,
        looked: None,
    }
}

fn drop_info(drop: popmesh_proto::text::DropId, state: DropState) -> DropInfo {
    DropInfo { state, ..DropInfo::planned(drop.clone(), drop.to_string()) }
}

fn swept() -> Swept {
    Swept { entry: Some(entry(15)), amount: 2500, claims: vec![claim()], left: 0 }
}

/// What entries say was done; none of them is known by any other number.
fn deed(kind: DeedKind, at: Ref) -> Result<Reply, Refusal> {
    let none = Refusal::UnknownEntry { entry: at, what: kind.to_string() };
    let units = || {
        let (drop, sku) = ("neon".parse().unwrap(), "CAP".parse().unwrap());
        Reply::Units(UnitsDone { entry: at, drop, sku, units: Default::default() })
    };
    match (kind, at.seq) {
        (DeedKind::Transfer | DeedKind::Move | DeedKind::Damage, 3) => Ok(units()),
        (DeedKind::Sweep, 15) => Ok(Reply::Swept(swept())),
        (DeedKind::Cart, 8) => Ok(Reply::Cart(cart())),
        _ => Err(none),
    }
}

pub(crate) fn reply_to(command: &Command) -> Reply {
    let units = |drop: &popmesh_proto::text::DropId, sku: &popmesh_proto::text::Sku| {
        Reply::Units(UnitsDone {
            entry: entry(3),
            drop: drop.clone(),
            sku: sku.clone(),
            units: Default::default(),
        })
    };
    match command.clone() {
        Command::ProductAdd(add) => Reply::Product(Product {
            sku: add.sku,
            name: add.name,
            price: add.price,
            tax: add.tax.unwrap_or(0),
            currency: "EUR".parse().unwrap(),
            category: add.category,
            picture: None,
        }),
        Command::DropNew(new) => Reply::Drop(drop_info(new.drop, DropState::Planned)),
        Command::DropStep(DropStep { drop, taken }) => Reply::Step(Box::new(StepDone {
            written: true,
            step: StepInfo {
                entry: Ref { chain: ChainId([1; 16]), seq: 7 },
                drop: drop.clone(),
                step: taken.step,
                venue: taken.venue,
                round: 0,
                at_ms: 1,
                by: DeviceId([1; 32]),
                by_name: "hq".to_owned(),
                units: Vec::new(),
                ends_ms: taken.ends_ms,
                counts: true,
            },
            drop: drop_info(drop, taken.step.into()),
        })),
        Command::LotMint(mint) => Reply::Lot(Lot {
            lot: entry(1),
            drop: mint.drop,
            sku: mint.sku,
            units: Default::default(),
            numbered: mint.numbered,
            place: "hall-a".parse().unwrap(),
            edition: mint.edition,
            frozen: Default::default(),
        }),
        Command::Transfer(given) => units(&given.drop, &given.sku),
        Command::Move(moved) => units(&moved.drop, &moved.sku),
        Command::Damage(damaged) => units(&damaged.drop, &damaged.sku),
        Command::Sell(_) => Reply::Sale(claim()),
        Command::CartNew(_)
        | Command::CartRelease(_)
        | Command::CartPaying(_)
        | Command::CartTake(_)
        | Command::CartAdd(..)
        | Command::CartRemove(..) => Reply::Cart(cart()),
        Command::Undo(undo) => {
            Reply::Undone(Box::new(Undone { cart: Some(cart()), ..Undone::of(act(undo.entry)) }))
        }
        Command::Redeem(redeem) => Reply::Redeemed(Redeemed {
            claim: redeem.claim.unwrap_or(entry(9)),
            drop: "neon".parse().unwrap(),
            entry: entry(10),
            at_ms: 1_800_000_000_000,
            items: vec![],
            doors: vec![],
        }),
        Command::DoorOpen(DoorOpen { claim }) | Command::DoorSettle(DoorSettle { claim, .. }) => {
            Reply::Door(door(claim))
        }
        Command::DoorReport(_) => panic!("only the keeper of the doors reports"),
        Command::GiveCustody(_) => Reply::Custody(claim()),
        Command::Retire(retire) => Reply::Retired(Retired {
            entry: entry(12),
            device: retire.device,
            at_risk: retire.at_risk,
            held: vec![],
            secret: SecretInfo::default(),
        }),
        Command::Entrust(entrust) => Reply::Entrusted(registrar(entrust.to)),
        Command::Renew(_) => Reply::Renewed(Renewed { devices: vec![], skipped: vec![] }),
        Command::ResolveIncident(resolve) => Reply::Incident(incident(resolve.incident, Some(resolve.note))),
        Command::Unlock(unlock) => {
            Reply::Unlocked(Unlocked { claim: unlock.claim, entry: entry(11), tries: 5 })
        }
        Command::Sweep(_) => Reply::Swept(swept()),
        Command::Refund(_) => Reply::Refund(Refunded {
            entry: Some(entry(14)),
            amount: 2500,
            payments: vec![],
            taxes: vec![],
            receipts: vec![2],
            claim: claim(),
        }),
        Command::SettlePayment(settle) => Reply::Settled(Settled {
            entry: entry(11),
            claim: settle.claim,
            payment: settle.payment.unwrap_or(1),
            amount: 2500,
            failed: settle.failed,
        }),
        Command::AcceptPast(_) => Reply::PastAccepted,
        Command::Leave(_) => Reply::Left(popmesh_proto::command::Left {
            to: DEVICE,
            name: "hq".to_owned(),
            units: 7,
            claims: 1,
        }),
        Command::RulesSet(_) | Command::LimitSet(_) => Reply::Rules(EventRules::default()),
        Command::PersonalAdd(add) => Reply::Personal(personal(add.kind, add.sealed.len())),
        Command::PersonalErase(_) => {
            Reply::Erased(Erased { entry: Some(entry(14)), erased: vec![personal(PersonalKind::Note, 256)] })
        }
    }
}

/// What was done last: a price was set.
pub(crate) fn act(entry: Ref) -> Act {
    Act {
        entry,
        moves: 0,
        kind: ActKind::Product,
        at_ms: 1_800_000_000_000,
        what: "set the price of CAP to 19.00 EUR; it was 25.00 EUR".to_owned(),
        undo: Some("sets CAP to \"Cap\" at 25.00 EUR again".to_owned()),
        why_not: None,
        claim: None,
    }
}

/// One claim has this code, and two have this reference.
fn named(text: &str) -> Result<Named, Refusal> {
    let (one, two) = (claim(), Claim { claim: entry(8), ..claim() });
    Ok(match text {
        "7K2-M9Q" => Named { claim: Some(one.claim), is_token: false, claims: vec![one], count: 1 },
        "T-4711" => Named { claim: None, is_token: false, claims: vec![one, two], count: 2 },
        "POPMESH1:X" => Named { claim: Some(one.claim), is_token: true, claims: vec![], count: 1 },
        "POPMESH1:" => return Err(TokenError::Altered.into()),
        _ => Named::default(),
    })
}

/// One drop has a board; of its SKU all is sold but what till-2 may have.
fn board(drop: &DropId) -> Result<Board, Refusal> {
    if drop.as_str() != "neon" {
        return Err(Refusal::UnknownDrop { drop: drop.to_string(), known: vec!["neon".to_owned()] });
    }
    let counts = Counts {
        announced: 50,
        claimed: 45,
        claimed_percent: Some(90),
        left: 5,
        cut_off: 5,
        ..Counts::default()
    };
    Ok(Board {
        drop: drop.clone(),
        title: "Neon".to_owned(),
        state: DropState::Open,
        round: 0,
        ended: false,
        ends_ms: None,
        ends_in_ms: None,
        now_ms: 1_800_000_000_000,
        counted_from: CountedFrom::Minted,
        as_of_ms: None,
        age_ms: None,
        total: counts,
        skus: vec![BoardSku { sku: "CAP".parse().unwrap(), name: Some("Cap".to_owned()), counts }],
        cut_off: vec![CutOff {
            device: OTHER,
            name: "till-2".to_owned(),
            venue: None,
            sells: true,
            units: 5,
            last_heard_ms: None,
        }],
        not_heard: 1,
        devices: 2,
        voided: vec![],
    })
}

fn registrar(device: DeviceId) -> Registrar {
    Registrar {
        device,
        name: "hq".to_owned(),
        here: device == DEVICE,
        given_by: None,
        given_at_ms: None,
        retired_by: None,
    }
}

fn answer_to(query: &Query, again: bool) -> Answer {
    match query {
        Query::Steps(_) => Answer::Steps(Ok(Vec::new())),
        Query::Late(_) => Answer::Late(Ok(Vec::new())),
        Query::Status => Answer::Status(Status {
            past_unknown: false,
            past: Default::default(),
            device: info(DEVICE, "till-1"),
            event: EventId([5; 32]),
            event_name: "Neon Night".to_owned(),
            currency: "EUR".parse().unwrap(),
            drops: vec![],
            drop_to_claim: vec![],
            devices: 2,
            reachable: 2,
            entries: 12,
            chains: 3,
            waiting: 0,
            refused: 0,
            unread: 0,
            postponed: 0,
            cut_off: 0,
            incidents: 0,
            digest: "d1".to_owned(),
            sales_waiting: 0,
            secret: SecretInfo::default(),
            carts: 2,
            claims: vec![ClaimCount { state: ClaimState::Issued, own: 1, mesh: 3 }],
            last_receipt: 7,
            deferred: 2_500,
            people: PeopleCounts { here: 3, missing: 1, erased: 2 },
            clocks_apart: None,
        }),
        Query::Entry(entry) => {
            Answer::Entry(Err(Refusal::UnknownEntry { entry: *entry, what: "entry".to_owned() }))
        }
        Query::Deed(kind, at) => Answer::Deed(deed(*kind, *at).map(Box::new)),
        Query::Devices => Answer::Devices(vec![info(DEVICE, "till-1"), info(OTHER, "till-2")]),
        Query::Mesh => Answer::Mesh(MeshPicture {
            as_of_ms: 1_000,
            nodes: vec![MeshNode {
                info: info(OTHER, "till-2"),
                here: false,
                lacks: Some(2),
                lacked: None,
                told_at_ms: Some(900),
            }],
            edges: vec![MeshEdge {
                a: DEVICE.min(OTHER),
                b: DEVICE.max(OTHER),
                medium: Medium::Network,
                told_by: vec![DEVICE],
                as_of_ms: 1_000,
            }],
        }),
        Query::Programme => Answer::Programme(Programme {
            products: vec![],
            drops: vec![],
            lots: vec![],
            rules: EventRules::default(),
        }),
        Query::Picture(_) => Answer::Picture(Ok(None)),
        Query::Stock(_) => Answer::Stock(Stock {
            lines: vec![StockLine {
                drop: "neon".parse().unwrap(),
                sku: "CAP".parse().unwrap(),
                minted: 100,
                own: Levels { on_hand: 40, available: 40, ..Levels::default() },
                mesh: Levels { on_hand: 90, available: 90, sold: 10, ..Levels::default() },
                reachable: 90,
                unreachable: 0,
                places: vec![],
                holders: vec![],
            }],
        }),
        Query::Board(drop) => Answer::Board(board(drop).map(Box::new)),
        Query::Claims(filter) => {
            // Two that are alike, one at a time if that is asked for.
            let last = Moment { at: Hlc(7), entry: entry(9) };
            let next = match (filter.after, filter.limit) {
                (None, Some(1)) => Some(ClaimsAfter { claim: last, count: 2 }),
                _ => None,
            };
            Answer::Claims(Claims { count: 2, claims: vec![claim()], next })
        }
        Query::Incidents => Answer::Incidents(vec![incident(entry(13), None)]),
        Query::Registrars => Answer::Registrars(vec![registrar(DEVICE)]),
        Query::Retirement(device) => Answer::Retirement(Ok(RetirementRisk {
            device: *device,
            name: "till-2".to_owned(),
            last_heard_ms: None,
            reachable: false,
            held: vec![HeldUnits { drop: "neon".parse().unwrap(), sku: "CAP".parse().unwrap(), units: 4 }],
            claims: 1,
            at_risk: 6,
            retired_by: None,
            heir: None,
        })),
        Query::Claim(claim) => Answer::Claim(Err(Refusal::UnknownClaim { claim: *claim })),
        Query::CartToken(cart) => {
            Answer::CartToken(Ok(CartToken { cart: *cart, token: "POPMESH1:CART".to_owned() }))
        }
        Query::Carts(_) => Answer::Carts(vec![cart()]),
        Query::LastAct => Answer::LastAct(Ok(Box::new(act(entry(9))))),
        Query::ClaimsNamed(text) => Answer::ClaimsNamed(named(text)),
        Query::Token(claim) => {
            Answer::Token(Ok(ClaimToken { claim: *claim, token: "POPMESH1:TOKEN".to_owned() }))
        }
        Query::Doors => Answer::Doors(Doors { compartments: vec![], to_look_at: vec![door(entry(9))] }),
        // Whoever asks again hears that it opened.
        Query::Door(claim) if again => {
            Answer::Door(Ok(Door { state: DoorState::Opened, being_opened: false, ..door(*claim) }))
        }
        Query::Door(claim) => Answer::Door(Ok(door(*claim))),
        Query::Receipts(_) => Answer::Receipts(Part { items: vec![receipt(1)], next: None }),
        Query::Receipt { number: 1, .. } => Answer::Receipt(Box::new(Ok(receipt(1)))),
        Query::Receipt { device, number } => Answer::Receipt(Box::new(Err(Refusal::UnknownReceipt {
            number: *number,
            device: device.unwrap_or(DEVICE),
            name: "till-1".to_owned(),
        }))),
        Query::Takings(_) => Answer::Takings(vec![]),
        Query::WaitingPayments => Answer::WaitingPayments(vec![]),
        Query::People(_) => {
            Answer::People(Part { items: vec![personal(PersonalKind::Contact, 256)], next: None })
        }
        Query::Sealed(_) => {
            let info = personal(PersonalKind::Contact, 256);
            Answer::Sealed(Part { items: vec![SealedPersonal { info, sealed: vec![0xab; 256] }], next: None })
        }
        Query::Log(_) => Answer::Log(Part { items: vec![], next: None }),
        Query::Frontier => Answer::Frontier(vec![]),
        Query::Check => Answer::Check(Check {
            entries: 12,
            minted: 100,
            sold: 10,
            sold_twice: 0,
            receipts: vec![],
            problems: vec![],
            incidents: vec![],
        }),
        Query::Export => Answer::Export(vec![
            ("programme".to_owned(), vec![0x85, 0x6f]),
            ("stock/neon".to_owned(), vec![0x85, 0x6f, 0x4a]),
        ]),
    }
}
