//! What the operations are tried on.

use super::super::{self as ops, Fp8Format, HeadCounts, Spans, composed};
use super::update::case_of_update;
use super::{Case, Placement};
use tch::{Device, Kind, Tensor};

/// Numbers between -2 and 2 that look random, other ones for each count, and the same in each run.
pub(super) fn random(size: &[i64], device: Device) -> Tensor {
    let count: i64 = size.iter().product();
    let places = Tensor::arange(count, (Kind::Double, device)) + (count * 7919 % 100_003) as f64;
    (((places * 12.9898).sin() * 43758.5453).frac() * 2.0).view(size)
}

/// What is tried where every path of a kernel is to be taken: odd and whole widths, one row, many.
#[must_use]
pub fn small(device: Device) -> Vec<Case> {
    let mut cases = Vec::new();
    for size in [&[1, 7][..], &[3, 5, 33], &[20, 64], &[2, 1032], &[300, 8]] {
        cases.push(add_rms_norm(size, device));
        cases.push(rms_norm(size, device));
    }
    for size in [&[1, 2][..], &[3, 5, 34], &[9, 256], &[2, 8400]] {
        cases.push(swiglu(size, device));
    }
    cases.push(gated_linear(&[3, 5, 34], 9, device));
    let heads = |queries, keys| HeadCounts { queries, keys };
    for tables_of in [1, 3] {
        cases.push(rotate([3, 1, 2], heads(1, 1), tables_of, device));
        cases.push(rotate([3, 5, 10], heads(6, 2), tables_of, device));
        cases.push(rotate([3, 4, 32], heads(4, 2), tables_of, device));
    }
    for [tokens, dim, vocab] in [[1, 3, 5], [9, 17, 31], [7, 8, 1001], [6, 8, 5000]] {
        cases.push(sum_log_probs([tokens, dim, vocab], device));
    }
    for size in [&[1][..], &[3, 37], &[64, 40]] {
        cases.push(to_fp8(size, Fp8Format::E4m3, device));
        cases.push(to_fp8(size, Fp8Format::E5m2, device));
    }
    cases.push(linear(7, 17, &[4, 9, 1], device));
    for size in [[2, 1, 5, 8], [1, 3, 70, 16], [3, 2, 129, 64]] {
        cases.push(causal_attention(size, heads(2, 1), device));
        cases.push(causal_attention(size, heads(2, 2), device));
    }
    for count in [1, 35, 4096, 70_008] {
        cases.push(case_of_update(count, device));
    }
    for lengths in [&[7][..], &[1, 64, 2, 130], &[33; 9]] {
        cases.push(packed_attention(lengths, 16, heads(4, 2), device));
        cases.push(packed_attention(lengths, 64, heads(3, 3), device));
    }
    cases
}

/// Shapes of one micro-batch of an 8B model: for their speed, and as large as they come.
#[must_use]
pub fn large(device: Device) -> Vec<Case> {
    let heads = HeadCounts {
        queries: 32,
        keys: 8,
    };
    vec![
        add_rms_norm(&[4096, 4096], device),
        swiglu(&[4096, 2 * 14336], device),
        rotate([2, 2048, 128], heads, 1, device),
        sum_log_probs([2048, 4096, 128_256], device),
        to_fp8(&[4096, 4096], Fp8Format::E4m3, device),
        to_fp8(&[4096, 4096], Fp8Format::E5m2, device),
        linear(4096, 4096, &[4096, 1024, 1024], device),
        case_of_update(4096 * 14_336, device),
        causal_attention([1, 1, 2048, 128], heads, device),
        packed_attention(&[256; 16], 128, heads, device),
    ]
}

pub(super) fn case(
    operation: &'static str,
    inputs: Vec<Tensor>,
    fused: impl Fn(&[Tensor]) -> Vec<Tensor> + 'static,
    exact: impl Fn(&[Tensor]) -> Vec<Tensor> + 'static,
) -> Case {
    let sizes: Vec<_> = inputs.iter().map(Tensor::size).collect();
    Case {
        operation,
        shape: format!("{sizes:?}"),
        inputs,
        fused: Box::new(fused),
        exact: Box::new(exact),
        limits: [1e-5, 1e-2],
        placements: &[Placement::Aligned, Placement::Shifted],
    }
}

fn add_rms_norm(size: &[i64], device: Device) -> Case {
    let width = size[size.len() - 1];
    let inputs = vec![
        random(size, device),
        random(size, device).flip([0]),
        random(&[width], device),
    ];
    let both = |normed: ops::Normed| vec![normed.normed, normed.sum];
    case(
        "add_rms_norm",
        inputs,
        move |i| both(ops::add_rms_norm(&i[0], Some(&i[1]), &i[2], 1e-5)),
        move |i| both(composed::add_rms_norm(&i[0], Some(&i[1]), &i[2], 1e-5)),
    )
}

fn rms_norm(size: &[i64], device: Device) -> Case {
    let width = size[size.len() - 1];
    case(
        "add_rms_norm",
        vec![random(size, device), random(&[width], device)],
        |i| vec![ops::add_rms_norm(&i[0], None, &i[1], 1e-5).normed],
        |i| vec![composed::add_rms_norm(&i[0], None, &i[1], 1e-5).normed],
    )
}

fn swiglu(size: &[i64], device: Device) -> Case {
    case(
        "swiglu",
        vec![random(size, device) * 3.0],
        |i| vec![ops::swiglu(&i[0])],
        |i| vec![composed::swiglu(&i[0])],
    )
}

fn gated_linear(size: &[i64], out: i64, device: Device) -> Case {
    let width = size[size.len() - 1] / 2;
    case(
        "swiglu",
        vec![random(size, device), random(&[out, width], device)],
        |i| vec![ops::gated_linear(&i[0], &i[1])],
        |i| vec![composed::linear(&composed::swiglu(&i[0]), &i[1..])],
    )
}

/// `[B, S, P]`; tables for all rows alike (1), or for each row its own (B).
fn rotate(
    [rows, seq_len, size]: [i64; 3],
    heads: HeadCounts,
    tables_of: i64,
    device: Device,
) -> Case {
    let width = (heads.queries + 2 * heads.keys) * size;
    let angles = random(&[tables_of * seq_len, size / 2], device);
    let tables = move |kind| (angles.cos().to_kind(kind), angles.sin().to_kind(kind));
    let (of_fused, of_exact) = (tables(Kind::Float), tables(Kind::Double));
    case(
        "rotate",
        vec![random(&[rows, seq_len, width], device)],
        // A projection of its own, as it is taken over.
        move |i| ops::rotate(&i[0] * 1.0, (&of_fused.0, &of_fused.1), heads).into(),
        move |i| composed::rotate(&i[0], (&of_exact.0, &of_exact.1), heads).into(),
    )
}

/// `[N, D, V]`; every fourth target is ignored.
fn sum_log_probs([tokens, dim, vocab]: [i64; 3], device: Device) -> Case {
    let targets = (Tensor::arange(tokens, (Kind::Int64, device)) * 7 + 3).remainder(vocab);
    let _ = targets.slice(0, 1, tokens, 4).fill_(-100);
    let weight = random(&[vocab, dim], device) / (dim as f64).sqrt();
    let case = case(
        "sum_log_probs",
        vec![random(&[tokens, dim], device), weight, targets],
        |i| vec![ops::sum_log_probs(&i[0], &i[1], &i[2])],
        |i| vec![composed::sum_log_probs(&i[0], &i[1], &i[2])],
    );
    Case {
        limits: [1e-5, 4e-2], // logits in bf16 are exponents
        ..case
    }
}

/// Bit for bit: its exact form is the composed one in fp32, which both kinds fit in.
fn to_fp8(size: &[i64], format: Fp8Format, device: Device) -> Case {
    let worth = |fp8: ops::Fp8| vec![fp8.values.to_kind(Kind::Double) * fp8.inverse_scale];
    let case = case(
        "to_fp8",
        vec![random(size, device).pow_tensor_scalar(9)], // from the largest to below the smallest
        move |i| worth(tch::no_grad(|| ops::to_fp8(&i[0], format))),
        move |i| {
            worth(tch::no_grad(|| {
                composed::to_fp8(&i[0].to_kind(Kind::Float), format)
            }))
        },
    );
    Case {
        limits: [0.0, 0.0],
        ..case
    }
}

fn linear(rows: i64, width: i64, outs: &[i64], device: Device) -> Case {
    let mut inputs = vec![random(&[rows, 2, width], device)];
    let scale = (width as f64).sqrt();
    inputs.extend(
        outs.iter()
            .map(|out| random(&[*out, width], device) / scale),
    );
    case(
        "linear",
        inputs,
        |i| vec![ops::linear(&i[0], &i[1..])],
        |i| vec![composed::linear(&i[0], &i[1..])],
    )
}

/// Queries, keys and values `[B, heads, S, P]`, of as many heads as `counts` times the second number.
fn heads_of(
    [rows, times, seq_len, size]: [i64; 4],
    counts: HeadCounts,
    device: Device,
) -> Vec<Tensor> {
    let HeadCounts { queries, keys } = counts;
    let heads = |count: i64| random(&[rows, times * count, seq_len, size], device);
    // A softmax that is not settled by one of its numbers.
    vec![heads(queries) * 0.2, heads(keys), heads(keys).flip([2])]
}

fn causal_attention(size: [i64; 4], counts: HeadCounts, device: Device) -> Case {
    let case = case(
        "causal_attention",
        heads_of(size, counts, device),
        |i| vec![ops::causal_attention(&i[0], &i[1], &i[2])],
        |i| vec![composed::causal_attention(&i[0], &i[1], &i[2])],
    );
    of_attention(case)
}

fn packed_attention(lengths: &[i64], head_size: i64, counts: HeadCounts, device: Device) -> Case {
    let size = [1, 1, lengths.iter().sum(), head_size];
    let (of_fused, of_exact) = (Spans::new(lengths, device), Spans::new(lengths, device));
    let case = case(
        "packed_attention",
        heads_of(size, counts, device),
        move |i| vec![ops::packed_attention(&i[0], &i[1], &i[2], &of_fused)],
        move |i| vec![composed::packed_attention(&i[0], &i[1], &i[2], &of_exact)],
    );
    of_attention(case)
}

/// In bf16 the probabilities are rounded as well; heads are where a projection puts them, at a multiple of 16 bytes.
fn of_attention(case: Case) -> Case {
    Case {
        limits: [1e-5, 3e-2],
        placements: &[Placement::Aligned],
        ..case
    }
}
