//! A file mapped into memory: reading a part of it costs that part.

use anyhow::{Context, Result};
use memmap2::MmapOptions;
use std::{
    fs::File,
    ops::{Deref, Range},
    path::Path,
};

/// The bytes of a file, read by the operating system as they are touched.
#[derive(Debug)]
pub struct MappedFile(memmap2::Mmap);

impl MappedFile {
    /// Maps the file read-only.
    ///
    /// # Errors
    /// When it does not exist, cannot be read, or is empty (an empty file cannot be mapped).
    pub fn open(path: &Path) -> Result<Self> {
        Self::map(path, &MmapOptions::new())
    }

    /// Maps a part of the file read-only: what was read of it leaves memory with the map.
    ///
    /// # Errors
    /// When it does not exist, or cannot be read.
    pub fn open_range(path: &Path, range: Range<usize>) -> Result<Self> {
        let (start, length) = (range.start as u64, range.len());
        Self::map(path, MmapOptions::new().offset(start).len(length))
    }

    #[allow(unsafe_code)]
    fn map(path: &Path, options: &MmapOptions) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("{}: cannot open", path.display()))?;
        // SAFETY: the map is read-only. Prepared data and checkpoints are written once, under another name, and
        // renamed; a file that something else truncates while it is mapped ends the process with SIGBUS.
        let map = unsafe { options.map(&file) }
            .with_context(|| format!("{}: cannot map into memory", path.display()))?;
        Ok(Self(map))
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
