//! Budgets that fill up over time, by a clock that whoever uses them hands in.

/// How much a budget holds, and how fast it fills again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What it holds when it is full: what may be drawn at once after a pause.
    pub burst: u64,
    /// What comes back in a second: what may be drawn in the long run.
    pub per_second: u64,
}

/// A token bucket. What is drawn may be more than there is, if there is anything: the debt is paid back before anything
/// else is drawn. So a thing whose cost is known only when it is done can be paid for, and none is too dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    terms: Terms,
    /// Thousandths, so that a millisecond's share of any rate is a whole number.
    thousandths: i128,
    at_ms: u64,
}

impl Bucket {
    /// A full one. Times are milliseconds of a clock that does not go back; one that does only fills nothing.
    pub fn full(terms: Terms, now_ms: u64) -> Self {
        Self { terms, thousandths: i128::from(terms.burst) * 1_000, at_ms: now_ms }
    }

    fn fill(&mut self, now_ms: u64) {
        let passed = now_ms.saturating_sub(self.at_ms);
        self.at_ms = self.at_ms.max(now_ms);
        let more = i128::from(passed) * i128::from(self.terms.per_second);
        self.thousandths = (self.thousandths + more).min(i128::from(self.terms.burst) * 1_000);
    }

    /// What may be drawn without a debt; 0 if there is a debt.
    pub fn left(&mut self, now_ms: u64) -> u64 {
        self.fill(now_ms);
        u64::try_from(self.thousandths / 1_000).unwrap_or(0)
    }

    /// Whether it holds all that it can: then it says no more than a new one.
    pub fn is_full(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.thousandths == i128::from(self.terms.burst) * 1_000
    }

    /// Whether anything may be drawn.
    pub fn has_any(&mut self, now_ms: u64) -> bool {
        self.left(now_ms) > 0
    }

    /// Draws `cost`, into debt if need be.
    pub fn draw(&mut self, cost: u64, now_ms: u64) {
        self.fill(now_ms);
        self.thousandths -= i128::from(cost) * 1_000;
    }

    /// Draws `cost` if there is anything, and says whether there was.
    pub fn take(&mut self, cost: u64, now_ms: u64) -> bool {
        let may = self.has_any(now_ms);
        if may {
            self.draw(cost, now_ms);
        }
        may
    }

    /// When something may be drawn again: now, or once the debt is paid back. Never, for one that does not fill.
    pub fn ready_at_ms(&mut self, now_ms: u64) -> u64 {
        self.fill(now_ms);
        let short = 1_000 - self.thousandths;
        if short <= 0 {
            return now_ms;
        }
        let wait = match i128::from(self.terms.per_second) {
            0 => i128::from(u64::MAX),
            rate => (short + rate - 1) / rate,
        };
        now_ms.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX))
    }
}

/// How long somebody is left out who deserves it: twice as long each time, up to a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Penalty {
    times: u32,
    until_ms: Option<u64>,
}

impl Penalty {
    /// For how long the first time.
    pub const FIRST_MS: u64 = 10_000;
    /// The longest.
    pub const MOST_MS: u64 = 600_000;
    /// After so long without one, the next counts as the first.
    pub const FORGOTTEN_AFTER_MS: u64 = 3_600_000;

    /// Begins another one, and says how long it is.
    pub fn begin(&mut self, now_ms: u64) -> u64 {
        self.times = if self.is_forgotten(now_ms) { 0 } else { self.times.saturating_add(1) };
        let for_ms = (Self::FIRST_MS << self.times.min(16)).min(Self::MOST_MS);
        self.until_ms = Some(now_ms + for_ms);
        for_ms
    }

    /// Whether the next counts as the first: then it says no more than a new one.
    pub fn is_forgotten(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| now_ms >= until + Self::FORGOTTEN_AFTER_MS)
    }

    /// How much of it is left; `None` if there is none.
    pub fn left_ms(&self, now_ms: u64) -> Option<u64> {
        self.until_ms.and_then(|until| until.checked_sub(now_ms)).filter(|left| *left > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_then_the_pace() {
        let mut bucket = Bucket::full(Terms { burst: 10, per_second: 4 }, 5_000);
        assert_eq!((0..100).filter(|_| bucket.take(1, 5_000)).count(), 10);
        assert_eq!(bucket.ready_at_ms(5_000), 5_250);
        assert!(!bucket.has_any(5_249));
        assert!(bucket.take(1, 5_250));
        assert!(!bucket.has_any(5_250));
        assert!(!bucket.is_full(7_749));
        assert!(bucket.is_full(7_750));
        assert_eq!(bucket.left(3_600_000), 10, "it holds no more than a burst");
    }

    #[test]
    fn a_debt_is_paid_back_first() {
        let mut bucket = Bucket::full(Terms { burst: 10, per_second: 10 }, 0);
        assert!(bucket.take(50, 0), "what costs more than there ever is can be had, once");
        assert!(!bucket.take(1, 4_000));
        assert_eq!(bucket.ready_at_ms(4_000), 4_100);
        assert!(bucket.take(1, 4_100));
    }

    #[test]
    fn a_clock_that_goes_back_fills_nothing() {
        let mut bucket = Bucket::full(Terms { burst: 1, per_second: 1 }, 10_000);
        assert!(bucket.take(1, 10_000));
        assert!(!bucket.has_any(0));
        assert!(!bucket.has_any(10_999));
        assert!(bucket.has_any(11_000));
    }

    proptest! {
        /// Whoever draws as it likes gets no more than a burst, the pace for the time, and one cost of debt.
        #[test]
        fn nobody_gets_more_than_the_terms(
            burst in 1u64..1_000,
            per_second in 0u64..10_000,
            draws in proptest::collection::vec((0u64..500, 1u64..300), 1..200),
        ) {
            let mut bucket = Bucket::full(Terms { burst, per_second }, 0);
            let (mut now, mut drawn, mut dearest) = (0, 0, 0);
            for (wait, cost) in draws {
                now += wait;
                let ready = bucket.ready_at_ms(now);
                let took = bucket.take(cost, now);
                prop_assert_eq!(took, ready <= now, "it is ready when it says so");
                if took {
                    drawn += cost;
                    dearest = dearest.max(cost);
                }
                prop_assert!(drawn <= burst + per_second * now / 1_000 + dearest);
            }
        }

        /// Whoever keeps to the pace is never refused.
        #[test]
        fn who_keeps_to_the_pace_is_never_refused(per_second in 1u64..1_000, times in 1u64..200) {
            let mut bucket = Bucket::full(Terms { burst: 2, per_second }, 0);
            for time in 0..times {
                prop_assert!(bucket.take(1, (time * 1_000).div_ceil(per_second)));
            }
        }
    }
}
