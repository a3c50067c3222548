//! Shoppers who leave an address: it happens in drawn nights, survives them on every device, and is gone where it was to be
//! erased. The promises themselves are checked in every night.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use popmesh_simulator::mix;
use popmesh_simulator::night::PeopleNumbers;
use popmesh_simulator::world::{Options, run};

#[test]
fn addresses_are_taken_and_erased_in_drawn_nights() {
    let mut all = PeopleNumbers::default();
    for seed in 1..=12 {
        let ended = run(&mix::draw("default", seed).unwrap(), seed, Options::default()).unwrap();
        assert!(ended.breach.is_none(), "seed {seed}: {:?}", ended.breach);
        let people = ended.night.numbers.people;
        all.taken += people.taken;
        all.erased += people.erased;
        all.kept += people.kept;
    }
    println!("{all:?}");
    assert!(all.taken > 30 && all.erased > 5 && all.kept > 20, "{all:?}");
}
