//! Products of 8-bit numbers. Unlike the other operations these are no other way to the same numbers: each factor keeps two
//! or three bits after the first.

use super::super::kernels::{Operation, has_kernel};
use super::super::pointers;
use super::{ffi, filled, one};
use tch::Tensor;

/// Of 8 bits, after the sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fp8Format {
    /// 4 of exponent, 3 of mantissa: for weights and activations.
    E4m3,
    /// 5 and 2: for gradients.
    E5m2,
}

/// What [`to_fp8`] gives.
#[derive(Debug)]
pub struct Fp8 {
    /// In the format asked for.
    pub values: Tensor,
    /// What they are to be multiplied by: fp32, of one element.
    pub inverse_scale: Tensor,
}

/// A tensor in fp8 with one scale, by which its largest magnitude becomes the largest there is (tensorwise current
/// scaling, Micikevicius et al. 2022).
#[must_use]
pub fn to_fp8(x: &Tensor, format: Fp8Format) -> Fp8 {
    let wide = format == Fp8Format::E5m2;
    let by_kernels = has_kernel(Operation::ToFp8, x);
    // SAFETY: the pointer comes from a tensor that lives through the call; `out` has two places.
    let parts = filled(|out| unsafe { ffi::lt_to_fp8(x.as_ptr(), wide, by_kernels, out) });
    let [values, inverse_scale] = parts.map(|part| part.unwrap_or_else(Tensor::new));
    Fp8 {
        values,
        inverse_scale,
    }
}

/// [`super::linear`] with factors in fp8 and sums in fp32, forward and backward: x and W in e4m3, the gradient in e5m2. All
/// sizes of the matrices are multiples of 16.
pub fn linear_fp8(x: &Tensor, weights: &[Tensor]) -> Tensor {
    let by_kernels = has_kernel(Operation::ToFp8, x);
    let weights = pointers(weights);
    // SAFETY: all pointers come from tensors that live through the call.
    one(|out| unsafe {
        ffi::lt_linear_fp8(x.as_ptr(), weights.as_ptr(), weights.len(), by_kernels, out)
    })
}
