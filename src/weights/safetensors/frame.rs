//! A file that several processes write side by side: its size and every tensor's place are known before its bytes.

use super::{LENGTH_BYTES, bytes_of, dtype, metadata};
use crate::storage::cannot_write;
use ::safetensors::tensor::{Metadata, TensorInfo};
use anyhow::{Context, Result};
use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};

/// Numbers that are converted at a time.
const CHUNK: i64 = 1 << 24;

/// A tensor before its numbers are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Its name.
    pub name: String,
    /// Of its numbers in the file.
    pub kind: Kind,
    /// Its shape.
    pub size: Vec<i64>,
}

impl Outline {
    fn bytes(&self) -> usize {
        self.size.iter().product::<i64>() as usize * self.kind.elt_size_in_bytes()
    }
}

/// A run of a tensor's numbers.
#[derive(Debug)]
pub struct Part {
    /// The tensor's name.
    pub name: String,
    /// The place in it of the run's first number.
    pub first: i64,
    /// The numbers.
    pub numbers: Tensor,
}

/// Where everything will be in the file; the same for all who write it.
#[derive(Debug)]
pub struct Frame {
    path: PathBuf,
    header: Vec<u8>,
    /// Of each tensor, the first byte's place and the kind.
    places: HashMap<String, (u64, Kind)>,
    bytes: u64,
}

impl Frame {
    /// For a file with these tensors.
    ///
    /// # Errors
    /// When one is of a kind that is not written.
    pub fn new(path: &Path, mut tensors: Vec<Outline>) -> Result<Self> {
        // Wider numbers first, as the library has it, so that all are aligned.
        tensors.sort_by(|a, b| {
            let width = |tensor: &Outline| tensor.kind.elt_size_in_bytes();
            width(b).cmp(&width(a)).then_with(|| a.name.cmp(&b.name))
        });
        let mut end = 0;
        let mut infos = Vec::new();
        for tensor in &tensors {
            let data_offsets = (end, end + tensor.bytes());
            end = data_offsets.1;
            let info = TensorInfo {
                dtype: dtype(tensor.kind)?,
                shape: tensor.size.iter().map(|&length| length as usize).collect(),
                data_offsets,
            };
            infos.push((tensor.name.clone(), info));
        }
        let mut header = serde_json::to_vec(&Metadata::new(Some(metadata()), infos.clone())?)?;
        header.resize(header.len().next_multiple_of(LENGTH_BYTES), b' ');
        let begin = LENGTH_BYTES + header.len();
        let place = |(tensor, (name, info)): (Outline, (String, TensorInfo))| {
            (name, ((begin + info.data_offsets.0) as u64, tensor.kind))
        };
        Ok(Self {
            path: path.to_owned(),
            header,
            places: tensors.into_iter().zip(infos).map(place).collect(),
            bytes: (begin + end) as u64,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the file, in its full size; one process does so before any fills it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(&self) -> Result<()> {
        let create = || -> std::io::Result<()> {
            let file = File::create(&self.path)?;
            file.set_len(self.bytes)?;
            file.write_all_at(&(self.header.len() as u64).to_le_bytes(), 0)?;
            file.write_all_at(&self.header, LENGTH_BYTES as u64)
        };
        create().with_context(|| self.failed())
    }

    /// Writes the parts into their places and flushes them to disk.
    ///
    /// # Errors
    /// When the disk is full or not writable.
    pub fn fill(&self, parts: &[Part]) -> Result<()> {
        let file = File::options().write(true).open(&self.path);
        let file = file.with_context(|| self.failed())?;
        for part in parts {
            self.write(&file, part)
                .with_context(|| format!("{}, {}", self.failed(), part.name))?;
        }
        file.sync_data().with_context(|| self.failed())
    }

    fn write(&self, file: &File, part: &Part) -> Result<()> {
        let place = self.places.get(&part.name);
        let &(begin, kind) = place.context("this tensor has no place in it")?;
        let flat = part.numbers.detach().reshape([-1]);
        let mut next = begin + part.first as u64 * kind.elt_size_in_bytes() as u64;
        for chunk in flat.split(CHUNK, 0) {
            let bytes = bytes_of(&chunk, kind);
            file.write_all_at(&bytes, next)?;
            next += bytes.len() as u64;
        }
        Ok(())
    }

    fn failed(&self) -> String {
        cannot_write(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{read, write};
    use super::*;
    use std::fs;
    use tch::Device;

    #[test]
    fn parts_of_several_writers_are_the_file_that_the_library_writes() {
        let dir = tempfile::tempdir().unwrap();
        let random =
            |size: &[i64], kind| Tensor::randn(size, (Kind::Float, Device::Cpu)).to_kind(kind);
        let tensors = [
            ("half", random(&[3, 5], Kind::BFloat16)),
            ("b", random(&[40, 7], Kind::Float)),
            ("a", random(&[], Kind::Float)),
        ];
        let outline = |(name, tensor): &(&str, Tensor)| Outline {
            name: (*name).to_owned(),
            kind: tensor.kind(),
            size: tensor.size(),
        };
        let frame = Frame::new(
            &dir.path().join("frame"),
            tensors.iter().map(outline).collect(),
        )
        .unwrap();
        frame.create().unwrap();
        for writer in 0..3 {
            let parts = tensors.iter().map(|(name, tensor)| {
                let flat = tensor.reshape([-1]);
                let (first, end) = (
                    flat.numel() as i64 * writer / 3,
                    flat.numel() as i64 * (writer + 1) / 3,
                );
                Part {
                    name: (*name).to_owned(),
                    first,
                    numbers: flat.narrow(0, first, end - first),
                }
            });
            frame.fill(&parts.collect::<Vec<_>>()).unwrap();
        }
        let whole = dir.path().join("whole");
        write(
            &whole,
            &tensors
                .each_ref()
                .map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone())),
        )
        .unwrap();
        assert_eq!(fs::read(&whole).unwrap(), fs::read(frame.path()).unwrap());
        assert_eq!(fs::metadata(&whole).unwrap().len(), frame.bytes());
        assert_eq!(read(frame.path()).unwrap().len(), 3);
    }
}
