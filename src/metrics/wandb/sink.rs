//! Where the training thread hands its records over.

use super::super::jsonl::number;
use super::super::{MetricSink, Record, Split};
use super::account::Account;
use super::client::{Client, Failure, REQUEST_TIMEOUT};
use super::folder::Place;
use super::record::{self, Body, Run};
use super::recorder::{Event, Recorder};
use super::run_file::RunFile;
use super::sent::Sent;
use super::system;
use super::uploader::{self, Finish, Uploader};
use crate::logging;
use anyhow::{Result, bail};
use log::Level;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// Records that wait for the disk; more than that are left out, which is said.
const QUEUE: usize = 1 << 14;
/// How long a silent server is waited for when the run has ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same when a signal or an error ended it: a launcher will not wait long.
const PATIENCE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Keeps records for W&B, and sends them.
pub struct WandbSink {
    queue: SyncSender<Event>,
    left_out: u64,
    /// Longest time that handing a record over took.
    longest: Duration,
    recorder: Option<JoinHandle<()>>,
    uploader: Option<(Sender<Finish>, JoinHandle<()>)>,
    folder: PathBuf,
}

impl WandbSink {
    /// For a run that stands at `step`; `run_dir` may hold what an earlier process told of it. Without an account
    /// nothing is sent.
    ///
    /// # Errors
    /// When the file cannot be written, or the server refuses the run.
    pub fn start(run_dir: &Path, step: u64, run: Run, account: Option<&Account>) -> Result<Self> {
        let place = Place::find(&run_dir.join("wandb"), account.is_some())?;
        let run = Run {
            id: place.id,
            ..run
        };
        let (file, sent, earlier_seconds) = open(&place.file, step, &run)?;
        let recorder = Recorder::new(file, earlier_seconds);
        let settled = recorder.settled();
        let uploader = account.map(|account| -> Result<_> {
            let (orders, receiver) = mpsc::channel();
            let uploader = prepare(account, run, sent, &place.file, (settled, receiver))?;
            Ok((orders, thread::spawn(move || uploader.run())))
        });
        let uploader = uploader.transpose()?;
        let (queue, events) = mpsc::sync_channel(QUEUE);
        let folder = place.file.parent().unwrap_or(run_dir).to_owned();
        let sink = Self {
            left_out: 0,
            longest: Duration::ZERO,
            recorder: Some(thread::spawn(move || record(recorder, &events))),
            uploader,
            queue,
            folder,
        };
        sink.listen();
        Ok(sink)
    }

    /// Log lines and the machine's numbers come by themselves.
    fn listen(&self) {
        let queue = self.queue.clone();
        logging::listen(move |level, text| {
            for line in text.lines() {
                let line = Event::Line {
                    time: SystemTime::now(),
                    is_warning: level <= Level::Warn,
                    line: line.to_owned(),
                };
                let _ = queue.try_send(line); // log.txt has it
            }
        });
        let queue = self.queue.clone();
        thread::spawn(move || system::sample_into(&queue));
    }
}

impl MetricSink for WandbSink {
    /// Puts the record into the queue, and never waits.
    fn log(&mut self, record: &Record) -> Result<()> {
        let began = Instant::now();
        let event = Event::Metrics {
            step: record.step,
            time: SystemTime::now(),
            values: values(record),
        };
        if let Err(TrySendError::Full(_)) = self.queue.try_send(event) {
            self.left_out += 1;
            if self.left_out == 1 {
                log::warn!(
                    "wandb: falling behind: the disk of {} is too slow. Training goes on; metrics.jsonl has what W&B misses",
                    self.folder.display()
                );
            }
        }
        self.longest = self.longest.max(began.elapsed());
        Ok(())
    }

    fn finish(&mut self, exit_code: i32) -> Result<()> {
        log::debug!("wandb: training waited {:?} at most", self.longest);
        let _ = self.queue.send(Event::Exit(exit_code)); // gone only where it has said why
        if let Some(recorder) = self.recorder.take() {
            let _ = recorder.join();
        }
        let Some((orders, uploader)) = self.uploader.take() else {
            log::info!(
                "wandb: the run is in {0}; `wandb sync {0}` sends it",
                self.folder.display()
            );
            return Ok(());
        };
        let patience = match exit_code {
            0 => PATIENCE,
            _ => PATIENCE_AFTER_FAILURE,
        };
        let _ = orders.send(Finish(patience)); // gone only where it has given up
        let _ = uploader.join();
        Ok(())
    }
}

/// The run's file, how much of it was sent, and the seconds that the run took before.
fn open(path: &Path, step: u64, run: &Run) -> Result<(RunFile, Sent, f64)> {
    if RunFile::is_begun(path) {
        let (mut file, found) = RunFile::reopen(path, step)?;
        let sent = Sent::read(path, file.settled()); // before anything new follows what was kept
        let config = record::Record::Config(record::entries(&run.config));
        file.append(&[config.body()])?;
        return Ok((file, sent, found.runtime_seconds));
    }
    let records = [Body::header(), Body::run(run, SystemTime::now())];
    Ok((RunFile::create(path, &records)?, Sent::read(path, 0), 0.0))
}

/// Tells the server of the run.
fn prepare(
    account: &Account,
    run: Run,
    sent: Sent,
    file: &Path,
    (settled, orders): (Arc<AtomicU64>, Receiver<Finish>),
) -> Result<Uploader> {
    let client = Client::new(account, REQUEST_TIMEOUT);
    let registered = match uploader::register(&client, &run) {
        Ok(registered) => Some(registered),
        Err(Failure::Later { .. }) => None, // the uploader goes on trying
        Err(Failure::Refused(reason)) => bail!(
            "wandb: {} refuses the run: {reason}. Check wandb.entity and wandb.project, or set wandb.mode = \"offline\"",
            account.url()
        ),
    };
    Ok(Uploader {
        client,
        run,
        registered,
        file: file.to_owned(),
        settled,
        sent,
        orders,
    })
}

fn record(mut recorder: Recorder, events: &Receiver<Event>) {
    if let Err(error) = recorder.run(events) {
        log::warn!("wandb: {error:#}. Training goes on; nothing more is kept for W&B");
    }
}

/// `split/name`; what JSON has no number for is text, as W&B takes it.
fn values(record: &Record) -> Vec<(String, Value)> {
    let split = match record.split {
        Split::Train => "train",
        Split::Val => "val",
        Split::Eval => "eval",
    };
    let numbers = record.values.iter().map(|(name, value)| {
        let value = match value {
            value if value.is_nan() => json!("NaN"),
            value if value.is_infinite() && *value > 0.0 => json!("Infinity"),
            value if value.is_infinite() => json!("-Infinity"),
            value => number(*value),
        };
        (format!("{split}/{name}"), value)
    });
    let samples = (1..).zip(&record.samples);
    let samples = samples.map(|(number, sample)| {
        let text = format!("{}{}", sample.prompt, sample.completion);
        (format!("samples/{number}"), json!(text))
    });
    numbers.chain(samples).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The server had more than the resume keeps: it is sent from where the kept records end, not from within a new one.
    #[test]
    fn a_note_beyond_what_is_kept_is_cut_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.wandb");
        let run = Run {
            id: "x".into(),
            project: "p".into(),
            entity: None,
            name: "n".into(),
            group: None,
            tags: Vec::new(),
            config: json!({"text": "long enough to reach beyond the note".repeat(10)}),
            host: "h".into(),
        };
        let (mut file, sent, _) = open(&path, 0, &run).unwrap();
        assert_eq!(sent.position, 0);
        let mut ends = Vec::new();
        for step in 1..=3 {
            let items = Vec::new();
            let row = record::Record::History { step, items };
            file.append(&[row.body()]).unwrap();
            ends.push(file.settled());
        }
        fs::write(path.with_extension("sent"), (ends[1] + 5).to_string()).unwrap();
        let (file, sent, _) = open(&path, 2, &run).unwrap();
        assert_eq!(sent.position, ends[1]);
        assert!(file.settled() > ends[1] + 5);
        fs::write(&path, "").unwrap(); // killed as it was made
        assert!(open(&path, 2, &run).is_ok());
    }

    /// Nobody takes anything from the queue: logging does not wait for it.
    #[test]
    fn a_full_queue_is_not_waited_for() {
        let (queue, events) = mpsc::sync_channel(2);
        let mut sink = WandbSink {
            queue,
            left_out: 0,
            longest: Duration::ZERO,
            recorder: None,
            uploader: None,
            folder: PathBuf::new(),
        };
        let record = Record {
            step: 1,
            split: Split::Train,
            values: vec![("loss".into(), f64::NAN)],
            samples: Vec::new(),
        };
        for _ in 0..5 {
            sink.log(&record).unwrap();
        }
        assert_eq!(sink.left_out, 3);
        let Event::Metrics { step, values, .. } = events.recv().unwrap() else {
            panic!("no metrics");
        };
        assert_eq!(
            (step, values),
            (1, vec![("train/loss".into(), json!("NaN"))])
        );
    }
}
