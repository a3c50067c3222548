//! Records behind the signature: whatever bytes there are, an admitted device has signed them as its next entry.

use crate::Target;
use crate::author::Author;
use crate::cursor::{Cursor, put_counted};
use crate::event::{EPOCH_MS, event};
use crate::node::{Node, exchange};
use crate::targets::cheat;
use crate::targets::device::LATER_MS;

const MOST_RECORDS: usize = 12;

pub(crate) const TARGET: Target = Target {
    name: "record",
    what: "records, as bytes, signed by an admitted device as its next entries",
    run,
    seeds,
    most_bytes: 4 * 1024,
};

/// The chains that are written to.
pub(crate) fn authors() -> Vec<Author> {
    let event = event();
    [
        (&event.mallory, "stock/night"),
        (&event.mallory, "claims/night"),
        (&event.mallory, "devices"),
        (&event.mole, "stock/night"),
        (&event.mole, "claims/night"),
        (&event.hq, "stock/other"),
    ]
    .map(|(party, document)| Author::begin(party, document, EPOCH_MS + LATER_MS))
    .into()
}

/// Gives a device what an author has written last, and takes it back if the device does not take it in. Whether it does.
pub(crate) fn hand(node: &mut Node, author: &mut Author, entries: usize) -> bool {
    let last = popmesh_proto::id::Ref { chain: author.chain, seq: author.entries.len() as u64 };
    let waiting = node.device().waiting().0;
    node.message(author.party.id(), author.last(entries));
    let taken = node.device().log().has(&last) || node.device().waiting().0 > waiting;
    if !taken {
        author.drop_last();
    }
    taken
}

/// Records: who writes, where, then the record behind its length.
fn run(bytes: &[u8]) {
    let event = event();
    let mut node = Node::open(event, &event.till, &event.evening, LATER_MS);
    let mut authors = authors();
    let mut cursor = Cursor::new(bytes);
    for _ in 0..MOST_RECORDS {
        if cursor.is_empty() {
            break;
        }
        let author = cursor.below(authors.len());
        let author = &mut authors[author];
        if author.entries.len() == 1 {
            node.message(author.party.id(), author.last(1));
        }
        author.append(cursor.counted().to_vec());
        hand(&mut node, author, 1);
    }
    agree(node, &authors);
}

/// What must hold of a device that was told all this: it is sound, and one that hears of it in another order agrees.
pub(crate) fn agree(mut node: Node, authors: &[Author]) {
    node.assert_sound();
    let event = event();
    let mut witness = Node::open(event, &event.witness, &event.evening, LATER_MS);
    for author in authors.iter().rev() {
        witness.message(author.party.id(), author.last(author.entries.len()));
    }
    for author in authors {
        node.message(author.party.id(), author.last(author.entries.len()));
    }
    // Nothing passes between two of which one knows that the other was retired.
    if node.bars(&witness.id()) || witness.bars(&node.id()) {
        return;
    }
    assert!(exchange(&mut node, &mut witness), "two devices that have heard the same do not agree");
    assert_eq!(node.view(), witness.view(), "one log, two views");
    witness.assert_sound();
}

fn seeds() -> Vec<Vec<u8>> {
    cheat::written()
        .map(|written| {
            let mut seed = Vec::new();
            for (author, body) in written {
                seed.push(author as u8);
                put_counted(&body, &mut seed);
            }
            seed
        })
        .filter(|seed| seed.len() <= TARGET.most_bytes)
        .collect()
}
