//! Programme changes that Automerge itself would stumble over: refused, and the document is none the worse.

use std::num::NonZeroU64;

use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ScalarValue};
use popmesh_proto::command::{Command, ProductAdd, Sell};
use popmesh_proto::document::Document;
use popmesh_proto::id::{ChainId, Hash, Nonce};
use popmesh_proto::identity::{SecretKey, SignedCertificate, armor};
use popmesh_proto::io::Entry;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::Start;

use crate::author::sign;
use crate::event::{claim_of, sell};
use crate::wire::{entries, range};
use crate::world::{EPOCH_MS, VALID_MS, World};

const HQ: usize = 0;
const TILL: usize = 1;
const PEER: usize = 2;

/// An hq by its certificate, who writes changes of the programme as it likes.
struct Cheat {
    secret: SecretKey,
    certificate: SignedCertificate,
    chain: ChainId,
    nonce: Nonce,
    /// Heads of the programme when it begins, and the first operation it may number.
    heads: Vec<ChangeHash>,
    start_op: u64,
}

impl Cheat {
    fn new(world: &mut World, nonce: u8) -> Self {
        let secret = SecretKey::from_seed(&[1; 32]);
        let certificate = world.certify(&secret, "mallory", "hq", "hall", (0, VALID_MS));
        let nonce = Nonce([nonce; 16]);
        let chain = ChainId::derive(&secret.id(), &nonce, "programme");
        let last = world.written(HQ, "programme").pop().unwrap();
        let change = Change::from_bytes(last.body).unwrap();
        let start_op = change.max_op() + 1;
        Self { secret, certificate, chain, nonce, heads: vec![change.hash()], start_op }
    }

    fn actor(&self) -> ActorId {
        ActorId::from(*self.chain.as_bytes())
    }

    fn put(&self, key: &str) -> Op {
        Op {
            action: OpType::Put(ScalarValue::Int(1)),
            obj: ObjectId::Root,
            key: Key::Map(key.into()),
            pred: Vec::new().into(),
            insert: false,
        }
    }

    /// A change with nothing wrong with it: the first of the chain.
    fn first(&self) -> ExpandedChange {
        let document = Document::Programme;
        let certificate = self.certificate.bytes().to_vec();
        let start = Start { document, certificate, nonce: self.nonce, previous: None };
        ExpandedChange {
            operations: vec![self.put("mischief")],
            actor_id: self.actor(),
            hash: None,
            seq: 1,
            start_op: NonZeroU64::new(self.start_op).unwrap(),
            time: (EPOCH_MS / 1000) as i64,
            message: Some(armor("popmesh-start-1", &minicbor::to_vec(&start).unwrap())),
            deps: self.heads.clone(),
            extra_bytes: Vec::new(),
            author: None,
        }
    }

    /// A change with nothing wrong with it: the second, after `first`.
    fn second(&self, first: &Change) -> ExpandedChange {
        ExpandedChange {
            operations: vec![self.put("more mischief")],
            seq: 2,
            start_op: NonZeroU64::new(first.max_op() + 1).unwrap(),
            message: None,
            deps: vec![first.hash()],
            ..self.first()
        }
    }

    fn entry(&self, seq: u64, body: Vec<u8>) -> Entry {
        // The hash of a change as it is, or of what its bytes unpack to.
        let hash = Change::from_bytes(body.clone()).map_or([0; 32], |change| change.hash().0);
        let signature = sign(&self.secret, &self.certificate.event(), &Document::Programme, &Hash(hash));
        Entry { chain: self.chain, seq, body, signature: Some(signature) }
    }
}

fn raw(change: ExpandedChange) -> Vec<u8> {
    Change::from(change).raw_bytes().to_vec()
}

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("peer", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, 10);
    world.converge(5_000);
    world
}

fn still_works(world: World) {
    still_works_with(world, 2);
}

/// A cap is added now; then there are so many products.
fn still_works_with(mut world: World, products: usize) {
    let cap = ProductAdd::of("cap".parse().unwrap(), "Cap", 900);
    world.done(HQ, Command::ProductAdd(cap)).unwrap();
    world.converge(5_000);
    let Answer::Export(files) = world.query(TILL, Query::Export) else { panic!("no export") };
    for (name, bytes) in files {
        assert!(automerge::Automerge::load(&bytes).is_ok(), "{name} loads");
    }
    let Answer::Programme(programme) = world.query(TILL, Query::Programme) else { panic!() };
    assert_eq!(programme.products.len(), products);
    world.power_cut(TILL);
    world.power_on(TILL);
    claim_of(world.done(TILL, Command::Sell(Sell { wait_ms: 5_000, ..sell(1, 0) })));
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn a_change_with_nothing_wrong_is_admitted() {
    let mut world = evening(1);
    let cheat = Cheat::new(&mut world, 1);
    let first = Change::from(cheat.first());
    let second = cheat.second(&first);
    let both = [cheat.entry(1, first.raw_bytes().to_vec()), cheat.entry(2, raw(second))];
    let before = world.status(TILL).entries;
    world.hand(PEER, TILL, entries(vec![range(&both)]));
    assert_eq!(world.faults(TILL), Vec::<&str>::new());
    assert_eq!(world.status(TILL).entries, before + 2);
    still_works(world);
}

#[test]
fn malformed_changes_are_refused() {
    type Spoil = fn(&Cheat, &mut ExpandedChange);
    let spoils: [(&str, Spoil); 12] = [
        ("an unknown object", |cheat, change| {
            change.operations[0].obj = ObjectId::Id(OpId::new(99_999, &cheat.actor()));
        }),
        ("an unknown actor", |_, change| {
            change.operations[0].obj = ObjectId::Id(OpId::new(1, &ActorId::from([9; 16])));
        }),
        ("an unknown predecessor", |cheat, change| {
            change.operations[0].pred = vec![OpId::new(99_999, &cheat.actor())].into();
        }),
        ("a predecessor by an unknown actor", |_, change| {
            change.operations[0].pred = vec![OpId::new(1, &ActorId::from([9; 16]))].into();
        }),
        ("an operation number that is taken", |cheat, change| {
            change.start_op = NonZeroU64::new(cheat.start_op).unwrap();
        }),
        ("a number that is skipped", |_, change| change.seq = 3),
        ("a number that was used", |_, change| change.seq = 1),
        ("another actor", |_, change| change.actor_id = ActorId::from([9; 16])),
        ("no dependency on its own last change", |cheat, change| change.deps = cheat.heads.clone()),
        ("operations near the end of all numbers", |_, change| {
            change.start_op = NonZeroU64::new(u64::from(u32::MAX) - 2).unwrap();
        }),
        ("too many operations", |cheat, change| {
            change.operations = (0..5_000).map(|n| cheat.put(&format!("k{n}"))).collect();
        }),
        ("a time before all time", |_, change| change.time = -1),
    ];
    for (nonce, (what, spoil)) in spoils.into_iter().enumerate() {
        let mut world = evening(2);
        let cheat = Cheat::new(&mut world, nonce as u8);
        let first = Change::from(cheat.first());
        let mut second = cheat.second(&first);
        spoil(&cheat, &mut second);
        world.hand(PEER, TILL, entries(vec![range(&[cheat.entry(1, first.raw_bytes().to_vec())])]));
        assert_eq!(world.faults(TILL).len(), 0, "{what}");
        let before = world.frontier(TILL);
        world.hand(PEER, TILL, entries(vec![range(&[cheat.entry(2, raw(second))])]));
        assert_eq!(world.faults(TILL).len(), 1, "{what}: {:?}", world.faults(TILL));
        assert_eq!(world.frontier(TILL), before, "{what}");
        assert_eq!(world.status(TILL).waiting, 0, "{what}");
        still_works(world);
    }
}

#[test]
fn compressed_damaged_and_foreign_bytes_are_refused() {
    let mut world = evening(3);
    let cheat = Cheat::new(&mut world, 1);
    let mut large = cheat.first();
    large.operations = (0..1_000).map(|n| cheat.put(&format!("key{n}"))).collect();
    let mut large = Change::from(large);
    let compressed = large.bytes().to_vec();
    assert_eq!(compressed[8], 2, "it is a compressed chunk");
    let good = raw(cheat.first());
    let mut flipped = good.clone();
    flipped[60] ^= 1;
    let mut unsummed = good.clone();
    unsummed[5] ^= 1;
    let cut = good[..good.len() - 3].to_vec();
    let doubled = [&good[..], &good[..]].concat();
    let mut without_start = cheat.first();
    without_start.message = None;
    for bytes in [compressed, flipped, unsummed, cut, doubled, raw(without_start)] {
        let before = (world.frontier(TILL), world.faults(TILL).len());
        world.hand(PEER, TILL, entries(vec![range(&[cheat.entry(1, bytes)])]));
        assert_eq!((world.frontier(TILL), world.faults(TILL).len()), (before.0, before.1 + 1));
    }
    still_works(world);
}

#[test]
fn a_change_is_judged_by_what_it_builds_on_alone() {
    // What it edits is an object of a change that it does not depend on: who has that might take it in, nobody else.
    type Spoil = fn(ObjectId, OpId, &mut ExpandedChange);
    let spoils: [(&str, Spoil); 3] = [
        ("an object of a change that it does not build on", |object, _, change| {
            change.operations[0].obj = object
        }),
        ("a predecessor in a change that it does not build on", |_, op, change| {
            change.operations[0].pred = vec![op].into();
        }),
        ("both", |object, op, change| {
            change.operations[0].obj = object;
            change.operations[0].pred = vec![op].into();
        }),
    ];
    for (nonce, (what, spoil)) in spoils.into_iter().enumerate() {
        let mut world = evening(4);
        let cheat = Cheat::new(&mut world, nonce as u8);
        world.isolate(PEER);
        let hat = ProductAdd::of("hat".parse().unwrap(), "Hat", 900);
        world.done(HQ, Command::ProductAdd(hat)).unwrap();
        world.run_ms(5_000);
        let beside = Change::from_bytes(world.written(HQ, "programme").pop().unwrap().body).unwrap();
        let actor = beside.actor_id().clone();
        let (object, name) = (OpId::new(beside.start_op().get(), &actor), OpId::new(beside.max_op(), &actor));
        let mut change = cheat.first();
        change.start_op = NonZeroU64::new(beside.max_op() + 1).unwrap();
        spoil(ObjectId::Id(object), name, &mut change);
        let entry = cheat.entry(1, raw(change));
        for at in [TILL, PEER] {
            let before = world.frontier(at);
            world.hand(HQ, at, entries(vec![range(std::slice::from_ref(&entry))]));
            assert_eq!(world.faults(at).len(), 1, "{what}, at {at}: {:?}", world.faults(at));
            assert_eq!(world.frontier(at), before, "{what}, at {at}");
        }
        world.link(PEER, HQ);
        world.link(PEER, TILL);
        still_works_with(world, 3);
    }
}

#[test]
fn a_change_made_beside_others_is_admitted() {
    let mut world = evening(5);
    let cheat = Cheat::new(&mut world, 1);
    let hat = ProductAdd::of("hat".parse().unwrap(), "Hat", 900);
    world.done(HQ, Command::ProductAdd(hat)).unwrap();
    world.converge(5_000);
    let before = world.status(TILL).entries;
    let entry = cheat.entry(1, raw(cheat.first()));
    world.hand(PEER, TILL, entries(vec![range(&[entry])]));
    assert_eq!(world.faults(TILL), Vec::<&str>::new());
    assert_eq!(world.status(TILL).entries, before + 1);
    still_works_with(world, 3);
}
