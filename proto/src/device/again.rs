//! Commands that were done before: a key that comes back with this device's own records, when the outcome that was stored
//! under it is lost.
//!
//! The runtime keeps outcomes by the whole of their keys, in the database. If that was moved away, or set back, the records
//! come back from other devices and bring a part of each key ([`CommandKey`]). A command with such a key is answered with what
//! its record says, or is refused with that; it is never done twice.

use std::collections::{BTreeMap, VecDeque};

use super::Device;
use super::deeds::Run;
use crate::command::{Command, Refusal, Reply};
use crate::document::Document;
use crate::id::{ChainId, Ref};
use crate::io::Idempotency;
use crate::key::{CommandKey, KEY_BYTES};
use crate::log::{Admitted, Chain, Linked};
use crate::programme::Edit;
use crate::query::DeedKind;
use crate::record::{self, Record};

/// A key is known by its records as long as so many other commands with keys have not been done since: 2 MB, and weeks of a
/// till.
const MAX_KEYS: usize = 1 << 16;

type KeyStart = [u8; KEY_BYTES];

/// Which of this device's own records was the first that a command with a key wrote: 8 bytes of the key, 8 for the entry.
#[derive(Debug, Default)]
pub(super) struct Keys {
    known: BTreeMap<KeyStart, (u32, u32)>,
    /// The keys in the order in which they came: the oldest are forgotten first.
    order: VecDeque<KeyStart>,
    /// Own chains that carry keys, by number.
    chains: Vec<ChainId>,
}

impl Keys {
    /// Takes note of an entry that carries a key; the first that did is the one that counts.
    fn note(&mut self, key: KeyStart, entry: Ref) {
        if self.known.contains_key(&key) {
            return;
        }
        let number = match self.chains.last() {
            Some(last) if *last == entry.chain => self.chains.len() - 1,
            _ => self.chains.iter().rposition(|chain| *chain == entry.chain).unwrap_or_else(|| {
                self.chains.push(entry.chain);
                self.chains.len() - 1
            }),
        };
        let (Ok(number), Ok(seq)) = (u32::try_from(number), u32::try_from(entry.seq)) else { return };
        if self.order.len() == MAX_KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(key, (number, seq));
        self.order.push_back(key);
    }

    fn get(&self, key: &KeyStart) -> Option<Ref> {
        let (number, seq) = self.known.get(key)?;
        Some(Ref { chain: *self.chains.get(*number as usize)?, seq: u64::from(*seq) })
    }
}

impl Device {
    /// Takes note of the key that an entry of this device's own carries.
    pub(super) fn note_key(&mut self, linked: &Linked) {
        let key = match &linked.content {
            Admitted::Record(record) => record.key,
            Admitted::Edit(edit) => edit.key,
        };
        if let Some(key) = key {
            self.keys.note(key.key, linked.entry);
        }
    }

    /// Takes note of the keys of this device's own commands in a history of a life that was cut off: what they did counts for
    /// nothing, and is not done again for that.
    pub(super) fn note_keys_cut(&mut self, fork: &record::Fork) {
        for branch in &fork.branches {
            let bodies = branch.unpack().unwrap_or_default();
            for (body, seq) in bodies.iter().zip(fork.seq..) {
                let key = match Record::decode(body) {
                    Ok(record) => record.key,
                    Err(_) => Edit::read(&fork.chain, seq, body).ok().and_then(|edit| edit.key),
                };
                if let Some(key) = key {
                    self.keys.note(key.key, Ref { chain: fork.chain, seq });
                }
            }
        }
    }

    /// Whether a record of this device's own carries this key.
    pub(super) fn has_key(&self, idempotency: Option<Idempotency>) -> bool {
        idempotency.is_some_and(|idempotency| self.keys.get(&CommandKey::of(&idempotency).key).is_some())
    }

    /// What a command did before, by the records that carry its key; `None` if it was not done, as far as is known here.
    pub(super) fn done_before(
        &self,
        command: &Command,
        idempotency: Option<Idempotency>,
    ) -> Option<Result<Reply, Refusal>> {
        let key = CommandKey::of(&idempotency?);
        let first = self.keys.get(&key.key)?;
        let Some((chain, known)) =
            self.log.chain(&first.chain).and_then(|chain| Some((chain, key_at(chain, first.seq)?)))
        else {
            // It was written in a history that was cut off since.
            return Some(Err(Refusal::AlreadyDone {
                entry: first,
                what: "an entry that counts for nothing".to_owned(),
            }));
        };
        let what = match Record::decode(chain.body(first.seq)?) {
            Ok(record) if chain.document != Document::Programme => record.body.kind(),
            _ => "change of the programme",
        };
        if known.request != key.request {
            return Some(Err(Refusal::KeyOfAnother { entry: first, what: what.to_owned() }));
        }
        let told = self.told_again(command, chain, first, known);
        Some(told.ok_or_else(|| Refusal::AlreadyDone { entry: first, what: what.to_owned() }))
    }

    /// The reply to a command, made from what it wrote, as that stands now. `None` where the records do not say enough.
    fn told_again(&self, command: &Command, chain: &Chain, first: Ref, key: CommandKey) -> Option<Reply> {
        if chain.document == Document::Programme {
            return self.programme_again(command);
        }
        match command {
            // A cart that is over is none any more.
            Command::CartNew(_) => self.cart(first).map(Reply::Cart),
            Command::DropStep(step) => self.step_reply(self.plan_of(&step.drop).ok()?, first, true).ok(),
            Command::CartAdd(cart, _) | Command::CartRemove(cart, _) => self.cart(*cart).map(Reply::Cart),
            _ => self.retold(DeedKind::of(command)?, chain, &written_by(chain, first.seq, key)),
        }
    }

    /// What a change of the programme was about, as it stands now: it may have been changed again since.
    fn programme_again(&self, command: &Command) -> Option<Reply> {
        let drop = |drop| self.programme.drops().get(drop).map(|plan| Reply::Drop(self.drop_shown(plan)));
        match command {
            Command::ProductAdd(add) => self.programme.products().get(&add.sku).cloned().map(Reply::Product),
            Command::DropNew(new) => drop(&new.drop),
            Command::RulesSet(_) | Command::LimitSet(_) => Some(Reply::Rules(self.programme.rules().clone())),
            _ => None,
        }
    }
}

/// The key that an entry carries.
pub(super) fn key_at(chain: &Chain, seq: u64) -> Option<CommandKey> {
    let body = chain.body(seq)?;
    match chain.document {
        Document::Programme => Edit::read(&chain.id, seq, body).ok()?.key,
        _ => Record::decode(body).ok()?.key,
    }
}

/// The records of one chain that a command wrote, from the first on: they follow each other.
pub(super) fn written_by(chain: &Chain, first: u64, key: CommandKey) -> Run {
    let record = |seq| Some((seq, Record::decode(chain.body(seq)?).ok()?));
    (first..).map_while(record).take_while(|(_, record)| record.key == Some(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_keys_are_known_and_the_oldest_forgotten_first() {
        let chain = ChainId([7; 16]);
        let mut keys = Keys::default();
        let more = 10;
        for seq in 0..(MAX_KEYS + more) as u64 {
            keys.note(seq.to_be_bytes(), Ref { chain, seq });
        }
        assert_eq!((keys.known.len(), keys.order.len(), keys.chains.len()), (MAX_KEYS, MAX_KEYS, 1));
        for seq in 0..(MAX_KEYS + more) as u64 {
            let known = keys.get(&seq.to_be_bytes());
            assert_eq!(known, (seq >= more as u64).then_some(Ref { chain, seq }), "{seq}");
        }
    }
}
