//! The learning rate of each step.

use crate::config::{OptimConfig, ScheduleKind};
use std::f64::consts::PI;

/// Linear warm-up to `max_lr`, then a course down to `min_lr`.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    kind: ScheduleKind,
    max_lr: f64,
    min_lr: f64,
    warmup_steps: u64,
    decay_fraction: f64,
    max_steps: u64,
}

impl Schedule {
    /// The schedule of a run of `max_steps`.
    #[must_use]
    pub fn new(config: &OptimConfig, max_steps: u64) -> Self {
        Self {
            kind: config.schedule,
            max_lr: config.max_lr,
            min_lr: config.final_lr(),
            warmup_steps: config.warmup_steps,
            decay_fraction: config.decay_fraction,
            max_steps,
        }
    }

    /// Learning rate of the update that makes step `step` into `step + 1`, so the first is `lr(0)`.
    ///
    /// With warm-up W and N steps, cosine: `max·(t+1)/W` for `t < W`, then
    /// `min + ½(1 + cos π(t−W)/(N−W))·(max−min)` (Loshchilov & Hutter 2017; the original project's rule).
    #[must_use]
    pub fn lr(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.max_lr * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let left = match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Cosine => {
                0.5 * (1.0 + (PI * self.progress(step, self.warmup_steps)).cos())
            }
            ScheduleKind::Linear => 1.0 - self.progress(step, self.warmup_steps),
            ScheduleKind::Wsd => 1.0 - self.progress(step, self.decay_start()),
        };
        self.min_lr + left * (self.max_lr - self.min_lr)
    }

    /// How far the step is on the way from `start` to the run's end: 0 to 1.
    fn progress(&self, step: u64, start: u64) -> f64 {
        let length = self.max_steps.saturating_sub(start);
        if length == 0 {
            return if step < start { 0.0 } else { 1.0 };
        }
        (step.saturating_sub(start) as f64 / length as f64).min(1.0)
    }

    /// First step of the decay of warm-up–stable–decay (Hu et al. 2024).
    fn decay_start(&self) -> u64 {
        let decay_steps = (self.decay_fraction * self.max_steps as f64).round() as u64;
        self.max_steps
            .saturating_sub(decay_steps)
            .max(self.warmup_steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: ScheduleKind) -> Schedule {
        let config = OptimConfig {
            max_lr: 1.8e-3,
            min_lr: Some(1.8e-4),
            warmup_steps: 715,
            schedule: kind,
            ..OptimConfig::default()
        };
        Schedule::new(&config, 38146)
    }

    /// Recorded from the original project.
    #[test]
    fn cosine_follows_the_original() {
        let schedule = schedule(ScheduleKind::Cosine);
        let recorded = [
            (0, 2.51748e-6),
            (1, 5.03497e-6),
            (714, 1.8e-3),
            (715, 1.8e-3),
            (10_000, 1.566_243e-3),
            (38_145, 1.800_000_03e-4),
        ];
        for (step, lr) in recorded {
            assert!(
                (schedule.lr(step) / lr - 1.0).abs() < 2e-6,
                "step {step}: {}",
                schedule.lr(step)
            );
        }
    }

    #[test]
    fn the_ends_of_each_course() {
        for kind in [
            ScheduleKind::Cosine,
            ScheduleKind::Linear,
            ScheduleKind::Wsd,
        ] {
            assert!(
                (schedule(kind).lr(38_146) - 1.8e-4).abs() < 1e-12,
                "{kind:?}"
            );
            assert!((schedule(kind).lr(715) - 1.8e-3).abs() < 1e-12, "{kind:?}");
        }
        assert!((schedule(ScheduleKind::Constant).lr(38_146) - 1.8e-3).abs() < 1e-12);
    }

    #[test]
    fn wsd_is_stable_until_the_last_fifth() {
        let schedule = schedule(ScheduleKind::Wsd);
        assert!((schedule.lr(30_517) - 1.8e-3).abs() < 1e-12);
        let middle = schedule.lr(30_517 + 7629 / 2);
        assert!((middle - (1.8e-3 + 1.8e-4) / 2.0).abs() < 1e-6, "{middle}");
    }

    #[test]
    fn warmup_as_long_as_the_run_divides_nothing_by_zero() {
        let config = OptimConfig {
            warmup_steps: 10,
            ..OptimConfig::default()
        };
        let schedule = Schedule::new(&config, 10);
        assert!((schedule.lr(9) - config.max_lr).abs() < 1e-12);
        assert!(schedule.lr(10).is_finite());
    }
}
