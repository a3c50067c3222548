//! Proofs of two histories, put together by hand.

use popmesh_crafted::Author;
use popmesh_proto::bundle;
use popmesh_proto::document::Document;
use popmesh_proto::id::{Hash, Nonce};
use popmesh_proto::identity::SecretKey;
use popmesh_proto::record::{Body, Branch, Fork, Leave};

use super::stage::{Stage, Who};

/// A life of somebody in `devices` that nobody has heard of, up to its second entry.
fn history(stage: &Stage, who: Who, to: Who) -> Author {
    let (at, later) = (stage.early(1), stage.early(2));
    let (secret, certificate) = (who.secret(), stage.certificate(who));
    let mut author = Author::begin(&secret, &certificate, &Document::Devices, at, Nonce([90; 16]), None);
    author.write(later, Body::Leave(Leave { to: Some(to.id()) }));
    author
}

fn proof(one: &Author, other: &Author, previous: Hash) -> Fork {
    let branch = |author: &Author| {
        let mut packed = Vec::new();
        bundle::pack(&mut std::iter::once(author.entries[1].body.as_slice()), &mut packed);
        Branch { count: 1, bodies: packed.into(), signature: author.entries[1].signature.unwrap() }
    };
    Fork {
        chain: one.chain,
        seq: 2,
        previous: Some(previous),
        start: one.entries[0].body.clone().into(),
        branches: [branch(one), branch(other)],
        dropped: Vec::new(),
    }
}

/// Two histories of one life of somebody. If `forger` is given, its key has signed the second.
pub(super) fn fork(stage: &Stage, who: Who, forger: Option<&SecretKey>) -> Fork {
    let (one, mut other) = (history(stage, who, Who::Boss), history(stage, who, Who::Chief));
    let mut begun = other.clone();
    begun.entries.pop();
    let before = begin_hash(&begun);
    if let Some(forger) = forger {
        let hash = other.last.unwrap();
        other.entries[1].signature =
            Some(popmesh_crafted::sign(forger, &other.event, &other.document, &hash));
    }
    proof(&one, &other, before)
}

/// One history, said to be two.
pub(super) fn one_history_twice(stage: &Stage, who: Who) -> Fork {
    let one = history(stage, who, Who::Boss);
    let mut begun = one.clone();
    begun.entries.pop();
    proof(&one, &one, begin_hash(&begun))
}

/// The hash of the start of a chain.
fn begin_hash(begun: &Author) -> Hash {
    let mut again = begun.clone();
    let start = again.entries.remove(0).body;
    again.last = None;
    let record = popmesh_proto::record::Record::decode(&start).unwrap();
    again.append(record.at, start);
    again.last.unwrap()
}
