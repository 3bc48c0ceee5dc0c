//! Benchmarks, against lm-evaluation-harness and against themselves.

mod bad_items;
mod sources;
mod training;

use crate::common::{fixture, llama_train};
use crate::distributed::ranks;
use serde_json::Value;
use std::fs;
use std::path::Path;

const TASKS: [&str; 6] = [
    "hellaswag",
    "winogrande",
    "arc_easy",
    "arc_challenge",
    "piqa",
    "mmlu",
];

fn json(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// Checkpoint a, told that it reads so many tokens, with its tokenizer: a folder `model` in `dir`.
fn write_model(dir: &Path, max_seq_len: u64) {
    let model = dir.join("model");
    fs::create_dir_all(&model).unwrap();
    let weights = fixture("1_checkpoints/a_mha_untied");
    fs::copy(
        weights.join("model.safetensors"),
        model.join("model.safetensors"),
    )
    .unwrap();
    let mut config = json(&weights.join("config.json"));
    config["max_position_embeddings"] = max_seq_len.into();
    fs::write(model.join("config.json"), config.to_string()).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(fixture("tokenizer").join(name), model.join(name)).unwrap();
    }
}

/// Where a benchmark's items are: `NAME=PATH`.
fn items(name: &str) -> String {
    let file = match name {
        "mmlu" => "benchmarks/mmlu".to_owned(),
        _ => format!("benchmarks/{name}.jsonl"),
    };
    format!("{name}={}", fixture(&file).display())
}

/// The flags of an evaluation of `model`, by these tasks.
fn eval(tasks: &[&str], more: &[&str]) -> Vec<String> {
    let fixed = [
        "eval",
        "--json",
        "--checkpoint",
        "model",
        "--set",
        "run.device=cpu",
    ];
    let mut flags: Vec<String> = fixed
        .iter()
        .chain(more)
        .map(|&flag| flag.to_owned())
        .collect();
    for task in tasks {
        let task = ["--tasks", *task, "--task-data", &items(task)].map(str::to_owned);
        flags.extend(task);
    }
    flags
}

/// What a run on so many ranks answers, and its details.
fn run(dir: &Path, arguments: &[String], world_size: u64) -> (Value, Vec<Value>) {
    let details = ["--details".to_owned(), "details.jsonl".to_owned()];
    let arguments = [arguments, &details].concat();
    let outputs = ranks::wait(ranks::start(dir, &arguments, world_size));
    for output in &outputs {
        assert!(output.status.success(), "{}", ranks::said(output));
    }
    let answer = serde_json::from_slice(&outputs[0].stdout).unwrap();
    (answer, lines(&dir.join("details.jsonl")))
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of_task(details: &[Value], task: &str) -> Vec<Value> {
    let of_task = details.iter().filter(|line| line["task"] == task);
    of_task.cloned().collect()
}

fn sums(item: &Value) -> Vec<f64> {
    let endings = item["endings"].as_array().unwrap().iter();
    endings
        .map(|ending| ending["sum_logprob"].as_f64().unwrap())
        .collect()
}

fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < tolerance,
            "{what}: {found} {expected}"
        );
    }
}

/// lm-eval's own numbers of the reference vectors, to the last token, however they are batched and dealt out.
#[test]
fn hellaswag_is_the_reference_on_any_ranks_and_in_any_batches() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), 512);
    let expected = json(&fixture("6_hellaswag/expected.json"));
    let data = format!("hellaswag={}", fixture("6_hellaswag/items.jsonl").display());
    let mut answers = Vec::new();
    for (world_size, batch_tokens) in [(1, 1), (1, 700), (1, 4096), (2, 1), (2, 700), (2, 4096)] {
        let batch = format!("eval.batch_tokens={batch_tokens}");
        let flags = ["--task-data", &data, "--set", &batch].map(str::to_owned);
        let arguments = [eval(&[], &["--tasks", "hellaswag"]), flags.to_vec()].concat();
        let (answer, details) = run(dir.path(), &arguments, world_size);
        let what = format!("{world_size} ranks, {batch_tokens} tokens");
        for metric in ["acc", "acc_norm"] {
            assert_eq!(answer["hellaswag"][metric], expected[metric], "{what}");
        }
        let items = expected["items"].as_array().unwrap();
        assert_eq!(details.len(), items.len());
        for (index, (found, expected)) in details.iter().zip(items).enumerate() {
            for field in ["pred", "pred_norm", "label"] {
                assert_eq!(found[field], expected[field], "{what}, item {index}");
            }
            assert_eq!(found["item"], index);
            assert_near(&sums(found), &sums(expected), 1e-3, &what);
            let endings = found["endings"].as_array().unwrap().iter();
            for (found, expected) in endings.zip(expected["endings"].as_array().unwrap()) {
                assert_eq!(found["num_tokens"], expected["n_tokens"]);
                assert_eq!(found["num_chars"], expected["n_chars"]);
                assert_eq!(found["num_bytes"], expected["n_bytes"]);
            }
        }
        answers.push((batch_tokens, details));
    }
    // With the same batches nothing depends on the ranks, to the last bit.
    for (one, two) in answers[..3].iter().zip(&answers[3..]) {
        assert_eq!(one, two);
    }
}

/// Recorded from lm-eval by `scripts/check_lm_eval.sh --record`.
#[test]
fn every_benchmark_is_the_harnesss() {
    let dir = tempfile::tempdir().unwrap();
    let expected = json(&fixture("benchmarks/expected.json"));
    for (max_seq_len, expected) in expected.as_object().unwrap() {
        write_model(dir.path(), max_seq_len.parse().unwrap());
        let (answer, details) = run(dir.path(), &eval(&TASKS, &[]), 1);
        for (task, expected) in expected.as_object().unwrap() {
            let what = format!("{task}, {max_seq_len} tokens");
            for metric in ["acc", "acc_stderr", "acc_norm", "acc_norm_stderr"] {
                let (found, expected) = (&answer[task][metric], &expected[metric]);
                assert_eq!(found.is_null(), expected.is_null(), "{what}: {metric}");
                let off = found.as_f64().unwrap_or(0.0) - expected.as_f64().unwrap_or(0.0);
                assert!(off.abs() < 1e-9, "{what}: {metric} {found} {expected}");
            }
            assert_items_are(&of_task(&details, task), &expected["items"], &what);
        }
    }
}

fn assert_items_are(found: &[Value], expected: &Value, what: &str) {
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let what = format!("{what}, item {index}");
        assert_near(&sums(found), &numbers(&expected["sums"]), 1e-3, &what);
        let endings = found["endings"].as_array().unwrap().iter();
        let tokens = endings.map(|ending| ending["num_tokens"].clone());
        assert_eq!(Value::from_iter(tokens), expected["tokens"], "{what}");
        for (metric, prediction) in [("acc", "pred"), ("acc_norm", "pred_norm")] {
            let right = f64::from(u8::from(found[prediction] == found["label"]));
            if let Some(expected) = expected[metric].as_f64() {
                assert_eq!(right, expected, "{what}: {metric}");
            }
        }
    }
}

/// Differences are taken item by item, and a model does not differ from itself.
#[test]
fn two_models_are_compared_on_the_same_items() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), 512);
    let data = fixture("9_stream/data").display().to_string();
    let scored = ["hellaswag", "winogrande"];
    let compared = |other: &str| {
        let more = ["--compare", other, "--data", &data, "--seq-len", "48"];
        let more = [more.as_slice(), &["--tasks", "loss"]].concat();
        run(dir.path(), &eval(&scored, &more), 1).0
    };
    let same = compared("model")["compare"]["difference"].clone();
    for (task, metric) in [
        ("loss", "loss"),
        ("hellaswag", "acc_norm"),
        ("winogrande", "acc"),
    ] {
        assert_eq!(same[task][metric], 0.0, "{task}");
        assert_eq!(same[task][format!("{metric}_stderr")], 0.0, "{task}");
    }
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    let untrained = fixture("2_train_trace/init");
    for file in ["config.json", "model.safetensors"] {
        fs::copy(untrained.join(file), other.join(file)).unwrap();
    }
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(dir.path().join("model").join(file), other.join(file)).unwrap();
    }
    let answer = compared("other");
    let (difference, scores) = (
        &answer["compare"]["difference"],
        &answer["compare"]["scores"],
    );
    for (task, metric) in [
        ("loss", "loss"),
        ("hellaswag", "acc_norm"),
        ("winogrande", "acc"),
    ] {
        let [one, other, apart] =
            [&answer, scores, difference].map(|answer| answer[task][metric].as_f64().unwrap());
        assert!(
            (one - other - apart).abs() < 1e-9,
            "{task}: {one} {other} {apart}"
        );
    }
    // One model has 5 items more right than the other, and none less.
    let error = difference["winogrande"]["acc_stderr"].as_f64().unwrap();
    let (more, items) = (5.0 / 13.0, 13.0);
    assert!((error - f64::sqrt(more * (1.0 - more) / (items - 1.0))).abs() < 1e-9);
    assert!(difference["loss"]["loss_stderr"].as_f64().unwrap() > 0.0);
}

/// `--limit` takes the first of each benchmark, of MMLU the first of each subject.
#[test]
fn a_limit_takes_the_first_items() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), 512);
    let (_, whole) = run(dir.path(), &eval(&["piqa", "mmlu"], &[]), 1);
    let (answer, first) = run(dir.path(), &eval(&["piqa", "mmlu"], &["--limit", "3"]), 1);
    assert_eq!(
        (&answer["piqa"]["n"], &answer["mmlu"]["n"]),
        (&3.into(), &9.into())
    );
    let labels = |details: &[Value]| -> Vec<Value> {
        let piqa = of_task(details, "piqa").into_iter().take(3);
        piqa.map(|item| item["label"].clone()).collect()
    };
    assert_eq!(labels(&first), labels(&whole));
    let mut command = llama_train(dir.path());
    let arguments = eval(&["piqa"], &[]).into_iter();
    let text = command.args(arguments.filter(|flag| flag != "--json"));
    let text = text.assert().success().get_output().stdout.clone();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with("piqa acc 0.1538 ± 0.1042, acc_norm 0.3077 ±"),
        "{text}"
    );
    assert!(text.ends_with(", 13 items\n"), "{text}");
}
