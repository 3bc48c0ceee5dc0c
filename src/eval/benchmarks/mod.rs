//! The benchmarks: where the rows of each are, and what a row means.
//!
//! A benchmark is a value: [`Benchmark`]. To add one, write a file like `piqa.rs` and name it in [`BENCHMARKS`]. The rules are
//! those of lm-evaluation-harness 0.4.13, item by item.

mod arc;
mod fields;
mod hellaswag;
mod item;
mod mmlu;
mod piqa;
mod python_text;
mod winogrande;

pub(super) use fields::Fields;
pub(super) use item::{Choice, Item};
pub(super) use python_text::strip_end;

use anyhow::Result;

/// All that there are.
pub(super) static BENCHMARKS: &[&Benchmark] = &[
    &hellaswag::HELLASWAG,
    &winogrande::WINOGRANDE,
    &arc::ARC_EASY,
    &arc::ARC_CHALLENGE,
    &piqa::PIQA,
    &mmlu::MMLU,
];

/// Questions with several answers, of which the model has to find one the most likely.
#[derive(Debug)]
pub(super) struct Benchmark {
    /// As `--tasks` names it.
    pub(super) name: &'static str,
    /// Where its rows are.
    pub(super) dataset: HubSplit,
    /// Solved examples before each question, if there are any.
    pub(super) few_shot: Option<FewShot>,
    /// Which accuracies are reported.
    pub(super) accuracies: Accuracies,
    /// What a row means.
    pub(super) read: fn(&Fields<'_>) -> Result<Item>,
}

/// A split of a data set on the Hub.
#[derive(Debug)]
pub(super) struct HubSplit {
    /// `org/name`
    pub(super) id: &'static str,
    /// The configuration, where there are several.
    pub(super) config: Option<&'static str>,
    /// The split that is scored.
    pub(super) split: &'static str,
}

/// The first examples of another split, of the question's own group.
#[derive(Debug)]
pub(super) struct FewShot {
    /// The split.
    pub(super) split: &'static str,
    /// How many.
    pub(super) examples: usize,
    /// What stands before them, for the group.
    pub(super) opening: fn(&str) -> String,
}

/// Which accuracies a benchmark has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accuracies {
    /// `acc`: the answer with the highest sum of log-probabilities.
    Plain,
    /// Also `acc_norm`: the sum divided by the answer's length in characters.
    Normalized,
}

/// The names that `--tasks` takes: loss, and all benchmarks.
pub fn task_names() -> impl Iterator<Item = &'static str> + Clone {
    let benchmarks = BENCHMARKS.iter().map(|benchmark| benchmark.name);
    [LOSS].into_iter().chain(benchmarks)
}

/// The task that is no benchmark: the loss on prepared data.
pub const LOSS: &str = "loss";

/// The benchmark of this name.
#[must_use]
pub(super) fn benchmark(name: &str) -> Option<&'static Benchmark> {
    let named = |benchmark: &&&'static Benchmark| benchmark.name == name;
    BENCHMARKS.iter().find(named).copied()
}
