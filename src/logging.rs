//! Log lines: to stderr around the progress bars, and into the run's `log.txt`. Of several ranks, rank 0 tells what
//! happens; the others say only what is wrong, behind their number.

use anyhow::{Context, Result};
use indicatif::MultiProgress;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

static LOGGER: Logger = Logger {
    file: Mutex::new(LogFile::NotYet(Vec::new())),
    listener: Mutex::new(None),
    rank: OnceLock::new(),
};

type Listener = Box<dyn Fn(Level, &str) + Send>;

struct Logger {
    file: Mutex<LogFile>,
    listener: Mutex<Option<Listener>>,
    rank: OnceLock<u64>,
}

/// Where lines are kept.
enum LogFile {
    /// The run has no folder yet: its first lines wait.
    NotYet(Vec<String>),
    Open(File),
}

/// More than any run says before it has a folder.
const MOST_WAITING: usize = 1000;

impl LogFile {
    fn append(&mut self, line: &str) {
        match self {
            Self::NotYet(lines) if lines.len() < MOST_WAITING => lines.push(line.to_owned()),
            Self::NotYet(_) => {}
            Self::Open(file) => drop(file.write_all(line.as_bytes())), // a full disk must not stop a run
        }
    }
}

/// Starts logging: information and above (warnings and above on ranks other than 0), or what `LLAMA_TRAIN_LOG` (error,
/// warn, info, debug) says.
pub fn init(rank: u64) {
    let level = std::env::var("LLAMA_TRAIN_LOG")
        .ok()
        .and_then(|level| level.parse().ok());
    let usual = match rank {
        0 => LevelFilter::Info,
        _ => LevelFilter::Warn,
    };
    log::set_max_level(level.unwrap_or(usual));
    let _ = LOGGER.rank.set(rank);
    let _ = log::set_logger(&LOGGER); // a second call changes nothing
}

/// The progress bars of the process; hidden where stderr is no terminal.
pub fn progress() -> &'static MultiProgress {
    static PROGRESS: OnceLock<MultiProgress> = OnceLock::new();
    PROGRESS.get_or_init(MultiProgress::new)
}

/// Lines are appended to this file as well, those said so far first.
///
/// # Errors
/// When it cannot be opened for writing.
pub fn tee_into(path: &Path) -> Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.with_context(|| format!("{}: cannot open for writing", path.display()))?;
    let mut place = LOGGER.file.lock().unwrap_or_else(PoisonError::into_inner);
    let earlier = std::mem::replace(&mut *place, LogFile::Open(file));
    if let LogFile::NotYet(lines) = earlier {
        lines.iter().for_each(|line| place.append(line));
    }
    Ok(())
}

/// From now on lines go there as well, without a newline. What listens must not wait, nor log.
pub fn listen(listener: impl Fn(Level, &str) + Send + 'static) {
    let mut place = LOGGER
        .listener
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *place = Some(Box::new(listener));
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("llama_train")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            _ => "",
        };
        let rank = match self.rank.get() {
            None | Some(0) => String::new(),
            Some(rank) => format!("[rank {rank}] "),
        };
        let line = format!("{rank}{level}{}\n", record.args());
        // A closed stderr must not stop a run.
        progress().suspend(|| {
            let _ = io::stderr().write_all(line.as_bytes());
        });
        let file = self.file.lock();
        file.unwrap_or_else(PoisonError::into_inner).append(&line);
        let listener = self.listener.lock();
        if let Some(listener) = listener.unwrap_or_else(PoisonError::into_inner).as_ref() {
            listener(record.level(), line.trim_end());
        }
    }

    fn flush(&self) {}
}
