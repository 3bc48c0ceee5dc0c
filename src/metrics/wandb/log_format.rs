//! The container of a `.wandb` file: leveldb's log. After 7 bytes of its own, the file is blocks of 32 KiB; a record is
//! one chunk, or several where it crosses blocks; a chunk is a CRC-32 (IEEE, of kind and data), a length, a kind, data.

use anyhow::{Context, Result};
use flate2::Crc;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// `:W&B`, a magic number and the version, as the official client writes them.
pub(super) const MAGIC: [u8; 7] = [b':', b'W', b'&', b'B', 0xe1, 0xbe, 0x00];
const BLOCK: u64 = 32 << 10;
const CHUNK_HEADER: u64 = 7;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// The bytes of one record that begins at this position of the file.
pub(super) fn frame(mut position: u64, mut data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(data.len() + 2 * CHUNK_HEADER as usize);
    let mut is_first = true;
    loop {
        let left = BLOCK - position % BLOCK;
        if left < CHUNK_HEADER {
            bytes.resize(bytes.len() + left as usize, 0);
            position += left;
            continue;
        }
        let fits = data.len().min((left - CHUNK_HEADER) as usize);
        let (now, rest) = data.split_at(fits);
        let kind = match (is_first, rest.is_empty()) {
            (true, true) => FULL,
            (true, false) => FIRST,
            (false, false) => MIDDLE,
            (false, true) => LAST,
        };
        bytes.extend(checksum(kind, now).to_le_bytes());
        bytes.extend((fits as u16).to_le_bytes());
        bytes.push(kind);
        bytes.extend(now);
        if rest.is_empty() {
            return bytes;
        }
        (data, is_first) = (rest, false);
        position += CHUNK_HEADER + fits as u64;
    }
}

fn checksum(kind: u8, data: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(&[kind]);
    crc.update(data);
    crc.sum()
}

/// Reads records in turn.
#[derive(Debug)]
pub(super) struct LogReader {
    file: BufReader<File>,
    position: u64,
}

impl LogReader {
    /// Reads from the file's first record, or from the end of an earlier one.
    pub(super) fn open(path: &Path, position: u64) -> Result<Self> {
        let cannot = || format!("{}: cannot read", path.display());
        let mut file = BufReader::new(File::open(path).with_context(cannot)?);
        let mut magic = [0; MAGIC.len()];
        let read = file.read_exact(&mut magic);
        if read.is_err() || magic != MAGIC {
            anyhow::bail!("{}: not a .wandb file", path.display());
        }
        let position = position.max(MAGIC.len() as u64);
        file.seek(SeekFrom::Start(position)).with_context(cannot)?;
        Ok(Self { file, position })
    }

    /// Where the last record ended.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next record that ends at `end` or before it; none where no whole record follows.
    pub(super) fn next(&mut self, end: u64) -> Result<Option<Vec<u8>>> {
        let mut at = self.position;
        let mut data = Vec::new();
        loop {
            let left = BLOCK - at % BLOCK;
            if left < CHUNK_HEADER {
                self.file.seek_relative(left as i64)?;
                at += left;
                continue;
            }
            let chunk = if at < end { self.chunk()? } else { None };
            let Some((kind, chunk)) = chunk else {
                self.file.seek(SeekFrom::Start(self.position))?;
                return Ok(None);
            };
            data.extend_from_slice(&chunk);
            at += CHUNK_HEADER + chunk.len() as u64;
            if kind == FULL || kind == LAST {
                self.position = at;
                return Ok(Some(data));
            }
        }
    }

    /// One whole chunk that its checksum confirms.
    fn chunk(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        let mut header = [0; CHUNK_HEADER as usize];
        if !self.fill(&mut header)? {
            return Ok(None);
        }
        let [a, b, c, d, low, high, kind] = header;
        let mut data = vec![0; usize::from(u16::from_le_bytes([low, high]))];
        let is_whole = self.fill(&mut data)? && (FULL..=LAST).contains(&kind);
        let holds = is_whole && u32::from_le_bytes([a, b, c, d]) == checksum(kind, &data);
        Ok(holds.then_some((kind, data)))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<bool> {
        match self.file.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Records of every length around a block's end come back, and a cut loses only what it cuts.
    #[test]
    fn records_cross_blocks_and_survive_a_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.wandb");
        let mut bytes = MAGIC.to_vec();
        let mut records = Vec::new();
        let lengths = (0..20).map(|more| 32_700 + more).chain([0, 1, 100_000, 5]);
        for (index, length) in lengths.enumerate() {
            let record = vec![index as u8; length];
            bytes.extend(frame(bytes.len() as u64, &record));
            records.push(record);
        }
        fs::write(&path, &bytes).unwrap();
        let read_all = || {
            let mut reader = LogReader::open(&path, 0).unwrap();
            let mut found = Vec::new();
            while let Some(record) = reader.next(u64::MAX).unwrap() {
                found.push(record);
            }
            found
        };
        assert_eq!(read_all(), records);
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert_eq!(read_all(), records[..records.len() - 1]);
        bytes[100] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(read_all().is_empty());
    }
}
