//! The original project's `.pt` files (`fixtures/original/make.py` says what is in them), and the flags that name them.

use crate::adapters::assert_same_tensors;
use crate::common::{column, fixture, llama_train, metrics, stderr_of};
use llama_train::model::LoraOptions;
use llama_train::weights::{Pretrained, original};
use std::path::Path;

/// The original's B is in the rotary layout of its matrix.
#[test]
fn the_adapter_of_an_original_checkpoint_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = fixture("original/model_7.pt");
    let from = checkpoint.display().to_string();
    let outcome = llama_train(dir.path())
        .args(["export", "--checkpoint", &from, "--out", "out"])
        .assert()
        .success();
    let said = stderr_of(&outcome);
    for told in [
        "there is no tokenizer beside the weights",
        "PEFT cannot open the model it names",
    ] {
        assert!(said.contains(told), "{said}");
    }
    let out = dir.path().join("out");
    let weights = |dir: &Path| dir.join("adapter_model.safetensors");
    assert_same_tensors(&weights(&out), &weights(&fixture("5_lora")));
    assert_eq!(original::step(&checkpoint).unwrap(), 7);
    let adapter = Pretrained::open(&checkpoint, None, 12.0).unwrap();
    let expected = LoraOptions {
        rank: 4,
        alpha: 12.0,
        dropout: 0.0,
        targets: vec!["wq".into(), "wv".into()],
    };
    assert_eq!(adapter.adapter().unwrap().options(), &expected);
}

/// A run of `steps` steps on the reference stream, with the flags given.
fn pretrain(dir: &Path, steps: u64, flags: &[&str]) -> assert_cmd::assert::Assert {
    let settings = [
        "run.device=\"cpu\"".to_owned(),
        format!("data.path=\"{}\"", fixture("9_stream/data").display()),
        format!("train.max_steps={steps}"),
        "data.shuffle=false".into(),
        "train.seq_len=32".into(),
        "train.micro_batch_size=2".into(),
        "checkpoint.save=false".into(),
    ];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let mut command = llama_train(dir);
    command.arg("pretrain").args(settings).args(flags);
    command.assert()
}

#[test]
fn a_run_goes_on_from_its_step_with_its_weights_and_its_adapter() {
    let dir = tempfile::tempdir().unwrap();
    let folder = format!("checkpoint.load_dir=\"{}\"", fixture("original").display());
    let flags = ["--pretrain_checkpoint", "model_7.pt", "--set", &folder];
    pretrain(dir.path(), 9, &flags).success();
    let records = metrics(&dir.path().join("runs/llama"), "train");
    assert_eq!(column(&records, "step"), [8.0, 9.0]);
    // The same weights by another way, PEFT's adapter over the Hub's folder; there the head is tied, which the first
    // update shows.
    let adapter = fixture("5_lora").display().to_string();
    let other = [
        "--init-from",
        &adapter,
        "--start-step",
        "7",
        "--set",
        "run.name=other",
    ];
    pretrain(dir.path(), 9, &other).success();
    let expected = metrics(&dir.path().join("runs/other"), "train");
    let [ours, theirs] = [records, expected].map(|records| column(&records, "loss")[0]);
    assert!((ours / theirs - 1.0).abs() < 1e-6, "{ours} {theirs}");
}

#[test]
fn a_checkpoint_of_another_stage_begins_at_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let file = fixture("original/model_7.pt").display().to_string();
    pretrain(dir.path(), 1, &["--instruct-checkpoint", &file]).success();
    let records = metrics(&dir.path().join("runs/llama"), "train");
    assert_eq!(column(&records, "step"), [1.0]);
}

#[test]
fn what_is_no_checkpoint_of_the_project_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = pretrain(dir.path(), 1, &["--dpo-checkpoint", "model_9.pt"]).code(2);
    let said = stderr_of(&outcome);
    assert!(said.contains("model_9.pt: there is no such file"), "{said}");
    let both = ["--dpo-checkpoint", "a.pt", "--pretrain-checkpoint", "b.pt"];
    let said = stderr_of(&pretrain(dir.path(), 1, &both).code(2));
    assert!(said.contains("cannot be used with"), "{said}");
    let meta = fixture("8_meta/consolidated.00.pth").display().to_string();
    let said = stderr_of(&pretrain(dir.path(), 1, &["--init-from", &meta]).failure());
    assert!(
        said.contains("no checkpoint of the original project"),
        "{said}"
    );
}
