//! Reading the configuration from its sources, weakest first, and reporting every mistake at once.

use super::environment;
use super::origin::Origin;
use super::original_env::Purpose;
use super::section::Section;
use super::variable::Variable;
use super::words::in_words;
use super::{Config, did_you_mean, validate};
use crate::bad_request;
use anyhow::Result;
use serde::{Deserialize, de::IntoDeserializer};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use toml::Value;
use toml::de::{DeTable, DeValue};

/// How serde begins to say that a table lacks an entry.
const MISSING: &str = "missing field ";

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
    /// A TOML value, or plain text for a key that takes text; none sets the key back to its default.
    pub value: Option<String>,
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
        let (variables, problems) =
            environment::read(sources.env_file.as_deref(), sources.purpose)?;
        loader.problems.extend(problems);
        for variable in variables {
            loader.take_variable(variable);
        }
        for Assignment { origin, key, value } in &sources.assignments {
            let origin = Origin::Named(origin.clone());
            match value {
                Some(text) => loader.set_text(key, text, origin),
                None => loader.reset(key, origin),
            }
        }
        loader.finish(sources)
    }
}

#[derive(Default)]
struct Loader {
    config: Config,
    /// Where each `section.key` was set last.
    origins: HashMap<String, Origin>,
    /// Tables that lack an entry, by `section.key`, with its name: another may give it.
    incomplete: BTreeMap<String, (toml::Table, String)>,
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
                    let path = format!("{}.{}", table.get_ref(), key.get_ref());
                    let value = Value::deserialize(value.into_deserializer());
                    let value =
                        value.map_err(|error| format!("{path}: {}", in_words(error.message())));
                    let outcome = value.and_then(|value| self.try_set(&path, value));
                    self.note(&path, outcome, origin);
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

    /// Where the key was set, or what kept it from being so.
    fn note(&mut self, path: &str, outcome: Result<(), String>, origin: Origin) {
        match outcome {
            Ok(()) => drop(self.origins.insert(key_of(path).to_owned(), origin)),
            Err(problem) => self.problems.push(format!("{origin}: {problem}")),
        }
    }

    /// Sets a key back to its default.
    fn reset(&mut self, path: &str, origin: Origin) {
        let outcome = parts(path).and_then(|(table, key, _)| {
            self.section(table, key)?.reset(key);
            Ok(())
        });
        self.incomplete.remove(path);
        self.note(path, outcome, origin);
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
        self.note(path, outcome, origin);
    }

    /// Sets a key, or one entry of its table. A table that lacks entries waits for those that other sources give.
    fn try_set(&mut self, path: &str, value: Value) -> Result<(), String> {
        let (table, key, entry) = parts(path)?;
        let value = match entry {
            Some(entry) => self.with_entry((table, key), entry, value),
            None => value,
        };
        let outcome = self.section(table, key)?.set(key, value.clone());
        let missing = outcome.as_ref().err();
        let missing = missing.and_then(|message| message.strip_prefix(MISSING));
        match (value, missing, &outcome) {
            (Value::Table(entries), Some(missing), _) => {
                let missing = missing.trim_matches('`').to_owned();
                self.incomplete
                    .insert(key_of(path).to_owned(), (entries, missing));
                Ok(())
            }
            (_, _, Err(message)) => Err(format!("{path}: {}", in_words(message))),
            (_, _, Ok(())) => {
                self.incomplete.remove(key_of(path));
                Ok(())
            }
        }
    }

    /// The section that has this key.
    fn section(&mut self, table: &str, key: &str) -> Result<&mut dyn Section, String> {
        let sections = self.config.sections_mut();
        let tables: Vec<&str> = sections.iter().map(|section| section.table()).collect();
        let found = sections
            .into_iter()
            .find(|section| section.table() == table);
        let Some(section) = found else {
            return Err(format!(
                "unknown section [{table}]{}",
                did_you_mean(table, tables)
            ));
        };
        let known: Vec<&str> = section.keys().iter().map(|known| known.name).collect();
        if known.contains(&key) {
            return Ok(section);
        }
        let hint = match did_you_mean(key, known.iter().copied()) {
            hint if hint.is_empty() => format!("; [{table}] has {}", known.join(", ")),
            hint => hint,
        };
        Err(format!("unknown key {table}.{key}{hint}"))
    }

    /// The key's table, as far as it is given, with one entry set: `eval.task_data.hellaswag`, `model.rope_scaling.factor`.
    fn with_entry(&self, (table, key): (&str, &str), entry: &str, value: Value) -> Value {
        let waiting = self.incomplete.get(&format!("{table}.{key}"));
        let present = || {
            let config = Value::try_from(&self.config).ok()?;
            config.get(table)?.get(key)?.as_table().cloned()
        };
        let entries = waiting.map(|(entries, _)| entries.clone()).or_else(present);
        let mut entries = entries.unwrap_or_default();
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
        let lacking = self.incomplete.iter().map(|(key, (_, entry))| {
            let message = format!("`{entry}` is missing; set {key}.{entry} as well");
            (key.as_str(), message)
        });
        for (key, message) in lacking.chain(found) {
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

/// `section.key` or `section.key.entry` in parts.
fn parts(path: &str) -> Result<(&str, &str, Option<&str>), String> {
    let Some((table, key)) = path.split_once('.') else {
        return Err(format!("`{path}` is not of the form section.key"));
    };
    Ok(match key.split_once('.') {
        Some((key, entry)) => (table, key, Some(entry)),
        None => (table, key, None),
    })
}

/// `section.key`, without an entry's name.
fn key_of(path: &str) -> &str {
    let entry = path.match_indices('.').nth(1);
    entry.map_or(path, |(at, _)| &path[..at])
}
