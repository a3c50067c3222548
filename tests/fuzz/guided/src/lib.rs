//! What all libFuzzer targets begin with.

use std::path::PathBuf;

/// Where a target writes its seeds instead of fuzzing, if this is set; it then says how many bytes are worth trying.
const SEEDS: &str = "POPMESH_FUZZ_SEEDS";

/// Begins the target of this name.
///
/// Seeds follow from fixed keys, so they are the same each time and need not be kept.
pub fn begin(name: &str) {
    // libFuzzer's own hook ends the process, also where popmesh catches what Automerge may do. A panic that nobody
    // catches ends the process all the same.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let Some(folder) = std::env::var_os(SEEDS).map(PathBuf::from) else { return };
    let target = popmesh_fuzz::target(name);
    for (number, seed) in (target.seeds)().iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:03}")), seed).expect("a seed can be written");
    }
    println!("{}", target.most_bytes);
    std::process::exit(0);
}
