//! Many processes as one: the same numbers, one decision for all, and what happens when one is gone.

mod faults;
mod groups;
mod nodes;
pub(crate) mod ranks;
mod sharded;

use crate::common::{column, fixture, metrics, stream_run};
use llama_train::data::{DataLoader, LoaderState, Order, RandomTokens, Share};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tch::Tensor;

/// Settings that cut the reference's global batch of 4 rows.
fn cut(micro_batch_size: u64) -> Vec<String> {
    vec![format!("train.micro_batch_size={micro_batch_size}")]
}

fn stream(name: &str, settings: &[String], more: &[&str]) -> Vec<String> {
    let settings: Vec<&str> = settings
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    stream_run(name, &settings)
}

fn largest_difference(expected: &[f64], found: &[f64]) -> f64 {
    assert_eq!(expected.len(), found.len());
    let relative = expected
        .iter()
        .zip(found)
        .map(|(a, b)| (a - b).abs() / a.abs());
    relative.fold(0.0, f64::max)
}

fn weights(run: &Path) -> HashMap<String, Tensor> {
    let file = run.join("checkpoints/latest/model.safetensors");
    Tensor::read_safetensors(file)
        .unwrap()
        .into_iter()
        .collect()
}

fn largest_distance(a: &HashMap<String, Tensor>, b: &HashMap<String, Tensor>) -> f64 {
    assert_eq!(a.len(), b.len());
    let distance =
        |(name, tensor): (&String, &Tensor)| (tensor - &b[name]).abs().max().double_value(&[]);
    a.iter().map(distance).fold(0.0, f64::max)
}

/// The curve is transformers' own (`9_stream`), and the one of a single process.
#[test]
fn ranks_follow_the_reference_however_the_batch_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    ranks::run(dir.path(), &stream("single", &cut(4), &[]), 1);
    let single = metrics(&dir.path().join("runs/single"), "train");
    let expected = fs::read_to_string(fixture("9_stream/expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let reference = expected["pretrain"]["f32"].as_array().unwrap();
    for (world_size, micro_batch_size) in [(2, 1), (2, 2), (4, 1)] {
        let name = format!("ranks-{world_size}x{micro_batch_size}");
        let every_step = ["train.check_replicas_every=1", "dist.bucket_megabytes=1"];
        ranks::run(
            dir.path(),
            &stream(&name, &cut(micro_batch_size), &every_step),
            world_size,
        );
        let run = dir.path().join("runs").join(&name);
        let records = metrics(&run, "train");
        for (field, tolerance, of_reference) in [("loss", 1e-6, 1e-5), ("grad_norm", 1e-5, 1e-4)] {
            let found = column(&records, field);
            let off = largest_difference(&column(&single, field), &found);
            assert!(off < tolerance, "{name}: {field} differs by {off}");
            let off = largest_difference(&column(reference, field), &found);
            assert!(
                off < of_reference,
                "{name}: {field} differs by {off} from the reference"
            );
        }
        let val = |run: &Path| column(&metrics(run, "val"), "loss");
        let off = largest_difference(&val(&dir.path().join("runs/single")), &val(&run));
        assert!(off < 1e-6, "{name}: val loss differs by {off}");
        let off = largest_distance(&weights(&dir.path().join("runs/single")), &weights(&run));
        assert!(off < 1e-5, "{name}: weights differ by {off}");
    }
}

/// Three runs of 2, 1 and 4 ranks, each a resume of the one before, are one run.
#[test]
fn a_resume_may_have_another_world_size() {
    let dir = tempfile::tempdir().unwrap();
    let shuffled = ["data.shuffle=true"];
    ranks::run(dir.path(), &stream("straight", &cut(4), &shuffled), 1);
    for (steps, world_size, micro_batch_size) in [(6, 2, 1), (13, 1, 2), (20, 4, 1)] {
        let schedule = format!("train.max_steps={steps}");
        let mut arguments = stream(
            "changing",
            &cut(micro_batch_size),
            &["data.shuffle=true", "optim.schedule=\"constant\""],
        );
        arguments.extend(["--set".into(), schedule, "--resume".into(), "latest".into()]);
        ranks::run(dir.path(), &arguments, world_size);
    }
    let constant = ["data.shuffle=true", "optim.schedule=\"constant\""];
    ranks::run(dir.path(), &stream("constant", &cut(4), &constant), 1);
    let of = |name: &str| {
        column(
            &metrics(&dir.path().join("runs").join(name), "train"),
            "loss",
        )
    };
    let off = largest_difference(&of("constant"), &of("changing"));
    assert!(off < 1e-6, "{off}");
    assert!(largest_difference(&of("straight"), &of("constant")) > 1e-6);
}

/// With three ranks a sum depends on the order of its terms, and so on the buckets: also the first step after a resume has
/// those of the run that was not cut. One micro-batch's gradients are averaged as they come, several add up first.
#[test]
fn three_ranks_resume_bit_for_bit() {
    for tokens in [96, 192] {
        let dir = tempfile::tempdir().unwrap();
        let batch = format!("train.total_batch_tokens={tokens}");
        let constant = "optim.schedule=\"constant\"";
        let run = |name: &str, steps: u64| {
            let fixed = [&batch, constant, "dist.bucket_megabytes=1"];
            let mut arguments = stream(name, &cut(1), &fixed);
            arguments.extend([
                "--set".into(),
                format!("train.max_steps={steps}"),
                "--resume".into(),
                "latest".into(),
            ]);
            ranks::run(dir.path(), &arguments, 3);
        };
        run("straight", 12);
        for steps in [4, 8, 12] {
            run("cut", steps);
        }
        let of = |name: &str, field: &str| {
            let run = dir.path().join("runs").join(name);
            column(&metrics(&run, "train"), field)
        };
        for field in ["loss", "grad_norm"] {
            let (straight, cut) = (of("straight", field), of("cut", field));
            assert_eq!(straight, cut, "{field}, {tokens} tokens a step");
        }
    }
}

/// The loader alone: whatever world sizes follow each other, an epoch's samples come once each, in the same order.
#[test]
fn no_sample_is_lost_or_doubled_when_the_world_changes() {
    let rows = 240;
    let dataset = Arc::new(RandomTokens {
        rows,
        seq_len: 4,
        vocab_size: 50_000,
    });
    let first_ids = |world_size: u64, rank: u64, size: u64, batches: u64, state: LoaderState| {
        let share = Share {
            rows: size,
            rank,
            world_size,
        };
        let order = Order::Shuffled { seed: 7 };
        let mut loader = DataLoader::new(Arc::clone(&dataset), order, state, share, 2);
        let batch = |_| {
            Vec::<i64>::try_from(&loader.next_batch().unwrap().tokens.ids.flatten(0, 1)).unwrap()
        };
        let batches: Vec<Vec<i64>> = (0..batches).map(batch).collect();
        (batches, loader.state())
    };
    let start = LoaderState {
        samples_consumed: 0,
    };
    let (whole, _) = first_ids(1, 0, 1, rows, start);
    let mut seen = Vec::new();
    let mut state = start;
    for (world_size, size, batches) in [(2, 3, 10), (1, 5, 12), (4, 2, 15)] {
        let of_ranks: Vec<_> = (0..world_size)
            .map(|rank| first_ids(world_size, rank, size, batches, state))
            .collect();
        for batch in 0..batches as usize {
            for (ids, _) in &of_ranks {
                seen.extend(ids[batch].chunks(4).map(<[i64]>::to_vec));
            }
        }
        assert!(of_ranks.iter().all(|(_, end)| *end == of_ranks[0].1));
        state = of_ranks[0].1;
    }
    assert_eq!(state.samples_consumed, rows);
    assert_eq!(seen, whole);
}

/// The batches do not depend on the ranks, so the answer does not, to the last bit.
#[test]
fn any_number_of_ranks_gives_the_same_score() {
    let dir = tempfile::tempdir().unwrap();
    let [checkpoint, data] = ["1_checkpoints/b_gqa_tied", "9_stream/data"]
        .map(|file| fixture(file).display().to_string());
    let score = |world_size: u64| {
        let details = format!("{world_size}.jsonl");
        let arguments = [
            ["eval", "--json", "--tasks", "loss"].as_slice(),
            &["--seq-len", "48", "--limit", "9", "--data", &data],
            &["--checkpoint", &checkpoint, "--details", &details],
            &["--set", "run.device=cpu"],
        ];
        let arguments: Vec<String> = arguments.concat().into_iter().map(String::from).collect();
        let outputs = ranks::wait(ranks::start(dir.path(), &arguments, world_size));
        let first = &outputs[0];
        assert!(first.status.success(), "{}", ranks::said(first));
        let lines = fs::read_to_string(dir.path().join(details)).unwrap();
        (first.stdout.clone(), lines)
    };
    let single = score(1);
    assert_eq!(single.1.lines().count(), 9);
    assert_eq!(score(3), single);
}
