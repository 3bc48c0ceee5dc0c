//! `.env` and the process's environment: our own names, `LLAMA_TRAIN__SECTION__KEY`, and the original project's.

use super::origin::Origin;
use super::original_env::{Originals, Purpose};
use super::variable::{Named, Variable};
use crate::bad_request;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

/// What the env file said: secrets and places on this machine are not configuration, and are asked for where they are
/// needed, so that none of them can be written out with it.
static ENV_FILE: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// A variable that is not configuration (`HF_TOKEN`, `HF_HOME`): the process's own, else the env file's. An empty value
/// is as good as none.
#[must_use]
pub fn machine_variable(name: &str) -> Option<String> {
    let of_process = env::var(name).ok().filter(|value| !value.is_empty());
    of_process.or_else(|| {
        let of_file = ENV_FILE.lock().unwrap_or_else(PoisonError::into_inner);
        of_file.get(name).cloned()
    })
}

/// The settings of the env file (by default `.env`, if it is there), then those of the process, in rising strength; in
/// each, our own names are stronger than the original's. An empty value is as good as none. Beside them what contradicts
/// the verb, if anything does.
pub(super) fn read(
    env_file: Option<&Path>,
    purpose: Purpose,
) -> Result<(Vec<Variable>, Option<String>)> {
    let file = match env_file {
        Some(path) => read_file(path)?,
        None if Path::new(".env").is_file() => read_file(Path::new(".env"))?,
        None => Vec::new(),
    };
    let of_file = file
        .iter()
        .map(|named| (named.name.clone(), named.value.clone()));
    *ENV_FILE.lock().unwrap_or_else(PoisonError::into_inner) = of_file.collect();
    let sources = [file, read_process()];
    let originals = Originals::new(purpose, &sources);
    let mut variables = Vec::new();
    for source in &sources {
        variables.extend(originals.set_by(source));
        variables.extend(source.iter().filter_map(Named::own));
    }
    Ok((variables, originals.contradiction()))
}

fn read_process() -> Vec<Named> {
    let mut process: Vec<(String, String)> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    process.sort();
    let named = |(name, value)| Named {
        origin: Origin::Named(format!("environment variable {name}")),
        name,
        value,
    };
    process.into_iter().map(named).collect()
}

fn read_file(path: &Path) -> Result<Vec<Named>> {
    let text = fs::read_to_string(path)
        .map_err(|error| bad_request!("{}: cannot read: {error}", path.display()))?;
    let quoted: Vec<String> = text.lines().map(with_quotes).collect();
    let mut found = Vec::new();
    for entry in dotenvy::from_read_iter(quoted.join("\n").as_bytes()) {
        let (name, value) = entry.map_err(|error| bad_request!("{}: {error}", path.display()))?;
        if !value.is_empty() {
            let origin = line_of(&text, &name, path.to_owned());
            found.push(Named {
                name,
                value,
                origin,
            });
        }
    }
    Ok(found)
}

/// Python's dotenv, which the original uses, takes an unquoted value as it is, with spaces and quotes inside, up to a
/// comment; dotenvy does not.
fn with_quotes(line: &str) -> String {
    let Some((name, value)) = line
        .split_once('=')
        .filter(|_| !line.trim_start().starts_with('#'))
    else {
        return line.to_owned();
    };
    let needs_quotes = |c: char| c.is_whitespace() || matches!(c, '\'' | '"');
    let comment = value.find(" #").or_else(|| value.find("\t#"));
    let plain = value[..comment.unwrap_or(value.len())].trim();
    let is_plain_dollar = plain.contains('$') && !plain.contains("${"); // Python's replaces ${NAME} alone
    if plain.starts_with(['\'', '"']) || !(plain.contains(needs_quotes) || is_plain_dollar) {
        return line.to_owned();
    }
    match plain.contains('\'') {
        false => format!("{name}='{plain}'"),
        true => format!(
            "{name}=\"{}\"",
            plain
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('$', "\\$")
        ),
    }
}

/// dotenvy does not tell lines: the last one that sets the name is the one that counts.
fn line_of(text: &str, name: &str, path: PathBuf) -> Origin {
    let sets = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        line.strip_prefix(name)
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let index = text
        .lines()
        .enumerate()
        .filter(|(_, line)| sets(line))
        .last()
        .map_or(0, |(index, _)| index);
    Origin::Line(path, index + 1)
}
