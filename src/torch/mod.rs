//! What tch does not bind of libtorch, behind a narrow C interface. All `unsafe` of the crate but the file map is here.

#![allow(unsafe_code)]

mod adamw;
mod c10d;
mod catch;
mod cuda_part;
mod device;
mod features;
mod ffi;
mod foreach;
mod graph;
pub mod kernels;
mod library;
mod linear_loss;
mod nccl;
pub mod ops;
mod pickle;
mod profile;
mod recompute;
mod reducer;
mod runtime;
mod split_float;
mod trace;
mod transfers;

pub use adamw::{AdamWStep, fused_adamw, split_adamw};
pub use c10d::{Group, Membership, Store, StoreAddress};
pub use catch::{catch, install_panic_hook};
pub use cuda_part::{HAS_CUDA_PART, open_cuda_part};
pub use device::{device_name, load_accelerator};
pub use features::Feature;
pub use foreach::{global_norm, reset_grads, scale, zero_grads};
pub use graph::Graph;
pub use linear_loss::{
    DivergenceKind, LinearRows, TeacherRows, linear_divergence, linear_log_probs,
};
pub use pickle::write_pickled;
pub use profile::{Spent, profile};
pub use recompute::{Randomness, recompute};
pub use reducer::{Reducer, ReducerTimes};
pub use runtime::{
    cuda_peak_bytes, end_process, keep_freed_memory, library_path, process_cpu_time, quiet_log,
    report_file_size_limit, require_determinism, rng_state, set_rng_state, set_threads, version,
};
pub use trace::operations;
pub use transfers::{Fetched, Transfers};

use anyhow::{Result, anyhow};
use std::ffi::{CStr, CString, c_char};
use tch::Tensor;
use torch_sys::C_tensor;

/// Turns a message of `native/` into an error, without the C++ stack that libtorch appends.
fn check(message: ffi::Message) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: a non-null message is a NUL-terminated string made by `strdup`, owned by us.
    let text = unsafe { take_text(message) };
    Err(anyhow!("libtorch: {}", without_stack(&text)))
}

/// Copies a text of `native/` and frees it.
///
/// # Safety
/// `text` is a NUL-terminated string made by `strdup`, not used again.
unsafe fn take_text(text: *mut c_char) -> String {
    // SAFETY: as the caller promises.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        ffi::lt_free_message(text);
        copy
    }
}

/// Tensors as C wants them; they must outlive the pointers' use.
fn pointers(tensors: &[Tensor]) -> Vec<*mut C_tensor> {
    let pointer = |tensor: &Tensor| tensor.as_ptr().cast_mut();
    tensors.iter().map(pointer).collect()
}

/// A text as C wants it; what follows a NUL is dropped.
fn c_string(text: &str) -> CString {
    let text = text.split('\0').next().unwrap_or_default();
    CString::new(text).unwrap_or_default()
}

/// The first part of a libtorch message: what follows is a C++ stack, which helps no user.
#[must_use]
pub fn without_stack(message: &str) -> &str {
    message
        .split("\nException raised from")
        .next()
        .unwrap_or(message)
        .trim_end()
}
