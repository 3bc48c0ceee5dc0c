//! `llama-train report`: the numbers of runs in other forms.

mod csv;

use super::Output;
use crate::bad_request;
use anyhow::Result;
use serde_json::json;
use std::path::{Path, PathBuf};

/// A report's request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Run folders, or names of runs below `run.dir`.
    pub runs: Vec<PathBuf>,
    /// `run.dir`
    pub dir: PathBuf,
    /// What is written.
    pub form: Form,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `metrics.csv` in each run's folder.
    Csv,
}

/// Writes what was asked for, for each run.
///
/// # Errors
/// A bad request when a run is not there; an error when its numbers cannot be read.
pub fn run(request: &Request) -> Result<Output> {
    let folders: Result<Vec<PathBuf>> = request
        .runs
        .iter()
        .map(|run| find(run, &request.dir))
        .collect();
    let (mut files, mut text) = (Vec::new(), Vec::new());
    for folder in folders? {
        let (path, rows) = match request.form {
            Form::Csv => csv::write(&folder)?,
        };
        text.push(format!("{}: {rows} rows", path.display()));
        files.push(json!({"file": path, "rows": rows}));
    }
    Ok(Output {
        json: json!({ "files": files }),
        text: text.join("\n"),
        exit_code: 0,
    })
}

fn find(run: &Path, dir: &Path) -> Result<PathBuf> {
    let places = [run.to_owned(), dir.join(run)];
    let found = places
        .into_iter()
        .find(|place| place.join("metrics.jsonl").is_file());
    found.ok_or_else(|| {
        bad_request!(
            "{}: no run with a metrics.jsonl here or below {} (run.dir)",
            run.display(),
            dir.display()
        )
    })
}
