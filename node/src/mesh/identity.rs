//! Device keys and libp2p's peer ids: two spellings of the same Ed25519 key.

use libp2p::{
    PeerId,
    identity::{PublicKey, ed25519},
};

use super::DeviceKey;

/// The Ed25519 key inside a peer id, if it is one that holds such a key.
pub(crate) fn device_of(peer: &PeerId) -> Option<DeviceKey> {
    // Keys this short are inlined in the peer id: a multihash with the identity function (code 0).
    let hash = peer.as_ref();
    if hash.code() != 0 {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    Some(key.try_into_ed25519().ok()?.to_bytes())
}

/// The peer id of a device, if its key is a valid Ed25519 point.
pub(crate) fn peer_of(device: &DeviceKey) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(device).ok()?;
    Some(PeerId::from_public_key(&PublicKey::from(key)))
}

/// The first digits of a key, enough to tell devices apart in a log.
pub(crate) fn short(device: &DeviceKey) -> String {
    hex::encode(&device[..6])
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;

    use super::*;

    #[test]
    fn peer_ids_and_keys_convert_both_ways() {
        let keypair = Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let device = keypair.public().try_into_ed25519().unwrap().to_bytes();
        let peer = keypair.public().to_peer_id();
        assert_eq!(device_of(&peer), Some(device));
        assert_eq!(peer_of(&device), Some(peer));
        assert_eq!(device_of(&PeerId::random()), None);
    }
}
