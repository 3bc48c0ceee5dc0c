//! The documents of all files in order, and the patience with rows that are malformed.

use super::{
    content::Content,
    row::{BadRow, Rows},
    row_form::RowForm,
    rows,
    source::SourceFile,
};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A text or its ids, and where they came from.
#[derive(Debug, Clone)]
pub(in crate::prepare) struct Document {
    /// Never empty.
    pub(in crate::prepare) content: Content,
    /// `file`, `file:line` or `file, row n`.
    pub(in crate::prepare) origin: String,
}

/// What was met so far, and where the reader stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::prepare) struct Tally {
    /// Files read to their ends.
    pub(in crate::prepare) files: usize,
    /// Rows taken from the next one.
    pub(in crate::prepare) rows: u64,
    /// Malformed rows skipped.
    pub(in crate::prepare) bad_rows: u64,
    /// Documents without text skipped.
    pub(in crate::prepare) empty_documents: u64,
    /// Bytes of the files read.
    pub(in crate::prepare) source_bytes: u64,
}

/// How malformed rows are treated.
#[derive(Debug, Clone, Copy)]
pub(in crate::prepare) struct Patience {
    /// So many are skipped; one more is an error.
    pub(in crate::prepare) max_bad_rows: u64,
    /// A corpus that is read twice complains once.
    pub(in crate::prepare) pass: Pass,
}

/// Which of the passes over the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prepare) enum Pass {
    /// Another comes after it.
    Ahead,
    /// None does: rows that are skipped are logged, and fetched files go.
    Last,
}

impl Patience {
    /// One more malformed row, so many in all.
    ///
    /// # Errors
    /// When these are too many.
    pub(in crate::prepare) fn bear(self, bad_rows: u64, origin: &str, reason: &str) -> Result<()> {
        let allowed = self.max_bad_rows;
        ensure!(
            bad_rows <= allowed,
            "{origin}: malformed row: {reason}; correct it, or allow more such rows with --max-bad-rows \
             (prepare.max_bad_rows is {allowed})"
        );
        if self.pass == Pass::Last {
            log::warn!("{origin}: skipped ({bad_rows} of at most {allowed}): {reason}");
        }
        Ok(())
    }
}

struct OpenFile<'a> {
    path: &'a Path,
    rows: Rows,
}

/// Reads documents file by file. Which rows it passes on depends on the files alone.
pub(in crate::prepare) struct Documents<'a> {
    files: &'a [SourceFile],
    open: Option<OpenFile<'a>>,
    form: &'a RowForm,
    patience: Patience,
    tally: Tally,
    /// Of the files read to their ends.
    finished_bytes: u64,
}

impl<'a> Documents<'a> {
    /// Reads the files in order, and their rows in this form.
    #[must_use]
    pub(in crate::prepare) fn new(
        files: &'a [SourceFile],
        form: &'a RowForm,
        patience: Patience,
    ) -> Self {
        Self {
            files,
            open: None,
            form,
            patience,
            tally: Tally::default(),
            finished_bytes: 0,
        }
    }

    /// What was met so far.
    #[must_use]
    pub(in crate::prepare) fn tally(&self) -> Tally {
        self.tally
    }

    /// Goes on where another reader of the same files stood.
    ///
    /// # Errors
    /// When a row before that place cannot be read any more.
    pub(in crate::prepare) fn skip_to(&mut self, tally: Tally) -> Result<()> {
        self.tally = tally;
        let finished = &self.files[..tally.files];
        self.finished_bytes = finished.iter().map(|file| file.bytes).sum();
        if tally.rows == 0 {
            return Ok(());
        }
        let mut open = self.open_file(tally.files)?;
        for _ in 0..tally.rows {
            open.rows
                .next()
                .transpose()
                .with_context(|| open.path.display().to_string())?;
        }
        self.open = Some(open);
        Ok(())
    }

    fn next_document(&mut self) -> Result<Option<Document>> {
        loop {
            let Some(file) = &mut self.open else {
                if self.tally.files == self.files.len() {
                    return Ok(None);
                }
                self.open = Some(self.open_file(self.tally.files)?);
                continue;
            };
            let Some(row) = file.rows.next() else {
                let finished = &self.files[self.tally.files];
                self.finished_bytes += finished.bytes;
                self.tally.source_bytes = self.finished_bytes;
                self.tally.files += 1;
                self.tally.rows = 0;
                self.open = None;
                finished.let_go(self.patience.pass);
                continue;
            };
            let row = row.with_context(|| file.path.display().to_string())?;
            self.tally.rows += 1;
            let origin = format!("{}{}", file.path.display(), row.place);
            self.tally.source_bytes += row.source_bytes;
            match row.content {
                Ok(content) if content.len() == 0 => self.tally.empty_documents += 1,
                Ok(content) => return Ok(Some(Document { content, origin })),
                Err(bad) => self.skip(&origin, bad)?,
            }
        }
    }

    /// The file after it is fetched while this one is read.
    fn open_file(&self, index: usize) -> Result<OpenFile<'a>> {
        let file = &self.files[index];
        let rows = rows::open(file, self.form).with_context(|| file.path.display().to_string())?;
        if let Some(next) = self.files.get(index + 1) {
            next.begin();
        }
        Ok(OpenFile {
            rows,
            path: &file.path,
        })
    }

    fn skip(&mut self, origin: &str, bad: BadRow) -> Result<()> {
        self.tally.bad_rows += 1;
        match bad {
            BadRow::MissingField(reason) if self.tally.bad_rows > self.patience.max_bad_rows => {
                Err(crate::bad_request!("{origin}: {reason}"))
            }
            BadRow::MissingField(reason) | BadRow::Malformed(reason) => {
                self.patience.bear(self.tally.bad_rows, origin, &reason)
            }
        }
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_document().transpose()
    }
}
