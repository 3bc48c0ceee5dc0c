//! What a document has become.

use crate::config::OnTooLong;
use anyhow::Result;

/// A document, or a part of one, as ids; or why it is none.
#[derive(Debug)]
pub(super) enum Encoded {
    /// A text or a part of it, the separator before it where it begins. It may be cut anywhere.
    Text(Vec<u32>),
    /// An example, which stays whole.
    Example(EncodedExample),
    /// Nothing.
    LeftOut(LeftOut),
}

/// The ids of an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EncodedExample {
    /// All of them: a conversation's, or those of prompt, chosen and rejected one after the other.
    pub(super) ids: Vec<u32>,
    /// Of a conversation: which of them are trained on.
    pub(super) mask: Option<Vec<bool>>,
    /// Where its parts end: one for a conversation, three for a pair.
    pub(super) ends: Vec<usize>,
    /// Whether something was cut off.
    pub(super) truncated: bool,
}

/// Why a row gives no example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LeftOut {
    /// A conversation without an answer, or a pair that prefers nothing.
    NothingToLearn,
    /// It is longer than what was asked for.
    TooLong,
    /// The tokenizer or its template refuses it.
    Malformed(String),
}

impl EncodedExample {
    /// Tokens in a row of training: of a pair, with the longer of its sides.
    pub(super) fn longest(&self) -> u64 {
        let tokens = match self.ends[..] {
            [prompt, chosen, rejected] => chosen.max(prompt + rejected - chosen),
            _ => self.ids.len(),
        };
        tokens as u64
    }

    /// How many of its tokens a mask says are trained on.
    pub(super) fn trained_tokens(&self) -> u64 {
        let mask = self.mask.iter().flatten();
        mask.filter(|trained| **trained).count() as u64
    }
}

/// How long an example may be: a row of `seq_len` tokens and the one that its last predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) tokens: usize,
    pub(super) rule: OnTooLong,
}

/// Whether an example fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Whole,
    /// If it is cut to the limit.
    Cut,
    No,
}

impl Limit {
    /// Whether an example of so many tokens fits.
    ///
    /// # Errors
    /// A bad request when it does not, and that is to be refused.
    pub(super) fn fit(self, tokens: usize) -> Result<Fit> {
        match self.rule {
            _ if tokens <= self.tokens => Ok(Fit::Whole),
            OnTooLong::Truncate => Ok(Fit::Cut),
            OnTooLong::Drop => Ok(Fit::No),
            OnTooLong::Error => Err(crate::bad_request!(
                "an example of {tokens} tokens, more than the {} that train.seq_len allows; raise it, or set \
                 --on-too-long (prepare.on_too_long) to \"drop\" or \"truncate\"",
                self.tokens
            )),
        }
    }
}
