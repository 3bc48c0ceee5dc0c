//! What a person watches: a progress bar on a terminal, plain lines elsewhere.

use super::{MetricSink, Record, Sample, Split};
use crate::logging;
use anyhow::Result;
use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::time::{Duration, Instant};

/// Time between plain lines of training steps.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows training steps as they come.
#[derive(Debug)]
pub struct ConsoleSink {
    bar: ProgressBar,
    max_steps: u64,
    last_line: Option<Instant>,
}

impl ConsoleSink {
    /// For a run that stands at `step` of `max_steps`.
    #[must_use]
    pub fn new(step: u64, max_steps: u64) -> Self {
        let left = move |state: &ProgressState, text: &mut dyn fmt::Write| {
            if state.pos() > step {
                let _ = write!(text, "{:#} left", HumanDuration(state.eta())); // before that nobody knows
            }
        };
        let style = ProgressStyle::with_template("{pos}/{len} {wide_bar} {msg}  {left}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("left", left);
        let bar = logging::progress().add(ProgressBar::new(max_steps).with_style(style));
        bar.set_position(step);
        bar.reset_eta();
        Self {
            bar,
            max_steps,
            last_line: None,
        }
    }

    fn train(&mut self, record: &Record) {
        let line = step_line(record);
        self.bar.set_position(record.step);
        self.bar.set_message(line.clone());
        let due = self
            .last_line
            .is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if due || record.step == self.max_steps {
            self.last_line = Some(Instant::now());
            if self.bar.is_hidden() {
                log::info!("step {}/{} {line}", record.step, self.max_steps);
            } else {
                log::debug!("step {}/{} {line}", record.step, self.max_steps);
            }
        }
    }
}

impl MetricSink for ConsoleSink {
    fn log(&mut self, record: &Record) -> Result<()> {
        match record.split {
            Split::Train => self.train(record),
            Split::Val | Split::Eval if record.values.is_empty() => {}
            Split::Val | Split::Eval => {
                let values: Vec<_> = record
                    .values
                    .iter()
                    .map(|(name, value)| match value.fract() {
                        0.0 => format!("{name} {value}"),
                        _ => format!("{name} {value:.4}"),
                    })
                    .collect();
                log::info!(
                    "step {}/{} {}: {}",
                    record.step,
                    self.max_steps,
                    record.split.name(),
                    values.join(", ")
                );
            }
        }
        for Sample { prompt, completion } in &record.samples {
            log::info!("sample: {prompt}{completion}");
        }
        Ok(())
    }
}

impl Drop for ConsoleSink {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn step_line(record: &Record) -> String {
    let value = |name| record.get(name).unwrap_or(f64::NAN);
    let mut line = format!(
        "loss {:.4}  lr {:.2e}  norm {:.3}  {:.0} tok/s",
        value("loss"),
        value("lr"),
        value("grad_norm"),
        value("tokens_per_second")
    );
    if let Some(mfu) = record.get("mfu") {
        line.push_str(&format!("  mfu {:.1} %", 100.0 * mfu));
    }
    line
}
