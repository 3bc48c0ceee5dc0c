//! Operations over whole lists of tensors: one call, no read-back.

use super::{check, ffi, pointers};
use anyhow::Result;
use tch::Tensor;

/// The 2-norm over all tensors together: a scalar on their device.
///
/// # Errors
/// When libtorch refuses the tensors.
pub fn global_norm(tensors: &[Tensor]) -> Result<Tensor> {
    let list = pointers(tensors);
    let mut out = std::ptr::null_mut();
    // SAFETY: live tensors in, and on success `out` is a new tensor that we own.
    unsafe {
        check(ffi::lt_global_norm(list.as_ptr(), list.len(), &raw mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// Multiplies every tensor in place by a scalar tensor.
///
/// # Errors
/// When libtorch refuses the tensors.
pub fn scale(tensors: &[Tensor], factor: &Tensor) -> Result<()> {
    let list = pointers(tensors);
    // SAFETY: live tensors, borrowed for the call.
    check(unsafe { ffi::lt_scale(list.as_ptr(), list.len(), factor.as_ptr()) })
}

/// Drops the gradients of the parameters: the next backward then writes instead of adding.
///
/// # Errors
/// When libtorch refuses the tensors.
pub fn reset_grads(params: &[Tensor]) -> Result<()> {
    let list = pointers(params);
    // SAFETY: live tensors, borrowed for the call; a gradient handle held elsewhere stays valid.
    check(unsafe { ffi::lt_reset_grads(list.as_ptr(), list.len()) })
}

/// Fills the gradients that the parameters have with zeros, in place.
///
/// # Errors
/// When libtorch refuses the tensors.
pub fn zero_grads(params: &[Tensor]) -> Result<()> {
    let list = pointers(params);
    // SAFETY: live tensors, borrowed for the call.
    check(unsafe { ffi::lt_zero_grads(list.as_ptr(), list.len()) })
}
