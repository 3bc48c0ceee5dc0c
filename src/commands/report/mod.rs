//! `llama-train report`: the numbers of runs as a page to look at, or as tables.

mod axis;
mod charts;
mod configuration;
mod csv;
mod details;
mod draw;
mod figure;
mod figures;
mod html;
mod known;
mod numbers;
mod overview;
mod page;
mod plot;
mod run;
mod thin;

use super::Output;
use crate::bad_request;
use crate::storage::AtomicFile;
use anyhow::Result;
use run::Run;
use serde_json::json;
use std::io::Write;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// One page of all runs, in this file (default: `report.html` in the folder of the one run, else here).
    Page(Option<PathBuf>),
    /// `metrics.csv` in each run's folder.
    Csv,
}

/// Writes what was asked for.
///
/// # Errors
/// A bad request when a run is not there; an error when its numbers cannot be read.
pub fn run(request: &Request) -> Result<Output> {
    let find = |run: &PathBuf| find(run, &request.dir);
    let folders = request.runs.iter().map(find).collect::<Result<Vec<_>>>()?;
    match &request.form {
        Form::Page(out) => one_page(&folders, out.as_deref()),
        Form::Csv => tables(&folders),
    }
}

/// Draws the page of these runs into a file; gives its path.
///
/// # Errors
/// When a run's numbers cannot be read, or the file cannot be written.
pub(super) fn draw(folders: &[PathBuf], out: &Path) -> Result<PathBuf> {
    let runs = folders.iter().map(|folder| Run::read(folder));
    let page = page::page(&runs.collect::<Result<Vec<_>>>()?);
    let mut file = AtomicFile::create(out)?;
    file.write_all(page.as_bytes())?;
    file.commit()?;
    Ok(out.to_owned())
}

fn one_page(folders: &[PathBuf], out: Option<&Path>) -> Result<Output> {
    let usual = match folders {
        [folder] => folder.join("report.html"),
        _ => PathBuf::from("report.html"),
    };
    let out = out.unwrap_or(&usual);
    let parent = out.parent().filter(|parent| *parent != Path::new(""));
    if out.is_dir() || parent.is_some_and(|parent| !parent.is_dir()) {
        return Err(bad_request!(
            "--out {}: name a file in a folder that is there",
            out.display()
        ));
    }
    let file = draw(folders, out)?;
    Ok(Output {
        text: file.display().to_string(),
        json: json!({ "files": [{ "file": file, "runs": folders }] }),
        exit_code: 0,
    })
}

fn tables(folders: &[PathBuf]) -> Result<Output> {
    let (mut files, mut text) = (Vec::new(), Vec::new());
    for folder in folders {
        let (path, rows) = csv::write(folder)?;
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
