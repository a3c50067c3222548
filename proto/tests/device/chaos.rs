//! Evenings on which everything fails at once: links, messages, disks, power. Each follows from its seed.

use std::collections::BTreeMap;

use popmesh_proto::command::{Claim, Command, Damage, Move, Refusal, Reply, Sell, Transfer, Units};
use popmesh_proto::id::Ref;
use popmesh_proto::io::{CallId, Idempotency};

use crate::event::{mint, night, sell, shirt, units_of};
use crate::world::{Conditions, World};

/// Everything that devices have acknowledged on one evening.
#[derive(Default)]
struct Evening {
    /// Sales under way: by whom, and under which key.
    under_way: BTreeMap<CallId, (usize, Idempotency)>,
    acknowledged: BTreeMap<Ref, Claim>,
    by_key: BTreeMap<[u8; 32], Ref>,
    minted: u32,
    cuts: u64,
    refused: u64,
}

impl Evening {
    fn take_replies(&mut self, world: &mut World) {
        let calls: Vec<CallId> = self.under_way.keys().copied().collect();
        for call in calls {
            let Some(result) = world.replies.remove(&call) else { continue };
            let (_, idempotency) = self.under_way.remove(&call).unwrap();
            match result {
                Ok(Reply::Sale(claim)) => {
                    assert!(self.by_key.insert(idempotency.key, claim.claim).is_none(), "one sale a key");
                    self.acknowledged.insert(claim.claim, claim);
                }
                Ok(other) => panic!("not a sale: {other:?}"),
                Err(refusal) => {
                    self.refused += 1;
                    assert!(
                        matches!(
                            refusal,
                            Refusal::HeldElsewhere { .. }
                                | Refusal::SoldOut { .. }
                                | Refusal::UnknownSku { .. }
                                | Refusal::UnknownDrop { .. }
                                | Refusal::UnknownDevice { .. }
                                | Refusal::DropNotOpen { .. }
                        ),
                        "{refusal:?}"
                    );
                }
            }
        }
        units_of(self.acknowledged.values());
    }

    /// Those whose device lost its power ask again under their key, which is what the key is for.
    fn retry(&mut self, world: &mut World, at: usize) {
        let lost: Vec<_> =
            self.under_way.iter().filter(|(_, (of, _))| *of == at).map(|(call, of)| (*call, of.1)).collect();
        for (call, idempotency) in lost {
            self.under_way.remove(&call);
            match world.nodes[at].stored_reply(&idempotency).map(|stored| stored.reply.clone()) {
                Some(Reply::Sale(claim)) => {
                    self.by_key.insert(idempotency.key, claim.claim);
                    self.acknowledged.insert(claim.claim, claim);
                }
                Some(other) => panic!("not a sale: {other:?}"),
                None => self.sell(world, at, idempotency),
            }
        }
    }

    fn sell(&mut self, world: &mut World, at: usize, idempotency: Idempotency) {
        let mut sale = sell(1 + world.rng.below(3), world.rng.below(3) * 1_000);
        if world.rng.chance(200) {
            let to = world.rng.below(world.nodes.len() as u64) as usize;
            sale = Sell { pickup_at: Some(world.nodes[to].id), drop: Some(night()), ..sale };
        }
        let call = world.command_with(at, Command::Sell(sale), Some(idempotency));
        self.under_way.insert(call, (at, idempotency));
    }

    fn act(&mut self, world: &mut World) {
        let at = world.rng.below(world.nodes.len() as u64) as usize;
        let other = world.rng.below(world.nodes.len() as u64) as usize;
        let powered = world.nodes[at].device.is_some();
        let count = Units::Count(1 + world.rng.below(4));
        let (drop, sku) = (night(), shirt());
        match world.rng.below(100) {
            0..50 if powered => {
                let key = world.rng.bytes();
                self.sell(world, at, Idempotency { key, request: key });
            }
            50..58 if at != other => world.cut(at, other),
            58..72 if at != other => world.link(at, other),
            72..76 => {
                world.power_cut(at);
                self.cuts += 1;
            }
            76..84 if !powered => {
                world.power_on(at);
                self.retry(world, at);
            }
            84..86 => world.stall(at, true),
            86..90 => world.stall(at, false),
            90..92 if powered && world.nodes[at].certificate.name.starts_with("hq") => {
                self.minted += 1;
                let first = 1000 * self.minted;
                world.command(at, Command::LotMint(mint(first, first + 9)));
            }
            92..96 if powered => {
                let to = world.nodes[other].id;
                world.command(at, Command::Transfer(Transfer { drop, sku, units: count, to }));
            }
            96..98 if powered => {
                let place = ["hall", "yard"][world.rng.below(2) as usize].parse().unwrap();
                world.command(at, Command::Move(Move { drop, sku, units: count, place }));
            }
            98..99 if powered => {
                world.command(at, Command::Damage(Damage { drop, sku, units: Units::Count(1) }));
            }
            _ => {}
        }
    }
}

fn evening(seed: u64) -> (World, Evening) {
    let mut world = World::new(seed);
    let mut evening = Evening::default();
    for (name, roles, venue) in [
        ("hq", "hq", "hall"),
        ("hq-2", "hq,pos", "hall"),
        ("till-1", "pos", "hall"),
        ("till-2", "pos", "yard"),
        ("locker", "locker", "yard"),
    ] {
        world.add(name, roles, venue);
    }
    world.link_all();
    world.open_drop(0, 60);
    world.run_ms(100);
    world.conditions = Conditions {
        latency_ms: (1, 1 + world.rng.below(200)),
        write_ms: (1, 1 + world.rng.below(50)),
        lost_per_mille: world.rng.below(300),
        twice_per_mille: world.rng.below(200),
    };
    for _ in 0..60 {
        evening.act(&mut world);
        let pause = world.rng.below(400);
        world.run_ms(pause);
        evening.take_replies(&mut world);
    }
    (world, evening)
}

fn morning(world: &mut World, evening: &mut Evening) {
    world.conditions = Conditions::GOOD;
    for at in 0..world.nodes.len() {
        world.stall(at, false);
        if world.nodes[at].device.is_none() {
            world.power_on(at);
            evening.retry(world, at);
        }
    }
    world.link_all();
    world.run_ms(4_000);
    evening.take_replies(world);
    assert!(evening.under_way.is_empty(), "every command is answered");
    world.converge(10_000);
    world.assert_agreed();
    for at in 0..world.nodes.len() {
        let claims = world.claims(at);
        for claim in evening.acknowledged.values() {
            assert_eq!(claims.get(&claim.claim), Some(claim), "acknowledged, and not on device {at}");
        }
    }
}

fn nights(seeds: std::ops::Range<u64>) {
    let (mut cuts, mut sold, mut refused) = (0, 0, 0);
    for seed in seeds.clone() {
        println!("seed {seed}");
        let (mut world, mut evening) = evening(seed);
        for at in world.powered() {
            world.stall(at, false);
        }
        // In the thick of it, with links down and entries waiting.
        world.assert_sound();
        morning(&mut world, &mut evening);
        cuts += evening.cuts;
        sold += evening.acknowledged.len();
        refused += evening.refused;
    }
    let nights = seeds.count();
    assert!(
        cuts > nights as u64 && sold > nights * 10 && refused > nights as u64 / 4,
        "{cuts} {sold} {refused}"
    );
}

#[test]
fn no_failure_sells_a_unit_twice_or_loses_a_sale() {
    nights(0..60);
}

#[test]
fn nor_on_other_nights() {
    nights(60..120);
}

#[test]
fn one_seed_is_one_history() {
    for seed in 1_000..1_002 {
        let [first, second] = [0, 1].map(|_| {
            let (mut world, mut evening) = evening(seed);
            morning(&mut world, &mut evening);
            world.history()
        });
        assert_eq!(first, second, "seed {seed}");
    }
    assert_ne!(evening(1).0.history(), evening(2).0.history());
}
