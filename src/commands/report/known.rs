//! The plots that are known by the names of their numbers, in the order in which a page has them.

use super::charts::{lines, shared_tokens};
use super::figures::Unit;
use super::numbers::Series;
use super::plot::{Plot, View};
use super::run::Run;

/// A plot that is known by the names of its numbers.
pub(super) struct Known {
    title: &'static str,
    says: &'static str,
    splits: &'static [&'static str],
    names: &'static [&'static str],
    unit: Unit,
    view: View,
    noisy: bool,
}

const TRAIN: &[&str] = &["train"];
const BOTH: &[&str] = &["train", "val"];

pub(super) const KNOWN: [Known; 11] = [
    Known::new("Loss", "nats per target token", &["loss"])
        .bulk()
        .noisy(),
    Known::new(
        "Cross-entropy and distillation",
        "nats per target token",
        &["ce_loss", "kd_loss"],
    )
    .bulk()
    .noisy(),
    Known::new(
        "Likelihood of the chosen",
        "added to the loss",
        &["nll_loss"],
    )
    .bulk()
    .noisy(),
    Known::new(
        "Rewards",
        "and their margin",
        &["rewards/chosen", "rewards/rejected", "rewards/margins"],
    )
    .noisy(),
    Known::new(
        "Reward accuracy",
        "chosen ahead of rejected",
        &["rewards/accuracies"],
    )
    .unit(Unit::Percent)
    .noisy(),
    Known::new(
        "Log-probabilities",
        "of whole answers, in nats",
        &["logps/chosen", "logps/rejected"],
    )
    .noisy(),
    Known::new("Learning rate", "of each step", &["lr"])
        .of_training()
        .with_zero(),
    Known::new("Gradient norm", "before clipping", &["grad_norm"])
        .of_training()
        .bulk()
        .noisy(),
    Known::new(
        "Throughput",
        "tokens per second, all ranks",
        &["tokens_per_second"],
    )
    .of_training()
    .with_zero()
    .noisy(),
    Known::new("MFU", "(6N + 6Lds) × tokens/s ÷ peak", &["mfu"])
        .of_training()
        .unit(Unit::Percent)
        .with_zero()
        .noisy(),
    Known::new("Peak memory", "of rank 0, so far", &["memory_peak_bytes"])
        .of_training()
        .unit(Unit::Bytes)
        .with_zero(),
];

/// Numbers that say where a line stands, or the same as another.
pub(super) const UNPLOTTED: [&str; 6] = [
    "time",
    "tokens_seen",
    "step_seconds",
    "epoch",
    "num_targets",
    "perplexity",
];

impl Known {
    const fn new(title: &'static str, says: &'static str, names: &'static [&'static str]) -> Self {
        Self {
            title,
            says,
            splits: BOTH,
            names,
            unit: Unit::Plain,
            view: View::Whole,
            noisy: false,
        }
    }

    const fn of_training(self) -> Self {
        Self {
            splits: TRAIN,
            ..self
        }
    }

    const fn bulk(self) -> Self {
        Self {
            view: View::Bulk,
            ..self
        }
    }

    const fn with_zero(self) -> Self {
        Self {
            view: View::FromZero,
            ..self
        }
    }

    const fn noisy(self) -> Self {
        Self {
            noisy: true,
            ..self
        }
    }

    const fn unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    pub(super) fn shows(&self, series: &Series) -> bool {
        self.splits.contains(&series.split.as_str()) && self.names.contains(&series.name.as_str())
    }

    /// Of these runs, if one of them has such numbers.
    pub(super) fn plot(&self, runs: &[Run]) -> Option<Plot> {
        // Several numbers of several runs are told apart by training alone.
        let splits = match runs.len() > 1 && self.names.len() > 1 {
            true => TRAIN,
            false => self.splits,
        };
        let both = |name| splits.iter().map(move |split| (*split, name));
        let pairs: Vec<(&str, &str)> = self.names.iter().copied().flat_map(both).collect();
        let lines = lines(runs, &pairs, self.noisy);
        (!lines.is_empty()).then(|| Plot {
            title: self.title.to_owned(),
            says: self.says(runs).to_owned(),
            unit: self.unit,
            lines,
            view: self.view,
            tokens: shared_tokens(runs),
        })
    }

    /// The loss of preferences is a mean over pairs, that of a distillation a mixture.
    fn says(&self, runs: &[Run]) -> &'static str {
        if self.title != "Loss" {
            return self.says;
        }
        let have = |name: &str| {
            runs.iter()
                .any(|run| run.numbers.get("train", name).is_some())
        };
        match (have("rewards/margins"), have("ce_loss"), runs.len()) {
            (true, ..) => "mean over pairs",
            (false, true, 1) => "alpha · T² divergence + (1 − alpha) · cross-entropy",
            (false, true, _) => {
                "nats per target token; a distillation's is a mixture, see its cross-entropy"
            }
            (false, false, _) => self.says,
        }
    }
}
