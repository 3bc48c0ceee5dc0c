//! Rows of tokens, and what a teacher says about them where that is kept.

use super::{Batch, Counts, Dataset, KeptTeacher, Scored, TeacherTokens, TokenBatch};
use anyhow::Result;
use std::sync::OnceLock;
use tch::Tensor;

/// Any rows of tokens, text or conversations.
#[derive(Debug)]
pub struct DistillDataset<D> {
    rows: D,
    teacher: OnceLock<TeacherTokens>,
}

/// Rows, their trained-on places, and the teacher's likeliest tokens there.
#[derive(Debug)]
pub struct DistillBatch {
    /// What both models read.
    pub rows: TokenBatch,
    /// The places that are trained on.
    pub scored: Scored,
    /// What the teacher says there, where it was asked before.
    pub teacher: Option<KeptTeacher>,
}

impl<D> DistillDataset<D> {
    /// Over these rows.
    #[must_use]
    pub fn new(rows: D) -> Self {
        Self {
            rows,
            teacher: OnceLock::new(),
        }
    }

    /// The rows alone.
    #[must_use]
    pub fn rows(&self) -> &D {
        &self.rows
    }

    /// Gives the rows, once, what a teacher says about them.
    pub fn set_teacher(&self, tokens: TeacherTokens) {
        let _ = self.teacher.set(tokens);
    }
}

impl<D: Dataset<Batch = TokenBatch>> Dataset for DistillDataset<D> {
    type Batch = DistillBatch;

    fn len(&self) -> u64 {
        self.rows.len()
    }

    fn collate(&self, indices: &[u64]) -> Result<DistillBatch> {
        let rows = self.rows.collate(indices)?;
        let teacher = self.teacher.get().map(|tokens| tokens.of_rows(indices));
        Ok(DistillBatch {
            scored: Scored::of(&rows.targets),
            rows,
            teacher,
        })
    }

    fn targets(&self, index: u64) -> Result<u64> {
        self.rows.targets(index)
    }
}

impl Batch for DistillBatch {
    fn counts(&self) -> Counts {
        self.rows.counts()
    }

    fn map(self, f: &mut dyn FnMut(Tensor) -> Tensor) -> Self {
        Self {
            rows: self.rows.map(f),
            scored: self.scored.map(f),
            teacher: self.teacher.map(|kept| kept.map(f)),
        }
    }

    fn shape(&self) -> Option<Vec<i64>> {
        Some([self.rows.shape()?, self.scored.places.size()].concat())
    }
}
