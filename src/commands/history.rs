//! `history.jsonl` in the run folder: each time that a run was started, on what and with which words, and how it ended.
//! Secrets are in neither: they come from the environment, which is not written down.

use crate::metrics::machine_memory_bytes;
use crate::torch;
use crate::train::{RunPlan, Stopped};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, thread};
use tch::Device;

const FILE: &str = "history.jsonl";

/// One line. What a later version adds or leaves out does not stop this one from reading it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    Start(Start),
    End(End),
}

/// A process that begins to train.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Start {
    /// Seconds since 1970.
    pub(super) time: f64,
    /// Steps that were done before.
    pub(super) step: u64,
    /// The words of the command line.
    pub(super) command: Vec<String>,
    /// The folder in which it was given.
    pub(super) folder: PathBuf,
    pub(super) version: String,
    pub(super) torch: String,
    /// The GPU's name, or "cpu".
    pub(super) device: String,
    /// The processor's name.
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) threads: usize,
    pub(super) memory_bytes: f64,
    pub(super) ranks: u64,
    pub(super) precision: String,
    pub(super) parameters: u64,
    pub(super) max_steps: u64,
}

/// How it ended; of a process that was killed there is no such line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct End {
    pub(super) time: f64,
    pub(super) step: u64,
    /// "max_steps", "early_stopping", "signal" or "error".
    pub(super) stopped: String,
    /// The signal's name, or what went wrong.
    pub(super) why: Option<String>,
    /// In the loop.
    pub(super) seconds: Option<f64>,
}

impl Start {
    /// This process, on this machine.
    pub(super) fn here(step: u64, device: Device, precision: &str, plan: &RunPlan) -> Self {
        Self {
            time: now(),
            step,
            command: env::args_os()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            folder: env::current_dir().unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            torch: torch::version(),
            device: torch::device_name(device).unwrap_or_else(|| "cpu".to_owned()),
            processor: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            threads: usize::try_from(tch::get_num_threads()).unwrap_or(1),
            memory_bytes: machine_memory_bytes().unwrap_or(0) as f64,
            ranks: plan.world_size,
            precision: precision.to_owned(),
            parameters: plan.parameters,
            max_steps: plan.max_steps,
        }
    }
}

impl End {
    pub(super) fn stopped(step: u64, stopped: Stopped, seconds: f64) -> Self {
        let (stopped, why) = match stopped {
            Stopped::MaxSteps => ("max_steps", None),
            Stopped::EarlyStopping => ("early_stopping", None),
            Stopped::Signal(signal) => ("signal", Some(signal.name().to_owned())),
        };
        Self {
            time: now(),
            step,
            stopped: stopped.to_owned(),
            why,
            seconds: Some(seconds),
        }
    }

    pub(super) fn failed(step: u64, error: &anyhow::Error) -> Self {
        Self {
            time: now(),
            step,
            stopped: "error".to_owned(),
            why: Some(format!("{error:#}")),
            seconds: None,
        }
    }
}

/// Adds a line. A run is not stopped by a history that cannot be written.
pub(super) fn append(run: &Path, event: &Event) {
    let write = || -> Result<()> {
        let path = run.join(FILE);
        let is_torn =
            fs::read(&path).is_ok_and(|before| before.last().is_some_and(|&byte| byte != b'\n'));
        let begin = if is_torn { "\n" } else { "" };
        let line = format!("{begin}{}\n", serde_json::to_string(event)?);
        let mut options = OpenOptions::new();
        let mut file = options.create(true).append(true).open(path)?;
        Ok(file.write_all(line.as_bytes())?)
    };
    if let Err(error) = write() {
        log::warn!("{}: cannot write: {error:#}", run.join(FILE).display());
    }
}

/// All lines that can be read; none where there is no file.
pub(super) fn read(run: &Path) -> Vec<Event> {
    let bytes = fs::read(run.join(FILE)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let parse = |line: &str| serde_json::from_str(line).ok();
    text.lines().filter_map(parse).collect()
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    (since.unwrap_or_default().as_secs_f64() * 1e3).round() / 1e3
}

/// The value of the first `name : value` line.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
