//! How often something is done.

/// Every so many steps, and after the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    every: u64,
}

impl Cadence {
    /// Every `every` steps (0: never).
    #[must_use]
    pub fn new(every: u64) -> Self {
        Self { every }
    }

    /// Whether it is due after `step` of `last_step` completed updates.
    #[must_use]
    pub fn is_due(self, step: u64, last_step: u64) -> bool {
        self.every > 0 && (step.is_multiple_of(self.every) || step == last_step)
    }
}

#[cfg(test)]
mod tests {
    use super::Cadence;

    #[test]
    fn every_so_many_steps_and_after_the_last() {
        let due = |every| {
            (1..=10)
                .filter(|&step| Cadence::new(every).is_due(step, 10))
                .collect::<Vec<_>>()
        };
        assert_eq!(due(4), [4, 8, 10]);
        assert_eq!(due(5), [5, 10]);
        assert!(due(0).is_empty());
    }
}
