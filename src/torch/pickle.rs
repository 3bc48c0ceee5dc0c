//! Writing what `torch.load` reads.

use super::{c_string, check, ffi};
use anyhow::Result;
use std::{ffi::CString, path::Path};
use tch::Tensor;

/// Writes a dictionary of tensors that `torch.load` reads, one tensor after another.
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
