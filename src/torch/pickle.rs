//! `torch.save`'s files of named tensors (`.pth`, `.pt`).

use super::{c_string, check, ffi};
use anyhow::{Context, Result};
use std::{
    ffi::{CStr, CString},
    path::Path,
    ptr,
};
use tch::Tensor;

/// Calls `take` with each tensor of the file, on the CPU and in its own kind. Tensors of a dictionary within the
/// dictionary are named with a dot between.
///
/// # Errors
/// When the file is damaged or holds anything but tensors, numbers, texts and containers; nothing in it is executed.
pub fn for_each_pickled(
    path: &Path,
    mut take: impl FnMut(&str, Tensor) -> Result<()>,
) -> Result<()> {
    let found = Found::read(path)?;
    // SAFETY: a live list; the name lives as long as it, and each tensor is taken once and then ours.
    unsafe {
        for index in 0..ffi::lt_pickle_len(found.0) {
            let name = CStr::from_ptr(ffi::lt_pickle_name(found.0, index)).to_string_lossy();
            let mut tensor = ptr::null_mut();
            check(ffi::lt_pickle_take(found.0, index, &raw mut tensor))?;
            take(&name, Tensor::from_ptr(tensor))?;
        }
    }
    Ok(())
}

/// Writes a dictionary of tensors that `torch.load` reads.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pickled(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let names: Vec<CString> = tensors.iter().map(|(name, _)| c_string(name)).collect();
    let names: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let list: Vec<_> = tensors
        .iter()
        .map(|(_, tensor)| tensor.as_ptr().cast_mut())
        .collect();
    let path = c_string(&path.to_string_lossy());
    // SAFETY: live strings and tensors in lists of one length, borrowed for the call.
    check(unsafe { ffi::lt_pickle_write(path.as_ptr(), names.as_ptr(), list.as_ptr(), list.len()) })
}

struct Found(*mut ffi::NamedTensors);

impl Found {
    fn read(path: &Path) -> Result<Self> {
        let path = c_string(&path.to_string_lossy());
        let mut found = ptr::null_mut();
        // SAFETY: the string outlives the call; on success `found` is a new list that we own.
        check(unsafe { ffi::lt_pickle_read(path.as_ptr(), &raw mut found) }).context(
            "not a file of torch.save with nothing but tensors in it, or cut off; nothing in it was executed",
        )?;
        Ok(Self(found))
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        // SAFETY: made by `lt_pickle_read`, freed once.
        unsafe { ffi::lt_pickle_free(self.0) }
    }
}
