//! When validations stop improving.

use serde::{Deserialize, Serialize};

/// What a validation means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The lowest loss so far.
    Best,
    /// Not the lowest.
    Worse,
}

/// The best validation so far, and how many since were no better; kept across a resume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// Lowest validation loss, in nats per target.
    pub best_loss: Option<f64>,
    /// The step after which it was.
    #[serde(default)]
    pub best_step: Option<u64>,
    /// Counted validations since.
    pub worse_in_a_row: u64,
}

/// The rule; a patience of 0 never stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Validations without a new best before the run stops.
    pub validations: u64,
    /// Up to and including this step they are not counted.
    pub skip_until_step: u64,
}

impl EarlyStopping {
    /// Takes in the validation after `step`. A loss that is not a number is no improvement.
    pub fn observe(&mut self, step: u64, loss: f64, patience: Patience) -> Verdict {
        if loss.is_finite() && self.best_loss.is_none_or(|best| loss < best) {
            *self = Self {
                best_loss: Some(loss),
                best_step: Some(step),
                worse_in_a_row: 0,
            };
            return Verdict::Best;
        }
        if step > patience.skip_until_step {
            self.worse_in_a_row += 1;
        }
        Verdict::Worse
    }

    /// Whether the run should end.
    #[must_use]
    pub fn is_used_up(&self, patience: Patience) -> bool {
        patience.validations > 0 && self.worse_in_a_row >= patience.validations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_counts_after_the_skipped_steps_and_restarts_with_a_new_best() {
        let patience = Patience {
            validations: 2,
            skip_until_step: 20,
        };
        let mut stopping = EarlyStopping::default();
        let verdicts = [
            (10, 2.0),
            (20, 3.0),
            (30, 2.5),
            (40, 1.5),
            (50, f64::NAN),
            (60, 1.5),
        ]
        .map(|(step, loss)| {
            let verdict = stopping.observe(step, loss, patience);
            (verdict, stopping.is_used_up(patience))
        });
        use Verdict::{Best, Worse};
        let expected = [Best, Worse, Worse, Best, Worse, Worse];
        assert_eq!(verdicts.map(|(verdict, _)| verdict), expected);
        assert_eq!(
            verdicts.map(|(_, used_up)| used_up),
            [false, false, false, false, false, true]
        );
        assert_eq!(
            (stopping.best_loss, stopping.best_step),
            (Some(1.5), Some(40))
        );
    }

    #[test]
    fn no_patience_never_stops() {
        let patience = Patience {
            validations: 0,
            skip_until_step: 0,
        };
        let mut stopping = EarlyStopping::default();
        for step in 1..10 {
            stopping.observe(step, 1.0, patience);
            assert!(!stopping.is_used_up(patience));
        }
    }
}
