//! Files of `torch.save` (`.pth`, `.pt`): a zip archive of a pickle and the bytes of its tensors.

use super::pickle;
use super::pickle_value::{StoredTensor, Value};
use crate::storage::{MappedFile, write_atomically};
use crate::torch;
use anyhow::{Context, Result, ensure};
use std::{
    collections::HashMap,
    io::{Cursor, Read},
    ops::Range,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};
use zip::{CompressionMethod, ZipArchive};

const PICKLE: &str = "/data.pkl";
/// Dictionaries within dictionaries; a hostile one may hold itself.
const DEEPEST: usize = 8;

/// Where each record's bytes are in the file.
type Records = HashMap<String, Range<usize>>;

/// A file of tensors and numbers, mapped: a tensor is read when it is asked for. Those of a dictionary within the
/// dictionary are named with a dot between.
pub struct TorchFile {
    path: PathBuf,
    file: MappedFile,
    records: Records,
    contents: Contents,
}

impl TorchFile {
    /// Reads what is in the file, but for the numbers.
    ///
    /// # Errors
    /// When the file is missing, damaged, or holds anything but tensors, numbers, texts and containers; nothing in it
    /// is executed.
    pub fn open(path: &Path) -> Result<Self> {
        let read = || -> Result<Self> {
            let file = MappedFile::open(path)?;
            let (records, pickled) = records(&file)?;
            let root = pickle::parse(&pickled.with_context(|| format!("it has no {PICKLE}"))?)?;
            let mut contents = Contents::default();
            contents.collect(&root, "", 0);
            Ok(Self {
                path: path.to_owned(),
                file,
                records,
                contents,
            })
        };
        read().with_context(|| format!("{}: not a file of torch.save with tensors", path.display()))
    }

    /// The kind of the first tensor, if there is one.
    #[must_use]
    pub fn first_kind(&self) -> Option<Kind> {
        self.contents
            .tensors
            .first()
            .map(|(_, tensor)| tensor.storage.kind)
    }

    /// A number by its name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.contents.numbers.get(name).copied()
    }

    /// How many numbers there can be at most.
    #[must_use]
    pub fn count_numbers(&self) -> u64 {
        self.file.len() as u64
    }

    /// The names of the tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contents.tensors.iter().map(|(name, _)| name.as_str())
    }

    /// A tensor by its name, on the CPU and in its own kind; none if there is none.
    ///
    /// # Errors
    /// When it is larger than what the file holds of it.
    pub fn read(&self, name: &str) -> Result<Option<Tensor>> {
        let mut named = self
            .contents
            .tensors
            .iter()
            .filter(|(known, _)| known == name);
        let stored = named.next();
        stored
            .map(|(name, stored)| self.tensor(name, stored))
            .transpose()
    }

    /// Calls `take` with each tensor in turn; no more than one is copied at a time.
    ///
    /// # Errors
    /// Those of `take`, and see [`Self::read`].
    pub fn for_each(&self, mut take: impl FnMut(&str, Tensor) -> Result<()>) -> Result<()> {
        let mut each =
            |(name, stored): &(String, StoredTensor)| take(name, self.tensor(name, stored)?);
        self.contents.tensors.iter().try_for_each(&mut each)
    }

    fn tensor(&self, name: &str, stored: &StoredTensor) -> Result<Tensor> {
        let record = self.records.get(&stored.storage.key);
        let read = || {
            view(
                &self.file[record.context("its numbers are missing")?.clone()],
                stored,
            )
        };
        read().with_context(|| format!("{}: {name}", self.path.display()))
    }
}

/// Writes a dictionary of tensors that `torch.load` reads, under another name first.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    write_atomically(path, |temporary| torch::write_pickled(temporary, tensors))
}

/// Where the tensors' bytes are, and the pickle.
fn records(file: &[u8]) -> Result<(Records, Option<Vec<u8>>)> {
    let mut zip = ZipArchive::new(Cursor::new(file))?;
    let (mut records, mut pickled) = (Records::new(), None);
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index)?;
        let name = entry.name().to_owned();
        if name.ends_with(PICKLE) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            pickled = Some(bytes);
        } else if let Some((_, key)) = name.split_once("/data/") {
            let is_plain = entry.compression() == CompressionMethod::Stored;
            ensure!(is_plain, "{name} is compressed");
            let start = usize::try_from(entry.data_start())?;
            let end = start.checked_add(usize::try_from(entry.size())?);
            let end = end.filter(|&end| end <= file.len());
            records.insert(key.to_owned(), start..end.context("it is cut off")?);
        }
    }
    Ok((records, pickled))
}

/// A tensor over the bytes of its record.
fn view(bytes: &[u8], stored: &StoredTensor) -> Result<Tensor> {
    let (kind, size, stride) = (stored.storage.kind, &stored.size, &stored.stride);
    let item = kind.elt_size_in_bytes() as i64;
    let needed = numbers_needed(stored.offset, size, stride);
    let whole = bytes.len() as i64 / item;
    ensure!(
        needed.is_some_and(|needed| needed <= whole),
        "it is larger than what is stored of it"
    );
    if stored.offset == 0 && is_contiguous(size, stride) && needed == Some(whole) {
        return Ok(Tensor::f_from_data_size(bytes, size, kind)?);
    }
    let all = Tensor::f_from_data_size(&bytes[..(whole * item) as usize], &[whole], kind)?;
    Ok(all
        .f_as_strided(size, stride, stored.offset)?
        .f_contiguous()?)
}

/// How many numbers a view reaches; none where that cannot be.
fn numbers_needed(offset: i64, size: &[i64], stride: &[i64]) -> Option<i64> {
    let is_sound = offset >= 0 && size.len() == stride.len();
    let not_negative = size.iter().chain(stride).all(|&number| number >= 0);
    if !is_sound || !not_negative {
        return None;
    }
    if size.contains(&0) {
        return Some(0);
    }
    let mut last = offset;
    for (&size, &stride) in size.iter().zip(stride) {
        last = last.checked_add((size - 1).checked_mul(stride)?)?;
    }
    last.checked_add(1)
}

fn is_contiguous(size: &[i64], stride: &[i64]) -> bool {
    let mut expected = 1;
    size.iter().zip(stride).rev().all(|(&size, &stride)| {
        let fits = stride == expected || size == 1;
        expected *= size;
        fits
    })
}

/// What a dictionary holds, under dotted names.
#[derive(Default)]
struct Contents {
    tensors: Vec<(String, StoredTensor)>,
    numbers: HashMap<String, f64>,
}

impl Contents {
    fn collect(&mut self, value: &Value, name: &str, depth: usize) {
        match value {
            Value::Tensor(tensor) => self.tensors.push((name.to_owned(), tensor.clone())),
            Value::Int(number) => drop(self.numbers.insert(name.to_owned(), *number as f64)),
            Value::Float(number) => drop(self.numbers.insert(name.to_owned(), *number)),
            Value::Dict(entries) if depth < DEEPEST => {
                for (key, value) in entries.borrow().iter() {
                    match key {
                        Value::Text(key) if name.is_empty() => self.collect(value, key, depth + 1),
                        Value::Text(key) => {
                            self.collect(value, &format!("{name}.{key}"), depth + 1);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}
