//! Sealing bytes to the holder of an Ed25519 key (see [`popmesh_proto::seal`]), with random bytes of the operating system.

use popmesh_proto::id::DeviceId;
use popmesh_proto::seal;

pub(crate) use popmesh_proto::seal::{OVERHEAD, open};

/// Seals, bound to `info` and `aad`; `None` if `to` is no Ed25519 key, or the system gives no random bytes. Twice the same
/// gives different bytes.
pub(crate) fn seal(to: &DeviceId, info: &[u8], aad: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).ok()?;
    seal::seal(random, to, info, aad, plain)
}
