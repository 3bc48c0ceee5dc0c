//! Work spread over threads, results taken in order, queues of bounded length.

use anyhow::{Result, anyhow};
use std::{
    ops::ControlFlow,
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
};

/// Runs `work` on every item by `workers` threads and hands the results to `consume` in the order of the items, until
/// it breaks off. At most about three items per worker are held, however slow the slowest end is.
///
/// # Errors
/// The first error of `consume`.
///
/// # Panics
/// When `work` panics.
pub(super) fn ordered_map<T: Send, U: Send>(
    items: &mut (impl Iterator<Item = T> + Send),
    workers: usize,
    work: impl Fn(T) -> U + Sync,
    mut consume: impl FnMut(U) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let (to_workers, jobs) = mpsc::sync_channel::<(T, SyncSender<U>)>(workers);
    let (to_consumer, results) = mpsc::sync_channel::<Receiver<U>>(2 * workers);
    let jobs = Mutex::new(jobs);
    thread::scope(|scope| {
        scope.spawn(move || {
            for item in items {
                let (answer, result) = mpsc::sync_channel(1);
                // Either fails only when the consumer has stopped.
                if to_consumer.send(result).is_err() || to_workers.send((item, answer)).is_err() {
                    break;
                }
            }
        });
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((item, answer)) = next_job(&jobs) {
                    let _ = answer.send(work(item));
                }
            });
        }
        for result in results {
            let result = result.recv().map_err(|_| anyhow!("a worker stopped"))?;
            if consume(result)?.is_break() {
                break;
            }
        }
        Ok(())
    })
}

fn next_job<J>(jobs: &Mutex<Receiver<J>>) -> Option<J> {
    jobs.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_come_in_order_whoever_is_faster() {
        let mut taken = Vec::new();
        let slow_first = |item: u64| {
            thread::sleep(Duration::from_millis(5 * (item % 2)));
            item * item
        };
        ordered_map(&mut (0..50), 4, slow_first, |result| {
            taken.push(result);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        assert_eq!(taken, (0..50).map(|item| item * item).collect::<Vec<_>>());
    }

    #[test]
    fn an_endless_source_ends_with_its_consumer() {
        let mut taken = 0;
        ordered_map(
            &mut (0..),
            3,
            |item: u64| item,
            |_| {
                taken += 1;
                Ok(if taken == 10 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            },
        )
        .unwrap();
        let error = ordered_map(
            &mut (0..),
            3,
            |item: u64| item,
            |_| Err(anyhow!("full disk")),
        )
        .unwrap_err();
        assert_eq!((taken, error.to_string().as_str()), (10, "full disk"));
    }
}
