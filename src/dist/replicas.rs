//! Whether every rank has the same weights, bit by bit.

use super::ProcessGroup;
use anyhow::{Result, bail};
use tch::{Kind, Tensor};

/// Elements summed at once: what the check needs of memory, times 24 bytes.
const CHUNK: i64 = 1 << 22;

/// Compares a checksum of every tensor over the ranks.
///
/// # Errors
/// Names the first tensor that differs and the ranks where it does; the same error on every rank.
pub fn check_replicas(
    group: &dyn ProcessGroup,
    names: &[String],
    tensors: &[Tensor],
) -> Result<()> {
    if group.world_size() == 1 {
        return Ok(());
    }
    let sums: Vec<Tensor> = tensors.iter().map(checksum).collect();
    let of_all = group.all_gather(&Tensor::stack(&sums, 0).to_device(tch::Device::Cpu))?; // [ranks, tensors]
    let differs = of_all.not_equal_tensor(&of_all.get(0));
    let tensors_that_differ = indices(&differs.any_dim(0, false));
    let Some(&first) = tensors_that_differ.first() else {
        return Ok(());
    };
    bail!(
        "the ranks' weights differ: {} of {} tensors, first `{}`, on rank(s) {:?}; a machine or its memory is at fault, or \
         an operation that gives another result each time (run.deterministic = true finds those). Start again with \
         --resume latest: the checkpoints are rank 0's",
        tensors_that_differ.len(),
        names.len(),
        names[first],
        indices(&differs.select(1, first as i64))
    )
}

/// The sum of the bit patterns, each times an odd number that its position gives, modulo 2^64: an int64 scalar.
fn checksum(tensor: &Tensor) -> Tensor {
    let _no_grad = tch::no_grad_guard();
    let bits = match tensor.kind() {
        Kind::Float => Kind::Int,
        Kind::Double => Kind::Int64,
        Kind::BFloat16 | Kind::Half => Kind::Int16,
        kind => kind,
    };
    let flat = tensor.contiguous().view(-1).view_dtype(bits);
    let mut total = Tensor::zeros([], (Kind::Int64, tensor.device()));
    for (index, chunk) in flat.split(CHUNK, 0).iter().enumerate() {
        let first = index as i64 * CHUNK;
        let positions = Tensor::arange_start(
            first,
            first + chunk.numel() as i64,
            (Kind::Int64, tensor.device()),
        );
        total += (chunk.to_kind(Kind::Int64) * (positions * 2 + 1)).sum(Kind::Int64);
    }
    total
}

fn indices(mask: &Tensor) -> Vec<usize> {
    let flags = Vec::<bool>::try_from(mask).unwrap_or_default();
    let set = flags.iter().enumerate().filter(|(_, set)| **set);
    set.map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_and_an_exchange_change_the_checksum() {
        let of = |values: &[f32]| checksum(&Tensor::from_slice(values)).int64_value(&[]);
        let values = [1.0, 2.0, -0.0, 4.0];
        assert_eq!(of(&values), of(&values));
        assert_ne!(of(&values), of(&[1.0, 2.0, 0.0, 4.0]));
        assert_ne!(of(&values), of(&[2.0, 1.0, -0.0, 4.0]));
        assert_ne!(of(&values), of(&[1.0, 2.0, -0.0, 4.000_000_5]));
        let bits = |value: f32| i64::from(value.to_bits().cast_signed());
        assert_eq!(
            of(&[1.5, -2.0]),
            bits(1.5).wrapping_add(bits(-2.0).wrapping_mul(3))
        );
    }

    #[test]
    fn chunks_are_one_sum() {
        let long = Tensor::arange(2 * CHUNK + 3, (Kind::Float, tch::Device::Cpu));
        let bits = Vec::<f32>::try_from(&long).unwrap();
        let expected = bits.iter().enumerate().fold(0_i64, |sum, (index, value)| {
            let bits = i64::from(value.to_bits().cast_signed());
            sum.wrapping_add(bits.wrapping_mul(2 * index as i64 + 1))
        });
        assert_eq!(checksum(&long).int64_value(&[]), expected);
    }
}
