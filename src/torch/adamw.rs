//! AdamW (Loshchilov & Hutter 2019) on whole lists of tensors, without a read-back.

use super::kernels::{Operation, has_kernel};
use super::{check, ffi, pointers, split_float};
use anyhow::{Result, ensure};
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

impl AdamWStep<'_> {
    /// Calls what takes it over there.
    fn hand_over(&self, call: impl FnOnce(*const ffi::AdamWStep) -> ffi::Message) -> Result<()> {
        let lists = [
            self.params,
            self.grads,
            self.exp_avgs,
            self.exp_avg_sqs,
            self.steps,
        ];
        let count = self.params.len();
        ensure!(
            lists.iter().all(|list| list.len() == count),
            "the lists of an AdamW step differ in length"
        );
        let lists = lists.map(pointers);
        let [params, grads, exp_avgs, exp_avg_sqs, steps] = lists.each_ref().map(Vec::as_ptr);
        check(call(&ffi::AdamWStep {
            params,
            grads,
            exp_avgs,
            exp_avg_sqs,
            steps,
            count,
            lr: self.lr.as_ptr(),
            found_inf: self.found_inf.as_ptr(),
            beta1: self.betas.0,
            beta2: self.betas.1,
            eps: self.eps,
            weight_decay: self.weight_decay,
        }))
    }
}

/// Runs torch's fused AdamW kernel.
///
/// # Errors
/// When libtorch refuses the tensors (unequal kinds, for example).
pub fn fused_adamw(step: &AdamWStep<'_>) -> Result<()> {
    // SAFETY: the lists are of one length, and their tensors live through the call.
    step.hand_over(|step| unsafe { ffi::lt_fused_adamw(step) })
}

/// The same of fp32 numbers in two halves, to the same numbers: `params` are bf16, and each has `remainders` (int16) beside
/// it, as [`split_float`] has them. The moments are fp32. No tensor is ever whole.
///
/// # Errors
/// When libtorch refuses the tensors.
pub fn split_adamw(step: &AdamWStep<'_>, remainders: &[Tensor]) -> Result<()> {
    ensure!(
        remainders.len() == step.params.len(),
        "{} remainders for {} weights",
        remainders.len(),
        step.params.len()
    );
    let Some(grad) = step.grads.first() else {
        return Ok(());
    };
    if !has_kernel(Operation::SplitAdamW, grad) {
        return one_by_one(step, remainders);
    }
    let remainders = pointers(remainders);
    // SAFETY: as above.
    step.hand_over(|step| unsafe { ffi::lt_split_adamw(step, remainders.as_ptr()) })
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
