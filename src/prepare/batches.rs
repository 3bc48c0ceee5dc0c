//! Documents in portions for the workers.

use super::documents::Document;
use super::mixture::{Mixture, Place};
use anyhow::Result;

/// Text that one worker takes at a time; a longer document is a portion of its own.
const BATCH_BYTES: usize = 1 << 18;

/// Some documents in order, and what the reader had met when it was done with them.
#[derive(Debug)]
pub(super) struct Batch {
    /// The documents; none only in the last batch.
    pub(super) documents: Vec<Document>,
    /// Where the reader stood after them.
    pub(super) place: Place,
}

/// Cuts a stream of documents into batches. The last carries the final place, and may be empty.
pub(super) struct Batches<'a> {
    documents: Mixture<'a>,
    documents_left: u64,
    ended: bool,
}

impl<'a> Batches<'a> {
    /// Takes `max_documents` documents, all if that is 0, of which `taken` were taken before.
    #[must_use]
    pub(super) fn new(documents: Mixture<'a>, max_documents: u64, taken: u64) -> Self {
        let most = if max_documents == 0 {
            u64::MAX
        } else {
            max_documents
        };
        Self {
            documents,
            documents_left: most.saturating_sub(taken),
            ended: false,
        }
    }

    fn fill(&mut self) -> Result<Batch> {
        let mut documents = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES && !self.ended {
            let next = if self.documents_left == 0 {
                None
            } else {
                self.documents.next()
            };
            match next.transpose()? {
                Some(document) => {
                    self.documents_left -= 1;
                    bytes += document.content.len();
                    documents.push(document);
                }
                None => self.ended = true,
            }
        }
        let place = self.documents.place();
        Ok(Batch { documents, place })
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.fill();
        self.ended |= batch.is_err();
        Some(batch)
    }
}
