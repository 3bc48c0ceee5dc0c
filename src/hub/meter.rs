//! How far a download is: a bar on a terminal, a line now and then elsewhere.

use crate::logging;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const LOG_EVERY: Duration = Duration::from_secs(30);

/// Bytes of one download, or of several together. Dropped, it leaves the terminal clean.
#[derive(Debug)]
pub(super) struct Meter {
    bar: ProgressBar,
    what: String,
    logged: Mutex<Instant>,
}

impl Meter {
    pub(super) fn start(bytes: u64, what: &str) -> Self {
        let bar = logging::progress().add(ProgressBar::new(bytes));
        let template = "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.to_owned());
        Self {
            bar,
            what: what.to_owned(),
            logged: Mutex::new(Instant::now()),
        }
    }

    /// So many more are here.
    pub(super) fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bar.is_hidden() && logged.elapsed() >= LOG_EVERY {
            *logged = Instant::now();
            let (here, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
            log::info!("{}: {} of {}", self.what, HumanBytes(here), HumanBytes(all));
        }
    }

    /// So many were thrown away.
    pub(super) fn take_back(&self, bytes: u64) {
        self.bar.dec(bytes);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
