//! Who waits for what: calls under way, keys under way, and where the outcomes of earlier commands are stored.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use popmesh_proto::command::{Refusal, Reply};
use popmesh_proto::io::{CallId, Idempotency, StoredReply};
use popmesh_proto::query::Answer;
use popmesh_store::{ANSWERS_KEPT, AnswerId, KeyPrefix, StoreError, key_prefix};
use tokio::sync::oneshot;

use super::handle::{CallError, Outcome};
use super::metrics::RuntimeMetrics;

/// Calls that may wait for their outcome at a time. A sale may wait a minute for stock from elsewhere.
pub const MAX_CALLS_WAITING: usize = 4_096;

type OutcomeSender = oneshot::Sender<Result<Outcome, CallError>>;

struct WaitingCommand {
    idempotency: Option<Idempotency>,
    outcome: OutcomeSender,
}

/// What to do with a command that came in.
pub(super) enum Admission {
    /// Give it to the device under this name.
    Device(CallId),
    /// Its outcome is stored: read it for this call.
    Stored(CallId, AnswerId),
    /// It was answered.
    Answered,
}

/// The book of calls.
pub(super) struct Book {
    next_call: CallId,
    commands: BTreeMap<CallId, WaitingCommand>,
    lookups: BTreeMap<CallId, (Idempotency, OutcomeSender)>,
    queries: BTreeMap<CallId, oneshot::Sender<Answer>>,
    under_way: BTreeMap<[u8; 32], [u8; 32]>,
    answers: HashMap<KeyPrefix, AnswerId>,
    /// Their keys, the oldest first: of the last [`ANSWERS_KEPT`] commands, which are those that the store finds again.
    oldest: VecDeque<KeyPrefix>,
    metrics: Arc<RuntimeMetrics>,
}

impl Book {
    pub(super) fn new(answers: Vec<(KeyPrefix, AnswerId)>, metrics: Arc<RuntimeMetrics>) -> Self {
        Self {
            next_call: 1,
            commands: BTreeMap::new(),
            lookups: BTreeMap::new(),
            queries: BTreeMap::new(),
            under_way: BTreeMap::new(),
            oldest: answers.iter().map(|(key, _)| *key).collect(),
            answers: answers.into_iter().collect(),
            metrics,
        }
    }

    /// Books a command, unless its key says that it is not to be done (again). `problem` is why nothing can be done
    /// now, if so.
    pub(super) fn admit(
        &mut self,
        idempotency: Option<Idempotency>,
        outcome: OutcomeSender,
        problem: Option<&str>,
    ) -> Admission {
        if self.waiting() >= MAX_CALLS_WAITING {
            return self.answer_now(outcome, CallError::Busy);
        }
        if let Some(idempotency) = idempotency {
            if let Some(&id) = self.answers.get(&key_prefix(&idempotency.key)) {
                let call = self.name();
                self.lookups.insert(call, (idempotency, outcome));
                return Admission::Stored(call, id);
            }
            match self.under_way.get(&idempotency.key) {
                Some(request) if *request == idempotency.request => {
                    return self.answer_now(outcome, CallError::InProgress);
                }
                Some(_) => return self.answer_now(outcome, CallError::KeyReused),
                None => {}
            }
        }
        if let Some(problem) = problem {
            return self.answer_now(outcome, not_stored(problem));
        }
        if let Some(Idempotency { key, request }) = idempotency {
            self.under_way.insert(key, request);
        }
        let call = self.name();
        self.commands.insert(call, WaitingCommand { idempotency, outcome });
        Admission::Device(call)
    }

    /// Books a query, or answers at once that too many wait.
    pub(super) fn ask(&mut self, answer: oneshot::Sender<Answer>) -> Option<CallId> {
        if self.waiting() >= MAX_CALLS_WAITING {
            self.metrics.calls_busy.add(1);
            // The caller may be gone; then nobody minds. So below.
            let _ = answer.send(Answer::Failed(CallError::Busy.to_string()));
            return None;
        }
        let call = self.name();
        self.queries.insert(call, answer);
        Some(call)
    }

    /// A command's outcome from the device.
    pub(super) fn reply(&mut self, call: CallId, result: Result<Reply, Refusal>) {
        let Some(waiting) = self.commands.remove(&call) else {
            tracing::error!(call, "the device replied to a command that nobody waits for");
            return;
        };
        if let Some(idempotency) = waiting.idempotency {
            self.under_way.remove(&idempotency.key);
        }
        let result = result.map(|reply| Outcome { reply, repeated: false }).map_err(CallError::Refused);
        self.send(waiting.outcome, result);
    }

    /// A query's answer from the device.
    pub(super) fn answer(&mut self, call: CallId, answer: Answer) {
        let Some(waiting) = self.queries.remove(&call) else {
            tracing::error!(call, "the device answered a query that nobody waits for");
            return;
        };
        self.metrics.queries.add(1);
        let _ = waiting.send(answer);
    }

    /// A command's outcome from the store.
    pub(super) fn looked_up(&mut self, call: CallId, stored: Result<StoredReply, StoreError>) {
        let Some((asked, outcome)) = self.lookups.remove(&call) else {
            tracing::error!(call, "the store answered a call that nobody waits for");
            return;
        };
        let result = match stored {
            Ok(stored) if stored.idempotency == asked => Ok(Outcome { reply: stored.reply, repeated: true }),
            Ok(_) => Err(CallError::KeyReused),
            Err(error) => {
                tracing::error!(%error, "a stored outcome cannot be read");
                Err(CallError::Unreadable { problem: error.to_string() })
            }
        };
        self.send(outcome, result);
    }

    /// Takes note of where outcomes are stored.
    pub(super) fn stored(&mut self, keys: &[KeyPrefix], first: AnswerId) {
        self.answers.extend(keys.iter().enumerate().map(|(later, key)| (*key, first.plus(later))));
        self.oldest.extend(keys);
        let too_many = self.oldest.len().saturating_sub(ANSWERS_KEPT);
        for key in self.oldest.drain(..too_many) {
            self.answers.remove(&key);
        }
    }

    /// Answers everything that a device which is no more would have answered.
    pub(super) fn fail_all(&mut self, problem: &str) {
        self.under_way.clear();
        for (_, waiting) in std::mem::take(&mut self.commands) {
            self.send(waiting.outcome, Err(not_stored(problem)));
        }
        for (_, answer) in std::mem::take(&mut self.queries) {
            let _ = answer.send(Answer::Failed(problem.to_owned()));
        }
    }

    /// Calls that wait.
    pub(super) fn waiting(&self) -> usize {
        self.commands.len() + self.lookups.len() + self.queries.len()
    }

    fn name(&mut self) -> CallId {
        let call = self.next_call;
        self.next_call += 1;
        call
    }

    fn answer_now(&self, outcome: OutcomeSender, error: CallError) -> Admission {
        self.send(outcome, Err(error));
        Admission::Answered
    }

    fn send(&self, outcome: OutcomeSender, result: Result<Outcome, CallError>) {
        let metrics = &self.metrics;
        match &result {
            Ok(Outcome { repeated: false, .. }) => metrics.commands_done.add(1),
            Ok(Outcome { repeated: true, .. }) => metrics.commands_repeated.add(1),
            Err(CallError::Refused(Refusal::NotStored { .. })) => metrics.commands_not_stored.add(1),
            Err(CallError::Refused(_)) => metrics.commands_refused.add(1),
            Err(CallError::KeyReused | CallError::InProgress) => metrics.commands_key_conflict.add(1),
            Err(CallError::Busy) => metrics.calls_busy.add(1),
            Err(CallError::Stopping | CallError::Unreadable { .. }) => {}
        }
        // Whoever asked may have given up; the outcome holds all the same.
        let _ = outcome.send(result);
    }
}

fn not_stored(problem: &str) -> CallError {
    CallError::Refused(Refusal::NotStored { problem: problem.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> [u8; 32] {
        let mut key = [7; 32];
        key[..8].copy_from_slice(&(number as u64).to_be_bytes());
        key
    }

    /// Whether a command under this key is known to have been done.
    fn is_stored(book: &mut Book, number: usize) -> bool {
        let idempotency = Idempotency { key: key(number), request: [1; 32] };
        matches!(book.admit(Some(idempotency), oneshot::channel().0, None), Admission::Stored(..))
    }

    #[test]
    fn the_keys_of_the_last_commands_are_known_and_no_others_take_room() {
        let id = |store: &mut popmesh_store::Store| store.append(&[], &[]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (event, device) = (popmesh_proto::id::EventId([1; 32]), popmesh_proto::id::DeviceId([2; 32]));
        let (mut store, _) = popmesh_store::Store::open(folder.path(), event, device).unwrap();
        let first = id(&mut store);
        let before = (0..500).map(|number| (key_prefix(&key(number)), first.plus(number))).collect();
        let mut book = Book::new(before, Arc::default());
        for from in (500..ANSWERS_KEPT + 2_000).step_by(100) {
            let keys: Vec<KeyPrefix> = (from..from + 100).map(|number| key_prefix(&key(number))).collect();
            book.stored(&keys, first.plus(from));
        }
        assert_eq!((book.answers.len(), book.oldest.len()), (ANSWERS_KEPT, ANSWERS_KEPT));
        assert!(!is_stored(&mut book, 0) && !is_stored(&mut book, 1_999));
        assert!(is_stored(&mut book, 2_000) && is_stored(&mut book, ANSWERS_KEPT + 1_999));
    }
}
