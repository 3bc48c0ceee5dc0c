//! One file of token ids, mapped into memory.

use super::{
    manifest::ShardEntry,
    npy::{Dtype, Header, TOKEN_DTYPES},
};
use crate::storage::MappedFile;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Why a shard cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// It is not there, or cannot be read.
    #[error("{path}: cannot open the shard: {reason}; prepare the folder again", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// It is no row of numbers, or not of the right ones.
    #[error("{path}: not a shard of prepared data: {reason}; prepare the folder again", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is unexpected about it.
        reason: String,
    },
    /// It is shorter or longer than its header says.
    #[error("{path}: {state}: expected {expected} bytes, found {found}; prepare the folder again",
        path = path.display(), state = if found < expected { "truncated" } else { "too long" })]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Bytes that its header announces.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// It is not the file that the manifest lists.
    #[error("{path}: holds {found} tokens where manifest.json says {expected}; prepare the folder again",
        path = path.display())]
    NotAsListed {
        /// The file.
        path: PathBuf,
        /// Tokens in the manifest.
        expected: u64,
        /// Tokens in the file.
        found: u64,
    },
}

/// A shard; reading a part of it costs that part.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    bytes: MappedFile,
    header: Header,
}

impl Shard {
    /// Opens a shard and holds its size against its header and, where there is one, its entry in the manifest.
    ///
    /// # Errors
    /// See [`ShardError`].
    pub fn open(path: &Path, expected: Option<&ShardEntry>) -> Result<Self, ShardError> {
        let shard = Self::open_as(path, &TOKEN_DTYPES)?;
        match expected {
            Some(entry) if entry.tokens != shard.len() => Err(ShardError::NotAsListed {
                path: path.to_owned(),
                expected: entry.tokens,
                found: shard.len(),
            }),
            _ => Ok(shard),
        }
    }

    /// Opens a file of numbers of one of these types, and holds its size against its header.
    ///
    /// # Errors
    /// See [`ShardError`].
    pub fn open_as(path: &Path, dtypes: &[Dtype]) -> Result<Self, ShardError> {
        let bytes = MappedFile::open(path).map_err(|error| ShardError::Unreadable {
            path: path.to_owned(),
            reason: error.root_cause().to_string(),
        })?;
        let header = Header::parse(&bytes, dtypes).map_err(|reason| ShardError::Foreign {
            path: path.to_owned(),
            reason,
        })?;
        let announced = (header.data_offset as u64)
            .saturating_add(header.len.saturating_mul(header.dtype.size() as u64));
        if announced != bytes.len() as u64 {
            return Err(ShardError::WrongSize {
                path: path.to_owned(),
                expected: announced,
                found: bytes.len() as u64,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            bytes,
            header,
        })
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Numbers in the shard.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.header.len
    }

    /// Whether the shard has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.header.len == 0
    }

    /// The `count` numbers from `start`, as torch wants them (floats as their bits).
    ///
    /// # Panics
    /// When the range ends beyond the shard.
    #[must_use]
    pub fn read(&self, start: u64, count: usize) -> Vec<i64> {
        let size = self.header.dtype.size();
        let begin = self.header.data_offset + start as usize * size;
        let bytes = &self.bytes[begin..begin + count * size];
        match self.header.dtype {
            Dtype::Uint16 => ids(bytes, |id| u16::from_le_bytes(id).into()),
            Dtype::Uint32 | Dtype::Float32 => ids(bytes, |id| u32::from_le_bytes(id).into()),
            Dtype::Int32 => ids(bytes, |id| i32::from_le_bytes(id).into()),
            Dtype::Uint8 => ids(bytes, |[id]| id.into()),
            Dtype::Uint64 => ids(bytes, |id| u64::from_le_bytes(id).cast_signed()),
        }
    }
}

/// Holds ids that were read against the size of the model's vocabulary.
pub(super) fn check_ids(shard: &Path, ids: &[i64], vocab_size: i64) -> Result<()> {
    match ids.iter().find(|&&id| !(0..vocab_size).contains(&id)) {
        Some(id) => bail!(
            "{}: token {id} is outside the model's vocabulary of {vocab_size}; the data was made with another tokenizer: \
             prepare it again with the model's own",
            shard.display()
        ),
        None => Ok(()),
    }
}

fn ids<const N: usize>(bytes: &[u8], id: impl Fn([u8; N]) -> i64) -> Vec<i64> {
    let (whole, _) = bytes.as_chunks::<N>();
    whole.iter().map(|bytes| id(*bytes)).collect()
}
