//! What a model made of a benchmark, as numbers and as JSON.

use super::accuracy::{Estimate, ItemScore, Which};
use crate::eval::benchmarks::Benchmark;
use serde_json::{Map, Value, json};

/// All items of a benchmark, scored.
#[derive(Debug, Clone)]
pub struct BenchmarkScores {
    benchmark: &'static Benchmark,
    items: Vec<ItemScore>,
}

/// An accuracy (or a difference of two) and its name: `acc` or `acc_norm`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// As the harness calls it.
    pub name: &'static str,
    /// Its value and error.
    pub estimate: Estimate,
}

impl BenchmarkScores {
    pub(super) fn new(benchmark: &'static Benchmark, items: Vec<ItemScore>) -> Self {
        Self { benchmark, items }
    }

    /// The benchmark's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.benchmark.name
    }

    /// The items, in order.
    #[must_use]
    pub fn items(&self) -> &[ItemScore] {
        &self.items
    }

    /// Those accuracies that the benchmark has.
    pub fn accuracies(&self) -> impl Iterator<Item = Accuracy> {
        let which = Which::of(self.benchmark.accuracies).iter();
        which.map(|&(which, name)| Accuracy {
            name,
            estimate: Estimate::accuracy(&self.items, which),
        })
    }

    /// How much better this is than another model on the same items, item by item.
    pub fn differences(&self, other: &Self) -> impl Iterator<Item = Accuracy> {
        let pairs: Vec<_> = self.items.iter().zip(&other.items).collect();
        let which = Which::of(self.benchmark.accuracies).iter();
        which.map(move |&(which, name)| Accuracy {
            name,
            estimate: Estimate::difference(&pairs, which),
        })
    }

    /// `{"acc":…,"acc_stderr":…,"acc_norm":…,"acc_norm_stderr":…,"n":…}`
    #[must_use]
    pub fn json(&self) -> Value {
        as_json(self.accuracies(), self.items.len())
    }

    /// The same for [`Self::differences`].
    #[must_use]
    pub fn difference_json(&self, other: &Self) -> Value {
        as_json(self.differences(other), self.items.len())
    }

    /// A line for each item.
    pub fn details(&self) -> impl Iterator<Item = Value> {
        self.items.iter().enumerate().map(|(index, item)| {
            let endings = item.endings.iter().map(|ending| {
                json!({
                    "sum_logprob": ending.sum_log_prob,
                    "num_tokens": ending.num_tokens,
                    "num_chars": ending.num_chars,
                    "num_bytes": ending.num_bytes,
                })
            });
            json!({
                "task": self.name(),
                "item": index,
                "endings": endings.collect::<Vec<_>>(),
                "pred": item.prediction(),
                "pred_norm": item.normalized_prediction(),
                "label": item.label,
            })
        })
    }
}

fn as_json(accuracies: impl Iterator<Item = Accuracy>, items: usize) -> Value {
    let mut fields = Map::new();
    for Accuracy { name, estimate } in accuracies {
        fields.insert(name.to_owned(), json!(estimate.mean));
        fields.insert(format!("{name}_stderr"), json!(estimate.standard_error));
    }
    fields.insert("n".to_owned(), json!(items));
    Value::Object(fields)
}
