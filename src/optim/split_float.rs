//! An fp32 number in two halves: the bf16 number that the model computes with, and 16 bits more for the updates.
//!
//! Weights in bf16 alone lose updates that are less than about 1/256 of them. Here they lose none: the two halves are the
//! fp32 number, bit by bit, in its four bytes, and training goes as with fp32 weights that are rounded for each pass.

use tch::{Kind, Tensor};

/// The fp32 numbers of which `rounded` (bf16) is the nearest and `remainder` (int16) the difference of the bit patterns.
#[must_use]
pub(super) fn join(rounded: &Tensor, remainder: &Tensor) -> Tensor {
    let high = rounded.view_dtype(Kind::Int16).to_kind(Kind::Int);
    let bits = high.bitwise_left_shift_tensor_scalar(16) + remainder.to_kind(Kind::Int);
    bits.view_dtype(Kind::Float)
}

/// Writes both halves of the fp32 numbers.
pub(super) fn split(whole: &Tensor, rounded: &Tensor, remainder: &Tensor) {
    tch::no_grad(|| {
        rounded.shallow_clone().copy_(whole); // to the nearest, as torch rounds
        let high = rounded.view_dtype(Kind::Int16).to_kind(Kind::Int);
        let low = whole.view_dtype(Kind::Int) - high.bitwise_left_shift_tensor_scalar(16);
        remainder.shallow_clone().copy_(&low);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn the_halves_are_the_number_bit_by_bit() {
        let special = [
            0.0_f32,
            -0.0,
            1.0,
            f32::MAX,
            f32::MIN_POSITIVE,
            f32::INFINITY,
            1.003_906_2,
            -1.001_953_1,
        ];
        let random = Tensor::randn([1 << 16], (Kind::Float, Device::Cpu)) * 3.0;
        let whole = Tensor::cat(&[Tensor::from_slice(&special), random], 0);
        let rounded = Tensor::zeros_like(&whole).to_kind(Kind::BFloat16);
        let remainder = Tensor::zeros_like(&whole).to_kind(Kind::Int16);
        split(&whole, &rounded, &remainder);
        assert!(rounded.equal(&whole.to_kind(Kind::BFloat16)));
        let bits = |tensor: &Tensor| tensor.view_dtype(Kind::Int);
        assert!(bits(&join(&rounded, &remainder)).equal(&bits(&whole)));
    }
}
