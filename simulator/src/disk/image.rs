//! A whole disk at one time: to go back to, to copy, to compare.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::content::Content;

/// All files of a disk under their names, as programs saw them at one time. A copy costs little.
#[derive(Debug, Clone, Default)]
pub struct Image {
    pub(super) files: BTreeMap<String, Content>,
}

impl Image {
    /// A number that only the same files with the same bytes have.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (name, content) in &self.files {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update((content.length() as u64).to_le_bytes());
            content.parts().for_each(|part| hash.update(part));
        }
        hash.finalize().into()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.files.values().map(|content| content.length() as u64).sum()
    }
}
