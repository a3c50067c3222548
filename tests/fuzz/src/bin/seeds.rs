//! Writes the seeds of all targets into a folder, one file each, and says of each target how many bytes are worth trying
//! and how many seeds there are: `popmesh-fuzz-seeds FOLDER`.
//!
//! They follow from fixed keys, so they are the same each time and need not be kept.
#![allow(clippy::expect_used, reason = "a script's helper that cannot go on says why and ends")]

use std::path::PathBuf;

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("a folder to write the seeds to"));
    for target in popmesh_fuzz::TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let seeds = (target.seeds)();
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:03}")), seed).expect("a seed can be written");
        }
        println!("{} {} {}", target.name, target.most_bytes, seeds.len());
    }
}
