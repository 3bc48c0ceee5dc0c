//! What a row holds: text, or the ids of a text that was tokenized elsewhere.

use super::{content_hash::Hasher, long_text::LongText};
use crate::config::PrepareConfig;
use anyhow::Result;

/// The field of rows that are tokenized already.
const IDS: &str = "input_ids";

/// Which field of a row is taken, and as what.
#[derive(Debug, Clone)]
pub(in crate::prepare) struct Column {
    pub(in crate::prepare) name: String,
    pub(in crate::prepare) holds: Holds,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prepare) enum Holds {
    Text,
    Ids,
}

impl Column {
    pub(in crate::prepare) fn of(config: &PrepareConfig) -> Self {
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
pub(in crate::prepare) enum Content {
    /// Text, as it was: not trimmed.
    Text(String),
    /// Text that is left in its file.
    LongText(LongText),
    /// Ids, nothing added.
    Ids(Vec<u32>),
}

impl Content {
    /// Length in bytes of text, or in ids.
    pub(in crate::prepare) fn len(&self) -> usize {
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
    pub(in crate::prepare) fn hash(&self, seed: u64) -> Result<u64> {
        let mut hasher = Hasher::new(seed);
        match self {
            Self::Text(text) => hasher.update(text.as_bytes()),
            Self::LongText(text) => text.hash_into(&mut hasher)?,
            Self::Ids(ids) => ids.iter().for_each(|id| hasher.update(&id.to_le_bytes())),
        }
        Ok(hasher.finish())
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
