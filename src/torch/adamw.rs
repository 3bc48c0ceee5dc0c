//! AdamW (Loshchilov & Hutter 2019) on whole lists of tensors, without a read-back.

use super::kernels::{Operation, has_kernel};
use super::{check, ffi, pointers, split_float};
use anyhow::Result;
use tch::{Kind, Tensor};

/// The tensors of one AdamW step and its constants; all lists have the same length.
#[derive(Debug, Clone, Copy)]
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

/// The same of fp32 numbers in two halves, to the same numbers: `params` are bf16, and each has `remainders` (int16) beside
/// it, as [`split_float`] has them. The moments are fp32. No tensor is ever whole.
///
/// # Errors
/// When libtorch refuses the tensors.
pub fn split_adamw(step: &AdamWStep<'_>, remainders: &[Tensor]) -> Result<()> {
    let Some(grad) = step.grads.first() else {
        return Ok(());
    };
    if !has_kernel(Operation::SplitAdamW, grad) {
        return one_by_one(step, remainders);
    }
    let lists = [
        step.params,
        remainders,
        step.grads,
        step.exp_avgs,
        step.exp_avg_sqs,
        step.steps,
    ]
    .map(pointers);
    // SAFETY: as above.
    check(unsafe {
        ffi::lt_split_adamw(
            lists[0].as_ptr(),
            lists[1].as_ptr(),
            lists[2].as_ptr(),
            lists[3].as_ptr(),
            lists[4].as_ptr(),
            lists[5].as_ptr(),
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

/// By torch's own operations: a tensor at a time is whole.
pub(in crate::torch) fn one_by_one(step: &AdamWStep<'_>, remainders: &[Tensor]) -> Result<()> {
    for (index, remainder) in remainders.iter().enumerate() {
        let weight = &step.params[index];
        let whole = [split_float::join(weight, remainder)];
        let one = index..index + 1;
        fused_adamw(&AdamWStep {
            params: &whole,
            grads: &[step.grads[index].to_kind(Kind::Float)],
            exp_avgs: &step.exp_avgs[one.clone()],
            exp_avg_sqs: &step.exp_avg_sqs[one.clone()],
            steps: &step.steps[one],
            ..*step
        })?;
        split_float::split(&whole[0], weight, remainder);
    }
    Ok(())
}
