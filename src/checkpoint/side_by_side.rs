//! The large files of a checkpoint, written by all ranks at once where they share a file system.

use crate::dist::{self, Partition, Piece, ProcessGroup};
use crate::optim::AdamW;
use crate::storage::sha256_file;
use crate::weights::hf::WeightFile;
use crate::weights::safetensors::{Frame, Outline, Part};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};

/// A file, and what this rank has for it.
#[derive(Debug)]
pub(super) struct LargeFile {
    frame: Frame,
    numbers: Numbers,
}

/// Who writes.
#[derive(Debug, Clone, Copy)]
enum Writers {
    /// So many ranks, which see one file system.
    All(u64),
    /// Rank 0, whose folder the others do not see.
    RankZero,
}

#[derive(Debug)]
enum Numbers {
    /// All of them, as every rank has.
    All(Vec<(String, Tensor)>),
    /// Those that no other rank has.
    Own(Vec<Part>),
}

impl LargeFile {
    /// Weights, which all ranks have.
    pub(super) fn weights(dir: &Path, file: WeightFile, kind: Kind) -> Result<Self> {
        let outline = |(name, tensor): &(String, Tensor)| Outline {
            name: name.clone(),
            kind,
            size: tensor.size(),
        };
        let outlines = file.tensors.iter().map(outline).collect();
        Ok(Self {
            frame: Frame::new(&dir.join(&file.name), outlines)?,
            numbers: Numbers::All(file.tensors),
        })
    }

    /// The optimizer's state, of which each rank may have a part.
    pub(super) fn optimizer(path: &Path, optimizer: &AdamW) -> Result<Self> {
        let (mut outlines, mut parts) = (Vec::new(), Vec::new());
        for tensor in optimizer.state_tensors() {
            if let Some(held) = tensor.held {
                parts.push(Part {
                    name: tensor.name.clone(),
                    first: held.first,
                    numbers: held.tensor,
                });
            }
            outlines.push(Outline {
                name: tensor.name,
                kind: tensor.kind,
                size: tensor.size,
            });
        }
        let numbers = match optimizer.is_sharded() {
            true => Numbers::Own(parts),
            false => Numbers::All(
                parts
                    .into_iter()
                    .map(|part| (part.name, part.numbers))
                    .collect(),
            ),
        };
        Ok(Self {
            frame: Frame::new(path, outlines)?,
            numbers,
        })
    }

    /// Makes the file, to be filled.
    pub(super) fn create(&self) -> Result<()> {
        self.frame.create()
    }

    fn is_here(&self) -> bool {
        let found = self.frame.path().metadata();
        found.is_ok_and(|found| found.len() == self.frame.bytes())
    }

    /// Writes what this rank is to write.
    fn fill(&self, rank: u64, writers: Writers) -> Result<()> {
        match (&self.numbers, writers) {
            (Numbers::All(tensors), Writers::All(ranks)) => {
                self.frame.fill(&cut(tensors, rank, ranks))
            }
            (Numbers::All(tensors), Writers::RankZero) if rank == 0 => {
                self.frame.fill(&cut(tensors, 0, 1))
            }
            (Numbers::All(_), Writers::RankZero) => Ok(()),
            (Numbers::Own(parts), Writers::All(_)) => self.frame.fill(parts),
            (Numbers::Own(_), Writers::RankZero) => bail!(
                "{}: not all ranks see this folder, and with train.shard_optimizer each has a part of the optimizer's \
                 state to write: name a folder that all of them share with run.dir",
                self.frame.path().display()
            ),
        }
    }
}

/// One rank's part of what all have.
fn cut(tensors: &[(String, Tensor)], rank: u64, writers: u64) -> Vec<Part> {
    let lengths: Vec<i64> = tensors
        .iter()
        .map(|(_, tensor)| tensor.numel() as i64)
        .collect();
    let partition = Partition::new(&lengths, writers);
    let part = |piece: &Piece| {
        let (name, tensor) = &tensors[piece.tensor];
        let flat = tensor.detach().reshape([-1]);
        Part {
            name: name.clone(),
            first: piece.range.start,
            numbers: flat.narrow(0, piece.range.start, piece.range.end - piece.range.start),
        }
    };
    partition.of(rank).iter().map(part).collect()
}

/// Fills the files, which rank 0 has made before; each rank writes a part, where all see them. Returns the files'
/// SHA-256 on every rank, each worked out by one. Collective.
///
/// # Errors
/// When the disk is full or not writable, a rank is gone, or does not see what it alone could write.
pub(super) fn fill(
    files: &[LargeFile],
    group: &dyn ProcessGroup,
) -> Result<BTreeMap<PathBuf, String>> {
    let (rank, ranks) = (group.rank(), group.world_size());
    dist::barrier(group)?; // rank 0 has made them
    let here = files.iter().all(LargeFile::is_here);
    let mut who_sees = Tensor::from_slice(&[i64::from(here)]);
    group.all_reduce_sum(&mut who_sees)?;
    let writers = match who_sees.int64_value(&[0]).unsigned_abs() {
        all if all == ranks => Writers::All(ranks),
        _ => Writers::RankZero,
    };
    files.iter().try_for_each(|file| file.fill(rank, writers))?;
    dist::barrier(group)?;
    digests(files, group, writers)
}

const DIGEST_CHARACTERS: i64 = 64;

fn digests(
    files: &[LargeFile],
    group: &dyn ProcessGroup,
    writers: Writers,
) -> Result<BTreeMap<PathBuf, String>> {
    let mut largest_first: Vec<&Frame> = files.iter().map(|file| &file.frame).collect();
    largest_first.sort_by_key(|frame| std::cmp::Reverse(frame.bytes()));
    let readers = match writers {
        Writers::All(ranks) => ranks,
        Writers::RankZero => 1,
    };
    let mut found = BTreeMap::new();
    let size = [largest_first.len() as i64, DIGEST_CHARACTERS];
    let mut texts = Tensor::zeros(size, (Kind::Uint8, tch::Device::Cpu));
    for (index, frame) in (0..).zip(&largest_first) {
        if index as u64 % readers == group.rank() {
            let path = frame.path();
            let digest =
                sha256_file(path).with_context(|| format!("{}: cannot read", path.display()))?;
            texts
                .get(index)
                .copy_(&Tensor::from_slice(digest.as_bytes()));
        }
    }
    group.all_reduce_sum(&mut texts)?; // all but one are zeros
    for (index, frame) in (0..).zip(&largest_first) {
        let text = Vec::<u8>::try_from(texts.get(index))?;
        found.insert(frame.path().to_owned(), String::from_utf8(text)?);
    }
    Ok(found)
}
