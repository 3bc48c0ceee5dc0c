//! What a row holds: text, the ids of a text that was tokenized elsewhere, or an example.

use super::{content_hash::Hasher, example::Example, long_text::LongText};
use anyhow::Result;

/// A document's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prepare) enum Content {
    /// Text, as it was: not trimmed.
    Text(String),
    /// Text that is left in its file.
    LongText(LongText),
    /// Ids, nothing added.
    Ids(Vec<u32>),
    /// A conversation or a preference.
    Example(Example),
}

impl Content {
    /// Length in bytes of text, or in ids.
    pub(in crate::prepare) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::LongText(text) => text.len(),
            Self::Ids(ids) => ids.len(),
            Self::Example(example) => example.len(),
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
            Self::Example(example) => hasher.update(example.canonical().as_bytes()),
        }
        Ok(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::Message;

    /// `hashlib.sha256((42).to_bytes(8, "little") + b"hello").digest()[:8]`
    #[test]
    fn hash_is_the_documented_one() {
        let hello = Content::Text("hello".into());
        assert_eq!(hello.hash(42).unwrap(), 0xae1d_6004_fbb5_f5d2);
        let same_bytes = Content::Ids(vec![u32::from_le_bytes(*b"hell")]);
        let text = Content::Text("hell".into());
        assert_eq!(same_bytes.hash(7).unwrap(), text.hash(7).unwrap());
        let turns = [Message::new("user", "hi"), Message::new("assistant", "ho")];
        let turns = Content::Example(Example::Conversation(turns.into()));
        let said = r#"[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]"#;
        let said = Content::Text(said.into());
        assert_eq!(turns.hash(7).unwrap(), said.hash(7).unwrap());
    }
}
