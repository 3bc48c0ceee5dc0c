//! What a plot shows: lines over steps, and the ranges of numbers along its sides.

use super::axis::Range;
use super::figures::Unit;
use super::thin::{Points, window};

/// Steps below, numbers at the side, lines in between.
#[derive(Debug)]
pub(super) struct Plot {
    pub(super) title: String,
    /// What a number is, in words.
    pub(super) says: String,
    pub(super) unit: Unit,
    pub(super) lines: Vec<Line>,
    pub(super) view: View,
    /// Tokens that were seen up to some steps, where all lines agree on them.
    pub(super) tokens: Points,
}

/// Which numbers the side shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// All of them.
    Whole,
    /// All of them, and zero.
    FromZero,
    /// Where nearly all are: a few far above the others would press those flat.
    Bulk,
}

/// One number of one run.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) label: String,
    pub(super) points: Points,
    /// Which of the page's colours.
    pub(super) color: usize,
    /// Which of its patterns of dashes.
    pub(super) dash: usize,
    /// Whether a calmer line is drawn over it.
    pub(super) noisy: bool,
}

impl Line {
    pub(super) fn finite(&self) -> impl DoubleEndedIterator<Item = (f64, f64)> {
        let is_finite = |(_, value): &(f64, f64)| value.is_finite();
        self.points.iter().copied().filter(is_finite)
    }

    /// How many points a calmer line over it takes the mean of.
    pub(super) fn window(&self) -> Option<usize> {
        window(self.points.len()).filter(|_| self.noisy)
    }
}

impl Plot {
    /// The range of numbers at the side.
    pub(super) fn side(&self) -> Range {
        let values = || {
            self.lines
                .iter()
                .flat_map(Line::finite)
                .map(|(_, value)| value)
        };
        let whole = Range::of(values());
        match self.view {
            View::Whole => whole.padded(),
            View::FromZero => whole.with_zero().padded(),
            View::Bulk => bulk(values().collect(), whole).padded(),
        }
    }

    /// The range of steps, from the beginning where it is near.
    pub(super) fn foot(&self) -> Range {
        let steps = self.lines.iter().flat_map(|line| &line.points);
        let range = Range::of(steps.map(|(step, _)| *step));
        match range.low > 0.05 * range.high {
            true => range,
            false => range.with_zero(),
        }
    }

    /// Tokens seen up to a step: on a straight line between the steps that are known.
    pub(super) fn tokens_at(&self, step: f64) -> Option<f64> {
        let after = self.tokens.partition_point(|(known, _)| *known < step);
        let known = |at: usize| self.tokens.get(at).copied();
        let before = after.checked_sub(1).and_then(known).unwrap_or((0.0, 0.0));
        let (next, tokens) = known(after)?;
        Some(before.1 + (tokens - before.1) * (step - before.0) / (next - before.0).max(1e-9))
    }
}

/// Without the few numbers that lie further above the others than those lie apart.
fn bulk(mut values: Vec<f64>, whole: Range) -> Range {
    if values.len() < 50 {
        return whole;
    }
    values.sort_unstable_by(f64::total_cmp);
    let low = values[values.len() / 50];
    let high = values[values.len() - 1 - values.len() / 50];
    let limit = high + 0.5 * (high - low);
    match whole.high > high + (high - low) && limit > whole.low {
        true => Range {
            high: limit,
            ..whole
        },
        false => whole,
    }
}
