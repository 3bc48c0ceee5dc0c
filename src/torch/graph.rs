//! Work of a GPU that is launched as a whole: CUDA graphs.

use super::cuda_part::from_cuda_part;
use super::ffi::Message;
use super::{catch, check};
use anyhow::{Context, Result};
use std::ffi::{c_int, c_void};
use std::ptr;

/// What was launched once, to be launched again: the same operations on the same places in memory.
#[derive(Debug)]
pub struct Graph {
    handle: *mut c_void,
    part: EntryPoints,
}

/// Of `native/cuda/graph.cpp`.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryPoints {
    begin: unsafe extern "C" fn(c_int, *mut *mut c_void) -> Message,
    end: unsafe extern "C" fn(*mut c_void) -> Message,
    replay: unsafe extern "C" fn(*mut c_void) -> Message,
    free: unsafe extern "C" fn(*mut c_void),
}

pub(super) fn entry_points() -> Result<EntryPoints> {
    from_cuda_part("CUDA graphs", |part| {
        // SAFETY: `native/cuda/graph.cpp` defines them with these types.
        unsafe {
            Ok(EntryPoints {
                begin: part.function(c"lt_graph_begin")?,
                end: part.function(c"lt_graph_end")?,
                replay: part.function(c"lt_graph_replay")?,
                free: part.function(c"lt_graph_free")?,
            })
        }
    })
}

impl Graph {
    /// Notes down what `work` launches on a GPU, without running it, and gives what `work` returned: tensors whose numbers
    /// come with each [`Self::replay`]. The same work must have run before, so that nothing is left to be compiled, and it
    /// must not ask the GPU for anything.
    ///
    /// # Errors
    /// When the work fails, or cannot be recorded.
    pub fn record<T>(index: usize, work: impl FnOnce() -> Result<T>) -> Result<(Self, T)> {
        let part = entry_points()?;
        let mut handle = ptr::null_mut();
        // SAFETY: on success `handle` is a new graph that we own, and this thread is recording.
        check(unsafe { (part.begin)(c_int::try_from(index)?, &raw mut handle) })?;
        let graph = Self { handle, part };
        let done = catch(work);
        // SAFETY: a live graph that this thread is recording.
        let ended = check(unsafe { (part.end)(graph.handle) });
        let done = done?; // the cause; that the recording broke off is what follows from it
        ended.context("the recording broke off")?;
        Ok((graph, done))
    }

    /// Runs it, on what is in those places now.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn replay(&self) -> Result<()> {
        // SAFETY: a live graph whose recording has ended.
        check(unsafe { (self.part.replay)(self.handle) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: made by `lt_graph_begin`, freed once.
        unsafe { (self.part.free)(self.handle) }
    }
}
