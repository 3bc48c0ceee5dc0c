//! Every kernel against the composed form in f64: values and gradients, odd shapes, one row, non-contiguous input, bf16,
//! one thread and two.

use crate::common::{column, llama_train, metrics, stderr_of, stream_run};
use llama_train::torch::ops::{self, Adaption, HeadCounts, LowRank, composed};
use tch::{Device, Kind, Tensor};

/// What an operation makes of its inputs.
type Operation<'a> = dyn Fn(&[Tensor]) -> Vec<Tensor> + 'a;

/// What gives the sum of matrices' and adapters' products.
type Adapting<'a> = dyn Fn(&Tensor, &[Tensor], &[Option<LowRank>]) -> Tensor + 'a;

/// Numbers between -2 and 2 that look random, other ones for each count, and the same in each run.
fn random(size: &[i64]) -> Tensor {
    let count: i64 = size.iter().product();
    let places = Tensor::arange(count, (Kind::Double, Device::Cpu)) + (count * 7919) as f64;
    (((places * 12.9898).sin() * 43758.5453).frac() * 2.0).view(size)
}

/// Ids below `count`, the same in each run.
fn ids(length: i64, count: i64) -> Tensor {
    (Tensor::arange(length, (Kind::Int64, Device::Cpu)) * 7 + 3).remainder(count)
}

/// Leaves of a kind with the values of `inputs`.
fn leaves(inputs: &[Tensor], kind: Kind) -> Vec<Tensor> {
    inputs
        .iter()
        .map(|input| match input.kind() {
            Kind::Int64 => input.shallow_clone(),
            _ => input.detach().to_kind(kind).set_requires_grad(true),
        })
        .collect()
}

/// Outputs, and the gradients of a fixed mixture of them.
fn run(operation: &Operation<'_>, inputs: &[Tensor], kind: Kind) -> Vec<Tensor> {
    let inputs = leaves(inputs, kind);
    let outputs = operation(&inputs);
    let mixed = outputs.iter().map(|output| {
        let weights = Tensor::linspace(
            -1.0,
            1.5,
            output.numel() as i64,
            (Kind::Double, Device::Cpu),
        );
        (output.to_kind(Kind::Double) * weights.view_as(output)).sum(Kind::Double)
    });
    mixed.reduce(|a, b| a + b).unwrap().backward();
    let gradients = inputs.iter().filter(|input| input.requires_grad());
    let gradients: Vec<_> = gradients.map(Tensor::grad).collect();
    outputs.into_iter().chain(gradients).collect()
}

/// The largest difference over the largest value, of each output and gradient.
fn differences(fused: &[Tensor], exact: &[Tensor]) -> Vec<f64> {
    assert_eq!(fused.len(), exact.len());
    let difference = |(fused, exact): (&Tensor, &Tensor)| {
        assert_eq!(fused.size(), exact.size());
        let difference = (fused.to_kind(Kind::Double) - exact).abs().max();
        (difference / exact.abs().max().clamp_min(1e-30)).double_value(&[])
    };
    fused.iter().zip(exact).map(difference).collect()
}

fn agree(name: &str, fused: &Operation<'_>, exact: &Operation<'_>, inputs: &[Tensor]) {
    let expected = run(exact, inputs, Kind::Double);
    for threads in [1, 2] {
        tch::set_num_threads(threads);
        for (kind, tolerance) in [(Kind::Float, 1e-5), (Kind::BFloat16, 4e-2)] {
            let found = differences(&run(fused, inputs, kind), &expected);
            assert!(
                found.iter().all(|difference| *difference < tolerance),
                "{name}, {kind:?}, {threads} threads, {:?}: {found:?}",
                inputs.iter().map(Tensor::size).collect::<Vec<_>>()
            );
        }
    }
}

/// The same values, every second column of a wider tensor.
fn strided(input: &Tensor) -> Tensor {
    Tensor::stack(&[input, input], -1)
        .flatten(-2, -1)
        .slice(-1, 0, None, 2)
}

#[test]
fn linear() {
    for (rows, width, outs) in [
        (1, 3, vec![5]),
        (7, 17, vec![4, 9, 1]),
        (64, 96, vec![32, 32]),
    ] {
        let mut inputs = vec![random(&[rows, 2, width])];
        inputs.extend(outs.iter().map(|out| random(&[*out, width])));
        let fused = |inputs: &[Tensor]| vec![ops::linear(&inputs[0], &inputs[1..])];
        let exact = |inputs: &[Tensor]| vec![composed::linear(&inputs[0], &inputs[1..])];
        agree("linear", &fused, &exact, &inputs);
        let strided_input =
            |inputs: &[Tensor]| vec![ops::linear(&strided(&inputs[0]), &inputs[1..])];
        agree("linear, strided", &strided_input, &exact, &inputs);
        let adjacent = |inputs: &[Tensor]| {
            ops::make_adjacent(&inputs[1..].iter().collect::<Vec<_>>());
            vec![ops::linear(&inputs[0], &inputs[1..])]
        };
        agree("linear, adjacent", &adjacent, &exact, &inputs);
    }
}

/// A frozen matrix gets no gradient, the others theirs.
#[test]
fn linear_of_frozen_matrices() {
    let inputs = [random(&[5, 6]), random(&[3, 6]), random(&[4, 6])];
    let frozen = |inputs: &[Tensor]| {
        vec![
            inputs[0].shallow_clone(),
            inputs[1].detach(),
            inputs[2].shallow_clone(),
        ]
    };
    let fused = |inputs: &[Tensor]| {
        let [x, weights @ ..] = &frozen(inputs)[..] else {
            unreachable!()
        };
        vec![ops::linear(x, weights), inputs[1].sum(None)]
    };
    let exact = |inputs: &[Tensor]| {
        let [x, weights @ ..] = &frozen(inputs)[..] else {
            unreachable!()
        };
        vec![composed::linear(x, weights), inputs[1].sum(None)]
    };
    agree("linear, frozen", &fused, &exact, &inputs);
}

/// Matrices with adapters and one without, of which only the adapters learn; also where nothing before them learns.
#[test]
fn adapted_linear() {
    let adaption = Adaption {
        scale: 0.5,
        dropout: 0.0,
    };
    for (rows, width, rank) in [(1, 3, 1), (7, 17, 2), (64, 96, 8)] {
        let outs = [width, 5, 9];
        let mut inputs = vec![random(&[rows, 2, width])];
        inputs.extend(outs.map(|out| random(&[out, width])));
        for out in [outs[0], outs[2]] {
            inputs.extend([random(&[rank, width]), random(&[out, rank])]);
        }
        for learns_before in [true, false] {
            let call = |inputs: &[Tensor], operation: &Adapting<'_>| {
                let weights: Vec<_> = inputs[1..4].iter().map(Tensor::detach).collect();
                let adapter = |at: usize| {
                    let [a, b] = [at, at + 1].map(|at| inputs[at].shallow_clone());
                    Some(LowRank { a, b })
                };
                let x = match learns_before {
                    true => inputs[0].shallow_clone(),
                    false => inputs[0].detach(),
                };
                let all: Tensor = inputs[..4].iter().map(|input| input.sum(None)).sum();
                vec![
                    operation(&x, &weights, &[adapter(4), None, adapter(6)]),
                    all,
                ]
            };
            let fused = |inputs: &[Tensor]| {
                call(inputs, &|x, weights, adapters| {
                    ops::adapted_linear(x, weights, adapters, adaption)
                })
            };
            let exact = |inputs: &[Tensor]| {
                call(inputs, &|x, weights, adapters| {
                    composed::adapted_linear(x, weights, adapters, adaption)
                })
            };
            agree("adapted linear", &fused, &exact, &inputs);
        }
    }
}

/// A leaves out what it is told, and the gradients are those of what it saw.
#[test]
fn adapters_drop_what_they_read() {
    let (rows, width) = (64, 32);
    let adaption = Adaption {
        scale: 3.0,
        dropout: 0.25,
    };
    // With W = 0, A = 1 and B = 1 the result is what A saw, and so is dx where dy is 1.
    let x = Tensor::ones([rows, width], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let eye = || Tensor::eye(width, (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let (a, b) = (eye(), eye());
    let adapter = LowRank {
        a: a.shallow_clone(),
        b: b.shallow_clone(),
    };
    let y = ops::adapted_linear(&x, &[eye().zeros_like()], &[Some(adapter)], adaption);
    y.sum(Kind::Float).backward();
    let kept = y.not_equal(0.0).to_kind(Kind::Float);
    assert!(y.allclose(&(&kept * 4.0), 1e-6, 0.0, false)); // 3 / (1 - 0.25)
    assert!((kept.mean(Kind::Float).double_value(&[]) - 0.75).abs() < 0.04);
    assert!(x.grad().allclose(&y, 1e-6, 0.0, false));
    let seen = y.sum_dim_intlist(0, false, Kind::Float); // [in]: of each column
    assert!(
        a.grad()
            .allclose(&seen.expand([width, width], false), 1e-5, 0.0, false)
    );
    assert!(
        b.grad()
            .allclose(&seen.expand([width, width], false), 1e-5, 0.0, false)
    );
}

#[test]
fn add_rms_norm() {
    for size in [vec![1, 7], vec![3, 5, 33], vec![130, 64]] {
        let width = *size.last().unwrap();
        let inputs = [random(&size), random(&size), random(&[width])];
        let both = |normed: ops::Normed| vec![normed.normed, normed.sum];
        let fused = |i: &[Tensor]| both(ops::add_rms_norm(&i[0], Some(&i[1]), &i[2], 1e-5));
        let exact = |i: &[Tensor]| both(composed::add_rms_norm(&i[0], Some(&i[1]), &i[2], 1e-5));
        agree("add_rms_norm", &fused, &exact, &inputs);
        let from_strided = |i: &[Tensor]| {
            both(ops::add_rms_norm(
                &strided(&i[0]),
                Some(&strided(&i[1])),
                &i[2],
                1e-5,
            ))
        };
        agree("add_rms_norm, strided", &from_strided, &exact, &inputs);
        let alone = [random(&size), random(&[width])];
        let fused = |i: &[Tensor]| vec![ops::add_rms_norm(&i[0], None, &i[1], 1e-5).normed];
        let exact = |i: &[Tensor]| vec![composed::add_rms_norm(&i[0], None, &i[1], 1e-5).normed];
        agree("rms_norm", &fused, &exact, &alone);
    }
}

#[test]
fn swiglu() {
    for size in [vec![1, 2], vec![3, 5, 34], vec![70, 256]] {
        let inputs = [random(&size) * 3.0];
        let fused = |i: &[Tensor]| vec![ops::swiglu(&i[0])];
        let exact = |i: &[Tensor]| vec![composed::swiglu(&i[0])];
        agree("swiglu", &fused, &exact, &inputs);
        let from_strided = |i: &[Tensor]| vec![ops::swiglu(&strided(&i[0]))];
        agree("swiglu, strided", &from_strided, &exact, &inputs);
    }
    let extreme = Tensor::from_slice(&[-200f32, -90.0, 90.0, 200.0, 1.0, 1.0, 1.0, 1.0]);
    let expected = Tensor::from_slice(&[0f32, 0.0, 90.0, 200.0]);
    assert!(
        (ops::swiglu(&extreme) - expected)
            .abs()
            .max()
            .double_value(&[])
            < 1e-30
    );
    assert!(
        ops::swiglu(&Tensor::from_slice(&[f32::NAN, 1.0]))
            .double_value(&[0])
            .is_nan()
    );
}

#[test]
fn rotate() {
    for (rows, seq_len, queries, keys, size) in
        [(1, 1, 1, 1, 2), (2, 5, 6, 2, 10), (3, 40, 4, 4, 16)]
    {
        let heads = HeadCounts { queries, keys };
        for tables in [seq_len, rows * seq_len] {
            let angles = random(&[tables, size / 2]);
            let inputs = [random(&[rows, seq_len, (queries + 2 * keys) * size])];
            let turn =
                |turn: &dyn Fn(Tensor, &Tensor, &Tensor) -> Vec<Tensor>, input: &Tensor, kind| {
                    let (cos, sin) = (angles.cos().to_kind(kind), angles.sin().to_kind(kind));
                    turn(input * 1.0, &cos, &sin) // a projection of its own, as it is taken over
                };
            let fused = |i: &[Tensor]| {
                turn(
                    &|x, c, s| ops::rotate(x, (c, s), heads).into(),
                    &i[0],
                    Kind::Float,
                )
            };
            let exact = |i: &[Tensor]| {
                turn(
                    &|x, c, s| composed::rotate(&x, (c, s), heads).into(),
                    &i[0],
                    Kind::Double,
                )
            };
            agree("rotate", &fused, &exact, &inputs);
        }
    }
}

#[test]
fn sum_log_probs() {
    for (tokens, dim, vocab) in [(1, 3, 5), (9, 17, 31), (40, 8, 1001)] {
        let targets = ids(tokens, vocab);
        if tokens > 1 {
            let _ = targets.slice(0, 0, tokens, 4).fill_(-100);
        }
        let inputs = [random(&[tokens, dim]), random(&[vocab, dim]), targets];
        let fused = |i: &[Tensor]| vec![ops::sum_log_probs(&i[0], &i[1], &i[2])];
        let exact = |i: &[Tensor]| vec![composed::sum_log_probs(&i[0], &i[1], &i[2])];
        agree("sum_log_probs", &fused, &exact, &inputs);
    }
}

/// More tokens than a chunk holds, a target out of range, no gradient wanted.
#[test]
fn sum_log_probs_in_chunks() {
    let (tokens, dim, vocab) = (13_000, 4, 1009);
    let targets = ids(tokens, vocab);
    let inputs = [random(&[tokens, dim]), random(&[vocab, dim]), targets];
    let fused = run(
        &|i: &[Tensor]| vec![ops::sum_log_probs(&i[0], &i[1], &i[2])],
        &inputs,
        Kind::Float,
    );
    let exact = run(
        &|i: &[Tensor]| vec![composed::sum_log_probs(&i[0], &i[1], &i[2])],
        &inputs,
        Kind::Double,
    );
    let found = differences(&fused, &exact);
    assert!(
        found.iter().all(|difference| *difference < 1e-5),
        "{found:?}"
    );
    let [hidden, weight, _] = &inputs.map(|input| input.to_kind(Kind::Float));
    let value = tch::no_grad(|| {
        ops::sum_log_probs(
            hidden,
            weight,
            &(Tensor::ones([tokens], (Kind::Int64, Device::Cpu))),
        )
    });
    assert!(!value.requires_grad());
    let wrong = Tensor::full([tokens], vocab, (Kind::Int64, Device::Cpu));
    let refused = llama_train::torch::catch(|| Ok(ops::sum_log_probs(hidden, weight, &wrong)));
    assert!(refused.unwrap_err().to_string().contains("target 1009"));
}

#[test]
fn gated_linear() {
    for (size, out) in [(vec![1, 2], 1), (vec![3, 5, 34], 9), (vec![70, 256], 64)] {
        let width = size.last().unwrap() / 2;
        let inputs = [random(&size), random(&[out, width])];
        let fused = |i: &[Tensor]| vec![ops::gated_linear(&i[0], &i[1])];
        let exact = |i: &[Tensor]| vec![composed::linear(&composed::swiglu(&i[0]), &i[1..])];
        agree("gated_linear", &fused, &exact, &inputs);
    }
}

/// `train.kernels`: the CPU's kernels are the default, and torch's own operations give the same but for rounding.
#[test]
fn kernels_are_chosen_by_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let train = |kernels: &str| {
        let choice = format!("train.kernels=\"{kernels}\"");
        let arguments = stream_run(kernels, &["checkpoint.save=false", &choice]);
        llama_train(dir.path()).args(arguments).assert().success();
        let records = metrics(&dir.path().join("runs").join(kernels), "train");
        [column(&records, "loss"), column(&records, "grad_norm")].concat()
    };
    let [fused, chosen, composed] = ["fused", "auto", "composed"].map(train);
    assert_eq!(fused.len(), 40);
    assert_eq!(fused, chosen);
    assert_ne!(fused, composed); // rounded elsewhere: other operations
    let worst = fused.iter().zip(&composed);
    let worst = worst.map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max);
    assert!(worst < 1e-4, "{worst}");
    let arguments = stream_run("wrong", &["train.kernels=\"fast\""]);
    let refused = llama_train(dir.path()).args(arguments).assert().code(2);
    assert!(stderr_of(&refused).contains("train.kernels"));
}
