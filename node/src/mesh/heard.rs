//! Which gossip was heard of lately, over the network or the radio, so that nothing goes around twice.

use std::collections::{HashSet, VecDeque};

use sha2::{Digest, Sha256};

/// Messages that are remembered at most: more than a venue says in a minute.
const HEARD_MAX: usize = 8_192;

type Id = [u8; 16];

/// The last messages.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    known: HashSet<Id>,
    order: VecDeque<Id>,
}

impl Heard {
    /// Remembers a message. Says whether it is new.
    pub(crate) fn is_new(&mut self, message: &[u8]) -> bool {
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::digest(message)[..16]);
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > HEARD_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_new_once_and_memory_is_bounded() {
        let mut heard = Heard::default();
        for number in 0..20_000_u32 {
            assert!(heard.is_new(&number.to_be_bytes()));
            assert!(!heard.is_new(&number.to_be_bytes()));
        }
        assert_eq!((heard.known.len(), heard.order.len()), (HEARD_MAX, HEARD_MAX));
    }
}
