//! Which checkpoints may go.

/// What is kept beside the best one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Newest checkpoints to keep (0: all).
    pub keep_last: usize,
}

impl Retention {
    /// Of the steps (in rising order), those to delete. Step 0, the untrained model, stays.
    #[must_use]
    pub fn superseded(self, steps: &[u64], best: Option<u64>) -> Vec<u64> {
        if self.keep_last == 0 {
            return Vec::new();
        }
        let trained: Vec<u64> = steps.iter().copied().filter(|&step| step > 0).collect();
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
        let keep = |keep_last, best| Retention { keep_last }.superseded(&[0, 10, 20, 30, 40], best);
        assert_eq!(keep(2, None), [10, 20]);
        assert_eq!(keep(2, Some(10)), [20]);
        assert_eq!(keep(1, Some(40)), [10, 20, 30]);
        assert!(keep(0, None).is_empty());
        assert!(keep(9, None).is_empty());
    }
}
