//! Ranges of plots, and round numbers along them.

/// A stretch of the number line: never empty, always finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    /// From the lowest to the highest of these numbers; of one number, or of none, some room around it.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let ends = values.map(|value| (value, value));
        let ends = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (low, high) = ends.unwrap_or((0.0, 1.0));
        let room = match high - low {
            width if width > 1e-9 * high.abs().max(low.abs()) => 0.0,
            _ if low == 0.0 => 1.0,
            _ => 0.05 * low.abs(),
        };
        Self {
            low: if low == 0.0 { 0.0 } else { low - room },
            high: high + room,
        }
    }

    /// With zero in it.
    pub(super) fn with_zero(self) -> Self {
        Self {
            low: self.low.min(0.0),
            high: self.high.max(0.0),
        }
    }

    /// A little wider, so that no line runs along the frame; a zero stays at the frame.
    pub(super) fn padded(self) -> Self {
        let room = 0.04 * self.width();
        Self {
            low: if self.low == 0.0 {
                0.0
            } else {
                self.low - room
            },
            high: if self.high == 0.0 {
                0.0
            } else {
                self.high + room
            },
        }
    }

    pub(super) fn width(self) -> f64 {
        self.high - self.low
    }

    /// Where a number lies: 0 at the low end, 1 at the high end.
    pub(super) fn place(self, value: f64) -> f64 {
        (value - self.low) / self.width()
    }

    /// About `count` round numbers in the range, `least` or more apart, and how far apart they are.
    pub(super) fn ticks(self, count: usize, least: f64) -> (Vec<f64>, f64) {
        let rough = (self.width() / count as f64).max(least);
        let power = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let fits = |step: &&f64| **step >= rough * 0.7 && **step >= least;
        let step = *steps.iter().find(fits).unwrap_or(&steps[3]);
        let first = (self.low / step - 1e-6).ceil() as i64;
        let last = (self.high / step + 1e-6).floor() as i64;
        let ticks = (first..=last).map(|number| number as f64 * step);
        (ticks.collect(), step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let ticks = |low, high, least| Range { low, high }.ticks(5, least).0;
        assert_eq!(ticks(3.9, 7.6, 0.0), [4.0, 5.0, 6.0, 7.0]);
        assert_eq!(
            ticks(0.0, 500.0, 1.0),
            [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]
        );
        assert_eq!(ticks(0.0, 2.0, 1.0), [0.0, 1.0, 2.0]);
        assert_eq!(ticks(-1e-4, 1e-4, 0.0).len(), 5);
    }

    #[test]
    fn no_range_is_empty() {
        let of = |values: &[f64]| Range::of(values.iter().copied());
        assert_eq!(
            of(&[]),
            Range {
                low: 0.0,
                high: 1.0
            }
        );
        assert_eq!(
            of(&[0.0, 0.0]),
            Range {
                low: 0.0,
                high: 1.0
            }
        );
        assert_eq!(
            of(&[-2.0]),
            Range {
                low: -2.1,
                high: -1.9
            }
        );
        assert_eq!(of(&[3.0, 1.0]).padded().low, 1.0 - 0.08);
        for extreme in [1e300, 1e-300, -1e300] {
            let range = of(&[extreme, extreme]).padded();
            assert!(
                range.place(extreme).is_finite() && range.width() > 0.0,
                "{extreme}"
            );
        }
    }
}
