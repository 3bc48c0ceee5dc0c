//! How long to wait before asking again, and when to stop.

use super::refusal::Asked;
use anyhow::{Result, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use ureq::http::{HeaderMap, StatusCode};

/// Times that something is asked for again.
const RETRIES: u32 = 5;
/// The longest wait, whatever the Hub asks for.
const LONGEST: Duration = Duration::from_secs(120);

/// Tells a download in another thread to end.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on downloads end at their next piece.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// When it is set.
    pub(super) fn check(&self, asked: &Asked) -> Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => bail!("{asked}: no longer needed"),
            false => Ok(()),
        }
    }

    /// Waits.
    ///
    /// # Errors
    /// When it is set meanwhile.
    pub(super) fn sleep(&self, wait: Duration, asked: &Asked) -> Result<()> {
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        let end = Instant::now() + wait;
        loop {
            self.check(asked)?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(LOOK_EVERY));
        }
    }
}

/// The attempts at one thing.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failed: u32,
}

impl Attempts {
    /// One more has failed: the wait before the next, doubling from one second unless the Hub has named it; `None` after
    /// the last.
    pub(super) fn wait(&mut self, asked_for: Option<Duration>) -> Option<Duration> {
        if self.failed == RETRIES {
            return None;
        }
        let own = Duration::from_secs(1 << self.failed);
        self.failed += 1;
        Some(asked_for.unwrap_or(own).min(LONGEST))
    }

    /// Something came: it is not the same failure again.
    pub(super) fn forget(&mut self) {
        self.failed = 0;
    }

    /// How often it was tried, the attempt now ended included.
    pub(super) fn count(&self) -> u32 {
        self.failed + 1
    }
}

/// Whether the same request may be answered later.
pub(super) fn is_transient(status: StatusCode) -> bool {
    [408, 429, 500, 502, 503, 504].contains(&status.as_u16())
}

/// The wait that the Hub asks for: seconds in `Retry-After`, or `t=` in `RateLimit`.
pub(super) fn wait_asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let limit = || {
        let limit = text("ratelimit")?;
        limit
            .split(';')
            .find_map(|part| part.trim().strip_prefix("t="))
    };
    let seconds = text("retry-after").or_else(limit)?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let mut attempts = Attempts::default();
        let waits: Vec<u64> = std::iter::from_fn(|| attempts.wait(None))
            .map(|wait| wait.as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16]);
        assert_eq!(attempts.count(), 6);
        attempts.forget();
        assert_eq!(
            attempts.wait(Some(Duration::from_secs(9999))),
            Some(LONGEST)
        );
    }

    #[test]
    fn the_hubs_own_wait_is_taken() {
        let wait = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            wait_asked_for(&headers)
        };
        assert_eq!(wait("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(
            wait("ratelimit", "\"api\";r=0;t=55"),
            Some(Duration::from_secs(55))
        );
        assert_eq!(wait("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
