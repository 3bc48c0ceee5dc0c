//! The documents of several sources, in the proportions asked for.

use super::{
    documents::{Document, Documents, Patience, Tally},
    sources::Input,
};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Draws each document from the source that is furthest behind its share of the text, and ends when that one has no
/// more: so the proportions hold from the first document to the last. One source is read to its end.
pub(in crate::prepare) struct Mixture<'a> {
    sources: Vec<Source<'a>>,
}

struct Source<'a> {
    documents: Documents<'a>,
    weight: f64,
    taken: u64,
}

/// Where each source stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::prepare) struct Place(Vec<SourcePlace>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SourcePlace {
    tally: Tally,
    /// Text taken, in bytes (or ids).
    taken: u64,
}

impl<'a> Mixture<'a> {
    /// From the beginning of every source.
    #[must_use]
    pub(in crate::prepare) fn new(input: &'a Input, patience: Patience) -> Self {
        let sources = input.sources.iter().map(|source| Source {
            documents: Documents::new(&source.files, &input.form, patience),
            weight: source.weight,
            taken: 0,
        });
        Self {
            sources: sources.collect(),
        }
    }

    /// Where it stands.
    #[must_use]
    pub(in crate::prepare) fn place(&self) -> Place {
        let places = self.sources.iter().map(|source| SourcePlace {
            tally: source.documents.tally(),
            taken: source.taken,
        });
        Place(places.collect())
    }

    /// Goes on where another reader of the same input stood.
    ///
    /// # Errors
    /// When a row before that place cannot be read any more.
    pub(in crate::prepare) fn skip_to(&mut self, place: &Place) -> Result<()> {
        for (source, place) in self.sources.iter_mut().zip(&place.0) {
            source.documents.skip_to(place.tally)?;
            source.taken = place.taken;
        }
        Ok(())
    }
}

impl Iterator for Mixture<'_> {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        let share = |source: &Source<'_>| source.taken as f64 / source.weight;
        let behind = self
            .sources
            .iter_mut()
            .min_by(|a, b| share(a).total_cmp(&share(b)))?;
        let document = behind.documents.next()?;
        if let Ok(document) = &document {
            behind.taken += document.content.len() as u64;
        }
        Some(document)
    }
}

impl Place {
    /// What all sources together met.
    pub(in crate::prepare) fn total(&self) -> Tally {
        let add = |a: Tally, b: &SourcePlace| Tally {
            files: a.files + b.tally.files,
            rows: a.rows + b.tally.rows,
            bad_rows: a.bad_rows + b.tally.bad_rows,
            empty_documents: a.empty_documents + b.tally.empty_documents,
            source_bytes: a.source_bytes + b.tally.source_bytes,
        };
        self.0.iter().fold(Tally::default(), add)
    }
}
