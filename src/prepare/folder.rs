//! Whose the output folder is: a finished one is left alone, an unfinished one of ours is started over, and anything
//! else is not touched.

use crate::{
    data::{Manifest, Shard, Split, manifest::PreparedFrom},
    storage::{self, AtomicFile},
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

/// Stands in the folder while it is being prepared; holds the request.
pub(super) const MARKER: &str = "preparing.json";

/// The manifest when this very request has been carried out before; else the folder is ours to fill.
///
/// # Errors
/// A bad request when the folder holds what another request or another program made; otherwise when it is damaged or
/// cannot be written to.
pub(super) fn claim(dir: &Path, request: &PreparedFrom) -> Result<Option<Manifest>> {
    if let Some(manifest) = Manifest::read(dir)? {
        if let Some(difference) = difference(&manifest.request, request) {
            return Err(crate::bad_request!(
                "{}: already holds data prepared from something else ({difference}); choose another --out \
                 (prepare.out), or delete the folder",
                dir.display()
            ));
        }
        check_shards(dir, &manifest)?;
        return Ok(Some(manifest));
    }
    storage::create_dir_all(dir)?;
    match fs::read(dir.join(MARKER)) {
        Ok(marker) => start_over(dir, &marker)?,
        Err(error) if error.kind() == ErrorKind::NotFound => refuse_foreign_shards(dir, request)?,
        Err(error) => {
            return Err(error).with_context(|| format!("{}: cannot read {MARKER}", dir.display()));
        }
    }
    let mut marker = AtomicFile::create(&dir.join(MARKER))?;
    marker
        .write_all(&serde_json::to_vec_pretty(request)?)
        .with_context(|| format!("{}: cannot write {MARKER}", dir.display()))?;
    marker.commit()?;
    Ok(None)
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
        Shard::open(&dir.join(&entry.file), Some(entry)).with_context(|| {
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
    let (key, was) = made
        .iter()
        .find(|(key, was)| asked.get(*key) != Some(was))?;
    if was.is_array() {
        return Some("the input files or their sizes differ".into());
    }
    let is = asked.get(key).unwrap_or(&Value::Null);
    Some(format!("{key} was {was}, is {is}"))
}

fn start_over(dir: &Path, marker: &[u8]) -> Result<()> {
    log::warn!(
        "{}: an earlier preparation did not finish; starting over",
        dir.display()
    );
    // A marker is written whole, so one that cannot be read is none of ours; its shards stay and are overwritten.
    if let Ok(request) = serde_json::from_slice::<PreparedFrom>(marker) {
        for shard in shards_of(dir, &request.prefix)? {
            fs::remove_file(&shard)
                .with_context(|| format!("{}: cannot remove", shard.display()))?;
        }
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
            name.ends_with(".npy") && starts.iter().any(|start| name.starts_with(start))
        };
        if name.to_str().is_some_and(is_shard) {
            shards.push(dir.join(name));
        }
    }
    shards.sort_unstable();
    Ok(shards)
}
