//! Bodies of the API: what a program on the device asks for, as JSON, given to a device.

use std::fmt::Debug;

use popmesh_proto::command::{self, Command, SellItem};
use popmesh_proto::query::{self, Query};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Target;
use crate::event::event;
use crate::node::Node;
use crate::targets::device::LATER_MS;

pub(crate) const TARGET: Target = Target {
    name: "command",
    what: "bodies of the API as JSON, and what a device makes of them",
    run,
    seeds,
    most_bytes: 2 * 1024,
};

/// What a body is read as, and what it asks for.
type Read = fn(&[u8]) -> Option<Asked>;

enum Asked {
    Command(Command),
    Query(Query),
}

/// What the bytes say, once it was written and read again.
fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let body: T = serde_json::from_slice(bytes).ok()?;
    assert_eq!(serde_json::from_slice::<T>(&serde_json::to_vec(&body).unwrap()).unwrap(), body);
    Some(body)
}

macro_rules! commands {
    ($($name:ident),*) => { [$(|bytes| Some(Asked::Command(Command::$name(read(bytes)?))),)*] };
}

const COMMANDS: [Read; 24] = commands!(
    ProductAdd,
    DropNew,
    DropStep,
    CartPaying,
    LotMint,
    Transfer,
    Move,
    Damage,
    Sell,
    CartNew,
    CartTake,
    Redeem,
    GiveCustody,
    Refund,
    Retire,
    Entrust,
    ResolveIncident,
    Unlock,
    Sweep,
    SettlePayment,
    RulesSet,
    LimitSet,
    CartRelease,
    Renew
);

const QUERIES: [Read; 7] = [
    |bytes| Some(Asked::Query(Query::Stock(read::<query::StockFilter>(bytes)?))),
    |bytes| Some(Asked::Query(Query::Claims(read::<query::ClaimFilter>(bytes)?))),
    |bytes| Some(Asked::Query(Query::Carts(read::<query::CartFilter>(bytes)?))),
    |bytes| Some(Asked::Query(Query::Log(read::<query::LogFilter>(bytes)?))),
    |bytes| Some(Asked::Query(Query::Receipts(read::<query::ReceiptFilter>(bytes)?))),
    |bytes| Some(Asked::Query(Query::Takings(read::<query::TakingsFilter>(bytes)?))),
    |bytes| Some(Asked::Query(Query::Retirement(read(bytes)?))),
];

/// Whether an hq or a till is asked, for what, and the body; `\n` and then the next, on the same device.
fn run(bytes: &[u8]) {
    let Some((at, bytes)) = bytes.split_first() else { return };
    let event = event();
    let mut node: Option<Node> = None;
    for line in bytes.split(|byte| *byte == b'\n').take(8) {
        let Some((kind, body)) = line.split_first() else { continue };
        let kind = usize::from(*kind);
        let Some(asked) = COMMANDS.iter().chain(&QUERIES).nth(kind % 32).and_then(|read| read(body)) else {
            continue;
        };
        let node = node.get_or_insert_with(|| {
            let party = if at % 2 == 0 { &event.hq } else { &event.till };
            Node::open(event, party, &event.evening, LATER_MS)
        });
        match asked {
            Asked::Command(command) => {
                if let Err(refusal) = node.command(command) {
                    assert!(!refusal.to_string().is_empty());
                }
            }
            Asked::Query(query) => drop(node.query(query)),
        }
    }
    if let Some(mut node) = node {
        node.assert_sound();
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let event = event();
    let claims: Vec<String> = event.entries().map(|entry| entry.to_string()).collect();
    let last = &claims[claims.len() - 2];
    let till = event.till.id();
    let bodies = [
        (0, r#"{"sku":"cap","name":"Cap","price":2500,"tax":1900}"#.to_owned()),
        (1, r#"{"drop":"late","title":"Late","pickup_within_ms":3600000,"unclaimed":"refund"}"#.to_owned()),
        (2, r#"{"drop":"night","taken":{"step":"announce","units":{"shirt":40},"ends_ms":1900000000000}}"#.to_owned()),
        (2, r#"{"drop":"night","taken":{"step":"close","venue":"hall"}}"#.to_owned()),
        (2, r#"{"drop":"night","taken":{"step":"open","again":true}}"#.to_owned()),
        (3, format!(r#""{last}""#)),
        (4, r#"{"drop":"night","sku":"shirt","first":41,"last":50,"numbered":false,"place":"hall"}"#.to_owned()),
        (5, format!(r#"{{"drop":"night","sku":"shirt","units":{{"serials":"1-5,9"}},"to":"{till}"}}"#)),
        (5, format!(r#"{{"drop":"night","sku":"shirt","units":{{"count":2}},"to":"{till}"}}"#)),
        (6, r#"{"drop":"night","sku":"shirt","units":{"count":2},"place":"till/07"}"#.to_owned()),
        (7, r#"{"drop":"night","sku":"shirt","units":{"count":1}}"#.to_owned()),
        (8, r#"{"items":[{"sku":"shirt","quantity":2}],"drop":"night","wait_ms":0,"tender":"cash","given":10000}"#.to_owned()),
        (8, format!(r#"{{"items":[{{"sku":"shirt","unit_price":900}}],"pickup_at":"{till}","pin":"4711","wait_ms":0,"payments":[{{"tender":"card","amount":900,"deferred":true,"reference":"t-2"}}]}}"#)),
        (9, r#"{"items":[{"sku":"shirt","quantity":1}],"ttl_ms":600000,"shopper":"order-7","wait_ms":0}"#.to_owned()),
        (15, format!(r#"{{"incident":"{last}","note":"looked into it"}}"#)),
        (17, r#"{"drop":"night"}"#.to_owned()),
        (19, r#"{"prices":"gross","coin":5}"#.to_owned()),
        (20, format!(r#"{{"device":"{till}","limit":100000}}"#)),
        (23, r#"{"drop":"night","sku":"shirt"}"#.to_owned()),
        (24, r#"{"drop":"night","state":"issued","late":true,"limit":3}"#.to_owned()),
        (25, r#"{"shopper":"order-7"}"#.to_owned()),
        (26, format!(r#"{{"device":"{till}","limit":5}}"#)),
        (27, format!(r#"{{"device":"{till}"}}"#)),
        (28, format!(r#"{{"device":"{till}"}}"#)),
        (29, format!(r#""{till}""#)),
        (14, format!(r#"{{"device":"{till}","at_risk":9,"reachable":true}}"#)),
        (22, format!(r#"{{"device":"{till}","days":3}}"#)),
        (22, r#"{"until_ms":1790050000000}"#.to_owned()),
    ];
    let line = |(kind, body): &(u8, String)| [&[*kind], body.as_bytes(), b"\n"].concat();
    let mut seeds: Vec<Vec<u8>> =
        bodies.iter().map(|body| [&[body.0 & 1], &line(body)[..]].concat()).collect();
    for claim in &claims {
        let of_claim = [
            (10, format!(r#"{{"cart":"{claim}","wait_ms":0}}"#)),
            (11, format!(r#"{{"claim":"{claim}","pin":"4711"}}"#)),
            (12, format!(r#"{{"claim":"{claim}","to":"{till}","wait_ms":0}}"#)),
            (
                13,
                format!(
                    r#"{{"claim":"{claim}","items":[{{"sku":"shirt","serials":"1-5,9"}}],"damaged":true}}"#
                ),
            ),
            (16, format!(r#"{{"claim":"{claim}"}}"#)),
            (18, format!(r#"{{"claim":"{claim}","payment":1,"failed":true,"reference":"t-3"}}"#)),
            (21, format!(r#""{claim}""#)),
        ];
        seeds.push([vec![1], of_claim.iter().flat_map(line).collect()].concat());
    }
    seeds.retain(|seed| seed.len() <= TARGET.most_bytes);
    // A till that sells, hands out and takes back what it has just sold.
    let sell = SellItem { sku: "shirt".parse().unwrap(), quantity: 1, unit_price: None };
    let sale = serde_json::to_string(&command::Sell::of(vec![sell])).unwrap();
    seeds.push([vec![1], [(8, sale.clone()), (8, sale)].iter().flat_map(line).collect()].concat());
    seeds
}
