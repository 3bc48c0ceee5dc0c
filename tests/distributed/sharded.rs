//! `train.shard_optimizer`: each rank keeps a part of the moments, and nothing else is different.

use super::{cut, largest_difference, largest_distance, ranks, stream, weights};
use crate::common::{column, metrics};
use llama_train::weights::safetensors;
use std::collections::HashMap;
use std::path::Path;
use tch::Tensor;

const SHARDED: &str = "train.shard_optimizer=true";

fn moments(run: &Path) -> HashMap<String, Tensor> {
    safetensors::read(&run.join("checkpoints/latest/optimizer.safetensors")).unwrap()
}

/// Losses, gradient norms, weights and moments of two runs.
fn assert_same(expected: &Path, found: &Path) {
    let [of_expected, of_found] = [expected, found].map(|run| metrics(run, "train"));
    for (field, tolerance) in [("loss", 1e-6), ("grad_norm", 1e-5)] {
        let off = largest_difference(&column(&of_expected, field), &column(&of_found, field));
        assert!(
            off < tolerance,
            "{}: {field} differs by {off}",
            found.display()
        );
    }
    let off = largest_distance(&weights(expected), &weights(found));
    assert!(off < 1e-5, "{}: weights differ by {off}", found.display());
    let off = largest_distance(&moments(expected), &moments(found));
    assert!(off < 1e-5, "{}: moments differ by {off}", found.display());
}

#[test]
fn sharded_ranks_train_as_whole_ones() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str| dir.path().join("runs").join(name);
    ranks::run(dir.path(), &stream("whole", &cut(4), &[]), 1);
    for (world_size, micro_batch_size) in [(1, 4), (2, 2), (4, 1)] {
        let name = format!("sharded-{world_size}");
        let settings = [SHARDED, "train.check_replicas_every=1"];
        let arguments = stream(&name, &cut(micro_batch_size), &settings);
        ranks::run(dir.path(), &arguments, world_size);
        assert_same(&run("whole"), &run(&name));
    }
}

/// Four runs, each a resume of the one before with other ranks, sharded or not, are one run.
#[test]
fn a_resume_may_shard_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str| dir.path().join("runs").join(name);
    let constant = "optim.schedule=\"constant\"";
    ranks::run(dir.path(), &stream("straight", &cut(4), &[constant]), 1);
    let parts = [
        (5, 2, 1, true),
        (10, 1, 2, false),
        (15, 4, 1, true),
        (20, 2, 2, false),
    ];
    for (steps, world_size, micro_batch_size, sharded) in parts {
        let sharded = format!("train.shard_optimizer={sharded}");
        let mut arguments = stream("changing", &cut(micro_batch_size), &[constant, &sharded]);
        let steps = format!("train.max_steps={steps}");
        arguments.extend(["--set".into(), steps, "--resume".into()]);
        ranks::run(dir.path(), &arguments, world_size);
    }
    assert_same(&run("straight"), &run("changing"));
}
