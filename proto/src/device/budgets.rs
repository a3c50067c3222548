//! What a peer may have this device do, and an author may have it keep: so that one that is admitted, and hostile, cannot
//! starve the rest.
//!
//! Work is reckoned, not measured, so that the same inputs cost the same everywhere: in microseconds of an ordinary
//! machine, about. Whoever overruns is dropped unread and asked again later; as everything that is sent may be lost
//! anyway, and comes again by sync, an honest peer is only slowed down. The terms are far above what an honest one
//! needs: a catch-up of 100,000 entries is some one second of work, 15 MB served, and 37 MB of what their authors may
//! write.

use std::collections::BTreeMap;

use super::Device;
use crate::budget::{Bucket, Penalty, Terms};
use crate::fact::Signal;
use crate::id::DeviceId;
use crate::identity::MAX_ISSUERS;
use crate::io::Output;
use crate::log::{Admitted, Fault, Linked, Range};

/// Work that a peer may cause: reading, checking signatures, taking entries in; in microseconds.
const WORK: Terms = Terms { burst: 2_000_000, per_second: 250_000 };
/// Work on one message at once. What is left of the message after it is asked for again, so that nothing else waits long.
const WORK_OF_MESSAGE_US: u64 = 150_000;
/// Entries that a peer may be sent, in bytes of bodies: packing takes time.
const SERVED: Terms = Terms { burst: 32 << 20, per_second: 4 << 20 };
/// What an author's entries may take, in bytes of memory. No entry is refused for it: those beyond it come later.
const WRITTEN: Terms = Terms { burst: 64 << 20, per_second: 256 << 10 };
/// Thousandths of proven wrongs that a peer may do before it is cut off.
const WRONGS: Terms = Terms { burst: 8_000, per_second: 100 };
const A_WRONG: u64 = 1_000;

/// Peers whose faults are remembered at most, those aside that are cut off.
const FAULTY_KEPT: usize = 1_024;

/// An overrun is told of once in so long.
const TELL_EVERY_MS: u64 = 60_000;

/// Any message, for taking it up.
pub(super) const MESSAGE_US: u64 = 10;
/// One signature checked.
pub(super) const SIGNATURE_US: u64 = 35;
/// Answering a request for units, a cart or a claim, which may write.
pub(super) const REQUEST_US: u64 = 1_000;
/// One head of a frontier.
const HEAD_US: u64 = 1;
/// One entry taken in, stored and shown.
const ENTRY_US: u64 = 10;
/// A kilobyte, read and hashed.
const KILOBYTE_US: u64 = 4;
/// A change of the programme, which is tried on a copy.
const EDIT_US: u64 = 1_000;
/// A range that does not fit here: nothing of it is looked at.
const GAP_US: u64 = 5;
/// What is refused is dear: no honest peer sends much of it.
const REFUSED_US: u64 = 10_000;

/// What an entry takes beside its body: its hash, its offsets, and what views keep of it.
const ENTRY_BYTES: u64 = 256;
/// What a chain takes, not least in every frontier.
const CHAIN_BYTES: u64 = 64 << 10;
/// So many chains of one author that have not ended are as cheap: no honest device has a tenth, one for each document and loss of
/// its disk.
const LIVING: u64 = 1_024;
/// What one more takes: one in 16 s then comes in.
const LIVING_BYTES: u64 = 4 << 20;

#[derive(Debug)]
struct Peer {
    work: Bucket,
    served: Bucket,
    wrongs: Bucket,
    cut_off: Penalty,
    told_at_ms: Option<u64>,
    /// Messages dropped unread since the start.
    unread: u64,
    /// Wrongs since the start.
    faults: u64,
}

impl Peer {
    fn new(now_ms: u64) -> Self {
        Self {
            work: Bucket::full(WORK, now_ms),
            served: Bucket::full(SERVED, now_ms),
            wrongs: Bucket::full(WRONGS, now_ms),
            cut_off: Penalty::default(),
            told_at_ms: None,
            unread: 0,
            faults: 0,
        }
    }
}

impl Peer {
    /// Whether what it did last still counts.
    fn is_busy(&mut self, now_ms: u64) -> bool {
        let told = self.told_at_ms.is_some_and(|at| now_ms < at + TELL_EVERY_MS);
        let full = |bucket: &mut Bucket| bucket.is_full(now_ms);
        let rested = full(&mut self.work) && full(&mut self.served) && full(&mut self.wrongs);
        told || !rested || !self.cut_off.is_forgotten(now_ms)
    }
}

/// How a peer keeps to its budgets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Conduct {
    pub(super) unread: u64,
    pub(super) faults: u64,
    pub(super) cut_off_for_ms: Option<u64>,
}

/// The budgets of peers and of authors, linked or not: who comes back goes on with what is left. Those that say no more than
/// new ones are forgotten, so that only who was busy in the last minutes takes room, and who has done wrong.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    peers: BTreeMap<DeviceId, Peer>,
    authors: BTreeMap<DeviceId, Bucket>,
    /// Messages dropped unread of peers that are forgotten.
    forgotten_unread: u64,
}

impl Budgets {
    fn peer(&mut self, peer: &DeviceId, now_ms: u64) -> &mut Peer {
        self.peers.entry(*peer).or_insert_with(|| Peer::new(now_ms))
    }

    /// Has a peer pay for work.
    pub(super) fn work(&mut self, peer: &DeviceId, cost_us: u64, now_ms: u64) {
        self.peer(peer, now_ms).work.draw(cost_us, now_ms);
    }

    /// Whether a peer may cause more work.
    pub(super) fn may_work(&mut self, peer: &DeviceId, now_ms: u64) -> bool {
        self.peer(peer, now_ms).work.has_any(now_ms)
    }

    /// How many bytes of entries a peer may be sent now.
    pub(super) fn may_get(&mut self, peer: &DeviceId, now_ms: u64) -> usize {
        usize::try_from(self.peer(peer, now_ms).served.left(now_ms)).unwrap_or(usize::MAX)
    }

    /// A peer is sent so many bytes of entries.
    pub(super) fn served(&mut self, peer: &DeviceId, bytes: usize, now_ms: u64) {
        self.peer(peer, now_ms).served.draw(bytes as u64, now_ms);
    }

    /// Whether more of an author's entries may be taken in.
    pub(super) fn may_write(&mut self, author: &DeviceId, now_ms: u64) -> bool {
        self.authors.get_mut(author).is_none_or(|bucket| bucket.has_any(now_ms))
    }

    /// An entry of an author's is kept.
    ///
    /// `begins`: it begins a chain, with which its author has so many that have not ended.
    pub(super) fn written(&mut self, author: &DeviceId, bytes: usize, begins: Option<u64>, now_ms: u64) {
        let of_chain = begins.map_or(0, |living| if living > LIVING { LIVING_BYTES } else { CHAIN_BYTES });
        let cost = bytes as u64 + ENTRY_BYTES + of_chain;
        self.authors.entry(*author).or_insert_with(|| Bucket::full(WRITTEN, now_ms)).draw(cost, now_ms);
    }

    pub(super) fn conduct(&self, peer: &DeviceId, now_ms: u64) -> Conduct {
        self.peers.get(peer).map_or_else(Conduct::default, |peer| Conduct {
            unread: peer.unread,
            faults: peer.faults,
            cut_off_for_ms: peer.cut_off.left_ms(now_ms),
        })
    }

    /// Messages dropped unread since the start.
    pub(super) fn unread(&self) -> u64 {
        self.forgotten_unread + self.peers.values().map(|peer| peer.unread).sum::<u64>()
    }

    /// Forgets what says nothing.
    pub(super) fn tidy(&mut self, now_ms: u64) {
        self.authors.retain(|_, written| !written.is_full(now_ms));
        self.peers.retain(|_, peer| peer.is_busy(now_ms) || peer.unread + peer.faults > 0);
        if self.peers.len() > FAULTY_KEPT {
            let forgotten = &mut self.forgotten_unread;
            self.peers.retain(|_, peer| {
                let kept = peer.is_busy(now_ms);
                *forgotten += if kept { 0 } else { peer.unread };
                kept
            });
        }
    }

    /// How many peers and authors are remembered.
    #[cfg(test)]
    fn len(&self) -> (usize, usize) {
        (self.peers.len(), self.authors.len())
    }

    /// Peers that are cut off.
    pub(super) fn cut_off(&self, now_ms: u64) -> u64 {
        self.peers.values().filter(|peer| peer.cut_off.left_ms(now_ms).is_some()).count() as u64
    }
}

/// What it cost to look at a range: `known` bytes of it are here already and were compared, and of the rest came new
/// entries, or a fault.
pub(super) fn cost_of(range: &Range, known: usize, new: Result<&[Linked], &Fault>) -> u64 {
    let sent = range.bodies.travel_as();
    let (unpacked, done) = match new {
        Err(Fault::Gap { .. }) => return GAP_US,
        Err(_) => (known, REFUSED_US),
        Ok(new) => {
            let edits =
                new.iter().filter(|linked| matches!(linked.content, Admitted::Edit(_))).count() as u64;
            let renewals = new.iter().filter(|linked| linked.renews()).count() as u64;
            let bytes = new.iter().map(|linked| linked.body.len()).sum::<usize>();
            let signatures = renewals * (1 + MAX_ISSUERS as u64);
            let entries = EDIT_US * edits + ENTRY_US * (new.len() as u64 - edits);
            (known + bytes, entries + SIGNATURE_US * signatures)
        }
    };
    let kilobytes = (sent + unpacked).div_ceil(1_024) as u64;
    let compared = range.bodies.len().min(WORK_OF_MESSAGE_US);
    KILOBYTE_US * kilobytes + SIGNATURE_US * range.signatures.len() as u64 + compared + done
}

/// What it costs to look at a frontier.
pub(super) fn cost_of_frontier(heads: usize) -> u64 {
    MESSAGE_US + HEAD_US * heads as u64
}

/// Whether so much work is enough for one message.
pub(super) fn is_enough(work_us: u64) -> bool {
    work_us >= WORK_OF_MESSAGE_US
}

impl Device {
    /// Whether what a peer sends is looked at now. If not, it is dropped unread, and the peer is asked later.
    pub(super) fn listens_to(&mut self, peer: DeviceId, bytes: usize) -> bool {
        let now = self.now.mono_ms;
        let budget = self.budgets.peer(&peer, now);
        if budget.cut_off.left_ms(now).is_some() {
            budget.unread += 1;
            return false;
        }
        if budget.work.take(MESSAGE_US + KILOBYTE_US * (bytes as u64 / 1_024), now) {
            return true;
        }
        budget.unread += 1;
        let ready_at_ms = budget.work.ready_at_ms(now);
        let tells = budget.told_at_ms.is_none_or(|at| now >= at + TELL_EVERY_MS);
        if tells {
            budget.told_at_ms = Some(now);
        }
        self.sync.owe(&peer, ready_at_ms);
        if tells {
            let text = "it sends more than this device takes in: what is over is dropped, and fetched later";
            let (name, text) = (self.name_of(&peer), text.to_owned());
            self.outbox.emit_now(Output::Signal(Signal::PeerFault { device: peer, name, text }));
        }
        false
    }

    /// Notes that a peer sent something wrong that can be nobody's doing but its own. One that goes on is cut off.
    pub(super) fn wrong(&mut self, peer: DeviceId, text: String) {
        self.fault(peer, text);
        let now = self.now.mono_ms;
        let budget = self.budgets.peer(&peer, now);
        budget.faults += 1;
        budget.work.draw(REFUSED_US, now);
        budget.wrongs.draw(A_WRONG, now);
        if budget.wrongs.has_any(now) || budget.cut_off.left_ms(now).is_some() {
            return;
        }
        let for_ms = budget.cut_off.begin(now);
        budget.wrongs = Bucket::full(WRONGS, now);
        self.sync.owe(&peer, now + for_ms);
        let name = self.name_of(&peer);
        self.outbox.emit_now(Output::Signal(Signal::CutOff { device: peer, name, for_ms }));
        self.outbox.emit_now(Output::CutOff { peer, for_ms });
    }

    /// Has the runtime cut off a peer again that came back too early.
    pub(super) fn cut_off_again(&mut self, peer: DeviceId) {
        let now = self.now.mono_ms;
        if let Some(for_ms) = self.budgets.conduct(&peer, now).cut_off_for_ms {
            self.outbox.emit_now(Output::CutOff { peer, for_ms });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    fn device(number: u32) -> DeviceId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        DeviceId(id)
    }

    #[test]
    fn who_has_rested_is_forgotten_and_who_has_not_is_not() {
        let mut budgets = Budgets::default();
        for number in 0..5_000 {
            let at_ms = u64::from(number) * 1_000;
            budgets.work(&device(number), 5_000, at_ms);
            budgets.written(&device(number), 1_000, Some(1), at_ms);
            budgets.tidy(at_ms);
            let (peers, authors) = budgets.len();
            assert!(peers <= 2 && authors <= 2, "{peers} {authors}");
        }
        let now = 5_000_000;
        let busy = device(7);
        budgets.work(&busy, 10_000_000, now);
        budgets.written(&busy, 200 << 20, None, now);
        budgets.tidy(now + 1_000);
        assert!(!budgets.may_work(&busy, now + 1_000) && !budgets.may_write(&busy, now + 1_000));
        budgets.tidy(now + 20 * MINUTE_MS);
        assert_eq!(budgets.len(), (0, 0));
    }

    #[test]
    fn faults_are_remembered_of_so_many_and_of_everybody_who_is_cut_off() {
        let mut budgets = Budgets::default();
        let cut_off = device(0);
        budgets.peer(&cut_off, 0).cut_off.begin(0);
        for number in 1..3 * FAULTY_KEPT as u32 {
            budgets.peer(&device(number), 0).unread += 1;
            budgets.peer(&device(number), 0).faults += 1;
            budgets.tidy(1_000);
            assert!(budgets.len().0 <= FAULTY_KEPT + 1);
        }
        assert_eq!(budgets.unread(), 3 * FAULTY_KEPT as u64 - 1);
        assert_eq!(budgets.conduct(&cut_off, 1_000).cut_off_for_ms, Some(Penalty::FIRST_MS - 1_000));
        // The next time it is longer, until that is long ago.
        budgets.tidy(30 * MINUTE_MS);
        assert_eq!(
            budgets.peer(&cut_off, 30 * MINUTE_MS).cut_off.begin(30 * MINUTE_MS),
            2 * Penalty::FIRST_MS
        );
        budgets.tidy(200 * MINUTE_MS);
        assert_eq!(budgets.conduct(&cut_off, 200 * MINUTE_MS), Conduct::default());
    }
}
