//! Lets a child process enter a network namespace between fork and exec.
#![allow(unsafe_code, reason = "`pre_exec` is the only way in that leaves the pid to the program")]

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use rustix::fd::{AsFd, OwnedFd};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub(super) fn on_spawn(command: &mut Command, namespace: Arc<OwnedFd>) {
    let enter = move || Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?);
    // SAFETY: between fork and exec only async-signal-safe work is allowed. The closure makes one system
    // call, `setns`, and turns its error number into an `io::Error` without allocating or locking. The
    // descriptor it uses is owned by the closure, so it is open for as long as the command exists.
    unsafe { command.pre_exec(enter) };
}
