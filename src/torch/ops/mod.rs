//! Operations that one kernel does where torch needs several, forward and backward. The kernels are for fp32 and bf16;
//! elsewhere, and where [`super::kernels`] is told so, the [`composed`] form is computed, against which they are checked.
//!
//! Like tch's own methods, these panic where libtorch refuses.

mod attention;
pub mod checks;
pub mod composed;
mod fp8;

pub use attention::{Spans, causal_attention, packed_attention};
pub use fp8::{Fp8, Fp8Format, linear_fp8, to_fp8};

use super::kernels::{Operation, has_kernel};
use super::{check, ffi, pointers};
use std::ptr;
use tch::Tensor;
use torch_sys::C_tensor;

/// What a call of `native/` gives.
fn filled<const N: usize>(
    call: impl FnOnce(*mut *mut C_tensor) -> ffi::Message,
) -> [Option<Tensor>; N] {
    let mut out = [ptr::null_mut(); N];
    if let Err(error) = check(call(out.as_mut_ptr())) {
        panic!("{error}");
    }
    // SAFETY: each is null or a new tensor that the call left to us.
    out.map(|tensor| (!tensor.is_null()).then(|| unsafe { Tensor::from_ptr(tensor) }))
}

fn one(call: impl FnOnce(*mut *mut C_tensor) -> ffi::Message) -> Tensor {
    let [tensor] = filled(call);
    tensor.unwrap_or_else(Tensor::new)
}

/// `x Wᵀ` for several matrices `[outᵢ, in]`, side by side: `[.., in]` to `[.., Σ outᵢ]`. One product, without a copy
/// where [`make_adjacent`] has put the matrices one after another. All are of one kind.
pub fn linear(x: &Tensor, weights: &[Tensor]) -> Tensor {
    if !has_kernel(Operation::Linear, x) {
        return composed::linear(x, weights);
    }
    let weights = pointers(weights);
    // SAFETY: all pointers come from tensors that live through the call.
    one(|out| unsafe { ffi::lt_linear(x.as_ptr(), weights.as_ptr(), weights.len(), out) })
}

/// A low-rank adapter (Hu et al. 2021) of a frozen matrix `[out, in]`.
#[derive(Debug)]
pub struct LowRank {
    /// A: `[rank, in]`.
    pub a: Tensor,
    /// B: `[out, rank]`.
    pub b: Tensor,
}

/// What adapters do to what they read and give.
#[derive(Debug, Clone, Copy)]
pub struct Adaption {
    /// Factor on `B A x`.
    pub scale: f64,
    /// The part of `x` that A does not see, another one for each adapter; 0 outside training.
    pub dropout: f64,
}

/// [`linear`] of frozen matrices, to which those with an adapter add `scale · B A dropout(x)`. All are of one kind.
pub fn adapted_linear(
    x: &Tensor,
    weights: &[Tensor],
    adapters: &[Option<LowRank>],
    adaption: Adaption,
) -> Tensor {
    let drops_on_gpu = adaption.dropout > 0.0 && x.device().is_cuda();
    if drops_on_gpu || !has_kernel(Operation::Linear, x) {
        return composed::adapted_linear(x, weights, adapters, adaption);
    }
    let list = |tensors: &mut dyn Iterator<Item = Option<&Tensor>>| -> Vec<_> {
        let pointer = |tensor: Option<&Tensor>| {
            tensor.map_or(ptr::null_mut(), |tensor| tensor.as_ptr().cast_mut())
        };
        tensors.map(pointer).collect()
    };
    let matrices = list(&mut weights.iter().map(Some));
    let a = list(
        &mut adapters
            .iter()
            .map(|adapter| adapter.as_ref().map(|low| &low.a)),
    );
    let b = list(
        &mut adapters
            .iter()
            .map(|adapter| adapter.as_ref().map(|low| &low.b)),
    );
    let count = matrices.len().min(a.len());
    let Adaption { scale, dropout } = adaption;
    // SAFETY: all pointers but null ones come from tensors that live through the call; the lists have `count` of them.
    one(|out| unsafe {
        ffi::lt_adapted_linear(
            x.as_ptr(),
            matrices.as_ptr(),
            a.as_ptr(),
            b.as_ptr(),
            count,
            scale,
            dropout,
            out,
        )
    })
}

/// Moves matrices of the same width to places one after another in memory.
pub fn make_adjacent(weights: &[&Tensor]) {
    let weights: Vec<_> = weights.iter().map(|w| w.as_ptr().cast_mut()).collect();
    // SAFETY: all pointers come from tensors that live through the call.
    let [] = filled(|_| unsafe { ffi::lt_make_adjacent(weights.as_ptr(), weights.len()) });
}

/// What [`add_rms_norm`] gives.
#[derive(Debug)]
pub struct Normed {
    /// `w · h / √(mean(h²) + ε)`.
    pub normed: Tensor,
    /// `h`: what was normalised.
    pub sum: Tensor,
}

/// RMSNorm (Zhang & Sennrich 2019) of `h = x + branch`, or of `x` alone, over the last dimension: `[.., D]`, weight `[D]`.
/// Sums are fp32; the result is of the kind of `x`.
#[must_use]
pub fn add_rms_norm(x: &Tensor, branch: Option<&Tensor>, weight: &Tensor, eps: f64) -> Normed {
    if !has_kernel(Operation::AddRmsNorm, x) {
        return composed::add_rms_norm(x, branch, weight, eps);
    }
    let added = branch.map_or(ptr::null(), Tensor::as_ptr);
    // SAFETY: all pointers but a null one come from tensors that live through the call; `out` has two places.
    let [normed, sum] = filled(|out| unsafe {
        ffi::lt_add_rms_norm(x.as_ptr(), added, weight.as_ptr(), eps, out, out.add(1))
    });
    Normed {
        normed: normed.unwrap_or_else(Tensor::new),
        sum: sum.unwrap_or_else(|| x.shallow_clone()),
    }
}

/// `silu(g) ⊙ u` (Shazeer 2020) of gates and values side by side: `[.., 2F]` to `[.., F]`.
pub fn swiglu(gates_and_values: &Tensor) -> Tensor {
    if !has_kernel(Operation::Swiglu, gates_and_values) {
        return composed::swiglu(gates_and_values);
    }
    // SAFETY: the pointer comes from a tensor that lives through the call.
    one(|out| unsafe { ffi::lt_swiglu(gates_and_values.as_ptr(), out) })
}

/// [`swiglu`], and its product with a matrix `[out, F]`: `[.., 2F]` to `[.., out]`. What is between them is not kept for
/// backward.
pub fn gated_linear(gates_and_values: &Tensor, weight: &Tensor) -> Tensor {
    if !has_kernel(Operation::Swiglu, gates_and_values) {
        return composed::linear(&swiglu(gates_and_values), std::slice::from_ref(weight));
    }
    // SAFETY: both pointers come from tensors that live through the call.
    one(|out| unsafe { ffi::lt_gated_linear(gates_and_values.as_ptr(), weight.as_ptr(), out) })
}

/// How the columns of a projection are heads: queries, then keys, then as many values.
#[derive(Debug, Clone, Copy)]
pub struct HeadCounts {
    /// Query heads, H.
    pub queries: i64,
    /// Key heads, and value heads: K.
    pub keys: i64,
}

/// Queries `[B, H, S, P]`, keys and values `[B, K, S, P]`.
pub type HeadTensors = [Tensor; 3];

/// Splits a projection `[B, S, (H + 2K)·P]` into heads, its queries and keys turned by tables of cosines and sines
/// (fp32, `[S, P/2]` or `[B·S, P/2]`): component `j` of a head together with component `j + P/2`. The projection is taken
/// over: the heads are parts of it.
pub fn rotate(projected: Tensor, (cos, sin): (&Tensor, &Tensor), heads: HeadCounts) -> HeadTensors {
    if !has_kernel(Operation::Rotate, &projected) {
        return composed::rotate(&projected, (cos, sin), heads);
    }
    // SAFETY: all pointers come from tensors that live through the call; `out` has three places. The projection is
    // changed in place, which its producers allow: neither a product nor a sum reads its result again.
    filled(|out| unsafe {
        ffi::lt_rotate(
            projected.as_ptr(),
            cos.as_ptr(),
            sin.as_ptr(),
            heads.queries,
            heads.keys,
            out,
        )
    })
    .map(|part| part.unwrap_or_else(Tensor::new))
}

/// `Σ log p(target)` of hidden states `[N, D]` under the softmax of their products with `weight` `[V, D]`; targets `[N]`,
/// int64, below 0 where there is none. A scalar, fp32; no more than a chunk's logits are ever held.
pub fn sum_log_probs(hidden: &Tensor, weight: &Tensor, targets: &Tensor) -> Tensor {
    if !has_kernel(Operation::SumLogProbs, hidden) {
        return composed::sum_log_probs(hidden, weight, targets);
    }
    // SAFETY: all pointers come from tensors that live through the call.
    one(|out| unsafe {
        ffi::lt_sum_log_probs(hidden.as_ptr(), weight.as_ptr(), targets.as_ptr(), out)
    })
}
