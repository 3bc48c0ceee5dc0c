//! From what rows hold to ids: plain text by [`pretrain`](super::pretrain), conversations by
//! [`instruct`](super::instruct), pairs by [`preference`](super::preference).

use super::{
    Job,
    batches::Piece,
    encoded::{Encoded, Limit},
    input::{Content, Document, Example, ExampleForm, Passages, RowForm},
    instruct::{self, Chat},
    preference, pretrain,
};
use crate::{data::manifest::Kind, tokenizer::Tokenizer};
use anyhow::{Context, Result};

/// Encodes documents of one kind, on any number of threads.
#[derive(Debug)]
pub(super) struct Encoder<'t> {
    tokenizer: &'t Tokenizer,
    /// Before each document of plain text.
    separator: Option<u32>,
    /// Where turns are still to be encoded.
    chat: Option<Chat<'t>>,
    limit: Option<Limit>,
}

impl<'t> Encoder<'t> {
    /// For what a job asks for, over rows of this form.
    ///
    /// # Errors
    /// A bad request when the tokenizer has no separator or no chat format.
    pub(super) fn new(job: &Job, form: &RowForm, tokenizer: &'t Tokenizer) -> Result<Self> {
        let holds_turns = matches!(
            form,
            RowForm::Example(ExampleForm::Conversation { .. } | ExampleForm::Preference(_))
        );
        let separator = (job.kind == Kind::Pretrain).then(|| tokenizer.document_separator());
        Ok(Self {
            tokenizer,
            separator: separator.transpose()?,
            chat: holds_turns.then(|| Chat::new(job, tokenizer)).transpose()?,
            limit: job.limit(),
        })
    }

    /// Whose ids they are.
    pub(super) fn tokenizer(&self) -> &'t Tokenizer {
        self.tokenizer
    }

    /// The token before each document, if there is one.
    pub(super) fn separator(&self) -> Option<u32> {
        self.separator
    }

    /// Fingerprint of the template that turns are written with.
    pub(super) fn chat_template(&self) -> Option<String> {
        self.chat.as_ref().map(Chat::fingerprint)
    }

    /// The ids of a document, or of a part of one.
    ///
    /// # Errors
    /// When a text cannot be encoded, or ids are of another vocabulary; a bad request where one that is too long is to be
    /// refused.
    pub(super) fn encode(&self, piece: Piece, is_first: bool) -> Result<Encoded> {
        match piece {
            Piece::Text(text) => {
                let separator = self.separator.filter(|_| is_first);
                pretrain::encode(&text, separator, self.tokenizer).map(Encoded::Text)
            }
            Piece::Ids(ids) => {
                pretrain::check_ids(&ids, self.tokenizer)?;
                Ok(Encoded::Text(ids))
            }
            Piece::Example(example) => self.encode_example(example),
        }
    }

    /// The ids of an example.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub(super) fn encode_example(&self, example: Example) -> Result<Encoded> {
        let chat = || self.chat.as_ref().context("turns without a chat format");
        let (check, limit) = (
            |ids: &[u32]| pretrain::check_ids(ids, self.tokenizer),
            self.limit,
        );
        match example {
            Example::Conversation(turns) => chat()?.encode(turns, limit),
            Example::Masked(conversation) => {
                check(&conversation.ids)?;
                instruct::masked(conversation, limit)
            }
            Example::Preference(pair) => preference::encode(pair, chat()?, limit),
            Example::PreferenceIds(pair) => {
                for ids in [&pair.prompt, &pair.chosen, &pair.rejected] {
                    check(ids)?;
                }
                preference::of_ids(pair, limit)
            }
        }
    }

    /// No fewer tokens than a document will be, a separator included; none only if it is left out.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub(super) fn most_tokens(&self, document: &Document) -> Result<u64> {
        match &document.content {
            Content::Example(_) => self.count(document.clone()),
            content => Ok(content.len() as u64 + 1), // no token is shorter than a byte
        }
    }

    /// Tokens that a document will be, a separator included; none if it is left out.
    ///
    /// # Errors
    /// As [`Self::encode`]; also when a text that was left in its file cannot be read any more.
    pub(super) fn count(&self, document: Document) -> Result<u64> {
        let next_cut = self.tokenizer.next_cut();
        let mut passages = match document.content {
            Content::Text(text) => Passages::of_text(text, next_cut),
            Content::LongText(text) => text.passages(next_cut)?,
            Content::Ids(ids) => return Ok(ids.len() as u64),
            Content::Example(example) => {
                return Ok(
                    match self.encode_example(example).context(document.origin)? {
                        Encoded::Example(example) => example.ids.len() as u64,
                        Encoded::Text(_) | Encoded::LeftOut(_) => 0,
                    },
                );
            }
        };
        let mut count = 1;
        while let Some(text) = passages.next_passage()? {
            count += self.tokenizer.encode(&text)?.len() as u64;
        }
        Ok(count)
    }
}
