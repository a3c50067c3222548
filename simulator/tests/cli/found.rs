//! A soak that finds something: what it prints can be run, and leads to the same place.

use super::{popmesh_sim, said};

/// The lines that a person would copy into a shell.
fn replay_lines(out: &str) -> Vec<&str> {
    out.lines().filter_map(|line| line.trim().strip_prefix("popmesh-sim ")).collect()
}

#[test]
fn what_is_found_is_found_again_by_the_line_that_is_printed_and_by_the_smallest_night() {
    let folder = tempfile::tempdir().unwrap();
    let soak = popmesh_sim("soak --mix default --seeds 12 --jobs 2 --planted KeepOldLife --keep")
        .arg(folder.path())
        .output()
        .unwrap();
    let (out, err) = said(&soak);
    assert_eq!(soak.status.code(), Some(1), "{out}{err}");
    let broken = out.lines().find(|line| line.starts_with("BROKEN seed ")).unwrap();
    assert!(broken.contains(": I3 at step "), "{broken}");
    let step = broken.split(" at step ").nth(1).unwrap().split(':').next().unwrap();

    let [whole, smallest] = replay_lines(&out)[..] else { panic!("{out}") };
    let again = popmesh_sim(whole).output().unwrap();
    let (said_again, _) = said(&again);
    assert_eq!(again.status.code(), Some(1), "{said_again}");
    assert!(said_again.contains(&format!("BROKEN at step {step}: I3 ")), "{said_again}");

    let small = popmesh_sim(smallest).output().unwrap();
    let (small_said, small_err) = said(&small);
    assert_eq!(small.status.code(), Some(1), "{small_said}{small_err}");
    assert!(small_said.lines().last().unwrap().contains(": I3 "), "{small_said}");
    assert!(small_said.lines().count() > 100, "no trace");
}

#[test]
fn a_bug_that_there_is_not_is_told_with_those_that_there_are() {
    super::is_refused("soak --planted KeepOldlife", 2, &["KeepOldlife", "KeepOldLife", "LyingDisk"]);
}
