//! A number that stands for a document.

use sha2::{Digest, Sha256};

/// The first eight bytes, big-endian, of SHA-256 over the seed (little-endian) and the content: UTF-8, or ids
/// little-endian.
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn new(seed: u64) -> Self {
        Self(Sha256::new().chain_update(seed.to_le_bytes()))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> u64 {
        let digest = self.0.finalize();
        let first = digest.iter().take(8);
        first.fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }
}
