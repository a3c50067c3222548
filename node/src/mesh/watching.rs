//! Whether the other end of a link over the network is there. No clock and no network of its own.
//!
//! Everything that comes over a link says so. Where nothing does, the other end is asked, with a word of a byte, which it
//! answers with another: every one and a half to three seconds on the few links that this device looks after most ([`links::watched`]),
//! seldom on the others, and at once where there is reason to doubt. So the dead are found soon, and idle links are quiet: a
//! question and its answer take some 270 bytes of the air.
//!
//! [`links::watched`]: popmesh_proto::links::watched

use std::time::Duration;

use tokio::time::Instant;

/// The question, that of one who looks after the link most and asks again soon, and the answer.
pub(crate) const ASK: &[u8] = b"?";
pub(crate) const ASK_OFTEN: &[u8] = b"o";
pub(crate) const ANSWER: &[u8] = b"!";

/// How often a watched link is asked at the least and at the most, and by how much less often for each device known: all
/// devices of a venue share its air.
const WATCHED_EVERY: (Duration, Duration) = (Duration::from_millis(1_500), Duration::from_millis(3_000));
const WATCHED_EVERY_EACH: Duration = Duration::from_millis(130);

/// So much later does the end with the higher key ask: the question of the other says the same.
const HIGHER_KEY_WAITS: Duration = Duration::from_millis(700);

/// How often any other link is asked.
const OTHERS_EVERY: Duration = Duration::from_secs(60);

/// Something was sent and nothing has come since: the link is asked after this.
const SENT_WAITS: Duration = Duration::from_secs(2);

/// No answer for so long, and the link is given up; sooner, where there was reason to doubt.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
const ANSWER_WITHIN_IF_DOUBTED: Duration = Duration::from_secs(2);

/// So many looks at least lie between a question and giving up: a machine that stood still takes nobody for dead.
const LOOKS_LEAST: u32 = 15;

/// What to do about a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    /// Send this question.
    Ask(&'static [u8]),
    GiveUp,
}

/// How often watched links are asked, among so many devices.
pub(crate) fn watched_every(devices: usize) -> Duration {
    let devices = u32::try_from(devices).unwrap_or(u32::MAX);
    WATCHED_EVERY_EACH.saturating_mul(devices).clamp(WATCHED_EVERY.0, WATCHED_EVERY.1)
}

/// What is known of a link's other end.
#[derive(Debug)]
pub(crate) struct Watch {
    heard: Instant,
    /// The first message since then.
    sent: Option<Instant>,
    /// The first question since then, and how often was looked after it.
    asked: Option<(Instant, u32)>,
    /// When the last question went that has no answer.
    question: Option<Instant>,
    doubted: bool,
    /// It has not been asked yet.
    is_new: bool,
    /// The other end looks after the link, and asks again by then.
    asks_until: Option<Instant>,
}

impl Watch {
    /// A link that has just come up, which is asked at once: so its round trip is known.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            heard: now,
            sent: None,
            asked: None,
            question: None,
            doubted: false,
            is_new: true,
            asks_until: None,
        }
    }

    /// Something came.
    pub(crate) fn heard(&mut self, now: Instant) {
        (self.heard, self.sent, self.asked, self.doubted) = (now, None, None, false);
    }

    /// Something was sent.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.sent.get_or_insert(now);
    }

    /// There is reason to doubt that the other end is there.
    pub(crate) fn doubt(&mut self) {
        self.doubted = true;
    }

    /// The other end asks, and will again soon: if it does not, it is asked. A question of another kind gives no reason to, or
    /// two would go on asking each other.
    pub(crate) fn was_asked_often(&mut self, now: Instant, every: Duration) {
        self.asks_until = Some(now + 4 * every);
    }

    /// The other end answers: how long that took.
    pub(crate) fn answered(&mut self, now: Instant) -> Option<Duration> {
        self.question.take().map(|asked| now - asked)
    }

    /// Looks at a link: `watched` if this device looks after it most, every so often; `lower` if its key is the lower one.
    pub(crate) fn look(&mut self, watched: bool, lower: bool, every: Duration, now: Instant) -> Step {
        if let Some((at, looks)) = &mut self.asked {
            *looks += 1;
            let within = if self.doubted { ANSWER_WITHIN_IF_DOUBTED } else { ANSWER_WITHIN };
            return if now - *at >= within && *looks >= LOOKS_LEAST { Step::GiveUp } else { Step::Nothing };
        }
        let is_asked_by_other = self.asks_until.is_some_and(|until| now < until);
        let after = match (watched, is_asked_by_other) {
            (true, _) if lower => every,
            (true, _) | (_, true) => every + HIGHER_KEY_WAITS,
            (false, false) => OTHERS_EVERY,
        };
        let is_due = std::mem::take(&mut self.is_new)
            || self.doubted
            || now - self.heard >= after
            || self.sent.is_some_and(|sent| now - sent >= SENT_WAITS);
        if !is_due {
            return Step::Nothing;
        }
        self.asked = Some((now, 0));
        self.question = Some(now);
        Step::Ask(if watched { ASK_OFTEN } else { ASK })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    /// What is done about a link within a time in which nothing comes.
    fn silent(
        watch: &mut Watch,
        watched: bool,
        mut now: Instant,
        time: Duration,
    ) -> (Vec<Duration>, Option<Duration>) {
        let (start, mut asked) = (now, Vec::new());
        while now - start < time {
            now += TICK;
            match watch.look(watched, true, watched_every(5), now) {
                Step::Nothing => {}
                Step::Ask(_) => asked.push(now - start),
                Step::GiveUp => return (asked, Some(now - start)),
            }
        }
        (asked, None)
    }

    fn settled(now: Instant) -> Watch {
        let mut watch = Watch::new(now);
        assert_eq!(
            watch.look(false, true, watched_every(5), now),
            Step::Ask(ASK),
            "a new link is asked at once"
        );
        assert!(watch.answered(now).is_some());
        watch.heard(now);
        watch
    }

    #[test]
    fn a_watched_link_is_given_up_within_five_seconds_and_others_when_doubted() {
        let now = Instant::now();
        let (asked, given_up) = silent(&mut settled(now), true, now, Duration::from_secs(100));
        assert_eq!((asked.len(), asked[0]), (1, WATCHED_EVERY.0));
        assert!(given_up.is_some_and(|at| at <= Duration::from_secs(5)), "{given_up:?}");
        let (_, given_up) = silent(&mut settled(now), false, now, Duration::from_secs(60));
        assert_eq!(given_up, None, "others are asked once a minute");
        let mut doubted = settled(now);
        doubted.doubt();
        let (_, given_up) = silent(&mut doubted, false, now, Duration::from_secs(60));
        assert!(given_up.is_some_and(|at| at <= Duration::from_millis(2_200)), "{given_up:?}");
        let mut used = settled(now);
        used.sent(now);
        let (_, given_up) = silent(&mut used, false, now, Duration::from_secs(60));
        assert!(given_up.is_some_and(|at| at <= Duration::from_secs(6)), "{given_up:?}");
    }

    #[test]
    fn what_comes_is_an_answer_and_spares_the_question() {
        let mut now = Instant::now();
        let mut watch = settled(now);
        for _ in 0..1_000 {
            now += TICK;
            watch.heard(now);
            assert_eq!(watch.look(true, true, watched_every(5), now), Step::Nothing);
        }
    }

    #[test]
    fn a_machine_that_stood_still_gives_nobody_up() {
        let now = Instant::now();
        let mut watch = settled(now);
        assert_eq!(watch.look(true, true, watched_every(5), now + WATCHED_EVERY.0), Step::Ask(ASK_OFTEN));
        let later = now + Duration::from_secs(60);
        assert_eq!(watch.look(true, true, watched_every(5), later), Step::Nothing);
        watch.heard(later);
        assert_eq!(watch.look(true, true, watched_every(5), later + TICK), Step::Nothing);
    }

    #[test]
    fn two_that_do_not_watch_their_link_ask_once_a_minute() {
        let mut now = Instant::now();
        let mut ends = [settled(now), settled(now)];
        let mut asked = 0;
        for _ in 0..6_000 {
            now += TICK;
            for at in [0, 1] {
                if let Step::Ask(question) = ends[at].look(false, at == 0, watched_every(5), now) {
                    asked += 1;
                    assert_eq!(question, ASK);
                    ends.iter_mut().for_each(|end| end.heard(now));
                    ends[at].answered(now);
                }
            }
        }
        assert!((9..=10).contains(&asked), "{asked} questions in ten minutes");
    }

    #[test]
    fn who_is_watched_notices_when_that_ends() {
        let now = Instant::now();
        let mut watch = settled(now);
        watch.was_asked_often(now, watched_every(5));
        let (asked, given_up) = silent(&mut watch, false, now, Duration::from_secs(60));
        assert_eq!(asked, [WATCHED_EVERY.0 + HIGHER_KEY_WAITS]);
        assert!(given_up.is_some_and(|at| at <= Duration::from_secs(6)), "{given_up:?}");
    }

    #[test]
    fn many_devices_ask_less_often() {
        assert_eq!(watched_every(3), WATCHED_EVERY.0);
        assert_eq!(watched_every(21), Duration::from_millis(2_730));
        assert_eq!(watched_every(10_000), WATCHED_EVERY.1);
    }
}
