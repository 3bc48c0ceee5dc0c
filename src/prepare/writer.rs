//! Shards, each whole or absent.

use super::{
    encoded::EncodedExample,
    open_shard::{OpenShard, ShardFormat},
    reached::SplitReached,
};
use crate::data::{Split, manifest::SplitEntry};
use anyhow::Result;

/// Writes the shards of one split. Their bytes follow from the documents alone. Of plain text shard `i` holds tokens
/// `[i · shard_tokens, (i + 1) · shard_tokens)` of the split, so a document may begin in one and end in the next; an example
/// is never cut: it fills its shard beyond that number.
#[derive(Debug)]
pub(super) struct SplitWriter {
    format: ShardFormat,
    split: Split,
    open: Option<OpenShard>,
    written: SplitEntry,
    /// Whether the next token is a document's first.
    begins: bool,
}

impl SplitWriter {
    /// Starts a split; no file is made before there is a token.
    #[must_use]
    pub(super) fn new(format: ShardFormat, split: Split) -> Self {
        Self {
            format,
            split,
            open: None,
            written: SplitEntry::default(),
            begins: false,
        }
    }

    /// Goes on where another writer of the same split stood.
    ///
    /// # Errors
    /// When the unfinished shard is not there any more.
    pub(super) fn resume(format: ShardFormat, split: Split, reached: SplitReached) -> Result<Self> {
        let index = reached.written.shards.len();
        let open = reached
            .open
            .map(|open| OpenShard::resume(&format, split, index, open))
            .transpose()?;
        Ok(Self {
            open,
            written: reached.written,
            ..Self::new(format, split)
        })
    }

    /// Where it stands, everything up to here on disk.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn reached(&mut self) -> Result<SplitReached> {
        let open = match &mut self.open {
            Some(shard) => Some(shard.reached()?),
            None => None,
        };
        Ok(SplitReached {
            written: self.written.clone(),
            open,
        })
    }

    /// Makes what is pushed next the beginning of a document.
    pub(super) fn begin_document(&mut self) {
        self.written.documents += 1;
        self.begins = true;
    }

    /// Appends to a document: ids, separator included, and the bytes of text they stand for.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn push(&mut self, mut ids: &[u32], text_bytes: u64) -> Result<()> {
        self.written.text_bytes += text_bytes;
        while !ids.is_empty() {
            let begins = std::mem::take(&mut self.begins);
            let shard_tokens = self.format.shard_tokens;
            let shard = self.open_shard()?;
            let room = shard_tokens - shard.tokens();
            let (now, later) =
                ids.split_at(ids.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            if begins {
                shard.begin_document();
            }
            shard.push(now)?;
            ids = later;
            self.close_if_full()?;
        }
        Ok(())
    }

    /// Appends an example, and the bytes of text it stands for.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn push_example(&mut self, example: &EncodedExample, text_bytes: u64) -> Result<()> {
        self.written.documents += 1;
        self.written.text_bytes += text_bytes;
        self.written.trained_tokens += example.trained_tokens();
        self.open_shard()?.push_example(example)?;
        self.close_if_full()
    }

    fn open_shard(&mut self) -> Result<&mut OpenShard> {
        let open = match self.open.take() {
            Some(open) => open,
            None => OpenShard::create(&self.format, self.split, self.written.shards.len())?,
        };
        Ok(self.open.insert(open))
    }

    fn close_if_full(&mut self) -> Result<()> {
        let tokens = self.open.as_ref().map_or(0, OpenShard::tokens);
        match tokens >= self.format.shard_tokens {
            true => self.close_shard(),
            false => Ok(()),
        }
    }

    /// Closes the last shard.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(mut self) -> Result<SplitEntry> {
        self.close_shard()?;
        Ok(self.written)
    }

    fn close_shard(&mut self) -> Result<()> {
        let Some(shard) = self.open.take() else {
            return Ok(());
        };
        let entry = shard.finish()?;
        self.written.tokens += entry.tokens;
        self.written.shards.push(entry);
        Ok(())
    }
}
