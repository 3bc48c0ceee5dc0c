//! `.env` and the process's environment: our own names, `LLAMA_TRAIN__SECTION__KEY`, and the original project's.

use super::env_file;
use super::origin::Origin;
use super::original_env::{Originals, Purpose};
use super::variable::{Named, Variable};
use anyhow::Result;
use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

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
/// each, our own names are stronger than the original's. An empty value is as good as none. Beside them the lines of the
/// file that cannot be read, and what contradicts the verb.
///
/// # Errors
/// A bad request when there is no such file.
pub(super) fn read(
    env_file: Option<&Path>,
    purpose: Purpose,
) -> Result<(Vec<Variable>, Vec<String>)> {
    let by_default = Some(Path::new(".env")).filter(|path| path.is_file());
    let file = env_file.or(by_default).map(env_file::read).transpose()?;
    let (file, mut problems) = file.unwrap_or_default();
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
    problems.extend(originals.contradiction());
    Ok((variables, problems))
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
