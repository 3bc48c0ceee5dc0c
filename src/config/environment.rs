//! `LLAMA_TRAIN__SECTION__KEY` in the environment and in `.env`.

use super::origin::Origin;
use crate::bad_request;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::{env, fs};

const PREFIX: &str = "LLAMA_TRAIN__";

/// One setting from the environment.
pub(super) struct Variable {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// The settings of the env file (by default `.env`, if it is there), then those of the process, in rising strength.
/// An empty value is as good as none.
pub(super) fn read(env_file: Option<&Path>) -> Result<Vec<Variable>> {
    let mut variables = match env_file {
        Some(path) => read_file(path)?,
        None if Path::new(".env").is_file() => read_file(Path::new(".env"))?,
        None => Vec::new(),
    };
    let mut process: Vec<(String, String)> = env::vars().collect();
    process.sort();
    for (name, value) in process {
        let origin = Origin::Named(format!("environment variable {name}"));
        variables.extend(variable(&name, value, origin));
    }
    Ok(variables)
}

fn read_file(path: &Path) -> Result<Vec<Variable>> {
    let text = fs::read_to_string(path)
        .map_err(|error| bad_request!("{}: cannot read: {error}", path.display()))?;
    let mut variables = Vec::new();
    for entry in dotenvy::from_read_iter(text.as_bytes()) {
        let (name, value) = entry.map_err(|error| bad_request!("{}: {error}", path.display()))?;
        variables.extend(variable(
            &name,
            value,
            line_of(&text, &name, path.to_owned()),
        ));
    }
    Ok(variables)
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

fn variable(name: &str, value: String, origin: Origin) -> Option<Variable> {
    let key = name
        .strip_prefix(PREFIX)?
        .to_lowercase()
        .replacen("__", ".", 1);
    (!value.is_empty()).then_some(Variable { key, value, origin })
}
