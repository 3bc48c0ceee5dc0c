//! Files as they are read: plain, or through gzip or Zstandard by the end of their names.

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const BUFFER_BYTES: usize = 1 << 20;

/// How the bytes of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// They are not.
    None,
    /// `.gz`, of one member or many.
    Gzip,
    /// `.zst`
    Zstd,
}

impl Compression {
    /// By the last extension.
    pub(super) fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_lowercase).as_deref() {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// Bytes taken from a file since they were last asked for.
#[derive(Clone, Default)]
pub(super) struct Taken(Arc<AtomicU64>);

impl Taken {
    pub(super) fn since_last(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// The content of a file, and how much of the file itself it took.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn open(path: &Path) -> Result<(Box<dyn BufRead + Send>, Taken)> {
    let taken = Taken::default();
    let file = Counted {
        file: File::open(path).context("cannot open")?,
        taken: taken.clone(),
    };
    let content: Box<dyn Read + Send> = match Compression::of(path) {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(
            BUFFER_BYTES,
            file,
        ))),
        Compression::Zstd => {
            Box::new(zstd::Decoder::new(file).context("cannot read as Zstandard")?)
        }
    };
    Ok((
        Box::new(BufReader::with_capacity(BUFFER_BYTES, content)),
        taken,
    ))
}

struct Counted {
    file: File,
    taken: Taken,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.taken.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
