//! How far a pass over the input is: a bar on a terminal, a line every few seconds elsewhere.

use indicatif::{HumanBytes, HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

const LOG_EVERY: Duration = Duration::from_secs(5);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of the input.
    Bytes,
    /// Tokens that go through a model.
    Tokens,
}

impl Unit {
    fn template(self) -> &'static str {
        match self {
            Self::Bytes => "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
            Self::Tokens => {
                "{msg} {wide_bar} {human_pos}/{human_len} tokens, {per_sec}, {eta} left"
            }
        }
    }

    fn show(self, amount: u64) -> String {
        match self {
            Self::Bytes => HumanBytes(amount).to_string(),
            Self::Tokens => format!("{} tokens", HumanCount(amount)),
        }
    }
}

/// Progress of one pass. Dropped, it leaves the terminal clean.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    unit: Unit,
    bar: ProgressBar,
    total: u64,
    started: Instant,
    logged: Instant,
}

impl Progress {
    /// Starts a pass over so many bytes of input.
    #[must_use]
    pub(super) fn start(bars: &MultiProgress, what: &'static str, total_bytes: u64) -> Self {
        Self::over(bars, what, total_bytes, Unit::Bytes)
    }

    /// Starts a pass over so much.
    #[must_use]
    pub fn over(bars: &MultiProgress, what: &'static str, total: u64, unit: Unit) -> Self {
        let bar = bars.add(ProgressBar::new(total));
        bar.set_style(
            ProgressStyle::with_template(unit.template())
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_message(what);
        let now = Instant::now();
        Self {
            what,
            unit,
            bar,
            total,
            started: now,
            logged: now,
        }
    }

    /// So much is done.
    pub fn set(&mut self, done: u64) {
        let done = done.min(self.total);
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            self.log(done);
        }
    }

    fn log(&self, done: u64) {
        let rate = done as f64 / self.started.elapsed().as_secs_f64();
        let left = (self.total - done) as f64 / rate.max(1.0);
        log::info!(
            "{}: {} of {}, {}/s, {} left",
            self.what,
            self.unit.show(done),
            self.unit.show(self.total),
            self.unit.show(rate as u64),
            HumanDuration(Duration::from_secs_f64(left)),
        );
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
