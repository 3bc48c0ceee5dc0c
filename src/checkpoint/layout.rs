//! Names inside the `checkpoints` folder, and the file that makes a checkpoint complete.

use crate::storage::{AtomicFile, sha256_file};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs::{self, DirEntry},
    io::Write,
    path::{Path, PathBuf},
};

/// Link to the newest complete checkpoint.
pub(super) const LATEST: &str = "latest";
/// Link to the checkpoint with the lowest validation loss.
pub(super) const BEST: &str = "best";
/// Optimizer moments.
pub(super) const OPTIMIZER: &str = "optimizer.safetensors";
/// Random generators.
pub(super) const RNG: &str = "rng.safetensors";
/// The run's resolved configuration.
pub(super) const CONFIG: &str = "config.toml";
/// The model that the run is held against.
pub(super) const REFERENCE: &str = "reference.json";
/// Before the step, of a checkpoint that is not whole yet.
pub(super) const SAVING: &str = ".saving-";
const STATE: &str = "llama_train_state.json";
const VERSION: u32 = 1;

/// `llama_train_state.json`: written last; what it does not vouch for is not there.
#[derive(Serialize, Deserialize)]
struct StateFile<S> {
    version: u32,
    #[serde(flatten)]
    state: S,
    /// SHA-256 of the run's resolved configuration.
    #[serde(default)]
    config_hash: String,
    files: BTreeMap<String, FileEntry>,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct FileEntry {
    bytes: u64,
    sha256: String,
}

/// The folder of the checkpoint taken after `step` updates.
pub(super) fn step_dir(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("step_{step:08}"))
}

/// The step of the checkpoint that a link in the folder names.
pub(super) fn linked_step(folder: &Path, link: &str) -> Option<u64> {
    step_of(fs::read_link(folder.join(link)).ok()?.to_str()?)
}

fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("step_")?.parse().ok()
}

/// The steps of the complete checkpoints in the folder, in rising order; what else is there is passed over.
pub(super) fn steps(folder: &Path) -> Result<Vec<u64>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder)
        .with_context(|| format!("{}: cannot read the folder", folder.display()))?;
    let mut steps: Vec<u64> = entries
        .filter_map(Result::ok)
        .filter(|entry| is_complete(&entry.path()))
        .filter_map(|entry| step_of(entry.file_name().to_str()?))
        .collect();
    steps.sort_unstable();
    Ok(steps)
}

/// Whether the folder is a checkpoint.
pub(super) fn is_complete(dir: &Path) -> bool {
    dir.join(STATE).exists()
}

/// Folders that a process left which was killed while it saved.
pub(super) fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let entries = entries.filter_map(Result::ok);
    let is_unfinished = |entry: &DirEntry| entry.file_name().to_string_lossy().starts_with(SAVING);
    let unfinished = entries.filter(is_unfinished);
    unfinished.map(|entry| entry.path()).collect()
}

/// Writes the state beside the files that are there already, with their sizes and SHA-256. Of some the latter is `known`.
pub(super) fn seal<S: Serialize>(
    dir: &Path,
    state: &S,
    known: &BTreeMap<PathBuf, String>,
) -> Result<()> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let entry = match known.get(&path) {
            Some(sha256) => FileEntry {
                bytes: fs::metadata(&path)?.len(),
                sha256: sha256.clone(),
            },
            None => file_entry(&path)?,
        };
        files.insert(name.into_owned(), entry);
    }
    let mut file = AtomicFile::create(&dir.join(STATE))?;
    file.write_all(&serde_json::to_vec_pretty(&StateFile {
        version: VERSION,
        state,
        config_hash: files
            .get(CONFIG)
            .map_or_else(String::new, |entry| entry.sha256.clone()),
        files,
    })?)?;
    file.commit()
}

/// What is held against the state file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Every file's size and SHA-256.
    Whole,
    /// Their sizes, where another rank checks the rest.
    Sizes,
}

/// Reads the state and checks every file against it.
pub(super) fn open<S: DeserializeOwned>(dir: &Path, check: Check) -> Result<S> {
    let path = dir.join(STATE);
    let text =
        fs::read_to_string(&path).with_context(|| format!("{}: cannot read", path.display()))?;
    let version: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{}: not valid JSON", path.display()))?;
    if version.get("version") != Some(&VERSION.into()) {
        bail!(
            "{}: format version {} is not the {VERSION} that this program reads; use the version of llama-train that wrote it",
            path.display(),
            version.get("version").unwrap_or(&serde_json::Value::Null)
        );
    }
    let file: StateFile<S> = serde_json::from_str(&text)
        .with_context(|| format!("{}: not a state file", path.display()))?;
    for (name, expected) in &file.files {
        check_file(&dir.join(name), expected, check)?;
    }
    Ok(file.state)
}

fn file_entry(path: &Path) -> Result<FileEntry> {
    let describe = || format!("{}: cannot read", path.display());
    Ok(FileEntry {
        bytes: fs::metadata(path).with_context(describe)?.len(),
        sha256: sha256_file(path).with_context(describe)?,
    })
}

fn check_file(path: &Path, expected: &FileEntry, check: Check) -> Result<()> {
    let found = fs::metadata(path)
        .with_context(|| format!("{}: cannot read", path.display()))?
        .len();
    ensure!(
        found == expected.bytes,
        "{}: truncated or overwritten: {found} bytes, {} were written",
        path.display(),
        expected.bytes
    );
    ensure!(
        check == Check::Sizes || file_entry(path)? == *expected,
        "{}: damaged: its SHA-256 is not what was written",
        path.display()
    );
    Ok(())
}
