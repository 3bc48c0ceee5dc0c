//! Reading and writing `.safetensors` files.

use crate::storage::{MappedFile, sync_dir};
use ::safetensors::{Dtype, SafeTensors, View, serialize_to_file};
use anyhow::{Context, Result, bail};
use std::{
    borrow::Cow,
    collections::HashMap,
    fs::{self, File},
    path::Path,
};
use tch::{Device, Kind, Tensor};

/// Calls `take` with each tensor of the file in turn, on the CPU and in its own kind; the file is mapped, and no more
/// than one tensor is copied at a time.
///
/// # Errors
/// When the file is missing, damaged, or holds a kind of number that a Llama does not.
pub fn for_each(path: &Path, mut take: impl FnMut(&str, Tensor) -> Result<()>) -> Result<()> {
    let file = MappedFile::open(path)?;
    let tensors = SafeTensors::deserialize(&file).with_context(|| {
        format!(
            "{}: not a valid safetensors file; it may be cut off",
            path.display()
        )
    })?;
    for (name, view) in tensors.tensors() {
        let kind = kind(view.dtype()).with_context(|| format!("{}: {name}", path.display()))?;
        let size: Vec<i64> = view.shape().iter().map(|&length| length as i64).collect();
        take(&name, Tensor::f_from_data_size(view.data(), &size, kind)?)?;
    }
    Ok(())
}

/// The kind of the file's first tensor, if it has one.
///
/// # Errors
/// When the file is missing or damaged.
pub fn first_kind(path: &Path) -> Result<Option<Kind>> {
    let file = MappedFile::open(path)?;
    let tensors = SafeTensors::deserialize(&file)
        .with_context(|| format!("{}: not a valid safetensors file", path.display()))?;
    let first = tensors.iter().next();
    first.map(|(_, view)| kind(view.dtype())).transpose()
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
    let temporary = path.with_extension("tmp");
    let views = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.as_str(), Contiguous::new(tensor)?)));
    let views = views.collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let written = serialize_to_file(views, Some(metadata), &temporary)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(File::open(&temporary)?.sync_all()?))
        .and_then(|()| Ok(fs::rename(&temporary, path)?));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| {
        format!(
            "{}: cannot write; check the free space of the disk",
            path.display()
        )
    })?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// A tensor as the format wants it; its bytes are copied out when they are written.
struct Contiguous {
    tensor: Tensor,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: usize,
}

impl Contiguous {
    fn new(tensor: &Tensor) -> Result<Self> {
        let dtype = match tensor.kind() {
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
        let bytes = tensor.numel() * tensor.kind().elt_size_in_bytes();
        Ok(Self {
            tensor: tensor.shallow_clone(),
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
        let on_cpu = self.tensor.detach().to_device(Device::Cpu).contiguous();
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
