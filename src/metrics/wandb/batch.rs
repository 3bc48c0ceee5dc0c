//! Records of the run's file as lines of the files that W&B keeps of a run.

use super::client::Received;
use super::record::{Items, Record};
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::macros::format_description;

/// Bytes of lines after which a request is full.
const FULL_BYTES: usize = 1 << 20;

/// What the records so far come to.
#[derive(Debug, Default, Clone)]
pub(super) struct SoFar {
    /// The newest value of every name.
    summary: Map<String, Value>,
    began: Option<SystemTime>,
}

impl SoFar {
    pub(super) fn add(&mut self, record: Record) {
        match record {
            Record::Summary(items) => put(&mut self.summary, items),
            Record::Began(time) => self.began = Some(time),
            _ => {}
        }
    }

    /// Names that W&B's charts of the machine go by.
    fn stats_line(&self, time: SystemTime, items: Items) -> String {
        let mut line = Map::new();
        for (path, value) in items {
            line.insert(format!("system.{}", path.concat()), value);
        }
        let since = |start: SystemTime| {
            let elapsed = time.duration_since(start);
            json!(elapsed.unwrap_or_default().as_secs_f64())
        };
        line.insert("_runtime".into(), since(self.began.unwrap_or(time)));
        line.insert("_timestamp".into(), since(UNIX_EPOCH));
        line.insert("_wandb".into(), json!(true));
        Value::Object(line).to_string()
    }
}

/// Lines to be sent in one request.
#[derive(Debug, Default)]
pub(super) struct Batch {
    history: Vec<String>,
    events: Vec<String>,
    output: Vec<String>,
    has_summary: bool,
    exit_code: Option<i32>,
    bytes: usize,
    last_step: Option<u64>,
    /// Rows that the server had already.
    pub(super) passed_over: u64,
}

impl Batch {
    /// Takes in a record; rows up to `step` were received before, as W&B's steps only go up.
    pub(super) fn add(&mut self, record: Record, step: Option<u64>, so_far: &mut SoFar) {
        match record {
            Record::History { step: at, .. } if step.is_some_and(|last| at <= last) => {
                self.passed_over += 1;
            }
            Record::History { step, items } => {
                self.last_step = Some(step);
                let line = object(items);
                self.bytes += line.len();
                self.history.push(line);
            }
            Record::Summary(_) => {
                so_far.add(record);
                self.has_summary = true;
            }
            Record::Began(_) => so_far.add(record),
            Record::Stats { time, items } => {
                let line = so_far.stats_line(time, items);
                self.bytes += line.len();
                self.events.push(line);
            }
            Record::Output {
                time,
                is_warning,
                line,
            } => {
                let line = output_line(time, is_warning, &line);
                self.bytes += line.len();
                self.output.push(line);
            }
            Record::Exit { code, .. } => self.exit_code = Some(code),
            Record::Config(_) | Record::Other => {}
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= FULL_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        let lines = [&self.history, &self.events, &self.output];
        lines.iter().all(|lines| lines.is_empty()) && !self.has_summary && self.exit_code.is_none()
    }

    /// The request: each file's new lines and the number of the first of them.
    pub(super) fn request(&self, received: &Received, so_far: &SoFar) -> Value {
        let mut files = Map::new();
        let mut add = |name: &str, offset: u64, content: &[String]| {
            if !content.is_empty() {
                let lines = json!({"offset": offset, "content": content});
                files.insert(name.to_owned(), lines);
            }
        };
        add("wandb-history.jsonl", received.history, &self.history);
        add("wandb-events.jsonl", received.events, &self.events);
        add("output.log", received.output, &self.output);
        if self.has_summary {
            let line = Value::Object(so_far.summary.clone()).to_string();
            add("wandb-summary.json", 0, &[line]);
        }
        let mut request = json!({ "files": files });
        if let Some(code) = self.exit_code {
            request["complete"] = json!(true);
            request["exitcode"] = json!(code);
        }
        request
    }

    /// What the server has once it has taken this.
    pub(super) fn add_to(&self, received: &mut Received) {
        received.history += self.history.len() as u64;
        received.events += self.events.len() as u64;
        received.output += self.output.len() as u64;
        received.step = self.last_step.or(received.step);
    }
}

/// As the official client streams `output.log`.
fn output_line(time: SystemTime, is_warning: bool, line: &str) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]");
    let time = OffsetDateTime::from(time).format(&format);
    let level = if is_warning { "ERROR " } else { "" };
    format!("{level}{} {line}", time.unwrap_or_default())
}

fn object(items: Items) -> String {
    let mut object = Map::new();
    put(&mut object, items);
    Value::Object(object).to_string()
}

fn put(object: &mut Map<String, Value>, items: Items) {
    for (path, value) in items {
        insert(object, &path, value);
    }
}

fn insert(object: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => drop(object.insert(name.clone(), value)),
        [name, rest @ ..] => {
            let inner = object.entry(name).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
