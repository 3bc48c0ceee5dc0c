//! SIGTERM, SIGINT and SIGUSR1: finish the step, save, exit.

use crate::dist::ProcessGroup;
use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
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

/// Watches for the signals; the second one ends the process at once.
#[derive(Debug, Clone)]
pub struct Signals {
    received: Arc<AtomicUsize>,
}

impl Signals {
    /// Starts to watch.
    ///
    /// # Errors
    /// When the operating system refuses a handler.
    pub fn watch() -> Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
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
        Ok(Self { received })
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
