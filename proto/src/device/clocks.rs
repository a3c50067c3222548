//! Wall clocks: what time this device goes by while its own shows a time that cannot be, and what is not done while the
//! clocks in reach disagree.
//!
//! Each presence tells its author's raw wall clock. A device keeps of each peer by how much that is ahead of its own
//! monotonic clock, which nobody sets, so the comparison holds until the next presence, whoever's wall clock jumps.

use super::Device;
use super::budgets::SIGNATURE_US;
use super::presence::Way;
use crate::clock::{Hlc, Now};
use crate::command::{ClockShown, ClocksApart, Refusal};
use crate::document::Document;
use crate::id::DeviceId;
use crate::message::{Mail, Presence};

/// Wall clocks in reach that are further apart than this disagree. What a presence takes on its way is well below.
const APART_MS: u64 = 60_000;
/// A wall clock that is at least so far behind the time of its device's mail is told with it.
const TOLD_FROM_MS: u64 = 1_000;
/// A neighbour whose mail is older by this than the last of its before has a clock that fell back. Mail that was overtaken on
/// its way is not.
const FELL_BACK_MS: u64 = 10_000;

impl Device {
    /// The time that this device goes by, Unix milliseconds: never below what it has durable.
    pub(super) fn time_ms(&self) -> u64 {
        self.clock.time_ms(self.now)
    }

    /// Has the hybrid clock take note of the time of an entry.
    pub(super) fn see_time(&mut self, author: DeviceId, document: &Document, at: Hlc) {
        let own = &self.config.certificate;
        // So it shows a time at which this device did not exist: it says nothing of what is ahead of it.
        let impossible = self.now.wall_ms < own.not_before_ms;
        let is_of_hq = *document == Document::Programme && at.ms() < own.not_after_ms;
        if author == self.me || (impossible && is_of_hq) {
            self.clock.resume(at);
        } else {
            self.clock.observe(at, self.now);
        }
    }

    /// The time of the next mail: later than in any before.
    pub(super) fn mail_time(&mut self) -> Hlc {
        let after = Hlc(self.last_mail.0.saturating_add(1));
        self.last_mail = self.clock.next(self.now).max(after);
        self.last_mail
    }

    /// By how much this device's wall clock is behind a time that it tells; nothing where that makes no difference.
    pub(super) fn is_behind(&self, told: Hlc) -> Option<u64> {
        Some(told.ms().saturating_sub(self.now.wall_ms)).filter(|behind_ms| *behind_ms >= TOLD_FROM_MS)
    }

    /// Compares the wall clock that a presence tells with this device's.
    ///
    /// What somebody passes on may be minutes old. It proves that its author's clock is at least so far ahead, and no more.
    pub(super) fn note_clock(&mut self, neighbour: DeviceId, mail: &Mail, presence: &Presence, way: Way) {
        let theirs_ms = mail.at.ms().saturating_sub(presence.behind_ms.unwrap_or(0));
        let ahead_ms = wall_ahead_of_mono_ms(theirs_ms, self.now);
        let own_ms = wall_ahead_of_mono_ms(self.now.wall_ms, self.now);
        let known = &mut self.peers.get_mut(&mail.from).wall_ahead_of_mono_ms;
        // With a certificate it may be one by which somebody introduces its author.
        let is_old = way == Way::Again || presence.certificate.is_some() || known.is_none();
        let proves = known.unwrap_or(own_ms - APART_MS.cast_signed()) <= ahead_ms;
        if neighbour == mail.from || way == Way::Narrow && presence.certificate.is_none() || !is_old || proves
        {
            *known = Some(ahead_ms);
        }
    }

    /// The two wall clocks in reach, this device's own among them, that are furthest apart, if they disagree.
    pub(super) fn clocks_apart(&self) -> Option<ClocksApart> {
        let others = self.peers.reachable();
        let others = others.filter_map(|(device, peer)| Some((peer.clock_ahead_ms(self.now)?, *device)));
        let all: Vec<(i64, DeviceId)> = others.chain([(0, self.me)]).collect();
        let (least, most) = (all.iter().min()?, all.iter().max()?);
        let apart_ms = most.0.abs_diff(least.0);
        let shown = |(ahead_ms, device): &(i64, DeviceId)| ClockShown {
            device: *device,
            name: self.name_of(device),
            wall_ms: self.now.wall_ms.saturating_add_signed(*ahead_ms),
        };
        (apart_ms > APART_MS).then(|| ClocksApart { apart_ms, behind: shown(least), ahead: shown(most) })
    }

    /// What somebody loses because a time is over is not done while it is in doubt what time it is.
    ///
    /// # Errors
    /// [`Refusal::ClocksDisagree`].
    pub(super) fn check_clocks(&self) -> Result<(), Refusal> {
        self.clocks_apart().map_or(Ok(()), |apart| Err(Refusal::ClocksDisagree(Box::new(apart))))
    }

    /// Mail of a neighbour's that is older than the last that came of it: if its clock fell back while it was off, nobody
    /// listens to it until that time has come. It gets its own last mail back, and goes on from there.
    pub(super) fn show_last_mail(&mut self, neighbour: DeviceId, mail: &Mail) {
        let Some(last) = self.peers.get(&neighbour).and_then(|peer| peer.last_mail.clone()) else { return };
        if mail.from == neighbour && mail.at.ms().saturating_add(FELL_BACK_MS) < last.at.ms() {
            self.send_mail(neighbour, &last);
        }
    }

    /// Mail of this device's own that came back. Mail goes on after it; entries do not, as people read the time in them.
    pub(super) fn own_mail(&mut self, neighbour: DeviceId, mail: &Mail) {
        if mail.at.ms() <= self.last_mail.ms().saturating_add(FELL_BACK_MS) {
            return;
        }
        self.budgets.work(&neighbour, SIGNATURE_US, self.now.mono_ms);
        if mail.verifies(self.gate.signatures(), &self.gate.event()) {
            self.last_mail = mail.at;
            self.publish_presence_soon();
        }
    }
}

/// By how much a wall clock that shows `wall_ms` is ahead of this device's monotonic clock, milliseconds.
pub(super) fn wall_ahead_of_mono_ms(wall_ms: u64, now: Now) -> i64 {
    // Hybrid times have 48 bits, and no clock counts further; the bound keeps sums of what is told from overflowing.
    let signed = |ms: u64| ms.min(1 << 60).cast_signed();
    signed(wall_ms) - signed(now.mono_ms)
}
