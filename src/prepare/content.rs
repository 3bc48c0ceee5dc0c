//! What a row holds: text, or the ids of a text that was tokenized elsewhere.

use super::long_text::LongText;
use crate::config::PrepareConfig;
use anyhow::Result;
use sha2::{Digest, Sha256};

/// The field of rows that are tokenized already.
const IDS: &str = "input_ids";

/// Which field of a row is taken, and as what.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) holds: Holds,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Text,
    Ids,
}

impl Column {
    pub(super) fn of(config: &PrepareConfig) -> Self {
        match config.pretokenized {
            true => Self {
                name: IDS.to_owned(),
                holds: Holds::Ids,
            },
            false => Self {
                name: config.text_field.clone(),
                holds: Holds::Text,
            },
        }
    }
}

/// A document's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Text, as it was: not trimmed.
    Text(String),
    /// Text that is left in its file.
    LongText(LongText),
    /// Ids, nothing added.
    Ids(Vec<u32>),
}

impl Content {
    /// Length in bytes of text, or in ids.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::LongText(text) => text.len(),
            Self::Ids(ids) => ids.len(),
        }
    }

    /// A number that stands for the content: decides what is held out, and what came before.
    ///
    /// # Errors
    /// When a text that was left in its file cannot be read any more.
    pub(super) fn hash(&self, seed: u64) -> Result<u64> {
        let mut hasher = Hasher::new(seed);
        match self {
            Self::Text(text) => hasher.update(text.as_bytes()),
            Self::LongText(text) => text.hash_into(&mut hasher)?,
            Self::Ids(ids) => ids.iter().for_each(|id| hasher.update(&id.to_le_bytes())),
        }
        Ok(hasher.finish())
    }
}

/// The first eight bytes, big-endian, of SHA-256 over the seed (little-endian) and the content: UTF-8, or ids
/// little-endian.
pub(super) struct Hasher(Sha256);

impl Hasher {
    fn new(seed: u64) -> Self {
        Self(Sha256::new().chain_update(seed.to_le_bytes()))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self) -> u64 {
        let digest = self.0.finalize();
        let first = digest.iter().take(8);
        first.fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `hashlib.sha256((42).to_bytes(8, "little") + b"hello").digest()[:8]`
    #[test]
    fn hash_is_the_documented_one() {
        let hello = Content::Text("hello".into());
        assert_eq!(hello.hash(42).unwrap(), 0xae1d_6004_fbb5_f5d2);
        let same_bytes = Content::Ids(vec![u32::from_le_bytes(*b"hell")]);
        let text = Content::Text("hell".into());
        assert_eq!(same_bytes.hash(7).unwrap(), text.hash(7).unwrap());
    }
}
