//! A run as its folder tells it. Only `metrics.jsonl` has to be there; the rest is shown where it is.

use super::numbers::Numbers;
use crate::commands::history::{self, End, Event, Start};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// What is known of one run.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) name: String,
    pub(super) numbers: Numbers,
    pub(super) samples: Vec<Sample>,
    /// `config.toml`.
    pub(super) config: toml::Table,
    /// The last time that it was started.
    pub(super) start: Option<Start>,
    /// How often.
    pub(super) starts: usize,
    /// How it ended, unless it is running or was killed.
    pub(super) end: Option<End>,
}

/// What the model wrote.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Sample {
    pub(super) step: u64,
    pub(super) prompt: String,
    pub(super) completion: String,
}

impl Run {
    /// # Errors
    /// When `metrics.jsonl` cannot be read.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let metrics = folder.join("metrics.jsonl");
        let bytes = fs::read(&metrics);
        let bytes = bytes.with_context(|| format!("{}: cannot read", metrics.display()))?;
        let text = |name| fs::read(folder.join(name)).unwrap_or_default();
        let samples = String::from_utf8_lossy(&text("samples.jsonl")).into_owned();
        let config = String::from_utf8_lossy(&text("config.toml")).parse();
        let events = history::read(folder);
        let is_start = |event: &&Event| matches!(event, Event::Start(_));
        Ok(Self {
            name: name(folder),
            numbers: Numbers::parse(&String::from_utf8_lossy(&bytes)),
            samples: samples
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect(),
            config: config.unwrap_or_default(),
            starts: events.iter().filter(is_start).count(),
            start: events.iter().rev().find_map(|event| match event {
                Event::Start(start) => Some(start.clone()),
                Event::End(_) => None,
            }),
            end: events
                .into_iter()
                .next_back()
                .and_then(|event| match event {
                    Event::End(end) => Some(end),
                    Event::Start(_) => None,
                }),
        })
    }

    /// Steps that are done.
    pub(super) fn step(&self) -> f64 {
        self.numbers.steps().map_or(0.0, |(_, last)| last)
    }

    /// The last finite value of a number.
    pub(super) fn last(&self, split: &str, name: &str) -> Option<f64> {
        let series = self.numbers.get(split, name)?;
        series.finite().next_back().map(|(_, value)| value)
    }

    /// The lowest validation loss, and its step.
    pub(super) fn best(&self) -> Option<(f64, f64)> {
        let series = self.numbers.get("val", "loss")?;
        series.finite().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The middle of all values of a training number.
    pub(super) fn median(&self, name: &str) -> Option<f64> {
        let series = self.numbers.get("train", name)?;
        let mut values: Vec<f64> = series.finite().map(|(_, value)| value).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// Seconds of all steps together.
    pub(super) fn seconds(&self) -> Option<f64> {
        let series = self.numbers.get("train", "step_seconds")?;
        Some(series.finite().map(|(_, seconds)| seconds).sum())
    }
}

/// The folder's own, also where the path to it ends in `.` or `..`.
fn name(folder: &Path) -> String {
    let whole = folder.canonicalize();
    let whole = whole.as_deref().unwrap_or(folder);
    let last = whole.file_name().unwrap_or(whole.as_os_str());
    last.to_string_lossy().into_owned()
}
