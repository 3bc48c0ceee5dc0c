//! Documents in portions for the workers; a long text takes many.

use super::{
    in_flight::{Held, InFlight},
    input::{Content, Document, Example, Mixture, NextCut, Passages, Place},
};
use anyhow::{Context, Result};

/// Text that one worker takes at a time, or a document that cannot be cut.
const BATCH_BYTES: usize = 1 << 18;
/// Text that is read and not yet written.
const IN_FLIGHT_BYTES: usize = 64 << 20;

/// A document, or a part of one.
#[derive(Debug)]
pub(super) struct Passage {
    /// What it holds.
    pub(super) piece: Piece,
    /// Where the document came from.
    pub(super) origin: String,
    /// Of the whole document.
    pub(super) hash: u64,
    /// Whether a document begins here.
    pub(super) is_first: bool,
}

/// What a passage holds.
#[derive(Debug)]
pub(super) enum Piece {
    /// Text, never empty.
    Text(String),
    /// Ids, nothing added.
    Ids(Vec<u32>),
    /// A conversation or a preference.
    Example(Example),
}

impl Piece {
    /// Bytes of text.
    pub(super) fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Ids(_) => 0,
            Self::Example(example) => example.text_bytes(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Ids(ids) => size_of_val(ids.as_slice()),
            Self::Example(example) => example.bytes(),
        }
    }
}

/// Some passages in order, and what the reader had met when it was done with them.
#[derive(Debug)]
pub(super) struct Batch {
    /// The passages; none only in the last batch.
    pub(super) passages: Vec<Passage>,
    /// Where the reader stood after the last document that began.
    pub(super) place: Place,
    /// Whether that document is complete.
    pub(super) is_complete: bool,
    /// Bytes of the files that were needed up to here.
    pub(super) source_bytes: u64,
    /// Room to be given back when the batch is written.
    pub(super) held: Held,
}

/// What to make of the documents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutting {
    /// Documents to take, all if 0.
    pub(super) max_documents: u64,
    /// Documents that were taken before.
    pub(super) taken: u64,
    /// Of the hashes.
    pub(super) seed: u64,
    /// Where a long text may be cut.
    pub(super) next_cut: Option<NextCut>,
}

/// Cuts a stream of documents into batches. The last carries the final place, and may be empty.
pub(super) struct Batches<'a> {
    documents: Mixture<'a>,
    documents_left: u64,
    seed: u64,
    next_cut: Option<NextCut>,
    open: Option<OpenText>,
    in_flight: InFlight,
    ended: bool,
}

/// A text of which not all passages are taken.
struct OpenText {
    passages: Passages,
    origin: String,
    hash: u64,
    taken: usize,
    len: usize,
}

impl<'a> Batches<'a> {
    /// Goes on from where the documents stand.
    #[must_use]
    pub(super) fn new(documents: Mixture<'a>, cutting: Cutting) -> Self {
        let most = match cutting.max_documents {
            0 => u64::MAX,
            most => most,
        };
        Self {
            documents,
            documents_left: most.saturating_sub(cutting.taken),
            seed: cutting.seed,
            next_cut: cutting.next_cut,
            open: None,
            in_flight: InFlight::new(IN_FLIGHT_BYTES),
            ended: false,
        }
    }

    fn fill(&mut self) -> Result<Batch> {
        let mut passages = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES && !self.ended {
            match self.next_passage()? {
                Some(passage) => {
                    bytes += passage.piece.bytes();
                    passages.push(passage);
                }
                None => self.ended = true,
            }
        }
        let place = self.documents.place();
        let unfinished = self.open.as_ref().filter(|open| !open.passages.is_done());
        let to_come = unfinished.map_or(0, OpenText::to_come);
        Ok(Batch {
            passages,
            source_bytes: place.total().source_bytes.saturating_sub(to_come),
            place,
            is_complete: unfinished.is_none(),
            held: self.in_flight.hold(bytes),
        })
    }

    fn next_passage(&mut self) -> Result<Option<Passage>> {
        if let Some(open) = &mut self.open
            && let Some(passage) = open.next_passage()?
        {
            return Ok(Some(passage));
        }
        self.open = None;
        if self.documents_left == 0 {
            return Ok(None);
        }
        let Some(document) = self.documents.next().transpose()? else {
            return Ok(None);
        };
        self.documents_left -= 1;
        self.begin(document).map(Some)
    }

    fn begin(&mut self, document: Document) -> Result<Passage> {
        let Document { content, origin } = document;
        let len = content.len();
        let hash = content.hash(self.seed).with_context(|| origin.clone())?;
        let passages = match content {
            Content::LongText(text) => text.passages(self.next_cut)?,
            Content::Text(text) if self.next_cut.is_some() && Passages::may_be_many(len) => {
                Passages::of_text(text, self.next_cut)
            }
            Content::Text(text) => return Ok(Passage::whole(Piece::Text(text), origin, hash)),
            Content::Ids(ids) => return Ok(Passage::whole(Piece::Ids(ids), origin, hash)),
            Content::Example(example) => {
                return Ok(Passage::whole(Piece::Example(example), origin, hash));
            }
        };
        let open = self.open.insert(OpenText {
            passages,
            origin,
            hash,
            taken: 0,
            len,
        });
        let first = open.next_passage()?;
        first.with_context(|| format!("{}: the file has changed while it was read", open.origin))
    }
}

impl Passage {
    fn whole(piece: Piece, origin: String, hash: u64) -> Self {
        Self {
            piece,
            origin,
            hash,
            is_first: true,
        }
    }
}

impl OpenText {
    fn next_passage(&mut self) -> Result<Option<Passage>> {
        let text = self
            .passages
            .next_passage()
            .with_context(|| self.origin.clone())?;
        let is_first = self.taken == 0;
        self.taken += text.as_ref().map_or(0, String::len);
        Ok(text.map(|text| Passage {
            piece: Piece::Text(text),
            origin: self.origin.clone(),
            hash: self.hash,
            is_first,
        }))
    }

    /// Bytes of text that are left.
    fn to_come(&self) -> u64 {
        self.len.saturating_sub(self.taken) as u64
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
