//! An fp32 number in two halves: the bf16 number that the model computes with, and 16 bits more for the updates.
//!
//! Weights in bf16 alone lose updates that are less than about 1/256 of them. Here they lose none: the two halves are the
//! fp32 number, bit by bit, in its four bytes, and training goes as with fp32 weights that are rounded for each pass.

use tch::{Kind, Tensor};

/// The fp32 numbers of which `rounded` (bf16) is the nearest and `remainder` (int16) the difference of the bit patterns.
pub(in crate::torch) fn join(rounded: &Tensor, remainder: &Tensor) -> Tensor {
    let bits = high_bits(&rounded.view_dtype(Kind::Int16)) + remainder.to_kind(Kind::Int);
    bits.view_dtype(Kind::Float)
}

/// Writes both halves of the fp32 numbers. Halfway between two bf16 numbers the one further from zero is taken, not the even
/// one: so the difference has 65,536 values and not one more.
pub(in crate::torch) fn split(whole: &Tensor, rounded: &Tensor, remainder: &Tensor) {
    tch::no_grad(|| {
        let bits = whole.view_dtype(Kind::Int);
        let high = (&bits + 0x8000).bitwise_right_shift_tensor_scalar(16);
        let high = high.to_kind(Kind::Int16);
        rounded
            .shallow_clone()
            .copy_(&high.view_dtype(Kind::BFloat16));
        remainder.shallow_clone().copy_(&(bits - high_bits(&high)));
    });
}

/// The 16 bits as the upper half of 32.
fn high_bits(half: &Tensor) -> Tensor {
    let half = half.to_kind(Kind::Int);
    half.bitwise_left_shift_tensor_scalar(16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn halves(whole: &Tensor) -> (Tensor, Tensor) {
        let [rounded, remainder] =
            [Kind::BFloat16, Kind::Int16].map(|kind| whole.zeros_like().to_kind(kind));
        split(whole, &rounded, &remainder);
        (rounded, remainder)
    }

    #[test]
    fn the_halves_are_the_number_bit_by_bit() {
        let special = [
            0.0_f32,
            -0.0,
            1.0,
            f32::MAX,
            f32::MIN_POSITIVE,
            f32::INFINITY,
        ];
        let halfway = [
            1.0 + 0.5_f32.powi(8),
            -1.0 - 0.5_f32.powi(8),
            1.0 + 3.0 * 0.5_f32.powi(8),
        ];
        let random = Tensor::randn([1 << 16], (Kind::Float, Device::Cpu)) * 3.0;
        let given = [
            Tensor::from_slice(&special),
            Tensor::from_slice(&halfway),
            random,
        ];
        let whole = Tensor::cat(&given, 0);
        let (rounded, remainder) = halves(&whole);
        let bits = |tensor: &Tensor| tensor.view_dtype(Kind::Int);
        assert!(bits(&join(&rounded, &remainder)).equal(&bits(&whole)));
    }

    #[test]
    fn the_first_half_is_the_number_rounded() {
        let random = Tensor::randn([1 << 12], (Kind::Float, Device::Cpu));
        let halfway = random.view_dtype(Kind::Int).remainder(0x1_0000).eq(0x8000);
        let (rounded, _) = halves(&random);
        let differs = rounded.ne_tensor(&random.to_kind(Kind::BFloat16));
        assert_eq!(
            differs
                .logical_and(&halfway.logical_not())
                .sum(Kind::Int64)
                .int64_value(&[]),
            0
        );
    }
}
