//! Scores of checkpoints, against transformers and PEFT.

use crate::common::{fixture, llama_train, stderr_of};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// `eval --tasks loss` on the reference stream: its JSON, and a line per window.
fn eval(dir: &Path, model: &[&str]) -> (Value, Vec<Value>) {
    let data = fixture("9_stream/data").display().to_string();
    let scored = ["--tasks", "loss", "--seq-len", "48", "--data", &data];
    let outcome = llama_train(dir)
        .args(["eval", "--json", "--details", "details.jsonl"])
        .args(model)
        .args(scored)
        .assert()
        .success();
    let said = serde_json::from_slice(&outcome.get_output().stdout).unwrap();
    let lines = fs::read_to_string(dir.join("details.jsonl")).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (said, lines.collect())
}

fn assert_is_reference(name: &str, model: &[&str]) {
    let expected = fs::read_to_string(fixture("9_stream/expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let expected = &expected["eval"][name];
    let dir = tempfile::tempdir().unwrap();
    let (said, windows) = eval(dir.path(), model);
    let (loss, reference) = (&said["loss"]["loss"], &expected["loss"]);
    let (loss, reference) = (loss.as_f64().unwrap(), reference.as_f64().unwrap());
    assert!(
        (loss / reference - 1.0).abs() < 1e-5,
        "{name}: {loss} {reference}"
    );
    assert_eq!(said["loss"]["num_targets"], expected["num_targets"]);
    let perplexity = said["loss"]["perplexity"].as_f64().unwrap();
    assert!((perplexity.ln() - loss).abs() < 1e-9);
    let sums = expected["sum_logprob"].as_array().unwrap();
    assert_eq!(windows.len(), sums.len(), "{name}");
    for (window, sum) in windows.iter().zip(sums) {
        let found = window["sum_logprob"].as_f64().unwrap();
        let sum = sum.as_f64().unwrap();
        assert!((found - sum).abs() < 2e-3, "{name}: {found} {sum}");
        assert_eq!(window["num_targets"], 48);
    }
}

#[test]
fn every_window_of_every_checkpoint_scores_as_in_transformers() {
    for name in [
        "a_mha_untied",
        "b_gqa_tied",
        "c_gqa_rope_llama3",
        "d_sharded_bf16",
    ] {
        let checkpoint = fixture("1_checkpoints").join(name).display().to_string();
        assert_is_reference(name, &["--checkpoint", &checkpoint]);
    }
    let meta = fixture("8_meta").display().to_string();
    assert_is_reference("a_mha_untied", &["--checkpoint", &meta]);
}

#[test]
fn an_adapter_scores_as_in_peft_beside_its_model_and_merged() {
    let name = "b_gqa_tied+5_lora";
    let [base, adapter, original] = ["1_checkpoints/b_gqa_tied", "5_lora", "original/model_7.pt"]
        .map(|file| fixture(file).display().to_string());
    let over = ["--checkpoint", &base, "--adapter", &adapter];
    assert_is_reference(name, &over);
    // It names the model below it.
    assert_is_reference(name, &["--checkpoint", &adapter]);
    assert_is_reference(name, &["--checkpoint", &original]);
    let dir = tempfile::tempdir().unwrap();
    let merged = dir.path().join("merged").display().to_string();
    llama_train(dir.path())
        .arg("export")
        .args(over)
        .args(["--merge-lora", "--out", &merged])
        .assert()
        .success();
    assert_is_reference(name, &["--checkpoint", &merged]);
}

#[test]
fn the_score_is_the_same_for_any_batch_and_limit_counts_rows() {
    let checkpoint = fixture("1_checkpoints/b_gqa_tied").display().to_string();
    let dir = tempfile::tempdir().unwrap();
    let with = |settings: &[&str]| {
        let model = [&["--checkpoint", checkpoint.as_str()], settings].concat();
        eval(dir.path(), &model)
    };
    let (whole, windows) = with(&[]);
    let (one_by_one, _) = with(&["--set", "train.micro_batch_size=1"]);
    let [whole, one_by_one] =
        [whole, one_by_one].map(|said| said["loss"]["loss"].as_f64().unwrap());
    assert!((whole - one_by_one).abs() < 1e-6);
    let (three, first) = with(&["--limit", "3"]);
    assert_eq!(three["loss"]["num_targets"], 144);
    assert_eq!(first, windows[..3]);
}

/// A file that cannot be is found before the work, and nothing is left of one that could.
#[test]
fn details_have_a_place_before_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = fixture("2_train_trace/init");
    let refused = llama_train(dir.path())
        .args([
            "eval",
            "--tasks",
            "loss",
            "--details",
            "nowhere/d.jsonl",
            "--checkpoint",
        ])
        .arg(&checkpoint)
        .assert()
        .code(2);
    let said = stderr_of(&refused);
    assert!(
        said.contains("--details nowhere/d.jsonl: cannot create"),
        "{said}"
    );
}

#[test]
fn requests_that_cannot_be_scored_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = fixture("1_checkpoints/b_gqa_tied").display().to_string();
    let data = fixture("9_stream/data").display().to_string();
    let refused = |arguments: &[&str], message: &str| {
        let outcome = llama_train(dir.path())
            .args(["eval", "--checkpoint", &checkpoint])
            .args(arguments)
            .assert()
            .code(2);
        let said = crate::common::stderr_of(&outcome);
        assert!(said.contains(message), "{said}");
    };
    refused(&[], "--tasks loss");
    refused(&["--tasks", "loss"], "--data");
    refused(&["--tasks", "los"], "eval.tasks");
    refused(
        &["--tasks", "loss", "--data", &data, "--seq-len", "4096"],
        "max_seq_len of 512",
    );
    refused(
        &["--tasks", "loss", "--data", &data, "--seq-len", "512"],
        "no window of 512 tokens",
    );
    refused(
        &["--tasks", "loss", "--data", &data, "--adapter", "nowhere"],
        "no adapter_config.json here",
    );
}

/// The manifest knows how many bytes of text the tokens were.
#[test]
fn the_loss_is_also_told_per_byte_of_text() {
    let dir = tempfile::tempdir().unwrap();
    let [checkpoint, tokenizer] =
        ["1_checkpoints/b_gqa_tied", "tokenizer"].map(|file| fixture(file).display().to_string());
    fs::write(
        dir.path().join("text.txt"),
        "Der Bär frißt Honig. ".repeat(40),
    )
    .unwrap();
    let prepared = [
        "--tokenizer",
        &tokenizer,
        "--out",
        "data",
        "--val-fraction",
        "0",
    ];
    llama_train(dir.path())
        .args(["prep-data", "pretrain", "--input", "text.txt"])
        .args(prepared)
        .assert()
        .success();
    let scored = ["--tasks", "loss", "--data", "data", "--split", "train"];
    let outcome = llama_train(dir.path())
        .args([
            "eval",
            "--json",
            "--seq-len",
            "32",
            "--checkpoint",
            &checkpoint,
        ])
        .args(scored)
        .assert()
        .success();
    let said: Value = serde_json::from_slice(&outcome.get_output().stdout).unwrap();
    let manifest = fs::read_to_string(dir.path().join("data/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let entry = &manifest["splits"]["train"];
    let [bytes, tokens] = ["text_bytes", "tokens"].map(|name| entry[name].as_f64().unwrap());
    assert_eq!(bytes, 40.0 * 23.0);
    let [loss, bits] = ["loss", "bits_per_byte"].map(|name| said["loss"][name].as_f64().unwrap());
    assert!(
        (bits - loss / 2_f64.ln() * tokens / bytes).abs() < 1e-9,
        "{said}"
    );
}
