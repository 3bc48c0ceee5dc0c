//! Benchmarks as token ids in a folder: `manifest.json` of kind `eval`, and a line of JSON for each item.

use super::tokenized::TokenizedItem;
use crate::bad_request;
use crate::data::manifest::{FILE_NAME, FORMAT_VERSION};
use crate::storage::{self, AtomicFile};
use crate::tokenizer::Tokenizer;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

const KIND: &str = "eval";

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalManifest {
    /// Of the folder's format.
    pub format_version: u64,
    /// `eval`
    pub kind: String,
    /// [`Tokenizer::fingerprint`]
    pub tokenizer_fingerprint: String,
    /// The highest id plus one.
    pub vocab_size: u64,
    /// What the tokenizer puts before every text.
    pub before_text: Vec<u32>,
    /// The benchmarks, by name.
    pub tasks: BTreeMap<String, TaskEntry>,
}

/// One benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskEntry {
    /// Name within the folder.
    pub file: String,
    /// Items in it.
    pub items: usize,
    /// Tokens of their contexts and endings.
    pub tokens: usize,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Whether a folder holds benchmarks as token ids.
pub(super) fn is_in(dir: &Path) -> bool {
    read_manifest(dir).is_ok_and(|manifest| manifest.is_some())
}

fn read_manifest(dir: &Path) -> Result<Option<EvalManifest>> {
    let Ok(bytes) = fs::read(dir.join(FILE_NAME)) else {
        return Ok(None);
    };
    #[derive(Deserialize)]
    struct Head {
        format_version: u64,
        kind: String,
    }
    let Head {
        format_version,
        kind,
    } = serde_json::from_slice(&bytes)?;
    if kind != KIND {
        return Ok(None);
    }
    ensure!(
        format_version == FORMAT_VERSION,
        "format version {format_version}, this program reads {FORMAT_VERSION}; prepare the folder again, or use the \
         version of llama-train that made it"
    );
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Writes benchmarks into a folder, the manifest last.
///
/// # Errors
/// A bad request when the folder holds other prepared data; otherwise when it cannot be written to.
pub(super) fn write(
    dir: &Path,
    tokenizer: &Tokenizer,
    tasks: &[(&str, &[TokenizedItem])],
) -> Result<EvalManifest> {
    if dir.join(FILE_NAME).exists() && !is_in(dir) {
        return Err(bad_request!(
            "{}: already holds other prepared data; choose another --out (prepare.out)",
            dir.display()
        ));
    }
    storage::create_dir_all(dir)?;
    let mut entries = BTreeMap::new();
    for (name, items) in tasks {
        entries.insert((*name).to_owned(), write_items(dir, name, items)?);
    }
    let manifest = EvalManifest {
        format_version: FORMAT_VERSION,
        kind: KIND.to_owned(),
        tokenizer_fingerprint: tokenizer.fingerprint().to_owned(),
        vocab_size: tokenizer.vocab_size() as u64,
        before_text: tokenizer.encode_prompt("")?,
        tasks: entries,
    };
    let mut file = AtomicFile::create(&dir.join(FILE_NAME))?;
    file.write_all(&serde_json::to_vec_pretty(&manifest)?)
        .with_context(|| format!("{}: cannot write {FILE_NAME}", dir.display()))?;
    file.commit()?;
    Ok(manifest)
}

fn write_items(dir: &Path, name: &str, items: &[TokenizedItem]) -> Result<TaskEntry> {
    let file_name = format!("{name}.jsonl");
    let mut lines = Vec::new();
    for item in items {
        serde_json::to_writer(&mut lines, item)?;
        lines.push(b'\n');
    }
    let mut file = AtomicFile::create(&dir.join(&file_name))?;
    file.write_all(&lines)
        .with_context(|| format!("{}: cannot write {file_name}", dir.display()))?;
    file.commit()?;
    let tokens = |item: &TokenizedItem| {
        let contexts = item.contexts.iter().map(Vec::len).sum::<usize>();
        contexts
            + item
                .endings
                .iter()
                .map(|ending| ending.tokens.len())
                .sum::<usize>()
    };
    Ok(TaskEntry {
        sha256: storage::sha256_file(&dir.join(&file_name))?,
        file: file_name,
        items: items.len(),
        tokens: items.iter().map(tokens).sum(),
    })
}

/// The items of a benchmark, for the tokenizer that they were made with.
///
/// # Errors
/// A bad request when the folder lacks the benchmark or was made with another tokenizer; otherwise when it is damaged.
pub(super) fn read(dir: &Path, name: &str, tokenizer: &Tokenizer) -> Result<Vec<TokenizedItem>> {
    let folder = dir.display();
    let Some(manifest) = read_manifest(dir)? else {
        bail!("{folder}: the manifest is gone");
    };
    let Some(entry) = manifest.tasks.get(name) else {
        let there: Vec<&str> = manifest.tasks.keys().map(String::as_str).collect();
        return Err(bad_request!(
            "{folder}: holds no {name}; it holds {}",
            there.join(", ")
        ));
    };
    let same = manifest.tokenizer_fingerprint == tokenizer.fingerprint()
        && manifest.before_text == tokenizer.encode_prompt("")?;
    if !same {
        return Err(bad_request!(
            "{folder}: the benchmarks were prepared with another tokenizer than the model's; prepare them again with \
             --tokenizer set to the model's, or name their rows"
        ));
    }
    let path = dir.join(&entry.file);
    let unreadable = || format!("{}: cannot read", path.display());
    let bytes = fs::read(&path).with_context(unreadable)?;
    if storage::sha256_file(&path).with_context(unreadable)? != entry.sha256 {
        bail!(
            "{}: damaged (its SHA-256 is not the manifest's); prepare the folder again",
            path.display()
        );
    }
    let lines = bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty());
    let item = |line| serde_json::from_slice(line).with_context(|| path.display().to_string());
    lines.map(item).collect()
}
