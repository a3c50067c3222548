//! What an output lets the outside know of the log: the durable-before-visible rule is checked with it.

use popmesh_proto::command::Reply;
use popmesh_proto::id::{ChainId, Ref};
use popmesh_proto::io::Output;
use popmesh_proto::log::Range;
use popmesh_proto::message::{Gossip, MAX_GOSSIP, MAX_MESSAGE, Mail, Message, decode};

/// Every chain that the output shows, with the highest position it shows of it.
pub(crate) fn shown(output: &Output) -> Vec<(ChainId, u64)> {
    match output {
        Output::Send { bytes, .. } | Output::Tell { bytes, .. } => {
            match decode::<Message>(bytes, MAX_MESSAGE).expect("a message") {
                Message::Frontier(frontier) => {
                    frontier.heads.iter().map(|head| (head.chain, head.seq)).collect()
                }
                Message::Entries(entries) => ranges(&entries.ranges),
                Message::Compare(compare) => vec![(compare.chain, compare.head.seq)],
                Message::Mail(mail) => by_mail(&mail),
                Message::AskPast(ask) => ask.ends.iter().map(|seen| (seen.chain, seen.seq)).collect(),
                Message::Past(past) => past.proofs.iter().map(|proof| (proof.chain, proof.seq)).collect(),
                Message::Digest(_)
                | Message::Who(_)
                | Message::Heard(_)
                | Message::Hello(_)
                | Message::Farewell
                | Message::Ask(_)
                | Message::AskCart(_)
                | Message::AskClaim(_)
                | Message::Decline(_) => Vec::new(),
                Message::AskEntries(ask) => ask.have.iter().copied().map(at).collect(),
                Message::AskSealed(ask) => ask.entries.iter().copied().map(at).collect(),
                Message::Sealed(sent) => sent.parts.iter().map(|part| at(part.entry)).collect(),
            }
        }
        Output::Publish { bytes } => match decode::<Gossip>(bytes, MAX_GOSSIP).expect("gossip") {
            Gossip::Live(live) => ranges(&live),
            Gossip::Mail(mail) => by_mail(&mail),
        },
        // A door that opens shows everybody that its claim is redeemed.
        Output::OpenDoor { redemption, .. } => vec![at(*redemption)],
        Output::Reply { result: Ok(reply), .. } => of_reply(reply).map(at).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn by_mail(mail: &Mail) -> Vec<(ChainId, u64)> {
    if mail.to.is_some() {
        let message = decode::<Message>(&mail.content, MAX_GOSSIP).expect("a message by mail");
        assert!(
            matches!(
                message,
                Message::Ask(_)
                    | Message::AskCart(_)
                    | Message::AskClaim(_)
                    | Message::Decline(_)
                    | Message::Past(_)
            ),
            "only requests, their refusals and what was seen of somebody go by mail"
        );
    }
    Vec::new()
}

/// Whether the output says anything at all that depends on the log.
pub(crate) fn speaks_of_the_log(output: &Output) -> bool {
    let digest = |bytes: &[u8]| matches!(decode::<Message>(bytes, MAX_MESSAGE), Ok(Message::Digest(_)));
    match output {
        Output::Reply { .. } | Output::Answer { .. } => true,
        Output::Send { bytes, .. } if digest(bytes) => true,
        other => !shown(other).is_empty(),
    }
}

fn of_reply(reply: &Reply) -> Option<Ref> {
    match reply {
        Reply::Sale(claim) => Some(claim.claim),
        Reply::Lot(lot) => Some(lot.lot),
        Reply::Units(units) => Some(units.entry),
        Reply::Cart(cart) => Some(cart.cart),
        Reply::Redeemed(redeemed) => Some(redeemed.entry),
        Reply::Custody(claim) => Some(claim.claim),
        Reply::Refund(refunded) => Some(refunded.claim.claim),
        Reply::Retired(retired) => Some(retired.entry),
        Reply::Renewed(renewed) => renewed.devices.last().map(|renewed| renewed.entry),
        Reply::Incident(_) => None,
        Reply::Settled(settled) => Some(settled.entry),
        Reply::Step(done) => Some(done.step.entry),
        Reply::Unlocked(unlocked) => Some(unlocked.entry),
        Reply::Swept(swept) => swept.claims.first().map(|claim| claim.claim),
        Reply::Door(door) => Some(door.redemption),
        Reply::Personal(personal) => Some(personal.entry),
        Reply::Erased(erased) => erased.entry,
        Reply::Product(_) | Reply::Drop(_) | Reply::Rules(_) | Reply::PastAccepted | Reply::Left(_) => None,
        Reply::Entrusted(_) => None,
        Reply::Undone(undone) => Some(undone.act.entry),
    }
}

fn at(entry: Ref) -> (ChainId, u64) {
    (entry.chain, entry.seq)
}

fn ranges(ranges: &[Range]) -> Vec<(ChainId, u64)> {
    ranges.iter().map(|range| (range.chain, range.first + range.bodies.len() - 1)).collect()
}
