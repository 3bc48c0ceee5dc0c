//! Which operations libtorch runs.

use super::{check, ffi, take_text};
use anyhow::Result;
use std::ptr;

/// Runs `work` and tells which operations its thread called meanwhile, by libtorch's names (`aten::mm`), in turn.
///
/// # Errors
/// When libtorch refuses.
pub fn operations<T>(work: impl FnOnce() -> T) -> Result<(T, Vec<String>)> {
    let mut handle = 0;
    let mut names = ptr::null_mut();
    // SAFETY: `handle` is written before it is used; on success `names` is a string made by `strdup` that we own.
    unsafe {
        check(ffi::lt_trace_begin(&raw mut handle))?;
        let result = work();
        check(ffi::lt_trace_end(handle, &raw mut names))?;
        let names = take_text(names);
        Ok((result, names.lines().map(str::to_owned).collect()))
    }
}
