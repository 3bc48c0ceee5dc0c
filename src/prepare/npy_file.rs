//! A `.npy` file of one row that grows: whole or absent, and gone on with after a kill.

use crate::{
    data::{
        Dtype,
        npy::{HEADER_BYTES, Header},
    },
    storage::{self, AtomicFile, cannot_write},
};
use anyhow::{Context, Result};
use std::{
    io::{Seek, SeekFrom, Write},
    path::PathBuf,
};

/// An open file.
#[derive(Debug)]
pub(super) struct NpyFile {
    file: AtomicFile,
    path: PathBuf,
    dtype: Dtype,
    len: u64,
}

/// A finished file.
pub(super) struct Finished {
    /// Name within its folder.
    pub(super) name: String,
    /// SHA-256.
    pub(super) sha256: String,
}

impl NpyFile {
    /// Starts a file.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(super) fn create(path: PathBuf, dtype: Dtype) -> Result<Self> {
        let file = AtomicFile::create(&path)?;
        let mut new = Self {
            file,
            path,
            dtype,
            len: 0,
        };
        new.write(&[0; HEADER_BYTES])?; // corrected when the length is known
        Ok(new)
    }

    /// Goes on with a file that had so many numbers when it was synced.
    ///
    /// # Errors
    /// When it is not there any more.
    pub(super) fn resume(path: PathBuf, dtype: Dtype, len: u64) -> Result<Self> {
        let bytes = HEADER_BYTES as u64 + len * dtype.size() as u64;
        Ok(Self {
            file: AtomicFile::resume(&path, bytes)?,
            path,
            dtype,
            len,
        })
    }

    /// Numbers in it.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends numbers, which fit the type.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn push(&mut self, numbers: impl Iterator<Item = u32>) -> Result<()> {
        let little_endian = numbers.map(u32::to_le_bytes);
        let bytes: Vec<u8> = match self.dtype {
            Dtype::Uint8 => little_endian.map(|[low, ..]| low).collect(),
            Dtype::Uint16 => little_endian
                .flat_map(|[low, high, ..]| [low, high])
                .collect(),
            Dtype::Uint32 | Dtype::Int32 | Dtype::Float32 => little_endian.flatten().collect(),
            Dtype::Uint64 => little_endian
                .flat_map(|low| [low, [0; 4]].concat())
                .collect(),
        };
        self.append(&bytes)
    }

    /// Appends the number of a place.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn push_offset(&mut self, offset: u64) -> Result<()> {
        self.append(&self.dtype.encode(&[offset]))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.len += (bytes.len() / self.dtype.size()) as u64;
        self.write(bytes)
    }

    /// Brings it to the disk, where [`Self::resume`] finds it.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.file.sync().with_context(|| cannot_write(&self.path))
    }

    /// Gives it its length and its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(mut self) -> Result<Finished> {
        self.file
            .seek(SeekFrom::Start(0))
            .with_context(|| cannot_write(&self.path))?;
        self.write(&Header::encode(self.dtype, self.len))?;
        self.file.commit()?;
        let name = self.path.file_name().unwrap_or_default();
        Ok(Finished {
            name: name.to_string_lossy().into_owned(),
            sha256: storage::sha256_file(&self.path)
                .with_context(|| format!("{}: cannot read back", self.path.display()))?,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.with_context(|| cannot_write(&self.path))
    }
}
