//! How much room is left on the disk of the data folder.

use rustix::fs::statvfs;

use super::Finding;
use crate::folder::Folder;

const CHECK: &str = "disk";
/// Room for some night's sales, with the copies that the store makes of its files: below it somebody looks, bytes.
const LOW: u64 = 500_000_000;
/// Below it the disk may be full before the night is over, bytes.
const SCARCE: u64 = 50_000_000;

/// What is free; nothing where the folder is not there, which others say.
pub(super) fn finding(folder: &Folder) -> Option<Finding> {
    let disk = statvfs(folder.path()).ok()?;
    // What root keeps for itself is no room for others.
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    Some(of_room(free).with("path", folder.path().display().to_string()).with("free_mb", free / 1_000_000))
}

fn of_room(free: u64) -> Finding {
    let room = format!("{} MB free on the disk of the data folder", free / 1_000_000);
    let next = "make room on it: what cannot be written down is not sold";
    match free {
        LOW.. => Finding::ok(CHECK, "disk_ok", room),
        SCARCE.. => Finding::look(CHECK, "disk_low", format!("only {room}"), next),
        _ => Finding::act(CHECK, "disk_scarce", format!("only {room}"), next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Severity;

    #[test]
    fn little_room_is_looked_at_and_hardly_any_is_acted_on() {
        for (free, severity) in [
            (LOW, Severity::Ok),
            (LOW - 1, Severity::Look),
            (SCARCE, Severity::Look),
            (SCARCE - 1, Severity::Act),
            (0, Severity::Act),
        ] {
            assert_eq!(of_room(free).severity, severity, "{free}");
        }
    }
}
