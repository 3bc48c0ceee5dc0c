//! Pairs as the model reads them.

use super::batch::{map_tokens, shape_of};
use super::{Batch, Counts, Pair, Scored};
use crate::model::{IGNORED_TARGET, Layout, Tokens};
use tch::Tensor;

/// B pairs as 2B rows: prompt and answer one after the other, padded at the end; first all chosen answers, then all
/// rejected ones. What is scored are the answers' tokens.
#[derive(Debug)]
pub struct PreferenceBatch {
    /// What the model reads: ids [2B, S].
    pub tokens: Tokens,
    /// The answers' tokens.
    pub scored: Scored,
    /// The row of each of them [M], int64.
    pub rows: Tensor,
    /// How many each row has [2B], fp32.
    pub lengths: Tensor,
    /// What the reference gives each row's answer [2B], fp32, where that was computed before.
    pub reference: Option<Tensor>,
    /// What the pairs hold.
    pub counts: Counts,
}

impl PreferenceBatch {
    /// Of pairs whose answers have a token to score each; `reference` holds the log-probabilities of the rows in order.
    #[must_use]
    pub fn new(pairs: &[Pair], reference: Option<&[f32]>) -> Self {
        let chosen = pairs
            .iter()
            .map(|pair| Row::new(&pair.prompt, &pair.chosen));
        let rejected = pairs
            .iter()
            .map(|pair| Row::new(&pair.prompt, &pair.rejected));
        let rows: Vec<Row> = chosen.chain(rejected).collect();
        let width = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        let padded = |part: fn(&Row) -> &Vec<i64>, padding: i64| {
            let row = |row: &Row| {
                let mut ids = part(row).clone();
                ids.resize(width, padding);
                ids
            };
            let all: Vec<i64> = rows.iter().flat_map(row).collect();
            Tensor::from_slice(&all).view([rows.len() as i64, -1]) // [2B, S]
        };
        let lengths: Vec<f32> = rows.iter().map(|row| row.scored as f32).collect();
        let row_of_each = (0..).zip(&rows);
        let row_of_each = row_of_each.flat_map(|(index, row)| vec![index; row.scored]);
        let counts = Counts {
            targets: rows.iter().map(|row| row.scored as i64).sum(),
            examples: pairs.len() as i64,
            tokens: rows.iter().map(|row| row.ids.len() as i64).sum(),
        };
        Self {
            tokens: Tokens {
                ids: padded(|row| &row.ids, 0), // any id fills up: nothing sees it
                layout: Layout::Causal,
            },
            scored: Scored::of(&padded(|row| &row.targets, IGNORED_TARGET)),
            rows: Tensor::from_slice(&row_of_each.collect::<Vec<i64>>()),
            lengths: Tensor::from_slice(&lengths),
            reference: reference.map(Tensor::from_slice),
            counts,
        }
    }
}

/// What is read of a prompt with an answer, and what each token should predict.
struct Row {
    ids: Vec<i64>,
    targets: Vec<i64>,
    /// How many targets there are.
    scored: usize,
}

impl Row {
    fn new(prompt: &[i64], answer: &[i64]) -> Self {
        let all = [prompt, answer].concat();
        let from_prompt = prompt.len().saturating_sub(1);
        let mut targets = all[1..].to_vec();
        targets[..from_prompt].fill(IGNORED_TARGET);
        Self {
            scored: targets.len() - from_prompt,
            ids: all[..all.len() - 1].to_vec(),
            targets,
        }
    }
}

impl Batch for PreferenceBatch {
    fn counts(&self) -> Counts {
        self.counts
    }

    fn map(self, f: &mut dyn FnMut(Tensor) -> Tensor) -> Self {
        Self {
            tokens: map_tokens(self.tokens, f),
            scored: self.scored.map(f),
            rows: f(self.rows),
            lengths: f(self.lengths),
            reference: self.reference.map(f),
            counts: self.counts,
        }
    }

    fn shape(&self) -> Option<Vec<i64>> {
        Some([shape_of(&self.tokens)?, self.rows.size()].concat())
    }
}
