//! A conversation's tokens, as its parts come one by one.

use super::{Conversation, Tokenizer};
use anyhow::Result;

/// Text between two special tokens is tokenized at once, whoever wrote it.
pub(super) struct MarkedRun<'t> {
    tokenizer: &'t Tokenizer,
    done: Conversation,
    /// The text that waits, and where a part of it ends that is trained on or not.
    text: String,
    ends: Vec<(usize, bool)>,
}

impl<'t> MarkedRun<'t> {
    /// Nothing yet.
    pub(super) fn new(tokenizer: &'t Tokenizer) -> Self {
        Self {
            tokenizer,
            done: Conversation::default(),
            text: String::new(),
            ends: Vec::new(),
        }
    }

    /// Text, whether it is trained on or not.
    pub(super) fn text(&mut self, text: &str, trained: bool) {
        self.text.push_str(text);
        self.ends.push((self.text.len(), trained));
    }

    /// A token that stands for no text.
    ///
    /// # Errors
    /// When the text before it cannot be encoded.
    pub(super) fn special(&mut self, id: u32, trained: bool) -> Result<()> {
        self.flush()?;
        self.done.ids.push(id);
        self.done.mask.push(trained);
        Ok(())
    }

    /// A token belongs to the part that it begins in; where it reaches over an end, to the later one.
    fn flush(&mut self) -> Result<()> {
        let ids = self.tokenizer.encode(&self.text)?;
        let mut begin = 0;
        for (end, trained) in std::mem::take(&mut self.ends) {
            let upto = match end == self.text.len() {
                true => ids.len(),
                false => {
                    let alone = self.tokenizer.encode(&self.text[..end])?;
                    let same = alone.iter().zip(&ids).take_while(|(a, b)| a == b);
                    same.count().max(begin)
                }
            };
            self.done.mask.extend(vec![trained; upto - begin]);
            begin = upto;
        }
        self.done.ids.extend(ids);
        self.text.clear();
        Ok(())
    }

    /// The whole.
    ///
    /// # Errors
    /// When its last text cannot be encoded.
    pub(super) fn finish(mut self) -> Result<Conversation> {
        self.flush()?;
        Ok(self.done)
    }
}
