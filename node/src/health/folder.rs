//! Who else can get at the data folder.

use super::Finding;
use crate::folder::{Folder, FolderError, Survey, survey};

const CHECK: &str = "folder";

/// What is open about the folder, and how to close it.
pub(super) fn findings(folder: &Folder) -> Vec<Finding> {
    let shown = folder.path().display().to_string();
    let Survey { folder: there, mode, open, problems, count, above, modeless } = survey(folder.path());
    let mut findings: Vec<Finding> = problems.iter().map(|problem| broken(CHECK, problem)).collect();
    if let Some(there) = &there {
        let names: Vec<String> = open
            .iter()
            .map(|(path, mode)| {
                format!("{} ({:03o})", path.strip_prefix(there).unwrap_or(path).display(), mode & 0o777)
            })
            .collect();
        let close = format!("close it with `chmod -R go= {shown}`: the next start does, too");
        match mode {
            Some(mode) => {
                let mode = format!("{:03o}", mode & 0o777);
                let files =
                    if names.is_empty() { String::new() } else { format!(", and read {}", few(&names)) };
                let text = format!("others on this host can get into {shown} (mode {mode}){files}");
                let open = Finding::act(CHECK, "folder_open", text, close);
                findings.push(open.with("path", shown.clone()).with("mode", mode).with("files", names));
            }
            None if !names.is_empty() => {
                let text = format!(
                    "{shown} is closed to others, but would leave them {} if it were not",
                    few(&names)
                );
                let open = Finding::look(CHECK, "folder_files_open", text, close);
                findings.push(open.with("path", shown.clone()).with("files", names));
            }
            None if problems.is_empty() => {
                let text = format!("{shown} and {count} files in it are for their owner alone");
                let ok = Finding::ok(CHECK, "folder_ok", text);
                findings.push(ok.with("path", shown.clone()).with("files", count));
            }
            None => {}
        }
    }
    findings.extend(above.iter().map(|(path, why)| {
        let path = path.display().to_string();
        let text =
            format!("whoever may write in {path} can put another folder in the place of this one, and {why}");
        let next = format!("`chmod go-w {path}`, or move the data folder elsewhere");
        Finding::look(CHECK, "folder_above", text, next).with("path", path).with("why", why.to_string())
    }));
    findings.extend(modeless.map(|system| {
        let text = format!(
            "{shown} is on {system}, which keeps no owner and mode of a file: who can read it is what the mount says \
             (umask=077, uid=…)"
        );
        let modeless =
            Finding::look(CHECK, "folder_modeless", text, "better use a disk of Linux's own (ext4)");
        modeless.with("path", shown.clone()).with("system", system.to_string())
    }));
    findings
}

/// A problem with a file of the folder. Its words say what to do after a semicolon.
pub(super) fn broken(check: &str, problem: &FolderError) -> Finding {
    let said = problem.to_string();
    let (text, next) = said.split_once("; ").unwrap_or((&said, "see that file"));
    Finding::act(check, &format!("{check}_problem"), text, next).with("problem", said.clone())
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
