//! The memory plan: against what was counted in real steps, and by its own arithmetic.

mod runs;

use crate::common::llama_train;
use llama_train::config::{ModelConfig, Recompute, preset};
use llama_train::loss::memory::Scoring;
use llama_train::model::LoraOptions;
use llama_train::model::memory::{Footprint, Operations, RowKind};
use llama_train::train::{Accumulation, Workload, largest_micro_batch};
use serde_json::Value;
use std::path::Path;
use tch::Kind;

/// 56M parameters: 512 wide, 8 blocks, a vocabulary of 32,000 with a head of its own.
fn small() -> ModelConfig {
    ModelConfig {
        dim: 512,
        n_layers: 8,
        n_heads: 8,
        n_kv_heads: 4,
        head_dim: 64,
        vocab_size: 32_000,
        ffn_hidden_dim: 1408,
        max_seq_len: 512,
        tie_embeddings: false,
        ..preset("llama3-8b").unwrap()
    }
}

fn workload(config: ModelConfig, tokens: u64) -> Workload {
    Workload {
        model: Footprint {
            config,
            lora: None,
            compute: Kind::Float,
            trained: Kind::Float,
            operations: Operations::Fused,
            rows: RowKind::Whole,
            recompute: Recompute::None,
        },
        second: None,
        scoring: Scoring::Sum,
        tokens,
        accumulation: Accumulation::None,
        world_size: 1,
        moment_shards: 1,
    }
}

/// Bytes that lived at once in two steps, counted at every allocation of 64 kB or more (scripts/bench/RESULTS.md has the
/// peaks of whole processes).
#[test]
fn it_is_what_was_counted() {
    for (tokens, recompute, counted) in [
        (8192, Recompute::None, 2594.7e6),
        (4096, Recompute::None, 1676.8e6),
        (8192, Recompute::Full, 1393.3e6),
    ] {
        let mut workload = workload(small(), tokens);
        workload.model.recompute = recompute;
        let plan = workload.plan();
        let alive = (plan.total_bytes - plan.left_bytes) as f64;
        assert!(
            (alive / counted - 1.0).abs() < 0.015,
            "{alive} for {counted}: {plan:?}"
        );
    }
}

#[test]
fn parts_are_the_bytes_of_their_tensors() {
    let plan = workload(small(), 2048).plan();
    let (parameters, matrix) = (56_369_664, 32_000 * 512);
    assert_eq!(plan.weights_bytes, 4 * parameters);
    assert_eq!(plan.moments_bytes, 8 * parameters);
    assert_eq!(plan.gradients_bytes, 4 * matrix); // the head's
    // Per token and block: 4 rows of the stream, queries with keys and values, attention's result, gates and values.
    let numbers = 4 * 512 + (512 + 2 * 256) + 512 + 2 * 1408;
    let factors = 2 + 8; // of norms, and log-sums of heads
    assert_eq!(plan.activations_bytes, 8 * 2048 * 4 * (numbers + factors));
    let parts = [
        plan.weights_bytes,
        plan.moments_bytes,
        plan.gradients_bytes,
        plan.activations_bytes,
        plan.passing_bytes,
        plan.left_bytes,
    ];
    assert_eq!(plan.total_bytes, parts.iter().sum::<u64>());
}

#[test]
fn ranks_divide_moments_and_add_buckets() {
    let alone = workload(small(), 2048);
    let four = Workload {
        world_size: 4,
        moment_shards: 4,
        ..alone.clone()
    };
    let adding_up = Workload {
        accumulation: Accumulation::Several,
        ..four.clone()
    };
    let (alone, four) = (alone.plan(), four.plan());
    assert_eq!(four.moments_bytes, alone.moments_bytes / 4);
    assert_eq!(adding_up.plan(), four);
    assert_eq!(
        (alone.buckets_bytes, four.buckets_bytes),
        (0, alone.weights_bytes)
    );
}

#[test]
fn frozen_weights_have_neither_gradients_nor_moments() {
    let mut workload = workload(preset("llama3.1-8b").unwrap(), 2048);
    workload.model.compute = Kind::BFloat16;
    workload.model.operations = Operations::Composed;
    workload.model.lora = Some(LoraOptions {
        rank: 16,
        alpha: 32.0,
        dropout: 0.0,
        targets: ["wq", "wk", "wv", "wo", "w1", "w2", "w3"]
            .map(String::from)
            .into(),
    });
    let adapters = 41_943_040; // PEFT's count for these
    let plan = workload.plan();
    assert_eq!(plan.weights_bytes, 2 * 8_030_261_248 + 4 * adapters);
    assert_eq!(plan.moments_bytes, 8 * adapters);
    assert!(plan.gradients_bytes <= 4 * adapters);
}

#[test]
fn the_largest_micro_batch_fits_and_one_more_does_not() {
    let needed = |rows| workload(small(), rows * 512).plan().total_bytes;
    let rows = largest_micro_batch(3_000_000_000, 1 << 20, needed);
    assert!(
        needed(rows) <= 3_000_000_000 && needed(rows + 1) > 3_000_000_000,
        "{rows}"
    );
    assert_eq!(largest_micro_batch(1_000_000, 64, needed), 0);
    assert_eq!(largest_micro_batch(u64::MAX, 64, needed), 64);
}

/// 16 bytes a parameter are 128 GB; bf16 weights are 14, and moments divided over ranks less.
#[test]
fn the_command_says_what_fits() {
    let plan = |more: &[&str]| -> Value {
        let fixed = [
            "plan",
            "--json",
            "--set",
            "model.preset=llama3-8b",
            "--set",
            "train.total_batch_tokens=524288",
        ];
        let row = [
            "--set",
            "train.seq_len=8192",
            "--set",
            "train.micro_batch_size=1",
        ];
        let mut command = llama_train(Path::new("."));
        let run = command.args(fixed).args(row).args(more).assert().success();
        serde_json::from_slice(&run.get_output().stdout).unwrap()
    };
    let one = plan(&["--device", "h200"]);
    assert_eq!(one["memory"]["device_memory_bytes"], 141_000_000_000_u64);
    assert_eq!(one["memory"]["none"]["largest_micro_batch_size"], 0);
    let many = [
        "--device",
        "h200",
        "--world-size",
        "8",
        "--set",
        "train.shard_optimizer=true",
    ];
    assert!(plan(&many)["memory"]["selective"]["largest_micro_batch_size"].as_u64() > Some(0));
    let more = plan(&["--device", "h200", "--memory", "300GB", "--mfu", "0.2"]);
    assert!(more["memory"]["none"]["largest_micro_batch_size"].as_u64() > Some(0));
    let hours = |plan: &Value| plan["time"]["tokens_per_second"].as_f64().unwrap();
    assert!((hours(&one) / hours(&more) - 2.0).abs() < 1e-9);
}

#[test]
fn a_wrong_size_or_device_is_a_bad_request() {
    for (flag, value, said) in [
        ("--memory", "80", "as 80GB"),
        ("--memory", "-1GB", "as 80GB"),
        ("--mfu", "40", "at most 1"),
        ("--device", "h1000", "h100"),
        ("--world-size", "0", "0"),
    ] {
        let mut command = llama_train(Path::new("."));
        let run = command.args([
            "plan",
            "--set",
            "model.preset=llama3-8b",
            &format!("{flag}={value}"),
        ]);
        run.assert().code(2).stderr(predicates::str::contains(said));
    }
}
