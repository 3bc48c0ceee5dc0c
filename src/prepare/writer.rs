//! Shards, each whole or absent.

use super::reached::{OpenReached, SplitReached};
use crate::{
    data::{
        Dtype, ShardEntry, Split,
        manifest::SplitEntry,
        npy::{HEADER_BYTES, Header},
    },
    storage::{self, AtomicFile},
};
use anyhow::{Context, Result};
use std::{
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// The name of a shard.
#[must_use]
pub(super) fn shard_name(prefix: &str, split: Split, index: usize) -> String {
    format!("{prefix}_{split}_{index:06}.npy")
}

/// What all shards of a folder share.
#[derive(Debug, Clone)]
pub(super) struct ShardFormat {
    /// Folder they are written to.
    pub(super) dir: PathBuf,
    /// First part of their names.
    pub(super) prefix: String,
    /// How an id is stored.
    pub(super) dtype: Dtype,
    /// Tokens in every shard but a split's last.
    pub(super) shard_tokens: u64,
}

/// Writes the shards of one split. Their bytes follow from the documents alone: shard `i` holds tokens
/// `[i · shard_tokens, (i + 1) · shard_tokens)` of the split, so a document may begin in one and end in the next.
#[derive(Debug)]
pub(super) struct SplitWriter {
    format: ShardFormat,
    split: Split,
    open: Option<OpenShard>,
    written: SplitEntry,
    /// Whether the next token is a document's first.
    begins: bool,
}

#[derive(Debug)]
struct OpenShard {
    file: AtomicFile,
    path: PathBuf,
    tokens: u64,
    documents: u64,
}

impl SplitWriter {
    /// Starts a split; no file is made before there is a token.
    #[must_use]
    pub(super) fn new(format: ShardFormat, split: Split) -> Self {
        Self {
            format,
            split,
            open: None,
            written: SplitEntry::default(),
            begins: false,
        }
    }

    /// Goes on where another writer of the same split stood.
    ///
    /// # Errors
    /// When the unfinished shard is not there any more.
    pub(super) fn resume(format: ShardFormat, split: Split, reached: SplitReached) -> Result<Self> {
        let index = reached.written.shards.len();
        let open = reached
            .open
            .map(|open| OpenShard::resume(&format, split, index, open))
            .transpose()?;
        Ok(Self {
            open,
            written: reached.written,
            ..Self::new(format, split)
        })
    }

    /// Where it stands, everything up to here on disk.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn reached(&mut self) -> Result<SplitReached> {
        let open = match &mut self.open {
            Some(shard) => Some(shard.reached()?),
            None => None,
        };
        Ok(SplitReached {
            written: self.written.clone(),
            open,
        })
    }

    /// Makes what is pushed next the beginning of a document.
    pub(super) fn begin_document(&mut self) {
        self.written.documents += 1;
        self.begins = true;
    }

    /// Appends to a document: ids, separator included, and the bytes of text they stand for.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn push(&mut self, mut ids: &[u32], text_bytes: u64) -> Result<()> {
        self.written.text_bytes += text_bytes;
        while !ids.is_empty() {
            let shard = match &mut self.open {
                Some(shard) => shard,
                None => self.open.insert(OpenShard::create(
                    &self.format,
                    self.split,
                    self.written.shards.len(),
                )?),
            };
            let room = self.format.shard_tokens - shard.tokens;
            let (now, later) =
                ids.split_at(ids.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            shard.write(now, self.format.dtype)?;
            shard.documents += u64::from(std::mem::take(&mut self.begins));
            ids = later;
            if shard.tokens == self.format.shard_tokens {
                self.close_shard()?;
            }
        }
        Ok(())
    }

    /// Closes the last shard.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(mut self) -> Result<SplitEntry> {
        self.close_shard()?;
        Ok(self.written)
    }

    fn close_shard(&mut self) -> Result<()> {
        let Some(shard) = self.open.take() else {
            return Ok(());
        };
        let entry = shard.close(&self.format)?;
        self.written.tokens += entry.tokens;
        self.written.shards.push(entry);
        Ok(())
    }
}

impl OpenShard {
    fn create(format: &ShardFormat, split: Split, index: usize) -> Result<Self> {
        let path = format.dir.join(shard_name(&format.prefix, split, index));
        let mut file = AtomicFile::create(&path)?;
        // The length is corrected when it is known.
        write_all(&mut file, &[0; HEADER_BYTES], &path)?;
        Ok(Self {
            file,
            path,
            tokens: 0,
            documents: 0,
        })
    }

    fn resume(
        format: &ShardFormat,
        split: Split,
        index: usize,
        reached: OpenReached,
    ) -> Result<Self> {
        let path = format.dir.join(shard_name(&format.prefix, split, index));
        let length = HEADER_BYTES as u64 + reached.tokens * format.dtype.size() as u64;
        Ok(Self {
            file: AtomicFile::resume(&path, length)?,
            path,
            tokens: reached.tokens,
            documents: reached.documents,
        })
    }

    fn reached(&mut self) -> Result<OpenReached> {
        self.file.sync().with_context(|| cannot_write(&self.path))?;
        Ok(OpenReached {
            tokens: self.tokens,
            documents: self.documents,
        })
    }

    fn write(&mut self, ids: &[u32], dtype: Dtype) -> Result<()> {
        self.tokens += ids.len() as u64;
        let bytes: Vec<u8> = match dtype {
            Dtype::Uint16 => ids
                .iter()
                .flat_map(|id| (*id as u16).to_le_bytes())
                .collect(),
            _ => ids.iter().flat_map(|id| id.to_le_bytes()).collect(),
        };
        write_all(&mut self.file, &bytes, &self.path)
    }

    fn close(mut self, format: &ShardFormat) -> Result<ShardEntry> {
        self.file
            .seek(SeekFrom::Start(0))
            .with_context(|| cannot_write(&self.path))?;
        write_all(
            &mut self.file,
            &Header::encode(format.dtype, self.tokens),
            &self.path,
        )?;
        self.file.commit()?;
        let name = self.path.file_name().unwrap_or_default();
        Ok(ShardEntry {
            file: name.to_string_lossy().into_owned(),
            tokens: self.tokens,
            documents: self.documents,
            sha256: storage::sha256_file(&self.path)
                .with_context(|| format!("{}: cannot read back", self.path.display()))?,
        })
    }
}

fn write_all(file: &mut AtomicFile, bytes: &[u8], path: &Path) -> Result<()> {
    file.write_all(bytes).with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!(
        "{}: cannot write; check the free space of the disk",
        path.display()
    )
}
