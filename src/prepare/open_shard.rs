//! A shard that is being filled: its tokens and, of examples, what lies beside them.

use super::{encoded::EncodedExample, npy_file::NpyFile, reached::OpenReached};
use crate::data::{Dtype, ShardEntry, Split, index_path, manifest::Kind, mask_path};
use anyhow::Result;
use std::{collections::BTreeMap, path::PathBuf};

/// What all shards of a folder share.
#[derive(Debug, Clone)]
pub(super) struct ShardFormat {
    /// Folder they are written to.
    pub(super) dir: PathBuf,
    /// First part of their names.
    pub(super) prefix: String,
    /// What they hold.
    pub(super) kind: Kind,
    /// How an id is stored.
    pub(super) dtype: Dtype,
    /// Tokens in every shard but a split's last; one of examples may have some more, as it ends with an example.
    pub(super) shard_tokens: u64,
}

impl ShardFormat {
    fn path(&self, split: Split, index: usize) -> PathBuf {
        self.dir
            .join(format!("{}_{split}_{index:06}.npy", self.prefix))
    }

    /// Parts of an example, each with its end in the index; none where there is no index.
    fn parts(&self) -> Option<u64> {
        match self.kind {
            Kind::Pretrain => None,
            Kind::Instruct => Some(1),
            Kind::Preference => Some(3),
        }
    }

    fn has_mask(&self) -> bool {
        self.kind == Kind::Instruct
    }
}

/// An unfinished shard.
#[derive(Debug)]
pub(super) struct OpenShard {
    tokens: NpyFile,
    mask: Option<NpyFile>,
    /// Where each part of each example begins, and where the last one ends.
    index: Option<NpyFile>,
    documents: u64,
}

impl OpenShard {
    /// Starts the shard of this number.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub(super) fn create(format: &ShardFormat, split: Split, index: usize) -> Result<Self> {
        let path = format.path(split, index);
        let mask = || NpyFile::create(mask_path(&path), Dtype::Uint8);
        let index = || {
            let mut index = NpyFile::create(index_path(&path), Dtype::Uint64)?;
            index.push_offset(0)?;
            anyhow::Ok(index)
        };
        Ok(Self {
            mask: format.has_mask().then(mask).transpose()?,
            index: format.parts().map(|_| index()).transpose()?,
            tokens: NpyFile::create(path, format.dtype)?,
            documents: 0,
        })
    }

    /// Goes on with a shard as it was at a note.
    ///
    /// # Errors
    /// When a file is not there any more.
    pub(super) fn resume(
        format: &ShardFormat,
        split: Split,
        index: usize,
        reached: OpenReached,
    ) -> Result<Self> {
        let OpenReached { tokens, documents } = reached;
        let path = format.path(split, index);
        let mask = || NpyFile::resume(mask_path(&path), Dtype::Uint8, tokens);
        let index =
            |parts| NpyFile::resume(index_path(&path), Dtype::Uint64, parts * documents + 1);
        Ok(Self {
            mask: format.has_mask().then(mask).transpose()?,
            index: format.parts().map(index).transpose()?,
            tokens: NpyFile::resume(path, format.dtype, tokens)?,
            documents,
        })
    }

    /// Where it stands, everything up to here on disk.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn reached(&mut self) -> Result<OpenReached> {
        let beside = [&mut self.mask, &mut self.index];
        for file in beside.into_iter().flatten().chain([&mut self.tokens]) {
            file.sync()?;
        }
        Ok(OpenReached {
            tokens: self.tokens(),
            documents: self.documents,
        })
    }

    /// Tokens in it.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens.len()
    }

    /// Counts a document that begins here.
    pub(super) fn begin_document(&mut self) {
        self.documents += 1;
    }

    /// Appends a part of a document.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn push(&mut self, ids: &[u32]) -> Result<()> {
        self.tokens.push(ids.iter().copied())
    }

    /// Appends an example.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn push_example(&mut self, example: &EncodedExample) -> Result<()> {
        self.begin_document();
        let start = self.tokens();
        if let (Some(file), Some(mask)) = (&mut self.mask, &example.mask) {
            file.push(mask.iter().map(|&trained| trained.into()))?;
        }
        if let Some(index) = &mut self.index {
            for &end in &example.ends {
                index.push_offset(start + end as u64)?;
            }
        }
        self.push(&example.ids)
    }

    /// Closes its files.
    ///
    /// # Errors
    /// When one cannot be written.
    pub(super) fn finish(self) -> Result<ShardEntry> {
        let tokens = self.tokens();
        let mut companions = BTreeMap::new();
        for file in [self.mask, self.index].into_iter().flatten() {
            let finished = file.finish()?;
            companions.insert(finished.name, finished.sha256);
        }
        let finished = self.tokens.finish()?;
        Ok(ShardEntry {
            file: finished.name,
            tokens,
            documents: self.documents,
            sha256: finished.sha256,
            companions,
        })
    }
}
