//! The end of the line: both splits' files, and now and then a note of how far they are.

use super::{
    encoded::{Encoded, EncodedExample, LeftOut},
    folder::Claimed,
    in_flight::Held,
    input::{Patience, Place, Tally},
    open_shard::ShardFormat,
    reached::{Reached, SplitReached},
    val_split::ValSplit,
    writer::SplitWriter,
};
use crate::data::{
    Split,
    manifest::{ExampleCounts, SplitEntry},
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::{BTreeMap, HashSet},
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// Time between notes: what a kill costs.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// A batch as ids.
pub(super) struct EncodedBatch {
    /// In order.
    pub(super) passages: Vec<EncodedPassage>,
    /// Where the reader stood after the last document that began.
    pub(super) place: Place,
    /// Whether that document is complete.
    pub(super) is_complete: bool,
    /// Bytes of the files that were needed up to here.
    pub(super) source_bytes: u64,
    /// Room to be given back when the batch is written.
    pub(super) held: Held,
}

/// A document, or a part of one, as ids.
pub(super) struct EncodedPassage {
    /// Where the document came from.
    pub(super) origin: String,
    /// Where the document belongs.
    pub(super) split: Split,
    /// Of the whole document.
    pub(super) hash: u64,
    /// Whether the document begins here.
    pub(super) is_first: bool,
    /// The ids, or why there are none.
    pub(super) encoded: Encoded,
    /// Bytes of its text.
    pub(super) text_bytes: u64,
}

/// What came of it all.
pub(super) struct Finished {
    /// The splits with a token.
    pub(super) splits: BTreeMap<Split, SplitEntry>,
    /// What was met.
    pub(super) tally: Tally,
    /// Documents left out because they had come before.
    pub(super) duplicates: u64,
    /// Rows that the tokenizer or its template refused.
    pub(super) refused: u64,
    /// What became of examples.
    pub(super) examples: ExampleCounts,
}

/// Takes batches in order.
pub(super) struct Sink<'a> {
    claimed: &'a Claimed,
    train: SplitWriter,
    val: SplitWriter,
    tokens_left: u64,
    place: Place,
    /// Hashes of all documents so far, where none may come twice.
    seen: Option<HashSet<u64>>,
    val_split: ValSplit,
    patience: Patience,
    duplicates: u64,
    refused: u64,
    examples: ExampleCounts,
    /// Whether the document that began last is one.
    is_duplicate: bool,
    noted: Instant,
}

impl<'a> Sink<'a> {
    /// For an output folder, from where an earlier preparation stopped.
    ///
    /// # Errors
    /// When what that one left is not there any more.
    pub(super) fn new(
        claimed: &'a Claimed,
        format: ShardFormat,
        seen: Option<HashSet<u64>>,
        val_split: ValSplit,
        patience: Patience,
    ) -> Result<Self> {
        let max_tokens = claimed.request.max_tokens;
        let start = claimed.reached.as_ref();
        let damaged = || {
            let dir = claimed.dir.display();
            format!(
                "{dir}: what an earlier preparation left is damaged; delete the folder and start again"
            )
        };
        let writer = |split| match start.and_then(|reached| reached.splits.get(&split)) {
            Some(reached) => {
                SplitWriter::resume(format.clone(), split, reached.clone()).with_context(damaged)
            }
            None => Ok(SplitWriter::new(format.clone(), split)),
        };
        let most = if max_tokens == 0 {
            u64::MAX
        } else {
            max_tokens
        };
        Ok(Self {
            claimed,
            train: writer(Split::Train)?,
            val: writer(Split::Val)?,
            tokens_left: start.map_or(most, |reached| reached.tokens_left),
            place: start.map_or_else(Place::default, |reached| reached.place.clone()),
            seen,
            val_split,
            patience,
            duplicates: start.map_or(0, |reached| reached.duplicates),
            refused: start.map_or(0, |reached| reached.refused),
            examples: start.map_or_else(ExampleCounts::default, |reached| reached.examples),
            is_duplicate: false,
            noted: Instant::now(),
        })
    }

    /// Writes a batch; the document that reaches `max_tokens` is cut there (an example is not) and is the last.
    ///
    /// # Errors
    /// When a file cannot be written, or too many rows are malformed.
    pub(super) fn take(&mut self, batch: EncodedBatch) -> Result<ControlFlow<()>> {
        self.place = batch.place;
        for passage in batch.passages {
            if passage.is_first {
                let seen = self.seen.as_mut();
                self.is_duplicate = seen.is_some_and(|seen| !seen.insert(passage.hash));
                self.duplicates += u64::from(self.is_duplicate);
            }
            if self.is_duplicate {
                continue;
            }
            self.write(passage)?;
            if self.tokens_left == 0 {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.check_patience()?;
        if batch.is_complete && self.noted.elapsed() >= NOTE_EVERY {
            self.note()?;
        }
        drop(batch.held);
        Ok(ControlFlow::Continue(()))
    }

    fn write(&mut self, passage: EncodedPassage) -> Result<()> {
        match &passage.encoded {
            Encoded::Text(ids) => self.write_text(&passage, ids),
            Encoded::Example(example) => self.write_example(&passage, example),
            Encoded::LeftOut(reason) => self.leave_out(&passage.origin, reason),
        }
    }

    fn write_text(&mut self, passage: &EncodedPassage, ids: &[u32]) -> Result<()> {
        let all = ids.len() as u64;
        let kept = all.min(self.tokens_left);
        self.tokens_left -= kept;
        let text_bytes = passage.text_bytes * kept / all.max(1);
        let writer = self.writer(passage.split);
        if passage.is_first {
            writer.begin_document();
        }
        writer.push(&ids[..kept as usize], text_bytes)
    }

    fn write_example(&mut self, passage: &EncodedPassage, example: &EncodedExample) -> Result<()> {
        self.tokens_left = self.tokens_left.saturating_sub(example.ids.len() as u64);
        self.examples.truncated += u64::from(example.truncated);
        self.examples.longest = self.examples.longest.max(example.longest());
        self.writer(passage.split)
            .push_example(example, passage.text_bytes)
    }

    fn leave_out(&mut self, origin: &str, reason: &LeftOut) -> Result<()> {
        match reason {
            LeftOut::NothingToLearn => self.examples.nothing_to_learn += 1,
            LeftOut::TooLong => self.examples.too_long += 1,
            LeftOut::Malformed(reason) => {
                self.refused += 1;
                let bad_rows = self.place.total().bad_rows + self.refused;
                self.patience.bear(bad_rows, origin, reason)?;
            }
        }
        Ok(())
    }

    /// The reader knows of those alone that it could not read.
    fn check_patience(&self) -> Result<()> {
        let bad_rows = self.place.total().bad_rows + self.refused;
        let allowed = self.patience.max_bad_rows;
        ensure!(
            self.refused == 0 || bad_rows <= allowed,
            "{bad_rows} malformed rows in all (see above); correct them, or allow more with --max-bad-rows \
             (prepare.max_bad_rows is {allowed})"
        );
        Ok(())
    }

    fn writer(&mut self, split: Split) -> &mut SplitWriter {
        match split {
            Split::Train => &mut self.train,
            Split::Val => &mut self.val,
        }
    }

    fn note(&mut self) -> Result<()> {
        let splits: BTreeMap<Split, SplitReached> = BTreeMap::from([
            (Split::Train, self.train.reached()?),
            (Split::Val, self.val.reached()?),
        ]);
        self.claimed.record(Some(Reached {
            val_split: self.val_split,
            place: self.place.clone(),
            tokens_left: self.tokens_left,
            duplicates: self.duplicates,
            refused: self.refused,
            examples: self.examples,
            splits,
        }))?;
        self.noted = Instant::now();
        Ok(())
    }

    /// Closes both splits; those without a token are left out.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn finish(self) -> Result<Finished> {
        let splits = [
            (Split::Train, self.train.finish()?),
            (Split::Val, self.val.finish()?),
        ];
        let filled = splits.into_iter().filter(|(_, entry)| entry.tokens > 0);
        Ok(Finished {
            splits: filled.collect(),
            tally: self.place.total(),
            duplicates: self.duplicates,
            refused: self.refused,
            examples: self.examples,
        })
    }
}
