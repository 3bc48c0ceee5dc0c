//! What came of an evaluation: JSON, text, and a line for each item.

use super::{Request, Scores};
use crate::bad_request;
use crate::commands::Output;
use crate::eval::{Accuracy, Estimate, LOSS};
use crate::storage::AtomicFile;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) fn output(request: &Request, scores: &Scores, other: Option<&Scores>) -> Output {
    let mut json = scores.json();
    let mut text = scores.text();
    if let Some(other) = other {
        let checkpoint = request.compare.as_deref().unwrap_or(Path::new(""));
        json.insert(
            "compare".to_owned(),
            json!({
                "checkpoint": checkpoint,
                "scores": other.json(),
                "difference": scores.difference_json(other),
            }),
        );
        text.extend([format!("\n{}:", checkpoint.display())]);
        text.extend(other.text());
        text.push("\ndifference, item by item:".to_owned());
        text.extend(scores.difference_text(other));
    }
    Output {
        json: Value::Object(json),
        text: text.join("\n"),
        exit_code: 0,
    }
}

/// A line for each item.
pub(super) struct Details {
    path: PathBuf,
    file: AtomicFile,
}

impl Details {
    /// # Errors
    /// A bad request when there can be no such file.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = AtomicFile::create(path).map_err(|error| bad_request!("--details {error:#}"))?;
        let path = path.to_owned();
        Ok(Self { path, file })
    }

    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(mut self, scores: &Scores) -> Result<()> {
        let of_loss = scores.loss.iter().flat_map(|loss| loss.details());
        let of_items = scores.benchmarks.iter().flat_map(|task| task.details());
        for line in of_loss.chain(of_items) {
            writeln!(self.file, "{line}").with_context(|| self.path.display().to_string())?;
        }
        self.file.commit()
    }
}

impl Scores {
    fn json(&self) -> Map<String, Value> {
        let loss = self.loss.iter().map(|loss| (LOSS.to_owned(), loss.json()));
        let tasks = self.benchmarks.iter();
        let tasks = tasks.map(|task| (task.name().to_owned(), task.json()));
        loss.chain(tasks).collect()
    }

    fn text(&self) -> Vec<String> {
        let loss = self.loss.iter().map(|loss| loss.text());
        let tasks = self.benchmarks.iter().map(|task| {
            let accuracies = task.accuracies().map(in_words);
            let accuracies: Vec<String> = accuracies.collect();
            let (name, items) = (task.name(), task.items().len());
            format!("{name} {}, {items} items", accuracies.join(", "))
        });
        loss.chain(tasks).collect()
    }

    fn difference_json(&self, other: &Self) -> Map<String, Value> {
        let loss = self.loss.iter().zip(&other.loss).map(|(one, other)| {
            let Estimate {
                mean,
                standard_error,
            } = one.difference(other);
            let json = json!({"loss": mean, "loss_stderr": standard_error});
            (LOSS.to_owned(), json)
        });
        let tasks = self.benchmarks.iter().zip(&other.benchmarks);
        let tasks = tasks.map(|(one, other)| (one.name().to_owned(), one.difference_json(other)));
        loss.chain(tasks).collect()
    }

    fn difference_text(&self, other: &Self) -> Vec<String> {
        let loss = self.loss.iter().zip(&other.loss);
        let loss = loss.map(|(one, other)| {
            in_words(Accuracy {
                name: LOSS,
                estimate: one.difference(other),
            })
        });
        let tasks = self.benchmarks.iter().zip(&other.benchmarks);
        let tasks = tasks.map(|(one, other)| {
            let differences: Vec<String> = one.differences(other).map(in_words).collect();
            format!("{} {}", one.name(), differences.join(", "))
        });
        loss.chain(tasks).collect()
    }
}

fn in_words(accuracy: Accuracy) -> String {
    let Accuracy { name, estimate } = accuracy;
    match estimate.standard_error {
        Some(error) => format!("{name} {:.4} ± {error:.4}", estimate.mean),
        None => format!("{name} {:.4}", estimate.mean),
    }
}
