//! What it takes to hand out a claim by its token: at the custodian, which has heard neither of the sale nor of who sold.

use std::path::Path;

use popmesh_proto::command::{Command, Redeem};
use popmesh_proto::id::{ChainId, Ref};
use popmesh_proto::identity::Ed25519;
use popmesh_proto::token::{Kind, Token, TokenItem};
use popmesh_proto::units::UnitSet;

use crate::Scale;
use crate::event::{EVENING_MS, Event, drop_named};
use crate::measure::{Aim, Samples, Unit, compare, say};
use crate::sales::{Running, timed};
use crate::sqlite::Bare;

/// Bytes that a redemption stores, about: the record carries the token.
const ROW_BYTES: usize = 480;

/// One redemption, acknowledged, against one row made durable and one signature checked.
pub(crate) fn run(scale: Scale, folder: &Path) {
    let event = Event::new();
    let (locker, till) = (event.hq(1), event.till(1));
    let custodian = locker.secret.id();
    let token = |number: u64| {
        let token = Token {
            kind: Kind::Claim,
            claim: Ref { chain: ChainId([7; 16]), seq: number },
            drop: drop_named(0),
            items: vec![TokenItem { sku: "poster".parse().unwrap(), units: UnitSet::range(1, 2) }],
            custodian,
            under: None,
            issued_ms: EVENING_MS,
            not_before_ms: None,
            expires_ms: None,
            pin: None,
        };
        token.sign(&Ed25519, &till.secret, &till.certificate).unwrap().to_text()
    };
    let running = Running::start(locker, folder);
    let mut bare = Bare::open(folder);
    let row = vec![0xa5; ROW_BYTES];
    let signature = till.secret.sign(&row);
    let (mut ours, mut theirs) = (Samples::new(), Samples::new());
    for number in 1..=scale.of(1_000, 50) as u64 {
        let redeem = Command::Redeem(Redeem::by_token(token(number)));
        ours.time(timed(|| running.done(redeem)));
        theirs.time(timed(|| {
            assert!(signature.verifies(&till.secret.id(), &row));
            bare.append(std::iter::once(row.as_slice()));
        }));
    }
    say("one claim redeemed by its token, acknowledged", &ours, Unit::Seconds);
    say("one row in bare SQLite, one commit, one signature checked", &theirs, Unit::Seconds);
    compare("redeeming / a commit and a check", &ours, &theirs, Aim::AtMost(1.5));
    running.stop();
}
