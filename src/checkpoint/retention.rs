//! Which checkpoints may go.

/// What is kept beside the best one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Newest checkpoints to keep (0: all).
    pub keep_last: usize,
}

impl Retention {
    /// Of the steps (in rising order), those to delete when `saved` has been. Step 0, the untrained model, stays, and so do
    /// later steps: they are of a course that was given up for an earlier checkpoint.
    #[must_use]
    pub fn superseded(self, steps: &[u64], saved: u64, best: Option<u64>) -> Vec<u64> {
        if self.keep_last == 0 {
            return Vec::new();
        }
        let of_course = |step: &u64| (1..=saved).contains(step);
        let trained: Vec<u64> = steps.iter().copied().filter(of_course).collect();
        let old = trained.len().saturating_sub(self.keep_last);
        trained[..old]
            .iter()
            .copied()
            .filter(|&step| Some(step) != best)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_the_best_and_the_untrained_stay() {
        let steps = [0, 10, 20, 30, 40];
        let keep = |keep_last, best| Retention { keep_last }.superseded(&steps, 40, best);
        assert_eq!(keep(2, None), [10, 20]);
        assert_eq!(keep(2, Some(10)), [20]);
        assert_eq!(keep(1, Some(40)), [10, 20, 30]);
        assert!(keep(0, None).is_empty());
        assert!(keep(9, None).is_empty());
    }

    #[test]
    fn what_was_just_saved_stays_whatever_lies_beyond_it() {
        let keep = |keep_last| Retention { keep_last }.superseded(&[10, 15, 20, 30], 15, None);
        assert_eq!(keep(1), [10]);
        assert!(keep(2).is_empty());
    }
}
