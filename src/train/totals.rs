//! Sums over many batches, and their means over all ranks.

use crate::data::Counts;
use crate::dist::ProcessGroup;
use crate::objective::{LossSum, Per};
use anyhow::Result;
use tch::{Kind, Tensor};

/// What batches came to so far, each term by itself.
#[derive(Debug, Default)]
pub(super) struct Totals {
    terms: Vec<(&'static str, Per)>,
    /// How many of the terms, from the first, are the loss.
    of_loss: usize,
    sums: Vec<f64>,
    counts: Counts,
}

/// Each term divided by the count of its unit.
#[derive(Debug)]
pub(super) struct Means {
    /// Of all terms of the loss together.
    pub(super) loss: f64,
    /// What else there is: metrics, and the terms of the loss where it has several.
    pub(super) terms: Vec<(&'static str, f64)>,
    /// What the means are over.
    pub(super) counts: Counts,
}

impl Totals {
    /// Takes in a batch; the device is waited for once.
    pub(super) fn add(&mut self, sums: &LossSum, counts: Counts) -> Result<()> {
        let all = || sums.loss.iter().chain(&sums.metrics);
        if self.terms.is_empty() {
            self.terms = all().map(|sum| (sum.name, sum.per)).collect();
            self.of_loss = sums.loss.len();
            self.clear();
        }
        let values: Vec<Tensor> = all().map(|sum| sum.value.to_kind(Kind::Double)).collect();
        let values = Vec::<f64>::try_from(&Tensor::stack(&values, 0))?;
        for (total, value) in self.sums.iter_mut().zip(values) {
            *total += value;
        }
        self.counts += counts;
        Ok(())
    }

    /// Forgets the numbers, but not their names.
    pub(super) fn clear(&mut self) {
        self.sums = vec![0.0; self.terms.len()];
        self.counts = Counts::default();
    }

    /// Means over all ranks, which have all taken in the same terms.
    pub(super) fn means(self, group: &dyn ProcessGroup) -> Result<Means> {
        let Counts {
            targets,
            examples,
            tokens,
        } = self.counts;
        let counts = [targets, examples, tokens].map(|count| count as f64);
        let mut all = Tensor::from_slice(&[&self.sums[..], &counts].concat()).to_kind(Kind::Double);
        group.all_reduce_sum(&mut all)?;
        let all = Vec::<f64>::try_from(&all)?;
        let (sums, counts) = all.split_at(self.sums.len());
        let counts = Counts {
            targets: counts[0] as i64,
            examples: counts[1] as i64,
            tokens: counts[2] as i64,
        };
        let means = self.terms.iter().zip(sums);
        let means: Vec<(&'static str, f64)> = means
            .map(|((name, per), sum)| (*name, sum / per.count(counts).max(1) as f64))
            .collect();
        let (of_loss, metrics) = means.split_at(self.of_loss);
        let named = if of_loss.len() > 1 { of_loss } else { &[] };
        Ok(Means {
            loss: of_loss.iter().map(|(_, mean)| mean).sum(),
            terms: [named, metrics].concat(),
            counts,
        })
    }
}
