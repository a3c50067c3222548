//! `popmesh status --watch`: the status again each second, and whenever something happens.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use popmesh_proto::query::Status;

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::show;

const EVERY: Duration = Duration::from_secs(1);
/// A rush of sales must not make the screen flicker, nor the node answer nothing but us.
const AT_MOST_EVERY: Duration = Duration::from_millis(200);

pub(super) fn watch(client: Client, json: bool) -> Outcome {
    let client = Arc::new(client);
    let (happened, happenings) = sync_channel(1);
    let listener = Arc::clone(&client);
    thread::spawn(move || listen(&listener, &happened));
    let clear = !json && std::io::stdout().is_terminal();
    loop {
        let drawn = Instant::now();
        match client.get::<Status>("/v1/status", &[]) {
            Ok(status) => draw(&status, json, clear)?,
            // A busy node is watched on; one that is gone is not.
            Err(Failure::Problem(problem)) if problem.retry_after_s.is_some() => {}
            Err(failure) => return Err(failure),
        }
        await_change(&happenings, drawn);
    }
}

fn listen(client: &Client, happened: &SyncSender<()>) {
    // Without the stream the status is still shown each second. A full channel says already that something happened.
    let _ = client.events(|_| {
        let _ = happened.try_send(());
    });
}

fn await_change(happenings: &Receiver<()>, drawn: Instant) {
    match happenings.recv_timeout(EVERY) {
        Ok(()) => thread::sleep(AT_MOST_EVERY.saturating_sub(drawn.elapsed())),
        Err(RecvTimeoutError::Timeout) => {}
        Err(RecvTimeoutError::Disconnected) => thread::sleep(EVERY.saturating_sub(drawn.elapsed())),
    }
}

fn draw(status: &Status, json: bool, clear: bool) -> Outcome {
    let text = if json {
        serde_json::to_string(status).map_err(|error| Failure::here(error.to_string()))?
    } else {
        show::describe(status)
    };
    let before = if clear { "\u{1b}[H\u{1b}[2J" } else { "" };
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{before}{text}").and_then(|()| out.flush());
    // Whoever reads us has gone: that is how a pipe ends, not a failure.
    written.map_err(|_| Failure::Told)
}
