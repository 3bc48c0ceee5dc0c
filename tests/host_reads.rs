//! A step asks the device for nothing: what it found is read when the next one has been launched.

use llama_train::commands::bench;
use llama_train::config::{Assignment, Config, Sources};
use llama_train::torch;

/// What every `double_value`, `int64_value` and `item()` comes to.
const READ: &str = "aten::_local_scalar_dense";
/// The first operation of a forward pass.
const FIRST: &str = "aten::embedding";
/// The update, whose kernel for the CPU reads its scalars for itself, and what follows it.
const UPDATE: &str = "aten::_fused_adamw_";
const UPDATED: &str = "aten::_foreach_sub_";

fn config() -> Config {
    let settings = [
        "model.dim=32",
        "model.n_layers=2",
        "model.n_heads=2",
        "model.vocab_size=100",
        "model.ffn_hidden_dim=64",
        "train.seq_len=16",
        "train.micro_batch_size=2",
        "train.total_batch_tokens=64",
        "optim.grad_clip=1.0",
    ];
    let assignment = |setting: &str| {
        let (key, value) = setting.split_once('=').unwrap();
        Assignment {
            origin: "--set".to_owned(),
            key: key.to_owned(),
            value: Some(value.to_owned()),
        }
    };
    Config::load(&Sources {
        assignments: settings.map(assignment).into(),
        ..Sources::default()
    })
    .unwrap()
}

#[test]
fn a_step_reads_nothing_back() {
    let request = bench::Request {
        config: config(),
        steps: 4,
        warmup: 1,
        profiled: 0,
    };
    let (outcome, operations) = torch::operations(|| bench::run(&request)).unwrap();
    outcome.unwrap();
    let places = |name: &str| -> Vec<usize> {
        let named = operations
            .iter()
            .enumerate()
            .filter(|(_, found)| *found == name);
        named.map(|(place, _)| place).collect()
    };
    let [reads, first, updates, updated] = [READ, FIRST, UPDATE, UPDATED].map(places);
    let steps = 5;
    // Two micro-batches, and two groups of parameters.
    assert_eq!([first.len(), updates.len(), updated.len()], [2 * steps; 3]);
    for step in 0..steps {
        let during = first[2 * step]..updates[2 * step];
        let inside: Vec<_> = reads
            .iter()
            .filter(|place| during.contains(place))
            .collect();
        assert!(inside.is_empty(), "step {step} reads at {inside:?}");
    }
    // After the first update only what is on the CPU is read (the next batches' counts, for example); after the second one
    // also what the first step has found.
    let after = |step: usize| {
        let between = updated[2 * step + 1]..first[2 * step + 2];
        reads.iter().filter(|place| between.contains(place)).count()
    };
    assert_eq!(
        (after(0) + 2, after(1)),
        (after(1), after(2)),
        "a loss and a norm"
    );
}
