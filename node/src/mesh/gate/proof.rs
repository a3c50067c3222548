//! How devices of an event show each other that they are, before either says who it is.
//!
//! A proof is a MAC under a key that the event's devices alone have, over who dials whom, by the keys that Noise or TLS
//! has authenticated on this very connection. libp2p shows nothing of the handshake but these, no transcript and no
//! exporter; they do. Whoever stands in the middle has to end both handshakes itself, under a key of its own: then the
//! dialler's proof is for that key, and the listener wants one from it. A proof that was recorded is good again only
//! from the same device to the same device, and on a connection that only the owner of the dialler's key can make.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hello::{PROOFS_BYTES, TAG_BYTES, TAGS, Tag};
use crate::mesh::{DeviceKey, MembershipKey, medium::Medium};

/// Names the key, and with it this version of the gate: another one's proofs fit nothing.
const PURPOSE: &[u8] = b"popmesh gate 1";

const BY_DIALLER: u8 = 0;
const BY_LISTENER: u8 = 1;

/// The two ends of a connection, as its handshake authenticated them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) event: [u8; 32],
    pub(crate) dialler: DeviceKey,
    pub(crate) listener: DeviceKey,
    pub(crate) medium: Medium,
}

impl Ends {
    fn tag(&self, key: &MembershipKey, by: u8) -> Tag {
        let mut own = Zeroizing::new([0; 32]);
        // 32 bytes are fewer than the limit of 255 blocks.
        let _ = Hkdf::<Sha256>::new(None, &**key).expand(PURPOSE, &mut *own);
        let medium = match self.medium {
            Medium::Ip => 0,
            Medium::Ble => 1,
        };
        // Each part has a length of its own, so no two of them are one text.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*own) else {
            // A key of any length will do for HMAC.
            unreachable!("HMAC takes every key");
        };
        mac.update(&[by, medium]);
        mac.update(&self.event);
        mac.update(&self.dialler);
        mac.update(&self.listener);
        let whole = mac.finalize().into_bytes();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&whole[..TAG_BYTES]);
        tag
    }

    /// The dialler's proofs under its keys, newest first. As long for one key as for many.
    ///
    /// # Errors
    /// If the system has no chance to offer.
    pub(crate) fn proofs(&self, keys: &[MembershipKey]) -> Result<[u8; PROOFS_BYTES], getrandom::Error> {
        let mut proofs = [0; PROOFS_BYTES];
        getrandom::fill(&mut proofs)?;
        for (place, key) in proofs.chunks_exact_mut(TAG_BYTES).zip(offered(keys)) {
            place.copy_from_slice(&self.tag(key, BY_DIALLER));
        }
        Ok(proofs)
    }

    /// The newest of the listener's keys under which one of the proofs was made.
    pub(crate) fn find<'a>(
        &self,
        keys: &'a [MembershipKey],
        proofs: &[u8; PROOFS_BYTES],
    ) -> Option<&'a MembershipKey> {
        // All are looked at, whichever fits.
        let fits = |key| {
            let wanted = self.tag(key, BY_DIALLER);
            let equal = proofs.chunks_exact(TAG_BYTES).map(|tag| tag.ct_eq(&wanted).unwrap_u8());
            equal.fold(0, |any, one| any | one) == 1
        };
        keys.iter().fold(None, |found, key| {
            let fits = fits(key);
            found.or(fits.then_some(key))
        })
    }

    /// The listener's answer, under the key that it found.
    pub(crate) fn answer(&self, key: &MembershipKey) -> Tag {
        self.tag(key, BY_LISTENER)
    }

    /// Whether an answer is under one of the keys that the dialler offered.
    pub(crate) fn is_answered(&self, keys: &[MembershipKey], answer: &Tag) -> bool {
        let equal = offered(keys).map(|key| answer.ct_eq(&self.answer(key)).unwrap_u8());
        equal.fold(0, |any, one| any | one) == 1
    }
}

/// The keys that a dialler proves: the newest, and the oldest, which the other end has, too, however long it was away.
fn offered(keys: &[MembershipKey]) -> impl Iterator<Item = &MembershipKey> {
    let newest = keys.len().min(TAGS - 1);
    keys[..newest].iter().chain(keys[newest..].last())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALLER: DeviceKey = [1; 32];
    const LISTENER: DeviceKey = [2; 32];

    fn ends() -> Ends {
        Ends { event: [7; 32], dialler: DIALLER, listener: LISTENER, medium: Medium::Ip }
    }

    fn keys(epochs: impl IntoIterator<Item = u8>) -> Vec<MembershipKey> {
        epochs.into_iter().map(|epoch| [epoch; 32].into()).collect()
    }

    #[test]
    fn who_has_a_key_in_common_is_known_by_the_newest_of_them() {
        let away = keys([3, 2, 1]);
        for others in [keys([3, 2, 1]), keys((1..=20).rev()), keys([3]), keys([1])] {
            for (dialler, listener) in [(&away, &others), (&others, &away)] {
                let proofs = ends().proofs(dialler).unwrap();
                let found = ends().find(listener, &proofs).expect("they have a key in common");
                assert!(dialler.contains(found), "it is known to both");
                assert!(ends().is_answered(dialler, &ends().answer(found)));
            }
        }
        let proofs = ends().proofs(&keys((1..=5).rev())).unwrap();
        assert_eq!(ends().find(&keys([9, 4, 2]), &proofs), Some(&[4; 32].into()));
        assert_eq!(ends().find(&keys([9]), &proofs), None);
    }

    #[test]
    fn a_proof_is_good_between_these_two_alone_in_this_direction() {
        let own = keys([1]);
        let proofs = ends().proofs(&own).unwrap();
        let answer = ends().answer(&own[0]);
        assert!(ends().find(&own, &proofs).is_some() && ends().is_answered(&own, &answer));
        let others = [
            Ends { event: [8; 32], ..ends() },
            Ends { dialler: [3; 32], ..ends() },
            Ends { listener: [3; 32], ..ends() },
            Ends { dialler: LISTENER, listener: DIALLER, ..ends() },
            Ends { medium: Medium::Ble, ..ends() },
        ];
        for other in others {
            assert!(other.find(&own, &proofs).is_none(), "{other:?}");
            assert!(!other.is_answered(&own, &answer), "{other:?}");
        }
        // What the dialler said is no answer.
        let reflected = *proofs.first_chunk().unwrap();
        assert!(!ends().is_answered(&own, &reflected));
    }

    #[test]
    fn how_many_keys_there_are_does_not_show() {
        for epochs in [1, 2, 8, 30] {
            let (once, again) = (keys(1..=epochs), keys(1..=epochs));
            let (once, again) = (ends().proofs(&once).unwrap(), ends().proofs(&again).unwrap());
            let same = once.chunks(TAG_BYTES).zip(again.chunks(TAG_BYTES)).filter(|(a, b)| a == b).count();
            assert_eq!(same, usize::from(epochs).min(TAGS), "the rest is chance");
        }
    }

    /// Known answers, reckoned with Python's `hmac` and `hashlib`: the same on every build.
    #[test]
    fn tags_are_these() {
        let ends = Ends { event: [7; 32], dialler: [1; 32], listener: [2; 32], medium: Medium::Ble };
        let key = MembershipKey::from([9; 32]);
        assert_eq!(hex::encode(ends.tag(&key, BY_DIALLER)), "a4c45d2033e6604c7da86a0772ef54ec");
        assert_eq!(hex::encode(ends.tag(&key, BY_LISTENER)), "cd9ee9063fde6e981c71bff8bd8a5d16");
    }
}
