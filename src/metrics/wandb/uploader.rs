//! The thread that sends the run's file to the server as it grows. The file is the queue: however long the server is
//! away, what it has not taken is still there.

use super::batch::{Batch, SoFar};
use super::client::{Client, Failure, Received};
use super::log_format::LogReader;
use super::record::{Record, Run};
use super::sent::Sent;
use anyhow::Result;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Time between requests while all goes well.
const INTERVAL: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// The same where the server says when to come again.
const LONGEST_ASKED: Duration = Duration::from_secs(300);
/// Silence of the server after which it is said.
const SAID_AFTER: Duration = Duration::from_secs(10);

/// The run has ended: all is in the file. How long the server may be silent before the rest is left there.
pub(super) struct Finish(pub(super) Duration);

/// Where the server has the run.
pub(super) struct Registered {
    /// `entity/project/id`
    path: String,
    received: Received,
}

/// Creates the run on the server, or goes on with it.
pub(super) fn register(client: &Client, run: &Run) -> Result<Registered, Failure> {
    let received = client.received(run)?;
    let path = client.upsert(run)?;
    log::info!("wandb: the run is at {}", client.page(&path));
    Ok(Registered { path, received })
}

/// What is sent, and to whom.
pub(super) struct Uploader {
    pub(super) client: Client,
    pub(super) run: Run,
    /// None where the server could not be reached yet.
    pub(super) registered: Option<Registered>,
    pub(super) file: PathBuf,
    /// Where the file's records end that change no more.
    pub(super) settled: Arc<AtomicU64>,
    pub(super) sent: Sent,
    pub(super) orders: Receiver<Finish>,
}

/// How it goes.
struct Course {
    so_far: SoFar,
    /// When the server took something last.
    answered: Instant,
    retry: Duration,
    was_said: bool,
    passed_over: u64,
    /// Once the run has ended: the longest silence.
    patience: Option<Duration>,
}

impl Uploader {
    /// Sends until the run has ended and all is sent, or until it gives up; both are said.
    pub(super) fn run(mut self) {
        let mut course = Course {
            so_far: self.so_far(),
            answered: Instant::now(),
            retry: FIRST_RETRY,
            was_said: false,
            passed_over: 0,
            patience: None,
        };
        let mut pause = INTERVAL;
        loop {
            self.wait(pause, &mut course);
            match self.send_all(&mut course) {
                Ok(()) if course.patience.is_some() => break,
                Ok(()) => {
                    pause = INTERVAL;
                    course.answers();
                }
                Err(Failure::Later { reason, after }) => {
                    if course.is_over() {
                        return self.give_up(&reason);
                    }
                    pause = after.map_or(course.retry, |after| after.min(LONGEST_ASKED));
                    course.retry = (course.retry * 2).min(LONGEST_RETRY);
                    course.say(&self.file, &reason);
                }
                Err(Failure::Refused(reason)) => return self.give_up(&reason),
            }
        }
        if course.was_said {
            log::info!("wandb: the server answers again; all is sent");
        }
    }

    /// Until it is time, or the run ends.
    fn wait(&self, pause: Duration, course: &mut Course) {
        if let Some(patience) = course.patience {
            return thread::sleep(pause.min(patience));
        }
        let patience = match self.orders.recv_timeout(pause) {
            Ok(Finish(patience)) => patience,
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => Duration::ZERO,
        };
        course.patience = Some(patience);
        course.answered = Instant::now();
        course.retry = FIRST_RETRY;
    }

    fn send_all(&mut self, course: &mut Course) -> Result<(), Failure> {
        let mut registered = match self.registered.take() {
            Some(registered) => registered,
            None => register(&self.client, &self.run)?,
        };
        let outcome = self.send_to(&mut registered, course);
        self.registered = Some(registered);
        outcome
    }

    fn send_to(&mut self, to: &mut Registered, course: &mut Course) -> Result<(), Failure> {
        let end = self.settled.load(Ordering::Acquire);
        loop {
            let mut so_far = course.so_far.clone();
            let batch = self.read(end, to.received.step, &mut so_far);
            let (batch, position) =
                batch.map_err(|error| Failure::Refused(format!("{error:#}")))?;
            course.pass_over(&batch, to.received.step);
            if !batch.is_empty() {
                let request = batch.request(&to.received, &so_far);
                self.client.stream(&to.path, &request)?;
                course.answers();
                batch.add_to(&mut to.received);
            }
            course.so_far = so_far;
            let is_all = self.sent.position == position;
            self.sent.advance_to(position);
            if is_all {
                return Ok(());
            }
        }
    }

    /// The next records, and where they end. The file is opened anew each time: what a reader has read ahead may have
    /// changed since.
    fn read(&self, end: u64, step: Option<u64>, so_far: &mut SoFar) -> Result<(Batch, u64)> {
        let mut reader = LogReader::open(&self.file, self.sent.position)?;
        let mut batch = Batch::default();
        while !batch.is_full() {
            match reader.next(end)? {
                Some(bytes) => batch.add(Record::parse(&bytes), step, so_far),
                None => break,
            }
        }
        Ok((batch, reader.position()))
    }

    /// What was sent before a resume counts too.
    fn so_far(&self) -> SoFar {
        let mut so_far = SoFar::default();
        let Ok(mut reader) = LogReader::open(&self.file, 0) else {
            return so_far;
        };
        while let Ok(Some(bytes)) = reader.next(self.sent.position) {
            so_far.add(Record::parse(&bytes));
        }
        so_far
    }

    fn give_up(&self, reason: &str) {
        let dir = self.file.parent().unwrap_or(&self.file).display();
        log::warn!(
            "wandb: giving up: {reason}. Nothing is lost: `wandb sync {dir}` sends the whole run, and so does --resume"
        );
    }
}

impl Course {
    fn answers(&mut self) {
        self.answered = Instant::now();
        self.retry = FIRST_RETRY;
        if self.was_said && self.patience.is_none() {
            log::info!("wandb: the server answers again");
            self.was_said = false;
        }
    }

    fn is_over(&self) -> bool {
        let silent = self.answered.elapsed();
        self.patience.is_some_and(|patience| silent >= patience)
    }

    /// Once per silence of the server.
    fn say(&mut self, file: &std::path::Path, reason: &str) {
        let is_long = self.answered.elapsed() >= SAID_AFTER || self.patience.is_some();
        if is_long && !self.was_said {
            self.was_said = true;
            let file = file.display();
            log::warn!(
                "wandb: falling behind: {reason}. Training goes on; what is unsent is in {file} and is sent later"
            );
        }
    }

    /// A resumed run trains some steps a second time; W&B keeps the first numbers.
    fn pass_over(&mut self, batch: &Batch, step: Option<u64>) {
        if batch.passed_over > 0 && self.passed_over == 0 {
            let step = step.unwrap_or(0);
            log::info!(
                "wandb: the server has this run up to step {step}; those steps are not sent again"
            );
        }
        self.passed_over += batch.passed_over;
    }
}
