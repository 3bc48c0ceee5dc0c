//! What tch does not bind of libtorch, behind a narrow C interface. All `unsafe` of the crate but the file map is here.

#![allow(unsafe_code)]

mod catch;
mod device;
mod ffi;
mod foreach;
mod runtime;

pub use catch::{catch, install_panic_hook};
pub use device::{device_name, load_accelerator};
pub use foreach::{AdamWStep, fused_adamw, global_norm, reset_grads, scale};
pub use runtime::{
    cuda_peak_bytes, process_cpu_time, report_file_size_limit, require_determinism, rng_state,
    set_rng_state, set_threads,
};

use anyhow::{Result, anyhow};
use std::ffi::CStr;

/// Turns a message of `native/` into an error, without the C++ stack that libtorch appends.
fn check(message: ffi::Message) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: a non-null message is a NUL-terminated string made by `strdup`, owned by us until freed here.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        ffi::lt_free_message(message);
        text
    };
    Err(anyhow!("libtorch: {}", without_stack(&text)))
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
