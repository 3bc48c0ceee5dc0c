//! Whether one model's loss is lower than another's on the same rows.

use super::{Estimate, RowScore};

/// How much higher the first one's loss is. Its error is that of a ratio of sums over R rows, each with its own difference
/// d of sums and number n of targets: `√(R/(R-1) Σ (d - n·mean)²) / Σ n`.
#[must_use]
pub fn loss_difference(rows: &[RowScore], other: &[RowScore]) -> Estimate {
    let differences = rows.iter().zip(other).map(|(row, other)| {
        let higher = other.sum_log_prob - row.sum_log_prob;
        (higher, row.num_targets as f64)
    });
    let differences: Vec<(f64, f64)> = differences.collect();
    let targets: f64 = differences.iter().map(|(_, targets)| targets).sum();
    let targets = targets.max(1.0);
    let mean = differences.iter().map(|(higher, _)| higher).sum::<f64>() / targets;
    let squares = differences
        .iter()
        .map(|(higher, of)| (higher - of * mean).powi(2));
    let (squares, count) = (squares.sum::<f64>(), differences.len() as f64);
    let error = (squares * count / (count - 1.0)).sqrt() / targets;
    Estimate {
        mean,
        standard_error: (count > 1.0).then_some(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For rows of one length it is the usual error of a mean.
    #[test]
    fn the_error_is_that_of_paired_rows() {
        let row = |sum_log_prob| RowScore {
            sum_log_prob,
            num_targets: 10,
        };
        let found = loss_difference(&[-20.0, -30.0].map(row), &[-25.0, -32.0].map(row));
        assert!((found.mean + 0.35).abs() < 1e-12);
        assert!((found.standard_error.unwrap() - 0.15).abs() < 1e-12);
    }
}
