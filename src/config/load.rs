//! Reading the configuration from its sources, weakest first, and reporting every mistake at once.

use super::environment;
use super::origin::Origin;
use super::original_env::Purpose;
use super::variable::Variable;
use super::{Config, did_you_mean, validate};
use crate::bad_request;
use anyhow::Result;
use serde::{Deserialize, de::IntoDeserializer};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use toml::Value;
use toml::de::{DeTable, DeValue};

/// Where a configuration comes from besides the defaults and the process's environment.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`
    pub file: Option<PathBuf>,
    /// `--env-file`; without it, `.env` in the working directory if there is one.
    pub env_file: Option<PathBuf>,
    /// `--set` and flags, in the order given; the last one wins.
    pub assignments: Vec<Assignment>,
    /// The verb that runs: some of the original project's variables mean another key for each.
    pub purpose: Purpose,
    /// The names that `eval.tasks` may hold; without any, they are not checked.
    pub tasks: Vec<&'static str>,
    /// Ranks that a step is divided over; without them, `WORLD_SIZE`, else one.
    pub world_size: Option<u64>,
}

/// One key set on the command line.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// What the user typed, for messages: `--set` or a flag.
    pub origin: String,
    /// `section.key`
    pub key: String,
    /// A TOML value, or plain text for a key that takes text.
    pub value: String,
}

impl Config {
    /// Defaults, then the file, `.env`, the environment and the command line, checked whole.
    ///
    /// # Errors
    /// A bad request that lists every mistake, each with where it stands.
    pub fn load(sources: &Sources) -> Result<Self> {
        let mut loader = Loader::default();
        if let Some(path) = &sources.file {
            loader.read_toml(path)?;
        }
        let (variables, contradiction) =
            environment::read(sources.env_file.as_deref(), sources.purpose)?;
        loader.problems.extend(contradiction);
        for variable in variables {
            loader.take_variable(variable);
        }
        for Assignment { origin, key, value } in &sources.assignments {
            loader.set_text(key, value, Origin::Named(origin.clone()));
        }
        loader.finish(sources)
    }
}

#[derive(Default)]
struct Loader {
    config: Config,
    /// Where each `section.key` was set last.
    origins: HashMap<String, Origin>,
    problems: Vec<String>,
}

impl Loader {
    fn read_toml(&mut self, path: &Path) -> Result<()> {
        let text = fs::read_to_string(path)
            .map_err(|error| bad_request!("--config {}: cannot read: {error}", path.display()))?;
        let line = |start: usize| text[..start.min(text.len())].matches('\n').count() + 1;
        let (document, errors) = DeTable::parse_recoverable(&text);
        for error in &errors {
            let at = line(error.span().map_or(0, |span| span.start));
            self.problems
                .push(format!("{}:{at}: {}", path.display(), error.message()));
        }
        for (table, entries) in document.into_inner() {
            let origin = Origin::Line(path.to_owned(), line(table.span().start));
            let DeValue::Table(entries) = entries.into_inner() else {
                self.problems.push(format!(
                    "{origin}: `{}` stands outside a [section]",
                    table.get_ref()
                ));
                continue;
            };
            if self.check_table(table.get_ref(), &origin) {
                for (key, value) in entries {
                    let origin = Origin::Line(path.to_owned(), line(key.span().start));
                    match Value::deserialize(value.into_deserializer()) {
                        Ok(value) => self.set(
                            &format!("{}.{}", table.get_ref(), key.get_ref()),
                            value,
                            origin,
                        ),
                        Err(error) => self.problems.push(format!("{origin}: {}", error.message())),
                    }
                }
            }
        }
        Ok(())
    }

    fn take_variable(&mut self, variable: Variable) {
        let Variable { key, value, origin } = variable;
        match value {
            Ok(value) => self.set_text(&key, &value, origin),
            Err(problem) => self.problems.push(format!("{origin}: {key}: {problem}")),
        }
    }

    fn set(&mut self, path: &str, value: Value, origin: Origin) {
        if let Err(problem) = self.try_set(path, value) {
            self.problems.push(format!("{origin}: {problem}"));
        } else {
            self.origins.insert(path.to_owned(), origin);
        }
    }

    /// Reads the text as TOML, and where that is not what the key takes, as itself: `--set run.name=first` works.
    fn set_text(&mut self, path: &str, text: &str, origin: Origin) {
        let value = format!("value = {text}")
            .parse::<toml::Table>()
            .ok()
            .and_then(|mut table| table.remove("value"));
        let as_text = Value::String(text.to_owned());
        let outcome = match value {
            Some(value) => self
                .try_set(path, value)
                .or_else(|problem| self.try_set(path, as_text).map_err(|_| problem)),
            None => self.try_set(path, as_text),
        };
        match outcome {
            Ok(()) => drop(self.origins.insert(path.to_owned(), origin)),
            Err(problem) => self.problems.push(format!("{origin}: {problem}")),
        }
    }

    fn try_set(&mut self, path: &str, mut value: Value) -> Result<(), String> {
        let Some((table, mut key)) = path.split_once('.') else {
            return Err(format!("`{path}` is not of the form section.key"));
        };
        if let Some((outer, entry)) = key.split_once('.') {
            value = self.with_entry(table, outer, entry, value);
            key = outer;
        }
        let mut sections = self.config.sections_mut();
        let tables: Vec<&str> = sections.iter().map(|section| section.table()).collect();
        let Some(section) = sections.iter_mut().find(|section| section.table() == table) else {
            return Err(format!(
                "unknown section [{table}]{}",
                did_you_mean(table, tables)
            ));
        };
        let known: Vec<&str> = section.keys().iter().map(|known| known.name).collect();
        if !known.contains(&key) {
            let hint = match did_you_mean(key, known.iter().copied()) {
                hint if hint.is_empty() => format!("; [{table}] has {}", known.join(", ")),
                hint => hint,
            };
            return Err(format!("unknown key {path}{hint}"));
        }
        section
            .set(key, value)
            .map_err(|message| format!("{path}: {}", in_words(&message)))
    }

    /// The key's present table with one entry set: `eval.task_data.hellaswag`, `model.rope_scaling.factor`.
    fn with_entry(&self, table: &str, key: &str, entry: &str, value: Value) -> Value {
        let present = Value::try_from(&self.config).ok();
        let present = present.and_then(|config| config.get(table)?.get(key).cloned());
        let mut entries = match present {
            Some(Value::Table(entries)) => entries,
            _ => toml::Table::new(),
        };
        entries.insert(entry.to_owned(), value);
        Value::Table(entries)
    }

    /// An unknown section is one mistake, not one for each of its keys.
    fn check_table(&mut self, table: &str, origin: &Origin) -> bool {
        let mut config = Config::default();
        let tables = config.sections_mut().map(|section| section.table());
        let known = tables.contains(&table);
        if !known {
            self.problems.push(format!(
                "{origin}: unknown section [{table}]{}",
                did_you_mean(table, tables)
            ));
        }
        known
    }

    fn finish(mut self, sources: &Sources) -> Result<Config> {
        let found = validate::problems(&self.config, &sources.tasks, sources.world_size)?;
        for (key, message) in found {
            let origin = self
                .origins
                .get(key)
                .map_or(String::new(), |origin| format!("{origin}: "));
            self.problems.push(format!("{origin}{key}: {message}"));
        }
        match self.problems.as_slice() {
            [] => Ok(self.config),
            [one] => Err(bad_request!("{one}")),
            many => Err(bad_request!(
                "{} mistakes in the configuration:\n  {}",
                many.len(),
                many.join("\n  ")
            )),
        }
    }
}

/// serde's words for types, in everyday ones.
fn in_words(message: &str) -> String {
    let numbers = [
        ("u64", "a whole number, 0 or more"),
        ("usize", "a whole number, 0 or more"),
        ("i64", "a whole number"),
        ("f64", "a number"),
    ];
    let mut text = message
        .replace("invalid type: ", "")
        .replace(", expected", " found, expected");
    for (rust, words) in numbers {
        text = text.replace(&format!("expected {rust}"), &format!("expected {words}"));
    }
    text
}
