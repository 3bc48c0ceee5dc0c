//! How far a preparation has come: enough to go on after a kill as if nothing had happened.

use super::{input::Place, val_split::ValSplit};
use crate::data::{
    Split,
    manifest::{ExampleCounts, SplitEntry},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A point between two documents, with everything before it on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Reached {
    /// The place in the input, and what was met before it.
    pub(super) place: Place,
    /// Which documents are held out; it may have taken a pass over everything to know.
    pub(super) val_split: ValSplit,
    /// Tokens until `prepare.max_tokens`.
    pub(super) tokens_left: u64,
    /// Documents left out because they had come before.
    pub(super) duplicates: u64,
    /// Rows that were well-formed and refused by the tokenizer or its template.
    pub(super) refused: u64,
    /// What became of examples.
    pub(super) examples: ExampleCounts,
    /// What each split holds.
    pub(super) splits: BTreeMap<Split, SplitReached>,
}

/// What a split holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SplitReached {
    /// Finished shards, and documents and text so far.
    pub(super) written: SplitEntry,
    /// The unfinished one.
    pub(super) open: Option<OpenReached>,
}

/// An unfinished shard.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct OpenReached {
    /// Tokens in it.
    pub(super) tokens: u64,
    /// Documents that begin in it.
    pub(super) documents: u64,
}

impl Reached {
    /// Documents taken from the input so far.
    pub(super) fn documents(&self) -> u64 {
        let written = self.splits.values().map(|split| split.written.documents);
        let left_out = self.refused + self.examples.nothing_to_learn + self.examples.too_long;
        written.sum::<u64>() + self.duplicates + left_out
    }
}
