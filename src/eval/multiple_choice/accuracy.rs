//! From log-probabilities to predictions, accuracies and their errors.

use crate::eval::benchmarks::Accuracies;
use std::collections::BTreeMap;

/// What a model makes of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndingScore {
    /// `Σ log p(token)`, in nats.
    pub sum_log_prob: f64,
    /// How many tokens they are.
    pub num_tokens: usize,
    /// Characters of the answer.
    pub num_chars: usize,
    /// Bytes of the answer.
    pub num_bytes: usize,
}

/// What a model makes of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemScore {
    /// What is counted together with it.
    pub group: String,
    /// The answers, in order.
    pub endings: Vec<EndingScore>,
    /// Which of them is right, from 0.
    pub label: usize,
}

impl ItemScore {
    /// The answer with the highest sum; of equals the first.
    #[must_use]
    pub fn prediction(&self) -> usize {
        highest(self.endings.iter().map(|ending| ending.sum_log_prob))
    }

    /// The answer with the highest sum for each of its characters. An empty answer is never it.
    #[must_use]
    pub fn normalized_prediction(&self) -> usize {
        let endings = self.endings.iter();
        highest(endings.map(|ending| ending.sum_log_prob / ending.num_chars as f64))
    }

    fn is_right(&self, which: Which) -> bool {
        let prediction = match which {
            Which::Plain => self.prediction(),
            Which::Normalized => self.normalized_prediction(),
        };
        prediction == self.label
    }
}

/// Which prediction is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Plain,
    Normalized,
}

impl Which {
    /// Those that are reported, by their names.
    pub(super) fn of(accuracies: Accuracies) -> &'static [(Self, &'static str)] {
        match accuracies {
            Accuracies::Plain => &[(Self::Plain, "acc")],
            Accuracies::Normalized => &[(Self::Plain, "acc"), (Self::Normalized, "acc_norm")],
        }
    }
}

/// A mean and its standard error; none for a single item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean over all items.
    pub mean: f64,
    /// How far off it may be.
    pub standard_error: Option<f64>,
}

impl Estimate {
    /// The part of the items that is right.
    pub(super) fn accuracy(items: &[ItemScore], which: Which) -> Self {
        let values = items.iter().map(|item| {
            let right = f64::from(u8::from(item.is_right(which)));
            (item.group.as_str(), right)
        });
        Self::of(values)
    }

    /// How much more of the items one model has right than another, item by item.
    pub(super) fn difference(pairs: &[(&ItemScore, &ItemScore)], which: Which) -> Self {
        let values = pairs.iter().map(|(one, other)| {
            let right = |item: &ItemScore| f64::from(u8::from(item.is_right(which)));
            (one.group.as_str(), right(one) - right(other))
        });
        Self::of(values)
    }

    /// The mean over all values, and its error from the deviations within each group of n values (as the harness pools
    /// them): `√(Σ (n-1) s² / (Σ n - groups) / Σ n)`.
    fn of<'a>(values: impl Iterator<Item = (&'a str, f64)>) -> Self {
        let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (group, value) in values {
            groups.entry(group).or_default().push(value);
        }
        let count = groups.values().map(Vec::len).sum::<usize>() as f64;
        let mean = groups.values().flatten().sum::<f64>() / count.max(1.0);
        let squares: f64 = groups.values().map(|values| squares(values)).sum();
        let freedom = count - groups.len() as f64;
        let known = groups.values().all(|values| values.len() > 1) && freedom > 0.0;
        Self {
            mean,
            standard_error: known.then(|| (squares / freedom / count).sqrt()),
        }
    }
}

/// Of the distances to the mean.
fn squares(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

fn highest(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(group: &str, sums: &[f64], label: usize) -> ItemScore {
        let ending = |(sum, length): (&f64, usize)| EndingScore {
            sum_log_prob: *sum,
            num_tokens: 1,
            num_chars: length,
            num_bytes: length,
        };
        ItemScore {
            group: group.to_owned(),
            endings: sums.iter().zip(0..).map(ending).collect(),
            label,
        }
    }

    #[test]
    fn an_empty_answer_may_be_the_likeliest_but_not_by_its_length() {
        let item = item("", &[-1.0, -2.0, -2.0], 1);
        assert_eq!((item.prediction(), item.normalized_prediction()), (0, 2));
    }

    /// Recorded from the harness: `mean_stderr` of [1, 0, 1, 1], and `pooled_sample_stderr` with [0, 1] as a second group.
    #[test]
    fn errors_are_the_harnesss() {
        let right = |group, right: bool| item(group, &[-1.0, -2.0], usize::from(!right));
        let mut items: Vec<_> = [true, false, true, true].map(|is| right("a", is)).into();
        let one = Estimate::accuracy(&items, Which::Plain);
        assert_eq!(one.mean, 0.75);
        assert!((one.standard_error.unwrap() - 0.25).abs() < 1e-12);
        items.extend([right("b", false), right("b", true)]);
        let two = Estimate::accuracy(&items, Which::Plain);
        assert!((two.standard_error.unwrap() - 0.228_217_732).abs() < 1e-8);
        assert_eq!(
            Estimate::accuracy(&items[..1], Which::Plain).standard_error,
            None
        );
    }
}
