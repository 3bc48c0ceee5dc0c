//! Records of the run's file as lines of the files that W&B keeps of a run.

use super::client::Received;
use super::record::{Items, Record};
use serde_json::{Map, Value, json};
use std::time::UNIX_EPOCH;
use time::OffsetDateTime;
use time::macros::format_description;

/// Bytes of lines after which a request is full.
const FULL_BYTES: usize = 1 << 20;

/// The newest value of every name.
#[derive(Debug, Default, Clone)]
pub(super) struct Summary(Map<String, Value>);

impl Summary {
    pub(super) fn update(&mut self, items: Items) {
        put(&mut self.0, items);
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
    pub(super) fn add(&mut self, record: Record, step: Option<u64>, summary: &mut Summary) {
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
            Record::Summary(items) => {
                summary.update(items);
                self.has_summary = true;
            }
            Record::Stats { time, items } => {
                let system = |(path, value): (Vec<String>, Value)| {
                    (vec![format!("system.{}", path.concat())], value)
                };
                let mut items: Items = items.into_iter().map(system).collect();
                let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
                items.push((vec!["_timestamp".into()], json!(since.as_secs_f64())));
                items.push((vec!["_wandb".into()], json!(true)));
                let line = object(items);
                self.bytes += line.len();
                self.events.push(line);
            }
            Record::Output {
                time,
                is_warning,
                line,
            } => {
                let format = format_description!(
                    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]"
                );
                let time = OffsetDateTime::from(time).format(&format);
                let level = if is_warning { "ERROR " } else { "" };
                let line = format!("{level}{} {line}", time.unwrap_or_default());
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
    pub(super) fn request(&self, received: &Received, summary: &Summary) -> Value {
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
            let line = Value::Object(summary.0.clone()).to_string();
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
