//! How much of the input is held at once.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A bound on the bytes that are read and not yet written.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    most: usize,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    held: Mutex<usize>,
    given_back: Condvar,
}

/// Bytes held; dropped, they are given back.
#[derive(Debug)]
pub(super) struct Held {
    bytes: usize,
    shared: Arc<Shared>,
}

impl InFlight {
    /// Nothing held, and `most` bytes to hold.
    #[must_use]
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            shared: Arc::default(),
        }
    }

    /// Waits until there is room; what alone is more than all of it waits for the others to go.
    #[must_use]
    pub(super) fn hold(&self, bytes: usize) -> Held {
        let is_full = |held: &mut usize| *held > 0 && *held + bytes > self.most;
        let held = self.shared.held();
        let mut held = self
            .shared
            .given_back
            .wait_while(held, is_full)
            .unwrap_or_else(PoisonError::into_inner);
        *held += bytes;
        let shared = Arc::clone(&self.shared);
        Held { bytes, shared }
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, usize> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.shared.held() -= self.bytes;
        self.shared.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread, time::Duration};

    #[test]
    fn the_next_waits_for_room_and_the_largest_for_an_empty_house() {
        let in_flight = InFlight::new(10);
        let (first, second) = (in_flight.hold(6), in_flight.hold(4));
        let (held, waits_for) = mpsc::channel();
        let other = in_flight.clone();
        let waiting = thread::spawn(move || {
            for bytes in [1, 1000] {
                let _held = other.hold(bytes);
                held.send(()).unwrap();
            }
        });
        let waits = || waits_for.recv_timeout(Duration::from_millis(20)).is_err();
        assert!(waits());
        drop(second);
        waits_for.recv().unwrap();
        assert!(waits());
        drop(first);
        waits_for.recv().unwrap();
        waiting.join().unwrap();
    }
}
