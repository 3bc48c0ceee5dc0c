//! Whose the output folder is: a finished one is left alone, an unfinished one of the same request is gone on with, one of
//! another is started over, and anything else is not touched.

use super::{MARKER, reached::Reached};
use crate::{
    data::{Dtype, Manifest, Shard, ShardError, Split, manifest::PreparedFrom},
    storage::{self, AtomicFile},
};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

/// What the marker holds.
#[derive(Serialize, Deserialize)]
struct InProgress {
    request: PreparedFrom,
    reached: Option<Reached>,
}

/// A folder that is ours to fill.
pub(super) struct Claimed {
    pub(super) dir: PathBuf,
    pub(super) request: PreparedFrom,
    /// Where to go on.
    pub(super) reached: Option<Reached>,
}

/// What is to be done about a folder.
pub(super) enum Claim {
    /// Nothing: this very request has been carried out before.
    Finished(Manifest),
    /// To fill it.
    Ours(Claimed),
}

/// What the folder was, or was being, prepared from.
///
/// # Errors
/// When its manifest cannot be read.
pub(super) fn earlier_request(dir: &Path) -> Result<Option<PreparedFrom>> {
    if let Some(manifest) = Manifest::read(dir)? {
        return Ok(Some(manifest.request));
    }
    let marker = fs::read(dir.join(MARKER)).ok();
    let state = marker.and_then(|marker| serde_json::from_slice::<InProgress>(&marker).ok());
    Ok(state.map(|state| state.request))
}

/// Finds out whose the folder is.
///
/// # Errors
/// A bad request when the folder holds what another request or another program made; otherwise when it is damaged or
/// cannot be written to.
pub(super) fn claim(dir: &Path, request: PreparedFrom) -> Result<Claim> {
    if let Some(manifest) = Manifest::read(dir)? {
        if let Some(difference) = difference(&manifest.request, &request) {
            return Err(crate::bad_request!(
                "{}: already holds data prepared from something else ({difference}); choose another --out \
                 (prepare.out), or delete the folder",
                dir.display()
            ));
        }
        check_shards(dir, &manifest)?;
        return Ok(Claim::Finished(manifest));
    }
    create_out(dir)?;
    let reached = match fs::read(dir.join(MARKER)) {
        Ok(marker) => left_off(dir, &marker, &request)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            refuse_foreign_shards(dir, &request)?;
            None
        }
        Err(error) => {
            return Err(error).with_context(|| format!("{}: cannot read {MARKER}", dir.display()));
        }
    };
    let claimed = Claimed {
        dir: dir.to_owned(),
        request,
        reached,
    };
    claimed.record(claimed.reached.clone())?;
    Ok(Claim::Ours(claimed))
}

/// Makes the folder to write to.
///
/// # Errors
/// A bad request when it cannot be made.
pub fn create_out(dir: &Path) -> Result<()> {
    storage::create_dir_all(dir)
        .map_err(|error| crate::bad_request!("--out (prepare.out, or data.path): {error:#}"))
}

impl Claimed {
    /// Notes down how far the preparation has come.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(super) fn record(&self, reached: Option<Reached>) -> Result<()> {
        let mut marker = AtomicFile::create(&self.dir.join(MARKER))?;
        let state = InProgress {
            request: self.request.clone(),
            reached,
        };
        marker
            .write_all(&serde_json::to_vec_pretty(&state)?)
            .with_context(|| format!("{}: cannot write {MARKER}", self.dir.display()))?;
        marker.commit()
    }
}

/// How far an earlier preparation of this request came; what another request left is deleted.
fn left_off(dir: &Path, marker: &[u8], request: &PreparedFrom) -> Result<Option<Reached>> {
    match serde_json::from_slice::<InProgress>(marker) {
        Ok(state) if state.request == *request && state.reached.is_some() => {
            log::info!("{}: going on with an earlier preparation", dir.display());
            Ok(state.reached)
        }
        state => {
            log::warn!(
                "{}: an earlier preparation did not finish; starting over",
                dir.display()
            );
            // A marker is written whole, so one that cannot be read is none of ours; its shards stay and are overwritten.
            if let Ok(state) = state {
                delete_shards(dir, &state.request.prefix)?;
            }
            Ok(None)
        }
    }
}

/// The folder is complete: its manifest says so from now on.
///
/// # Errors
/// When the folder cannot be written to.
pub(super) fn release(dir: &Path) -> Result<()> {
    fs::remove_file(dir.join(MARKER))
        .with_context(|| format!("{}: cannot remove {MARKER}", dir.display()))?;
    storage::sync_dir(dir)
}

fn check_shards(dir: &Path, manifest: &Manifest) -> Result<()> {
    for entry in manifest.splits.values().flat_map(|split| &split.shards) {
        let open = || -> Result<(), ShardError> {
            Shard::open(&dir.join(&entry.file), Some(entry))?;
            for file in entry.companions.keys() {
                Shard::open_as(&dir.join(file), &[Dtype::Uint8, Dtype::Uint64])?;
            }
            Ok(())
        };
        open().with_context(|| {
            format!(
                "{}: the prepared data is damaged; delete the folder and start again",
                dir.display()
            )
        })?;
    }
    Ok(())
}

/// The first thing in which the requests differ, in words.
fn difference(made: &PreparedFrom, asked: &PreparedFrom) -> Option<String> {
    let fields = |request| match serde_json::to_value(request) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (made, asked) = (fields(made), fields(asked));
    // What only one of them says comes first: that they are of different kinds.
    let keys = asked.keys().filter(|key| !made.contains_key(*key));
    let mut keys = keys.chain(made.keys());
    let key = keys.find(|key| asked.get(*key) != made.get(*key))?;
    if key == "sources" {
        return Some("the input files or their sizes differ".into());
    }
    let [was, is] = [&made, &asked].map(|fields| fields.get(key).unwrap_or(&Value::Null));
    Some(format!("{key} was {was}, is {is}"))
}

fn delete_shards(dir: &Path, prefix: &str) -> Result<()> {
    for shard in shards_of(dir, prefix)? {
        fs::remove_file(&shard).with_context(|| format!("{}: cannot remove", shard.display()))?;
    }
    Ok(())
}

fn refuse_foreign_shards(dir: &Path, request: &PreparedFrom) -> Result<()> {
    match shards_of(dir, &request.prefix)?.first() {
        None => Ok(()),
        Some(shard) => Err(crate::bad_request!(
            "{}: would be overwritten, and there is no manifest.json that says where it came from; choose another \
             --out or --prefix (prepare.out, prepare.prefix)",
            shard.display()
        )),
    }
}

fn shards_of(dir: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let starts = [Split::Train, Split::Val].map(|split| format!("{prefix}_{split}_"));
    let mut shards = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("{}: cannot list", dir.display()))? {
        let name = entry?.file_name();
        let is_shard = |name: &str| {
            (name.ends_with(".npy") || name.ends_with(".npy.tmp"))
                && starts.iter().any(|start| name.starts_with(start))
        };
        if name.to_str().is_some_and(is_shard) {
            shards.push(dir.join(name));
        }
    }
    shards.sort_unstable();
    Ok(shards)
}
