//! Changes of the programme, as an admitted hq writes and signs them: raw Automerge, which is given to Automerge.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, ObjType, ROOT, ReadDoc};
use popmesh_proto::document::Document;
use popmesh_proto::id::{ChainId, Hash, Nonce};
use popmesh_proto::identity::armor;
use popmesh_proto::io::Entry;
use popmesh_proto::message::{Entries, Message, encode};
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::Start;
use sha2::{Digest, Sha256};

use crate::Target;
use crate::author::{range, sign};
use crate::cursor::{Cursor, put_counted};
use crate::event::{EPOCH_MS, Event, event};
use crate::node::{Node, SECOND_MS, exchange};
use crate::targets::device::LATER_MS;

const MOST_CHANGES: usize = 4;
/// What is before the contents of a change: its magic, its checksum, its type.
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const NONCE: Nonce = Nonce([8; 16]);

pub(crate) const TARGET: Target = Target {
    name: "programme",
    what: "raw changes of the programme, signed by an admitted hq",
    run,
    seeds,
    most_bytes: 4 * 1024,
};

/// A chunk of this type with these contents, and its hash. Its checksum is right, whatever is in it.
fn chunk(kind: u8, contents: &[u8]) -> (Vec<u8>, Hash) {
    let mut hashed = vec![kind];
    let mut length = contents.len();
    while length >= 0x80 {
        hashed.push(length as u8 | 0x80);
        length >>= 7;
    }
    hashed.push(length as u8);
    hashed.extend_from_slice(contents);
    let hash: [u8; 32] = Sha256::digest(&hashed).into();
    ([&MAGIC[..], &hash[..4], &hashed].concat(), Hash(hash))
}

fn chain(event: &Event) -> ChainId {
    ChainId::derive(&event.mallory.id(), &NONCE, "programme")
}

/// Changes: the type of the chunk, then its contents behind their length.
fn run(bytes: &[u8]) {
    let event = event();
    let mut node = Node::open(event, &event.till, &event.evening, LATER_MS);
    let (chain, mut taken) = (chain(event), Vec::new());
    let mut cursor = Cursor::new(bytes);
    for _ in 0..MOST_CHANGES {
        if cursor.is_empty() {
            break;
        }
        let (body, hash) = chunk(cursor.byte(), cursor.counted());
        let signature = Some(sign(&event.mallory, &Document::Programme, &hash));
        let entry = Entry { chain, seq: taken.len() as u64 + 1, body, signature };
        let (before, waited) = (node.device().log().len(), node.device().waiting().0);
        let said = Entries { ranges: vec![range(std::slice::from_ref(&entry))], more: false };
        node.message(event.mallory.id(), encode(&Message::Entries(said)));
        if node.device().log().len() > before || node.device().waiting().0 > waited {
            taken.push(entry);
        }
    }
    node.assert_sound();
    let Answer::Export(files) = node.query(Query::Export) else { panic!("no export") };
    for (name, file) in files {
        assert!(automerge::Automerge::load(&file).is_ok(), "{name} does not load");
    }
    if !taken.is_empty() {
        let mut witness = Node::open(event, &event.witness, &event.evening, LATER_MS);
        assert!(exchange(&mut node, &mut witness), "two devices that have heard the same do not agree");
        let programmes = [&mut node, &mut witness].map(|node| format!("{:?}", node.query(Query::Programme)));
        assert_eq!(programmes[0], programmes[1]);
    }
}

/// Changes that an hq might make: a price, a drop, a note that nobody asked for.
fn seeds() -> Vec<Vec<u8>> {
    let event = event();
    let mut hq = Node::open(event, &event.hq, &event.evening, LATER_MS);
    let Answer::Export(files) = hq.query(Query::Export) else { panic!("no export") };
    let (_, file) = files.into_iter().find(|(name, _)| name.starts_with("programme")).unwrap();
    let mut document = AutoCommit::load(&file).unwrap();
    document.set_actor(ActorId::from(*chain(event).as_bytes()));
    let certificate = event.mallory.certificate.bytes().to_vec();
    let start = Start { document: Document::Programme, certificate, nonce: NONCE, previous: None };
    let message = armor("popmesh-start-1", &minicbor::to_vec(&start).unwrap());
    let before = document.get_heads();
    let time = ((EPOCH_MS + LATER_MS) / SECOND_MS) as i64;
    type Edit = fn(&mut AutoCommit);
    let edits: [Edit; 4] = [
        |document| {
            let (_, products) = document.get(ROOT, "products").unwrap().unwrap();
            let (_, shirt) = document.get(&products, "shirt").unwrap().unwrap();
            document.put(&shirt, "price", 900_i64).unwrap();
        },
        |document| {
            let (_, drops) = document.get(ROOT, "drops").unwrap().unwrap();
            let drop = document.put_object(&drops, "late", ObjType::Map).unwrap();
            document.put(&drop, "title", "Late").unwrap();
            document.put(&drop, "state", "open").unwrap();
        },
        |document| {
            let list = document.put_object(ROOT, "notes", ObjType::List).unwrap();
            document.insert(&list, 0, 1.5_f64).unwrap();
            document.insert(&list, 1, true).unwrap();
            let text = document.put_object(ROOT, "text", ObjType::Text).unwrap();
            document.splice_text(&text, 0, 0, "äö").unwrap();
        },
        |document| {
            document.delete(ROOT, "notes").unwrap();
            document.put(ROOT, "count", automerge::ScalarValue::counter(3)).unwrap();
            document.increment(ROOT, "count", 2).unwrap();
        },
    ];
    for (number, edit) in edits.into_iter().enumerate() {
        edit(&mut document);
        let options = CommitOptions::default().with_time(time + number as i64);
        document.commit_with(if number == 0 { options.with_message(&message) } else { options });
    }
    let contents: Vec<Vec<u8>> = document
        .get_changes(&before)
        .into_iter()
        .map(|change| {
            let raw = change.raw_bytes();
            let head = MAGIC.len() + 4 + 1 + if raw[9] < 0x80 { 1 } else { 2 };
            assert_eq!(chunk(1, &raw[head..]).0, raw);
            raw[head..].to_vec()
        })
        .collect();
    let seed = |changes: &[Vec<u8>]| {
        let mut seed = Vec::new();
        for contents in changes {
            seed.push(1);
            put_counted(contents, &mut seed);
        }
        seed
    };
    (1..=contents.len()).map(|count| seed(&contents[..count])).collect()
}
