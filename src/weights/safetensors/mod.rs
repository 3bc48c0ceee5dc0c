//! Reading and writing `.safetensors` files.

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

/// Calls `take` with each tensor of the file in turn, in the file's order, on the CPU and in its own kind; no more than
/// one is mapped and copied at a time.
///
/// # Errors
/// When the file is missing, damaged, or holds a kind of number that a Llama does not.
pub fn for_each(path: &Path, mut take: impl FnMut(&str, Tensor) -> Result<()>) -> Result<()> {
    for (name, entry) in entries(path)? {
        let read = || -> Result<Tensor> {
            let kind = kind(entry.dtype)?;
            if entry.range.is_empty() {
                return Ok(Tensor::f_zeros(&entry.size, (kind, Device::Cpu))?);
            }
            let bytes = MappedFile::open_range(path, entry.range.clone())?;
            Ok(Tensor::f_from_data_size(&bytes, &entry.size, kind)?)
        };
        take(
            &name,
            read().with_context(|| format!("{}: {name}", path.display()))?,
        )?;
    }
    Ok(())
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
/// See [`for_each`].
pub fn read(path: &Path) -> Result<HashMap<String, Tensor>> {
    let mut tensors = HashMap::new();
    for_each(path, |name, tensor| {
        tensors.insert(name.to_owned(), tensor);
        Ok(())
    })?;
    Ok(tensors)
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
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write_atomically(path, |temporary| {
        Ok(serialize_to_file(views, Some(metadata), temporary)?)
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
        let dtype = match kind {
            Kind::Float => Dtype::F32,
            Kind::BFloat16 => Dtype::BF16,
            Kind::Half => Dtype::F16,
            Kind::Uint8 => Dtype::U8,
            other => bail!("tensors of kind {other:?} are not written"),
        };
        let shape: Vec<usize> = tensor
            .size()
            .iter()
            .map(|&length| length as usize)
            .collect();
        let bytes = tensor.numel() * kind.elt_size_in_bytes();
        Ok(Self {
            tensor: tensor.shallow_clone(),
            kind,
            dtype,
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
        let mut bytes = vec![0; self.bytes];
        let on_cpu = self.tensor.detach().to_device(Device::Cpu);
        let on_cpu = on_cpu.to_kind(self.kind).contiguous();
        on_cpu.copy_data_u8(&mut bytes, self.tensor.numel());
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes
    }
}

fn kind(dtype: Dtype) -> Result<Kind> {
    Ok(match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F16 => Kind::Half,
        Dtype::U8 => Kind::Uint8,
        other => bail!("numbers of type {other:?} are not read; fp32, bf16, fp16 and uint8 are"),
    })
}
