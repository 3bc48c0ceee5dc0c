//! Attention (Vaswani et al. 2017) of tokens to those before them; grouped queries (Ainslie et al. 2023) where there are
//! fewer key heads than query heads.

use super::{composed, one};
use crate::torch::ffi;
use crate::torch::kernels::{Operation, has_kernel};
use tch::{Device, Kind, Tensor};

/// Documents one after another.
#[derive(Debug)]
pub struct Spans {
    /// Tokens of each in turn.
    pub lengths: Vec<i64>,
    /// Where each begins, and where the last one ends: int32, on the device.
    starts: Tensor,
}

impl Spans {
    /// Of documents of these lengths, whose tokens are on the device.
    #[must_use]
    pub fn new(lengths: &[i64], device: Device) -> Self {
        let mut end = 0;
        let ends = lengths.iter().map(|length| {
            end += length;
            end as i32
        });
        let starts: Vec<i32> = std::iter::once(0).chain(ends).collect();
        let starts = Tensor::from_slice(&starts);
        Self {
            lengths: lengths.to_vec(),
            starts: starts.to_device_(device, Kind::Int, true, false), // a GPU is not waited for
        }
    }

    /// Another handle on the same.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            lengths: self.lengths.clone(),
            starts: self.starts.shallow_clone(),
        }
    }

    fn longest(&self) -> i64 {
        self.lengths.iter().copied().max().unwrap_or(0)
    }
}

/// Of each token to those before it in its row, and itself: queries `[B, H, S, P]`, keys and values `[B, K, S, P]`, to
/// `[B, H, S, P]`.
pub fn causal_attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
    if !has_kernel(Operation::CausalAttention, q) {
        return composed::causal_attention(q, k, v);
    }
    // SAFETY: all pointers come from tensors that live through the call.
    one(|out| unsafe { ffi::lt_causal_attention(q.as_ptr(), k.as_ptr(), v.as_ptr(), out) })
}

/// Of each token to those before it in its document, and itself: `[1, H, T, P]`, `[1, K, T, P]` twice, to `[1, H, T, P]`.
pub fn packed_attention(q: &Tensor, k: &Tensor, v: &Tensor, spans: &Spans) -> Tensor {
    let head_size = q.size()[3];
    let fits = q.kind() == Kind::BFloat16 && head_size % 8 == 0 && head_size <= 256; // FlashAttention's own limits
    if !fits || !has_kernel(Operation::PackedAttention, q) {
        return composed::packed_attention(q, k, v, spans);
    }
    // SAFETY: all pointers come from tensors that live through the call.
    one(|out| unsafe {
        let (q, k, v) = (q.as_ptr(), k.as_ptr(), v.as_ptr());
        ffi::lt_packed_attention(q, k, v, spans.starts.as_ptr(), spans.longest(), out)
    })
}
