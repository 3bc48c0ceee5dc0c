//! What a teacher's likeliest tokens are at every trained-on place of a split: three files of numbers, as NumPy has them,
//! that are written once by all ranks together and read in place.

use super::npy::{Dtype, HEADER_BYTES, Header};
use super::{Shard, ShardError};
use crate::storage::sync_dir;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// Where the files of one split are, and how many tokens they keep at each place.
#[derive(Debug, Clone)]
pub struct TeacherFiles {
    folder: PathBuf,
    name: String,
    kept: u64,
}

/// A file of the three.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Ids of the likeliest tokens, `kept` for each place.
    Ids,
    /// Their log-probabilities and that of all others together, one more for each place.
    LogProbs,
    /// The first place of each row, and how many places there are; written last.
    Index,
}

/// The likeliest tokens at some places.
#[derive(Debug)]
pub struct KeptTeacher {
    /// Ids [M, K], int64.
    pub ids: Tensor,
    /// Log-probabilities [M, K + 1], fp32; the last is that of all other tokens together.
    pub log_probs: Tensor,
}

impl KeptTeacher {
    /// The same with both tensors replaced.
    #[must_use]
    pub fn map(self, f: &mut dyn FnMut(Tensor) -> Tensor) -> Self {
        Self {
            ids: f(self.ids),
            log_probs: f(self.log_probs),
        }
    }
}

impl TeacherFiles {
    /// `NAME.ids.npy` and its like below `folder`, with `kept` tokens at each place.
    #[must_use]
    pub fn new(folder: &Path, name: String, kept: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            name,
            kept,
        }
    }

    /// Whether they are complete.
    #[must_use]
    pub fn are_there(&self) -> bool {
        self.path(Part::Index).exists()
    }

    fn path(&self, part: Part) -> PathBuf {
        let end = match part {
            Part::Ids => "ids",
            Part::LogProbs => "log_probs",
            Part::Index => "index",
        };
        self.folder.join(format!("{}.{end}.npy", self.name))
    }

    fn unfinished(&self, part: Part) -> PathBuf {
        self.path(part).with_extension("npy.tmp")
    }

    /// Numbers of a part at each place.
    fn width(&self, part: Part) -> u64 {
        match part {
            Part::Ids => self.kept,
            Part::LogProbs => self.kept + 1,
            Part::Index => 1,
        }
    }

    /// Makes room for `places` of them; one rank does, before the others write.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn make_room(&self, places: u64) -> Result<()> {
        for (part, dtype) in [(Part::Ids, Dtype::Uint32), (Part::LogProbs, Dtype::Float32)] {
            let (path, count) = (self.unfinished(part), places * self.width(part));
            let make = || -> Result<()> {
                let file = File::create(&path)?;
                file.set_len(HEADER_BYTES as u64 + count * dtype.size() as u64)?;
                Ok(file.write_all_at(&Header::encode(dtype, count), 0)?)
            };
            make().with_context(|| format!("{}: cannot write", path.display()))?;
        }
        Ok(())
    }

    /// Writes what was found at the places from `first` on.
    ///
    /// # Errors
    /// When the disk is full or not writable.
    pub fn write(&self, first: u64, found: &KeptTeacher) -> Result<()> {
        let ids = Vec::<i64>::try_from(&found.ids.flatten(0, -1))?;
        let ids = ids.iter().flat_map(|&id| (id as u32).to_le_bytes());
        let log_probs = Vec::<f32>::try_from(&found.log_probs.flatten(0, -1))?;
        let log_probs = log_probs.iter().flat_map(|value| value.to_le_bytes());
        self.write_at(Part::Ids, first, &ids.collect::<Vec<u8>>())?;
        self.write_at(Part::LogProbs, first, &log_probs.collect::<Vec<u8>>())
    }

    /// Both kinds of number have four bytes.
    fn write_at(&self, part: Part, first: u64, bytes: &[u8]) -> Result<()> {
        let path = self.unfinished(part);
        let at = HEADER_BYTES as u64 + 4 * first * self.width(part);
        let write = || {
            OpenOptions::new()
                .write(true)
                .open(&path)?
                .write_all_at(bytes, at)
        };
        write().with_context(|| format!("{}: cannot write; is the disk full?", path.display()))
    }

    /// Makes the files final once all ranks have written; `offsets` are the first places of the rows, and their end.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn finish(&self, offsets: &[u64]) -> Result<()> {
        let index = self.unfinished(Part::Index);
        let header = Header::encode(Dtype::Uint64, offsets.len() as u64);
        let bytes = [&header[..], &Dtype::Uint64.encode(offsets)].concat();
        fs::write(&index, bytes).with_context(|| format!("{}: cannot write", index.display()))?;
        for part in [Part::Ids, Part::LogProbs, Part::Index] {
            let (from, to) = (self.unfinished(part), self.path(part));
            let publish = || {
                File::open(&from)?
                    .sync_all()
                    .and_then(|()| fs::rename(&from, &to))
            };
            publish().with_context(|| format!("{}: cannot write", to.display()))?;
        }
        sync_dir(&self.folder)
    }

    /// Opens them for a split of so many rows.
    ///
    /// # Errors
    /// When one is missing, damaged, or of other rows.
    pub fn open(&self, rows: u64) -> Result<TeacherTokens> {
        let open = |part, dtype| Shard::open_as(&self.path(part), &[dtype]);
        let index = open(Part::Index, Dtype::Uint64)?;
        let (ids, log_probs) = (
            open(Part::Ids, Dtype::Uint32)?,
            open(Part::LogProbs, Dtype::Float32)?,
        );
        let offsets = index.read(0, index.len() as usize);
        let offsets: Vec<u64> = offsets.into_iter().map(i64::cast_unsigned).collect();
        let places = offsets.last().copied().unwrap_or(0);
        let is_sound = offsets.len() as u64 == rows + 1
            && offsets.is_sorted()
            && ids.len() == places * self.width(Part::Ids)
            && log_probs.len() == places * self.width(Part::LogProbs);
        ensure!(
            is_sound,
            ShardError::Foreign {
                path: index.path().to_owned(),
                reason: format!("it is not of {rows} rows; delete it"),
            }
        );
        Ok(TeacherTokens {
            ids,
            log_probs,
            offsets,
            kept: self.kept,
        })
    }
}

/// The files, mapped into memory.
#[derive(Debug)]
pub struct TeacherTokens {
    ids: Shard,
    log_probs: Shard,
    offsets: Vec<u64>,
    kept: u64,
}

impl TeacherTokens {
    /// What the teacher says at the places of some rows, one row after another.
    #[must_use]
    pub fn of_rows(&self, rows: &[u64]) -> KeptTeacher {
        let read = |shard: &Shard, width: u64| {
            let row = |&row: &u64| {
                let (first, end) = (self.offsets[row as usize], self.offsets[row as usize + 1]);
                shard.read(first * width, ((end - first) * width) as usize)
            };
            rows.iter().flat_map(row).collect::<Vec<i64>>()
        };
        let ids = read(&self.ids, self.kept);
        let log_probs = read(&self.log_probs, self.kept + 1);
        let log_probs: Vec<f32> = log_probs
            .iter()
            .map(|&bits| f32::from_bits(bits as u32))
            .collect();
        let [kept, all] = [self.kept, self.kept + 1].map(u64::cast_signed);
        KeptTeacher {
            ids: Tensor::from_slice(&ids).view([-1, kept]),
            log_probs: Tensor::from_slice(&log_probs)
                .view([-1, all])
                .to_kind(Kind::Float),
        }
    }
}
