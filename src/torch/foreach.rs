//! Operations over whole lists of tensors: one call, no read-back.

use super::{check, ffi, pointers};
use anyhow::Result;
use tch::Tensor;

/// The tensors of one AdamW step and its constants; all lists have the same length.
#[derive(Debug)]
pub struct AdamWStep<'a> {
    /// Weights, updated in place.
    pub params: &'a [Tensor],
    /// Their gradients.
    pub grads: &'a [Tensor],
    /// First moments.
    pub exp_avgs: &'a [Tensor],
    /// Second moments.
    pub exp_avg_sqs: &'a [Tensor],
    /// Updates made so far: float32 scalars.
    pub steps: &'a [Tensor],
    /// Learning rate: a float32 scalar.
    pub lr: &'a Tensor,
    /// Decay rates of the moments.
    pub betas: (f64, f64),
    /// Added to the denominator.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// A float32 scalar: 1 leaves everything as it is.
    pub found_inf: &'a Tensor,
}

/// Runs torch's fused AdamW kernel.
///
/// # Errors
/// When libtorch refuses the tensors (unequal kinds, for example).
pub fn fused_adamw(step: &AdamWStep<'_>) -> Result<()> {
    let lists = [
        step.params,
        step.grads,
        step.exp_avgs,
        step.exp_avg_sqs,
        step.steps,
    ]
    .map(pointers);
    // SAFETY: every pointer comes from a live tensor borrowed by `step`; the lists are as long as `params`, which the
    // caller guarantees by construction and libtorch checks again.
    check(unsafe {
        ffi::lt_fused_adamw(
            lists[0].as_ptr(),
            lists[1].as_ptr(),
            lists[2].as_ptr(),
            lists[3].as_ptr(),
            lists[4].as_ptr(),
            step.params.len(),
            step.lr.as_ptr(),
            step.betas.0,
            step.betas.1,
            step.eps,
            step.weight_decay,
            step.found_inf.as_ptr(),
        )
    })
}

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
