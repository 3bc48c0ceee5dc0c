//! Reading and writing `.safetensors` files.

mod frame;

pub use frame::{Frame, Outline, Part};

use crate::storage::{MappedFile, write_atomically};
use ::safetensors::tensor::TensorInfo;
use ::safetensors::{Dtype, SafeTensors, View, serialize_to_file};
use anyhow::{Context, Result, bail};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt,
    ops::Range,
    path::Path,
};
use tch::{Device, Kind, Tensor};

/// A file begins with the length of its header.
const LENGTH_BYTES: usize = 8;

/// Each tensor of the file in turn, in the file's order, on the CPU and in its own kind; no more than one is mapped and
/// copied at a time.
///
/// # Errors
/// When the file is missing, damaged, or holds a kind of number that a Llama does not.
pub fn tensors(path: &Path) -> Result<impl Iterator<Item = Result<(String, Tensor)>> + use<>> {
    let path = path.to_owned();
    Ok(entries(&path)?.into_iter().map(move |(name, entry)| {
        let tensor = entry.read(&path);
        let tensor = tensor.with_context(|| format!("{}: {name}", path.display()))?;
        Ok((name, tensor))
    }))
}

/// Calls `take` with each tensor in turn.
///
/// # Errors
/// Those of `take`, and see [`tensors`].
pub fn for_each(path: &Path, mut take: impl FnMut(&str, Tensor) -> Result<()>) -> Result<()> {
    tensors(path)?.try_for_each(|entry| {
        let (name, tensor) = entry?;
        take(&name, tensor)
    })
}

/// The kind of the file's first tensor, if it has one.
///
/// # Errors
/// When the file is missing or damaged.
pub fn first_kind(path: &Path) -> Result<Option<Kind>> {
    let entries = entries(path)?;
    let first = entries.first();
    first.map(|(_, entry)| kind(entry.dtype)).transpose()
}

/// How many numbers the file says it holds; no more than it has bytes.
///
/// # Errors
/// When the file is missing or damaged.
pub fn count_numbers(path: &Path) -> Result<u64> {
    let entries = entries(path)?;
    let numbers = entries
        .iter()
        .map(|(_, entry)| entry.size.iter().product::<i64>());
    Ok(numbers.sum::<i64>().unsigned_abs())
}

/// Where a tensor is in its file.
struct Entry {
    dtype: Dtype,
    size: Vec<i64>,
    range: Range<usize>,
}

impl Entry {
    fn read(&self, path: &Path) -> Result<Tensor> {
        let kind = kind(self.dtype)?;
        if self.range.is_empty() {
            return Ok(Tensor::f_zeros(&self.size, (kind, Device::Cpu))?);
        }
        let bytes = MappedFile::open_range(path, self.range.clone())?;
        Ok(Tensor::f_from_data_size(&bytes, &self.size, kind)?)
    }
}

/// The file's table of contents, in the order of the data.
fn entries(path: &Path) -> Result<Vec<(String, Entry)>> {
    let file = MappedFile::open(path)?;
    let read = || -> Result<Vec<(String, Entry)>> {
        let (header_bytes, metadata) = SafeTensors::read_metadata(&file)?;
        let begin = LENGTH_BYTES + header_bytes;
        refuse_duplicates(&file[LENGTH_BYTES..begin])?;
        let mut entries: Vec<_> = metadata.tensors().into_iter().collect();
        entries.sort_by_key(|(_, info)| info.data_offsets);
        let entry = |(name, info): (String, &TensorInfo)| {
            let (start, end) = info.data_offsets;
            let entry = Entry {
                dtype: info.dtype,
                size: info.shape.iter().map(|&length| length as i64).collect(),
                range: begin + start..begin + end,
            };
            (name, entry)
        };
        Ok(entries.into_iter().map(entry).collect())
    };
    read().with_context(|| {
        format!(
            "{}: not a valid safetensors file; it may be cut off",
            path.display()
        )
    })
}

/// The library keeps the last of two entries with one name.
fn refuse_duplicates(header: &[u8]) -> Result<()> {
    let Names(names) = serde_json::from_slice(header)?;
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => bail!("it holds {name} twice"),
        None => Ok(()),
    }
}

/// The keys of a JSON object, as they come.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = map.next_entry()? {
            names.push(name);
        }
        Ok(Names(names))
    }
}

/// All tensors of the file by name.
///
/// # Errors
/// See [`tensors`].
pub fn read(path: &Path) -> Result<HashMap<String, Tensor>> {
    tensors(path)?.collect()
}

/// Writes the tensors as they are, one after another, under another name first; flushed to disk when it returns.
///
/// # Errors
/// When the disk is full or not writable.
pub fn write(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    write_views(path, tensors, Tensor::kind)
}

/// Writes the tensors in this kind; each is converted when its turn comes.
///
/// # Errors
/// When the disk is full or not writable.
pub fn write_as(path: &Path, tensors: &[(String, Tensor)], kind: Kind) -> Result<()> {
    write_views(path, tensors, |_| kind)
}

fn write_views(
    path: &Path,
    tensors: &[(String, Tensor)],
    kind: impl Fn(&Tensor) -> Kind,
) -> Result<()> {
    let views = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.as_str(), Contiguous::new(tensor, kind(tensor))?)));
    let views = views.collect::<Result<Vec<_>>>()?;
    write_atomically(path, |temporary| {
        Ok(serialize_to_file(views, Some(metadata()), temporary)?)
    })
}

/// A tensor as the format wants it; its bytes are copied out when they are written.
struct Contiguous {
    tensor: Tensor,
    kind: Kind,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: usize,
}

impl Contiguous {
    fn new(tensor: &Tensor, kind: Kind) -> Result<Self> {
        let shape: Vec<usize> = tensor
            .size()
            .iter()
            .map(|&length| length as usize)
            .collect();
        let bytes = tensor.numel() * kind.elt_size_in_bytes();
        Ok(Self {
            tensor: tensor.shallow_clone(),
            kind,
            dtype: dtype(kind)?,
            shape,
            bytes,
        })
    }
}

impl View for Contiguous {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(bytes_of(&self.tensor, self.kind))
    }

    fn data_len(&self) -> usize {
        self.bytes
    }
}

/// What every file says of itself, as PyTorch's users expect it.
fn metadata() -> HashMap<String, String> {
    HashMap::from([("format".to_owned(), "pt".to_owned())])
}

/// The tensor's numbers in this kind, in memory order.
fn bytes_of(tensor: &Tensor, kind: Kind) -> Vec<u8> {
    let mut bytes = vec![0; tensor.numel() * kind.elt_size_in_bytes()];
    let on_cpu = tensor.detach().to_device(Device::Cpu);
    let on_cpu = on_cpu.to_kind(kind).contiguous();
    on_cpu.copy_data_u8(&mut bytes, tensor.numel());
    bytes
}

/// The kinds of number that are written and read.
const KINDS: [(Kind, Dtype); 5] = [
    (Kind::Float, Dtype::F32),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Half, Dtype::F16),
    (Kind::Int16, Dtype::I16),
    (Kind::Uint8, Dtype::U8),
];

fn kind(dtype: Dtype) -> Result<Kind> {
    let found = KINDS.iter().find(|(_, known)| *known == dtype);
    let (kind, _) = found.with_context(|| {
        format!("numbers of type {dtype:?} are not read; fp32, bf16, fp16, int16 and uint8 are")
    })?;
    Ok(*kind)
}

fn dtype(kind: Kind) -> Result<Dtype> {
    let found = KINDS.iter().find(|(known, _)| *known == kind);
    let (_, dtype) = found.with_context(|| format!("tensors of kind {kind:?} are not written"))?;
    Ok(*dtype)
}
