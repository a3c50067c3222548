//! When a drop sells, as its steps say.

use super::{DropSpec, StepWord, VenueIndex};

/// How far a drop is: the round, and the last step of it.
type Far = (u32, u8);

const ANNOUNCED: u8 = 0;
const OPEN: u8 = 1;
const LAST_CALL: u8 = 2;
const CLOSED: u8 = 3;

impl DropSpec {
    /// When it sells at a venue if every step is taken in time, milliseconds: from, and until when it no
    /// longer does (`u64::MAX` where it stays open). In order.
    #[must_use]
    pub fn open_spans(&self, venue: VenueIndex) -> Vec<(u64, u64)> {
        let here = self.all_steps().filter(|step| step.venue.is_none_or(|of| of == venue));
        let mut steps: Vec<(u64, Option<StepWord>)> =
            here.map(|step| (step.at_ms, Some(step.step))).collect();
        // The hard end that is given with the plan is that of the first round.
        steps.extend(self.ends_ms.map(|ends_ms| (ends_ms, None)));
        steps.sort_by_key(|(at_ms, _)| *at_ms);
        let (mut far, mut since_ms): (Far, Option<u64>) = ((0, ANNOUNCED), None);
        let mut spans = Vec::new();
        for (at_ms, step) in steps {
            let reached = match step {
                None if far.0 == 0 => (0, CLOSED),
                None => continue,
                Some(StepWord::Announce) => (far.0, ANNOUNCED),
                Some(StepWord::Open) => (far.0, OPEN),
                Some(StepWord::LastCall) => (far.0, LAST_CALL),
                Some(StepWord::Close) => (far.0, CLOSED),
                Some(StepWord::AnnounceAgain) if far.1 == CLOSED => (far.0 + 1, ANNOUNCED),
                Some(StepWord::OpenAgain) if far.1 == CLOSED => (far.0 + 1, OPEN),
                Some(StepWord::AnnounceAgain | StepWord::OpenAgain) => continue,
            };
            // Done stays done.
            far = far.max(reached);
            match (since_ms, (OPEN..CLOSED).contains(&far.1)) {
                (None, true) => since_ms = Some(at_ms),
                (Some(from_ms), false) => {
                    spans.push((from_ms, at_ms));
                    since_ms = None;
                }
                _ => {}
            }
        }
        spans.extend(since_ms.map(|from_ms| (from_ms, u64::MAX)));
        spans
    }
}
