//! How far a pass over the input is: a bar on a terminal, a line every few seconds elsewhere.

use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

const LOG_EVERY: Duration = Duration::from_secs(5);

/// Progress of one pass, in bytes read. Dropped, it leaves the terminal clean.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    bar: ProgressBar,
    total_bytes: u64,
    started: Instant,
    logged: Instant,
}

impl Progress {
    /// Starts a pass over `total_bytes` of input.
    #[must_use]
    pub(super) fn start(bars: &MultiProgress, what: &'static str, total_bytes: u64) -> Self {
        let bar = bars.add(ProgressBar::new(total_bytes));
        let template = "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_message(what);
        let now = Instant::now();
        Self {
            what,
            bar,
            total_bytes,
            started: now,
            logged: now,
        }
    }

    /// So many bytes of the input are done.
    pub(super) fn set(&mut self, bytes: u64) {
        let bytes = bytes.min(self.total_bytes);
        self.bar.set_position(bytes);
        if self.bar.is_hidden() && self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            self.log(bytes);
        }
    }

    fn log(&self, bytes: u64) {
        let rate = bytes as f64 / self.started.elapsed().as_secs_f64();
        let left = (self.total_bytes - bytes) as f64 / rate.max(1.0);
        log::info!(
            "{}: {} of {}, {}/s, {} left",
            self.what,
            HumanBytes(bytes),
            HumanBytes(self.total_bytes),
            HumanBytes(rate as u64),
            HumanDuration(Duration::from_secs_f64(left)),
        );
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
