//! What libraries log about what strangers send: a few lines a minute of each, and how many more there were.
//!
//! popmesh's own lines are counted where they are made. Those of the libraries below it are not ours, and some of them
//! can be had by anybody who can reach a port: a frame that does not fit, a packet with odd bits. Without a limit they
//! fill the disk. What somebody asks for who looks for a fault, below the level of information, is not limited.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

/// Lines of each library's module in [`MINUTE`].
const LINES_MAX: u32 = 3;

/// Modules that are told apart; the rest share one count.
const TARGETS_MAX: usize = 128;

const MINUTE: Duration = Duration::from_secs(60);

/// Lines that were left out and not told of yet.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Lets few lines of libraries pass.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    since: Option<Instant>,
    by_target: BTreeMap<String, u32>,
}

impl Lines {
    /// Whether a line of a module may pass.
    fn may(&mut self, target: &str, now: Instant) -> bool {
        if self.since.is_none_or(|since| now - since >= MINUTE) {
            self.since = Some(now);
            self.by_target.clear();
        }
        let is_full = self.by_target.len() >= TARGETS_MAX;
        let target = if is_full && !self.by_target.contains_key(target) { "" } else { target };
        let lines = self.by_target.entry(target.to_owned()).or_default();
        *lines = lines.saturating_add(1);
        *lines <= LINES_MAX
    }
}

/// Whether it is popmesh's own, of any of its crates.
fn is_own(target: &str) -> bool {
    let crate_name = target.split("::").next().unwrap_or_default();
    crate_name == "popmesh" || crate_name.starts_with("popmesh_")
}

impl<S: Subscriber> Layer<S> for Quiet {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if is_own(metadata.target()) || *metadata.level() > Level::INFO {
            return true;
        }
        // What comes by way of the crate `log` has one name for all, and its module in a field, which is not looked for.
        let may =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).may(metadata.target(), Instant::now());
        if !may {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        may
    }
}

/// Says once a minute how many lines were left out, if any were. Never ends.
pub(crate) async fn tell() {
    loop {
        tokio::time::sleep(MINUTE).await;
        let lines = LEFT_OUT.swap(0, Ordering::Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "lines of libraries were left out: more than a few a minute of one kind");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn libraries_get_few_lines_and_popmesh_all_of_its_own() {
        let written = Written::default();
        let fmt = tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_writer(written.clone());
        let before = LEFT_OUT.load(Ordering::Relaxed);
        tracing::subscriber::with_default(fmt.finish().with(Quiet::default()), || {
            for _ in 0..100 {
                tracing::warn!(target: "libp2p_yamux", "dropping stream");
                tracing::error!(target: "yamux::connection", "maximum number of streams reached");
                tracing::debug!(target: "yamux::connection", "asked for");
                tracing::warn!(target: "popmesh_ble::host", "own");
                tracing::info!(target: "popmesh::mesh::task", "own");
            }
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let count = |what: &str| text.matches(what).count();
        assert_eq!((count("dropping stream"), count("maximum number"), count("asked for")), (3, 3, 100));
        assert_eq!(count("own"), 200);
        assert_eq!(LEFT_OUT.load(Ordering::Relaxed) - before, 2 * 97);
    }

    #[test]
    fn lines_come_again_and_made_up_names_share_one_count() {
        let now = Instant::now();
        let mut lines = Lines::default();
        assert_eq!((0..10).filter(|_| lines.may("a", now)).count(), LINES_MAX as usize);
        assert!(lines.may("a", now + MINUTE));
        let named = (0..1_000).filter(|number| lines.may(&format!("module {number}"), now + MINUTE)).count();
        assert_eq!(named, TARGETS_MAX - 1 + LINES_MAX as usize);
    }
}
