//! What ends a process that waits where nobody will come: a thread of libtorch that waits on the network, or a GPU that
//! waits for another, cannot be interrupted.

use super::roll::{Doing, Roll};
use crate::torch;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

/// Between two looks at the store.
const EVERY: Duration = Duration::from_millis(200);
/// How long a process may take to end by itself once a failure is known.
const GRACE: Duration = Duration::from_secs(3);

/// Runs `work`; if it has not come back after `limit`, says `too_late` and ends the process.
pub(super) fn guard<T>(limit: Duration, too_late: String, work: impl FnOnce() -> T) -> T {
    let (done, waiting) = channel::<()>();
    thread::spawn(move || end_unless_done(&waiting, limit, &too_late));
    let result = work();
    drop(done);
    result
}

/// Answers roll calls for a rank whose main thread may be held up, and ends it when it stays so. Dropped, it stops.
#[derive(Debug)]
pub(super) struct Watchdog {
    shared: Arc<Shared>,
    _done: Sender<()>,
}

#[derive(Debug, Default)]
struct Shared {
    is_waiting: AtomicBool,
    report: OnceLock<String>,
}

impl Watchdog {
    /// Watches through a connection to the store of its own.
    pub(super) fn start(roll: Roll) -> Self {
        let (done, is_done) = channel();
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        thread::spawn(move || watch(&roll, &watched, &is_done));
        Self {
            shared,
            _done: done,
        }
    }

    /// What the roll call that another rank asked for has come to.
    pub(super) fn report(&self) -> Option<&String> {
        self.shared.report.get()
    }

    /// From now on the rank waits for others, or no more.
    pub(super) fn note(&self, doing: Doing) {
        self.shared
            .is_waiting
            .store(doing == Doing::Waiting, Ordering::Relaxed);
    }
}

fn watch(roll: &Roll, shared: &Shared, is_done: &Receiver<()>) {
    while is_done.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        let (report, failure) = match roll.failure() {
            Ok(None) => continue,
            Ok(Some(failure)) => {
                let doing = match shared.is_waiting.load(Ordering::Relaxed) {
                    true => Doing::Waiting,
                    false => Doing::Working,
                };
                (roll.report(doing).ok(), failure)
            }
            Err(error) => (None, error.to_string()),
        };
        let report = report.unwrap_or_else(|| roll.store_is_gone());
        let why = format!("rank {}: {report}: {failure}", roll.rank);
        let _ = shared.report.set(report);
        return end_unless_done(is_done, GRACE, &why);
    }
}

fn end_unless_done(is_done: &Receiver<()>, limit: Duration, why: &str) {
    if is_done.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        log::error!("{why}");
        torch::end_process(1);
    }
}
