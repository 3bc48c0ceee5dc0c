//! The same operations by torch's own, one after another: any kind, any device, and what the kernels are held against.

use super::{Adaption, Fp8, Fp8Format, HeadCounts, HeadTensors, LowRank, Normed, Spans};
use tch::{Kind, Reduction, Tensor};

/// See [`super::linear`].
pub fn linear(x: &Tensor, weights: &[Tensor]) -> Tensor {
    match weights {
        [weight] => x.linear::<Tensor>(weight, None),
        _ => x.linear::<Tensor>(&Tensor::cat(weights, 0), None),
    }
}

/// See [`super::adapted_linear`].
pub fn adapted_linear(
    x: &Tensor,
    weights: &[Tensor],
    adapters: &[Option<LowRank>],
    Adaption { scale, dropout }: Adaption,
) -> Tensor {
    let added = |(weight, adapter): (&Tensor, &Option<LowRank>)| match adapter {
        Some(LowRank { a, b }) => {
            let read = x.dropout(dropout, dropout > 0.0);
            read.linear::<Tensor>(a, None).linear::<Tensor>(b, None) * scale
        }
        None => {
            let mut size = x.size();
            size.pop();
            size.push(weight.size()[0]);
            Tensor::zeros(size, (x.kind(), x.device()))
        }
    };
    let added: Vec<_> = weights.iter().zip(adapters).map(added).collect();
    linear(x, weights) + Tensor::cat(&added, -1)
}

/// See [`super::add_rms_norm`].
#[must_use]
pub fn add_rms_norm(x: &Tensor, branch: Option<&Tensor>, weight: &Tensor, eps: f64) -> Normed {
    let sum = branch.map_or_else(|| x.shallow_clone(), |branch| x + branch);
    let normed = sum.rms_norm(weight.size(), Some(weight.to_kind(x.kind())), eps);
    Normed { normed, sum }
}

/// See [`super::swiglu`].
pub fn swiglu(gates_and_values: &Tensor) -> Tensor {
    let halves = gates_and_values.chunk(2, -1);
    halves[0].silu() * &halves[1]
}

/// See [`super::rotate`].
pub fn rotate(
    projected: &Tensor,
    (cos, sin): (&Tensor, &Tensor),
    heads: HeadCounts,
) -> HeadTensors {
    let HeadCounts { queries, keys } = heads;
    let (rows, seq_len) = (projected.size()[0], projected.size()[1]);
    let all = projected
        .view([rows, seq_len, queries + 2 * keys, -1])
        .transpose(1, 2); // [B, H + 2K, S, P]
    let parts = all.split_with_sizes([queries, keys, keys], 1);
    let half = projected.size()[2] / (queries + 2 * keys) / 2;
    let table = |table: &Tensor| table.view([-1, 1, seq_len, half]); // [B or 1, 1, S, P/2]
    let (cos, sin) = (table(cos), table(sin));
    let turned = |heads: &Tensor| {
        let kind = match heads.kind() {
            Kind::Double => Kind::Double,
            _ => Kind::Float,
        };
        let halves = heads.to_kind(kind).chunk(2, -1); // 2 × [B, heads, S, P/2]
        let (a, b) = (&halves[0], &halves[1]);
        let turned = [a * &cos - b * &sin, b * &cos + a * &sin];
        Tensor::cat(&turned, -1).to_kind(heads.kind())
    };
    [
        turned(&parts[0]),
        turned(&parts[1]),
        parts[2].shallow_clone(),
    ]
}

/// See [`super::causal_attention`]: which kernels, torch chooses.
pub fn causal_attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
    let grouped = q.size()[1] != k.size()[1];
    Tensor::scaled_dot_product_attention::<Tensor>(q, k, v, None, 0.0, true, None, grouped)
}

/// See [`super::packed_attention`]: one document after another.
pub fn packed_attention(q: &Tensor, k: &Tensor, v: &Tensor, spans: &Spans) -> Tensor {
    let [q, k, v] = [q, k, v].map(|heads| heads.split_with_sizes(&spans.lengths, 2));
    let documents = q.iter().zip(&k).zip(&v);
    let attended = documents.map(|((q, k), v)| causal_attention(q, k, v));
    Tensor::cat(&attended.collect::<Vec<_>>(), 2)
}

/// See [`super::sum_log_probs`].
pub fn sum_log_probs(hidden: &Tensor, weight: &Tensor, targets: &Tensor) -> Tensor {
    let logits = hidden.linear::<Tensor>(weight, None); // [N, V]
    let kind = match logits.kind() {
        Kind::Double => Kind::Double,
        _ => Kind::Float,
    };
    let logits = logits.to_kind(kind);
    -logits.cross_entropy_loss::<Tensor>(targets, None, Reduction::Sum, -100, 0.0)
}

/// See [`super::to_fp8`].
pub fn to_fp8(x: &Tensor, format: Fp8Format) -> Fp8 {
    let (most, kind) = match format {
        Fp8Format::E4m3 => (448.0, Kind::Float8e4m3fn),
        Fp8Format::E5m2 => (57_344.0, Kind::Float8e5m2),
    };
    let amax = x.abs().max().to_kind(Kind::Float).clamp_min(1e-12).view(1);
    let largest = amax.full_like(most); // a tensor: by a number torch may multiply with its reciprocal
    let scaled = x.to_kind(Kind::Float) * (&largest / &amax);
    Fp8 {
        values: scaled.clamp(-most, most).to_kind(kind),
        inverse_scale: amax / largest,
    }
}
