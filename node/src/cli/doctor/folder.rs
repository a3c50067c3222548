//! Who else can get at the data folder.

use super::{Finding, fail, ok, warn};
use crate::folder::{Folder, Survey, survey};

/// What is open about the folder, and how to close it.
pub(super) fn findings(folder: &Folder) -> Vec<Finding> {
    let shown = folder.path().display();
    let Survey { folder: there, mode, open, problems, count, above, modeless } = survey(folder.path());
    let mut findings: Vec<Finding> =
        problems.iter().map(|problem| fail("folder", problem.to_string())).collect();
    if let Some(there) = &there {
        let names: Vec<String> = open
            .iter()
            .map(|(path, mode)| {
                format!("{} ({:03o})", path.strip_prefix(there).unwrap_or(path).display(), mode & 0o777)
            })
            .collect();
        match mode {
            Some(mode) => {
                let files = if names.is_empty() { String::new() } else { format!(", and read {}", few(&names)) };
                findings.push(fail(
                    "folder",
                    format!(
                        "others on this host can get into {shown} (mode {:03o}){files}; close it with `chmod -R go= {shown}`: \
                         the next start does, too",
                        mode & 0o777
                    ),
                ));
            }
            None if !names.is_empty() => findings.push(warn(
                "folder",
                format!(
                    "{shown} is closed to others, but would leave them {} if it were not; run `chmod -R go= {shown}`: the \
                     next start does, too",
                    few(&names)
                ),
            )),
            None if problems.is_empty() => {
                findings.push(ok("folder", format!("{shown} and {count} files in it are for their owner alone")));
            }
            None => {}
        }
    }
    findings.extend(above.iter().map(|(path, why)| {
        let path = path.display();
        warn(
            "folder",
            format!(
                "whoever may write in {path} can put another folder in the place of this one, and {why}; `chmod go-w {path}`, \
                 or move the data folder elsewhere"
            ),
        )
    }));
    findings.extend(modeless.map(|system| {
        warn(
            "folder",
            format!(
                "{shown} is on {system}, which keeps no owner and mode of a file: who can read it is what the mount says \
                 (umask=077, uid=…); better use a disk of Linux's own (ext4)"
            ),
        )
    }));
    findings
}

/// A few names, and how many more.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
