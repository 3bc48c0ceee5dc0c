//! SIGTERM, SIGINT and SIGUSR1: say so at once, finish the step, save, exit.

use crate::config::CheckpointConfig;
use crate::dist::ProcessGroup;
use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::iterator::Signals as Arrivals;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};
use std::thread;
use tch::Tensor;

const ALL: [i32; 3] = [SIGTERM, SIGINT, SIGUSR1];

/// A signal that asks the run to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(i32);

impl Signal {
    /// What a shell reports for a process that this signal ended: 128 + its number.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        u8::try_from(128 + self.0).unwrap_or(u8::MAX)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            SIGTERM => "SIGTERM",
            SIGINT => "SIGINT",
            _ => "SIGUSR1",
        }
    }
}

/// What becomes of a run that a signal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtSignal {
    /// It is saved, to be resumed.
    Save,
    /// It is not.
    Discard,
}

impl AtSignal {
    /// As `[checkpoint]` says.
    #[must_use]
    pub fn of(config: &CheckpointConfig) -> Self {
        match config.save && config.on_signal {
            true => Self::Save,
            false => Self::Discard,
        }
    }
}

/// Watches for the signals; the second one ends the process at once.
#[derive(Debug, Clone)]
pub struct Signals {
    received: Arc<AtomicUsize>,
    last_step: Arc<AtomicU64>,
}

impl Signals {
    /// Starts to watch.
    ///
    /// # Errors
    /// When the operating system refuses a handler.
    pub fn watch(then: AtSignal) -> Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
        let last_step = Arc::new(AtomicU64::new(0));
        let second = Arc::new(AtomicBool::new(false));
        for signal in ALL {
            // In this order: the first signal finds `second` false, sets it, and is noted.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&second))?;
            flag::register(signal, Arc::clone(&second))?;
            flag::register_usize(
                signal,
                Arc::clone(&received),
                signal.unsigned_abs() as usize,
            )?;
        }
        let (mut arrivals, step) = (Arrivals::new(ALL)?, Arc::clone(&last_step));
        thread::spawn(move || {
            if let Some(signal) = arrivals.forever().next() {
                announce(Signal(signal), step.load(Ordering::Relaxed), then);
            }
        });
        Ok(Self {
            received,
            last_step,
        })
    }

    /// The step after which a signal that comes now ends the run.
    pub fn working_on(&self, step: u64) {
        self.last_step.store(step, Ordering::Relaxed);
    }

    /// The signal that has come to any rank, the same on all of them.
    ///
    /// # Errors
    /// When a rank is gone.
    pub fn agree(&self, group: &dyn ProcessGroup) -> Result<Option<Signal>> {
        let received = self.received.load(Ordering::Relaxed);
        let votes = ALL.map(|signal| i64::from(signal.unsigned_abs() as usize == received));
        let mut votes = Tensor::from_slice(&votes);
        group.all_reduce_sum(&mut votes)?;
        let came = (0_i64..)
            .zip(ALL)
            .find(|(index, _)| votes.int64_value(&[*index]) > 0);
        Ok(came.map(|(_, signal)| Signal(signal)))
    }
}

/// A step may take minutes: who pressed Ctrl-C is told what is going on.
fn announce(signal: Signal, step: u64, then: AtSignal) {
    let then = match then {
        AtSignal::Save => "then saving",
        AtSignal::Discard => "nothing is saved",
    };
    log::info!(
        "{}: finishing step {step}, {then}; once more to end at once",
        signal.name()
    );
}
