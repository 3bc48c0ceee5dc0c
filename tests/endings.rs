//! What a run leaves behind, and what the next one makes of it.

use crate::common::{column, fixture, llama_train, metrics, stderr_of, stream_run};
use crate::runs::run_to_the_end;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const STILL: [&str; 2] = ["optim.max_lr=0", "optim.min_lr=0"];

fn checkpoint(dir: &Path, run: &str, step: u64) -> PathBuf {
    dir.join(format!("runs/{run}/checkpoints/step_{step:08}"))
}

/// As if the run had been saved with other values in its state, which nothing vouches for.
fn with_state(checkpoint: &Path, values: &[(&str, Value)]) {
    let path = checkpoint.join("llama_train_state.json");
    let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (key, value) in values {
        assert!(state.get(key).is_some(), "{key}");
        state[key] = value.clone();
    }
    fs::write(&path, state.to_string()).unwrap();
}

fn resumed(arguments: Vec<String>, checkpoint: &Path) -> Vec<String> {
    let from = checkpoint.display().to_string();
    [arguments, vec!["--resume".into(), from]].concat()
}

fn best(dir: &Path, run: &str) -> Option<PathBuf> {
    fs::read_link(dir.join(format!("runs/{run}/checkpoints/best"))).ok()
}

/// A signal ends a run before the validation that was due; the run that goes on makes up for it.
#[test]
fn a_validation_that_is_owed_is_made_up_for() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        "train.max_steps=4",
        "checkpoint.every=2",
        "validate.every=2",
    ];
    run_to_the_end(dir.path(), &stream_run("whole", &settings));
    for (name, owed, steps) in [("paid", false, &[4.0][..]), ("owing", true, &[2.0, 4.0])] {
        let middle = checkpoint(dir.path(), "whole", 2);
        with_state(&middle, &[("owed", json!(owed))]);
        run_to_the_end(dir.path(), &resumed(stream_run(name, &settings), &middle));
        let [whole, cut] =
            ["whole", name].map(|run| metrics(&dir.path().join("runs").join(run), "val"));
        assert_eq!(column(&cut, "step"), steps);
        let losses = column(&whole, "loss");
        assert_eq!(column(&cut, "loss"), losses[losses.len() - steps.len()..]);
    }
}

/// The row of steps without a finite gradient ends with the first step that has one, also where it was as long as it may be.
#[test]
fn a_run_that_recovers_at_the_limit_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        "train.max_steps=4",
        "checkpoint.every=2",
        "train.max_skipped_steps=3",
    ];
    run_to_the_end(dir.path(), &stream_run("whole", &settings));
    let middle = checkpoint(dir.path(), "whole", 2);
    with_state(&middle, &[("skipped_in_a_row", json!(3))]);
    run_to_the_end(dir.path(), &resumed(stream_run("on", &settings), &middle));
    let [whole, on] =
        ["whole", "on"].map(|run| metrics(&dir.path().join("runs").join(run), "train"));
    assert_eq!(column(&on, "loss"), column(&whole, "loss")[2..]);
}

#[test]
fn the_best_of_a_course_is_that_courses() {
    let dir = tempfile::tempdir().unwrap();
    let settings = |more: &[&str]| {
        let fixed = [
            "train.max_steps=6",
            "checkpoint.every=1",
            "validate.every=2",
        ];
        stream_run("run", &[&fixed[..], more].concat())
    };
    run_to_the_end(dir.path(), &settings(&["checkpoint.keep_last=0"]));
    assert_eq!(best(dir.path(), "run").unwrap(), Path::new("step_00000006"));
    // Back to step 2, from where nothing is learned: that step stays the best, and is kept.
    let back = settings(&[&STILL[..], &["checkpoint.keep_last=1"]].concat());
    let middle = checkpoint(dir.path(), "run", 2);
    run_to_the_end(dir.path(), &resumed(back, &middle));
    assert_eq!(best(dir.path(), "run").unwrap(), Path::new("step_00000002"));
    assert!(middle.exists());
}

#[test]
fn a_best_one_that_went_is_no_longer_named() {
    let dir = tempfile::tempdir().unwrap();
    let fixed = [
        "train.max_steps=4",
        "checkpoint.every=1",
        "checkpoint.keep_last=1",
        "checkpoint.keep_best=false",
        "validate.every=2",
    ];
    run_to_the_end(
        dir.path(),
        &stream_run("run", &[&fixed[..], &STILL].concat()),
    );
    assert!(checkpoint(dir.path(), "run", 4).exists());
    assert!(!checkpoint(dir.path(), "run", 2).exists());
    assert_eq!(best(dir.path(), "run"), None);
}

#[test]
fn what_a_killed_process_left_half_written_goes() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = dir.path().join("runs/run/checkpoints");
    let left = checkpoints.join(".saving-00000137");
    fs::create_dir_all(&left).unwrap();
    let again = [
        stream_run("run", &["train.max_steps=2"]),
        vec!["--resume".into()],
    ]
    .concat();
    run_to_the_end(dir.path(), &again);
    assert!(!left.exists());
    assert!(checkpoint(dir.path(), "run", 2).exists());
}

/// Words to a run that is over change nothing about it, nor about what is written of it.
#[test]
fn a_finished_run_stays_as_it_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["validate.every=2", "validate.early_stopping_patience=1"];
    let early = [&settings[..], &STILL].concat();
    for (name, settings) in [("over", &["train.max_steps=2"][..]), ("stopped", &early)] {
        run_to_the_end(dir.path(), &stream_run(name, settings));
        let run = dir.path().join("runs").join(name);
        let files = [
            "config.toml",
            "history.jsonl",
            "metrics.jsonl",
            "report.html",
        ];
        let read = || files.map(|file| fs::read_to_string(run.join(file)).unwrap());
        let before = read();
        let other = [settings, &["optim.weight_decay=0.5"]].concat();
        let again = [stream_run(name, &other), vec!["--resume".into()]].concat();
        run_to_the_end(dir.path(), &again);
        assert!(before == read(), "{name}");
    }
}

/// A checkpoint of adapters, or of whole weights, is gone on with as what it is.
#[test]
fn adapters_are_gone_on_with_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let base = fixture("1_checkpoints/b_gqa_tied").display().to_string();
    let base = format!("model.init_from=\"{base}\"");
    let lora = [
        "lora.enabled=true",
        "lora.rank=4",
        base.as_str(),
        "train.max_steps=2",
    ];
    run_to_the_end(dir.path(), &stream_run("adapted", &lora));
    run_to_the_end(dir.path(), &stream_run("whole", &["train.max_steps=2"]));
    let refused = |arguments: Vec<String>, told: &str| {
        let outcome = llama_train(dir.path()).args(&arguments).assert().code(2);
        let said = stderr_of(&outcome);
        assert!(said.contains(told), "{said}");
    };
    let again = |name: &str, settings: &[&str]| {
        [stream_run(name, settings), vec!["--resume".into()]].concat()
    };
    let more = "train.max_steps=3";
    refused(again("adapted", &[more]), "set lora.enabled=true to go on");
    let whole = ["lora.enabled=true", more];
    refused(again("whole", &whole), "set lora.enabled=false to go on");
    let other = [&lora[..3], &[more, "lora.alpha=5"]].concat();
    refused(again("adapted", &other), "--set lora.alpha=8");
    // PEFT's adapter, of rank 4 and alpha 8 over two of the matrices.
    let peft = format!("model.init_from=\"{}\"", fixture("5_lora").display());
    let start = ["lora.enabled=true", "lora.rank=4", peft.as_str(), more];
    let targets = "--set 'lora.target_modules=[\"wq\",\"wv\"]'";
    refused(stream_run("peft", &start), targets);
    let right = [&start[..], &["lora.target_modules=[\"wq\",\"wv\"]"]].concat();
    run_to_the_end(dir.path(), &stream_run("peft", &right));
}
