//! Somebody wants a long soak to stop.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::popmesh_sim;

/// The processes that a process has started.
fn children(process: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    list.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

fn stops(signal: &str) {
    let mut soak = popmesh_sim("soak --seeds 100000 --jobs 2")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut workers = children(soak.id());
    while workers.len() < 2 {
        assert_eq!(soak.try_wait().unwrap(), None, "it ended by itself");
        std::thread::yield_now();
        workers = children(soak.id());
    }
    // To it alone: at a terminal its workers would hear it, too.
    let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", soak.id())]).status().unwrap();
    assert!(kill.success());
    let output = soak.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(output.stdout, b"");
    assert_eq!(output.stderr, b"cancelled\n");
    for worker in workers {
        assert!(!Path::new(&format!("/proc/{worker}")).exists(), "worker {worker} is left");
    }
}

#[test]
fn an_interrupt_stops_a_soak_and_all_its_workers() {
    stops("INT");
}

#[test]
fn a_kind_kill_does_so_too() {
    stops("TERM");
}
