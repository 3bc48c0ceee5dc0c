//! A folder of shards, with or without a manifest.

use super::example_index::index_path;
use super::instruct_shard::{InstructShard, mask_path};
use super::manifest::Kind;
use super::{Manifest, PreferenceShard, Shard, ShardEntry, Split};
use crate::storage::{self, sha256_file};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::{fs, path::Path};

/// One split of a prepared folder, its shards open and checked.
#[derive(Debug)]
pub struct PreparedFolder {
    shards: Vec<Shard>,
    manifest: Option<Manifest>,
}

impl PreparedFolder {
    /// Opens the shards of a split: those the manifest lists, or without one (folders of other programs) every
    /// `{prefix}_{split}_{number}.npy`, in name order. A folder may have no val split: then there is no shard. What the data
    /// should be for decides which command is named where there are none.
    ///
    /// # Errors
    /// A bad request when the folder is missing or has nothing to train on; otherwise when the manifest or a shard is
    /// damaged.
    pub fn open(dir: &Path, split: Split, kind: Kind) -> Result<Self> {
        let kind = kind.name();
        if !dir.is_dir() {
            return Err(crate::bad_request!(
                "{0}: no such folder; make it with `llama-train prep-data {kind} --out {0}`",
                dir.display()
            ));
        }
        let folder = Self::read(dir, split)?;
        if folder.shards.is_empty() && split == Split::Train {
            return Err(crate::bad_request!(
                "{0}: holds no shard `*_train_*.npy`; make some with `llama-train prep-data {kind} --out {0}`",
                dir.display()
            ));
        }
        Ok(folder)
    }

    /// The train split of a folder; none where that is missing or has nothing to train on.
    ///
    /// # Errors
    /// When the manifest or a shard is damaged.
    pub fn open_if_prepared(dir: &Path) -> Result<Option<Self>> {
        if !dir.is_dir() {
            return Ok(None);
        }
        let folder = Self::read(dir, Split::Train)?;
        Ok(Some(folder).filter(|folder| !folder.shards.is_empty()))
    }

    fn read(dir: &Path, split: Split) -> Result<Self> {
        let manifest = Manifest::read(dir)?;
        let shards = match &manifest {
            Some(manifest) => open_listed(dir, manifest, split)?,
            None => open_found(dir, split)?,
        };
        Ok(Self { shards, manifest })
    }

    /// What the shards are for: as the manifest says, else by what lies beside them; none where there is no shard.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        if let Some(manifest) = &self.manifest {
            return Some(manifest.kind);
        }
        let first = self.shards.first()?;
        Some(match first.path() {
            path if mask_path(path).exists() => Kind::Instruct,
            path if index_path(path).exists() => Kind::Preference,
            _ => Kind::Pretrain,
        })
    }

    /// The shards of conversations, with their masks.
    ///
    /// # Errors
    /// When a mask or an index is missing or damaged.
    pub fn into_instruct_shards(self) -> Result<Vec<InstructShard>> {
        let opened = self.shards.into_iter().map(InstructShard::open);
        Ok(opened.collect::<Result<_, _>>()?)
    }

    /// The shards of pairs.
    ///
    /// # Errors
    /// When an index is missing or damaged.
    pub fn into_preference_shards(self) -> Result<Vec<PreferenceShard>> {
        let opened = self.shards.into_iter().map(PreferenceShard::open);
        Ok(opened.collect::<Result<_, _>>()?)
    }

    /// The identity of what a folder's splits hold: SHA-256 over that of each of their files, in order. A token file's own
    /// is taken from the manifest where there is one.
    ///
    /// # Errors
    /// When a file is missing, damaged or cannot be read.
    pub fn fingerprint(dir: &Path) -> Result<String> {
        let mut hasher = Sha256::new();
        for split in [Split::Train, Split::Val] {
            hasher.update(split.to_string());
            let folder = Self::read(dir, split)?;
            for shard in folder.shards.iter().map(Shard::path) {
                let listed = folder.listed_sha256(shard);
                hasher.update(listed.map_or_else(|| sha256_file(shard), Ok)?);
                for beside in [mask_path(shard), index_path(shard)] {
                    if beside.exists() {
                        hasher.update(sha256_file(&beside)?);
                    }
                }
            }
        }
        Ok(storage::hex(&hasher.finalize()))
    }

    fn listed_sha256(&self, shard: &Path) -> Option<String> {
        let name = shard.file_name()?.to_str()?;
        let splits = self.manifest.as_ref()?.splits.values();
        let mut shards = splits.flat_map(|split| &split.shards);
        let entry = shards.find(|entry| entry.file == name)?;
        Some(entry.sha256.clone())
    }

    /// The shards, in name order.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_shards(self) -> Vec<Shard> {
        self.shards
    }

    /// Size of the vocabulary the ids belong to, where a manifest says so.
    #[must_use]
    pub fn vocab_size(&self) -> Option<u64> {
        Some(self.manifest.as_ref()?.vocab_size)
    }

    /// Bytes of text that a token of plain text is on average, where a manifest says so.
    #[must_use]
    pub fn bytes_per_token(&self, split: Split) -> Option<f64> {
        let manifest = self.manifest.as_ref()?;
        let entry = manifest.split(split);
        let known = manifest.kind == Kind::Pretrain && entry.text_bytes > 0 && entry.tokens > 0;
        known.then(|| entry.text_bytes as f64 / entry.tokens as f64)
    }

    /// Fingerprint of the tokenizer the ids come from, where a manifest says so.
    #[must_use]
    pub fn tokenizer_fingerprint(&self) -> Option<&str> {
        Some(&self.manifest.as_ref()?.tokenizer_fingerprint)
    }
}

fn open_listed(dir: &Path, manifest: &Manifest, split: Split) -> Result<Vec<Shard>> {
    let open = |entry: &ShardEntry| {
        let path = dir.join(&entry.file);
        if !path.exists() {
            return Err(crate::bad_request!(
                "{}: this shard, which the manifest lists, is not there; prepare the folder again",
                path.display()
            ));
        }
        Ok(Shard::open(&path, Some(entry))?)
    };
    manifest.split(split).shards.iter().map(open).collect()
}

fn open_found(dir: &Path, split: Split) -> Result<Vec<Shard>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("{}: cannot list", dir.display()))? {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .filter(|name| is_shard(name, split))
                .map(str::to_owned),
        );
    }
    names.sort_unstable();
    let open = |name: &String| Shard::open(&dir.join(name), None);
    Ok(names.iter().map(open).collect::<Result<_, _>>()?)
}

/// Whether a name ends as a shard of the split: `_train_000012.npy`. A prefix that contains the word does not count.
fn is_shard(name: &str, split: Split) -> bool {
    let parts = name
        .strip_suffix(".npy")
        .and_then(|stem| stem.rsplit_once('_'));
    parts.is_some_and(|(rest, number)| {
        rest.ends_with(&format!("_{split}"))
            && number.len() >= 6
            && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_recognised_by_the_end_of_the_name() {
        assert!(is_shard("data_train_000012.npy", Split::Train));
        assert!(is_shard("train_set_val_000000.npy", Split::Val));
        assert!(!is_shard("train_set_val_000000.npy", Split::Train));
        assert!(!is_shard("data_train_000012.mask.npy", Split::Train));
        assert!(!is_shard("data_train_000012.npy.tmp", Split::Train));
        assert!(!is_shard("data_train_12.npy", Split::Train));
    }
}
