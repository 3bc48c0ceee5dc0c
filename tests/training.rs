//! Whole runs of the binary against numbers of the reference implementation, and against themselves when cut.

use crate::common::{column, fixture, llama_train, metrics, stream_run};
use crate::runs::{cut_run_is_the_straight_one, run_to_the_end};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `vectors/9_stream`: transformers and torch on the same windows (see the vectors' own README).
#[test]
fn twenty_steps_follow_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    run_to_the_end(dir.path(), &stream_run("trace", &[]));
    let records = metrics(&dir.path().join("runs/trace"), "train");
    let text = fs::read_to_string(fixture("9_stream/expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let expected = expected["pretrain"]["f32"].as_array().unwrap();
    assert_eq!(records.len(), expected.len());
    for (record, expected) in records.iter().zip(expected) {
        let off = |name: &str| {
            let (ours, theirs) = (
                record[name].as_f64().unwrap(),
                expected[name].as_f64().unwrap(),
            );
            (ours - theirs).abs() / theirs
        };
        assert!(
            off("loss") < 1e-5 && off("grad_norm") < 1e-4 && off("lr") < 1e-9,
            "{record}\n{expected}"
        );
    }
    assert_eq!(column(&records, "tokens_seen").last(), Some(&2560.0));
}

/// The loss is a sum over the global batch divided once: how it is cut does not matter.
#[test]
fn accumulation_does_not_change_the_curve() {
    let dir = tempfile::tempdir().unwrap();
    run_to_the_end(dir.path(), &stream_run("two", &[]));
    run_to_the_end(
        dir.path(),
        &stream_run("four", &["train.micro_batch_size=1"]),
    );
    run_to_the_end(
        dir.path(),
        &stream_run("one", &["train.micro_batch_size=4"]),
    );
    let run = |name: &str| metrics(&dir.path().join("runs").join(name), "train");
    for (name, tolerance) in [("loss", 1e-6), ("grad_norm", 1e-5)] {
        let reference = column(&run("two"), name);
        for other in ["four", "one"] {
            for (a, b) in reference.iter().zip(column(&run(other), name)) {
                assert!((a - b).abs() / a < tolerance, "{name} of {other}: {a} {b}");
            }
        }
    }
}

fn cut_twice(setting: &str) {
    // Wider rows than the reference's, so that a step lasts long enough to be killed in.
    let settings = [
        setting,
        "train.max_steps=40",
        "checkpoint.every=5",
        "train.total_batch_tokens=512",
    ];
    let arguments = |name: &str| stream_run(name, &settings);
    cut_run_is_the_straight_one(arguments, "model.safetensors", 40);
}

#[test]
fn a_killed_run_resumes_bit_for_bit() {
    cut_twice("data.shuffle=false");
}

#[test]
fn a_killed_run_over_shuffled_data_resumes_bit_for_bit() {
    cut_twice("data.shuffle=true");
}

#[test]
fn a_killed_run_with_weights_in_bf16_resumes_bit_for_bit() {
    cut_twice("train.weights=\"bf16\"");
}

#[test]
fn a_finished_run_is_left_alone_and_a_taken_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = stream_run("once", &[]);
    run_to_the_end(dir.path(), &arguments);
    let before = fs::read(dir.path().join("runs/once/metrics.jsonl")).unwrap();
    llama_train(dir.path())
        .args(&arguments)
        .arg("--resume")
        .assert()
        .success();
    assert_eq!(
        fs::read(dir.path().join("runs/once/metrics.jsonl")).unwrap(),
        before
    );
    let refused = llama_train(dir.path()).args(&arguments).assert().code(2);
    let message = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(
        message.contains("--resume") && message.contains("run.name"),
        "{message}"
    );
}

/// A learning rate of 0 learns nothing, so no validation after the first is better; the count goes on across a resume.
#[test]
fn early_stopping_counts_across_a_resume() {
    let dir = tempfile::tempdir().unwrap();
    let settings = |max_steps| {
        let max_steps = format!("train.max_steps={max_steps}");
        let fixed = [
            "optim.max_lr=0",
            "optim.min_lr=0",
            "validate.every=2",
            "validate.early_stopping_patience=3",
            "validate.early_stopping_skip_steps=4",
        ];
        stream_run("patient", &[&fixed[..], &[max_steps.as_str()]].concat())
    };
    // Best at 2, skipped at 4, worse at 6 and 8.
    run_to_the_end(dir.path(), &settings(8));
    let resumed = |max_steps| {
        let arguments = [
            settings(max_steps),
            vec!["--resume".into(), "--json".into()],
        ]
        .concat();
        let run = llama_train(dir.path()).args(arguments).assert().success();
        serde_json::from_slice::<Value>(&run.get_output().stdout).unwrap()
    };
    for _ in 0..2 {
        let summary = resumed(20);
        assert_eq!(
            (&summary["stopped"], &summary["step"]),
            (&"early_stopping".into(), &10.into())
        );
    }
    let run = dir.path().join("runs/patient");
    let losses = column(&metrics(&run, "val"), "loss");
    assert_eq!(losses.len(), 5);
    assert!(losses.iter().all(|&loss| loss == losses[0]), "{losses:?}");
    assert_eq!(
        fs::read_link(run.join("checkpoints/best")).unwrap(),
        Path::new("step_00000002")
    );
}

#[test]
fn sigterm_saves_and_exits_with_143() {
    let dir = tempfile::tempdir().unwrap();
    // Long steps, and a short validation after each: the signal comes in a step.
    let settings = [
        "train.max_steps=100000",
        "train.total_batch_tokens=2048",
        "optim.max_lr=0",
        "optim.min_lr=0",
        "validate.every=1",
        "validate.batches=1",
    ];
    let arguments = stream_run("stopped", &settings);
    let mut child = Command::new(env!("CARGO_BIN_EXE_llama-train"))
        .args(&arguments)
        .arg("--json")
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let run = dir.path().join("runs/stopped");
    let deadline = Instant::now() + Duration::from_secs(60);
    while validations(&run) < 2 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    let summary: Value = serde_json::from_reader(child.stdout.take().unwrap()).unwrap();
    assert_eq!(summary["stopped"], "signal");
    let state = fs::read_to_string(run.join("checkpoints/latest/llama_train_state.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["step"], summary["step"]);
    let records = |split| metrics(&run, split).len() as u64;
    assert_eq!(records("train"), summary["step"].as_u64().unwrap());
    // The validation of the last step was done, or is owed.
    let owed = u64::from(state["owed"].as_bool().unwrap());
    assert_eq!(records("val") + owed, records("train"));
}

fn validations(run: &Path) -> usize {
    let text = fs::read_to_string(run.join("metrics.jsonl"));
    text.map_or(0, |text| text.matches("\"val\"").count())
}

/// A gradient that is not finite changes nothing; too many in a row end the run with a checkpoint.
#[test]
fn non_finite_steps_are_skipped_and_end_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = stream_run(
        "diverged",
        &[
            "optim.max_lr=1e38",
            "optim.grad_clip=0",
            "train.max_skipped_steps=3",
        ],
    );
    let failed = llama_train(dir.path()).args(&arguments).assert().code(1);
    let message = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(message.contains("had no finite gradient"), "{message}");
    assert!(
        dir.path()
            .join("runs/diverged/checkpoints/latest/model.safetensors")
            .exists()
    );
}
