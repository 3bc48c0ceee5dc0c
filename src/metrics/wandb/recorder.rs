//! The thread that writes the run's file: what comes through the queue, a row a step.

use super::record::{Items, Record};
use super::run_file::RunFile;
use anyhow::Result;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What a run has to say.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// Numbers and texts of a step.
    Metrics {
        step: u64,
        time: SystemTime,
        values: Vec<(String, Value)>,
    },
    /// A line of the console.
    Line {
        time: SystemTime,
        is_warning: bool,
        line: String,
    },
    /// What the machine does.
    Stats {
        time: SystemTime,
        values: Vec<(String, f64)>,
    },
    /// The run has ended.
    Exit(i32),
}

/// The row of the step that is being measured: training, validation and benchmarks of a step are one row.
struct Row {
    step: u64,
    items: Items,
}

/// Writes events into the file.
pub(super) struct Recorder {
    file: RunFile,
    row: Option<Row>,
    started: Instant,
    /// Seconds the run took before this process.
    earlier_seconds: f64,
    /// Where the file's records end that change no more; the uploader reads up to there.
    settled: Arc<AtomicU64>,
}

impl Recorder {
    pub(super) fn new(file: RunFile, earlier_seconds: f64) -> Self {
        Self {
            settled: Arc::new(AtomicU64::new(file.settled())),
            file,
            row: None,
            started: Instant::now(),
            earlier_seconds,
        }
    }

    /// Where the file's records end that change no more.
    pub(super) fn settled(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.settled)
    }

    /// Writes what comes until the run has ended, or nobody is left who could say so.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub(super) fn run(&mut self, queue: &Receiver<Event>) -> Result<()> {
        for event in queue {
            let is_exit = matches!(event, Event::Exit(_));
            self.write(event)?;
            self.settled.store(self.file.settled(), Ordering::Release);
            if is_exit {
                break;
            }
        }
        Ok(())
    }

    fn write(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Metrics { step, time, values } => self.metrics(step, time, values),
            Event::Line {
                time,
                is_warning,
                line,
            } => {
                let record = Record::Output {
                    time,
                    is_warning,
                    line,
                };
                self.file.append(&[record.body()])
            }
            Event::Stats { time, values } => {
                let item = |(name, value)| (vec![name], json!(value));
                let items = values.into_iter().map(item).collect();
                self.file.append(&[Record::Stats { time, items }.body()])
            }
            Event::Exit(code) => {
                self.file.settle()?;
                let runtime_seconds = self.runtime().as_secs();
                let record = Record::Exit {
                    code,
                    runtime_seconds,
                };
                self.file.append(&[record.body()])
            }
        }
    }

    fn metrics(&mut self, step: u64, time: SystemTime, values: Vec<(String, Value)>) -> Result<()> {
        if self.row.as_ref().is_some_and(|row| row.step != step) {
            self.file.settle()?;
            self.row = None;
        }
        let runtime = self.runtime();
        let row = self.row.get_or_insert_with(|| {
            let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            let items = [
                ("_step", json!(step)),
                ("_timestamp", json!(seconds.as_secs_f64())),
                ("_runtime", json!(runtime.as_secs_f64())),
            ];
            let items = items.map(|(name, value)| (vec![name.to_owned()], value));
            Row {
                step,
                items: items.into(),
            }
        });
        let values = values.into_iter().map(|(name, value)| (vec![name], value));
        row.items.extend(values);
        let mut summary = row.items.clone();
        let in_whole_seconds = vec!["_wandb".to_owned(), "runtime".to_owned()];
        summary.push((in_whole_seconds, json!(runtime.as_secs())));
        let history = Record::History {
            step,
            items: row.items.clone(),
        };
        let records = vec![Record::Summary(summary).body(), history.body()];
        self.file.set_tail(records)
    }

    fn runtime(&self) -> Duration {
        self.started.elapsed() + Duration::from_secs_f64(self.earlier_seconds)
    }
}
