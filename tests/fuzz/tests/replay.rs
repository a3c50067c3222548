//! What scripts/fuzz runs for hours, for a moment: all seeds, and some altered ones, the same each time.

use popmesh_fuzz::{Alter, target};

fn replay(name: &str, altered: usize) {
    let target = target(name);
    let seeds = (target.seeds)();
    assert!(seeds.len() > 3, "{name} has too little to begin with: {}", seeds.len());
    let bytes: usize = seeds.iter().map(Vec::len).sum();
    assert!(bytes < 500_000, "{name} has {bytes} bytes of seeds");
    for seed in &seeds {
        assert!(seed.len() <= target.most_bytes, "{name} has a seed of {} bytes", seed.len());
        (target.run)(seed);
    }
    (target.run)(&[]);
    let mut alter = Alter::new(0x706f_706d_6573_6821);
    for _ in 0..altered {
        (target.run)(&alter.any(&seeds, target.most_bytes));
    }
}

#[test]
fn records_of_an_admitted_device() {
    replay("record", 150);
}

#[test]
fn what_cheats_make_up() {
    replay("cheat", 150);
}

#[test]
fn what_peers_tell_a_device() {
    replay("device", 500);
}

#[test]
fn changes_of_the_programme() {
    replay("programme", 200);
}

#[test]
fn messages() {
    replay("message", 20_000);
}

#[test]
fn bundles() {
    replay("bundle", 20_000);
}

#[test]
fn tokens() {
    replay("token", 500);
}

#[test]
fn papers() {
    replay("papers", 1_000);
}

#[test]
fn bodies_of_the_api() {
    replay("command", 500);
}

#[cfg(feature = "node")]
#[test]
fn what_is_announced() {
    replay("announcement", 5_000);
}

#[cfg(feature = "node")]
#[test]
fn what_is_said_at_the_gate() {
    replay("hello", 20_000);
}

#[cfg(feature = "node")]
#[test]
fn connections_of_the_api() {
    replay("http", 500);
}

#[cfg(feature = "node")]
#[test]
fn frames_of_joining() {
    replay("join", 500);
}

#[cfg(feature = "node")]
#[test]
fn what_people_carry_to_join() {
    replay("ticket", 20_000);
}

#[cfg(feature = "scenario")]
#[test]
fn scenario_files() {
    replay("scenario", 500);
}
