//! Benchmarks while a model learns.

use super::*;
use crate::common::{metrics, stream_run};

/// The settings of a run that is evaluated after every second step, on three benchmarks.
fn settings() -> Vec<String> {
    let tokenizer = fixture("tokenizer").display().to_string();
    let tasks = ["hellaswag", "arc_easy", "mmlu"];
    let data = tasks.iter().map(|name| {
        let place = items(name);
        let (name, path) = place.split_once('=').unwrap();
        format!("eval.task_data.{name}={path:?}")
    });
    let fixed = [
        format!("tokenizer.path={tokenizer:?}"),
        format!("eval.tasks={:?}", ["loss", "hellaswag", "arc_easy", "mmlu"]),
        "eval.every=2".to_owned(),
        "eval.limit=5".to_owned(),
    ];
    fixed.into_iter().chain(data).collect()
}

/// What two ranks find between steps is what one process finds in the checkpoint.
#[test]
fn an_evaluation_in_a_run_is_that_of_its_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let short = [
        "train.max_steps=4",
        "checkpoint.every=2",
        "checkpoint.keep_last=0",
    ];
    let arguments = stream_run("run", &[settings.as_slice(), &short].concat());
    ranks::run(dir.path(), &arguments, 2);
    let run_dir = dir.path().join("runs/run");
    let records = metrics(&run_dir, "eval");
    assert_eq!(records.len(), 2);
    for record in records {
        let step = record["step"].as_u64().unwrap();
        let model = run_dir.join(format!("checkpoints/step_{step:08}"));
        let mut arguments = eval(&["hellaswag", "arc_easy", "mmlu"], &["--limit", "5"]);
        let at = arguments.iter().position(|flag| flag == "model").unwrap();
        arguments[at] = model.display().to_string();
        let (answer, _) = run(dir.path(), &arguments, 1);
        for (task, names) in [
            ("hellaswag", ["acc", "acc_norm", "acc_stderr"].as_slice()),
            ("arc_easy", &["acc", "acc_norm", "acc_norm_stderr"]),
            ("mmlu", &["acc", "acc_stderr"]),
        ] {
            for name in names {
                let found = record[format!("{task}/{name}")].as_f64().unwrap();
                let alone = answer[task][name].as_f64().unwrap();
                assert!((found - alone).abs() < 1e-12, "step {step}: {task}/{name}");
            }
        }
        assert!(record.get("mmlu/acc_norm").is_none());
    }
}

/// Tuning is evaluated like any other training.
#[test]
fn a_tuned_model_is_evaluated_too() {
    let dir = tempfile::tempdir().unwrap();
    crate::sft::write_folder(&dir.path().join("data"), &["train"]);
    let settings = settings();
    let settings = settings.iter().map(String::as_str);
    let settings: Vec<&str> = settings.chain(["train.max_steps=1"]).collect();
    ranks::run(dir.path(), &crate::sft::sft("tuned", &settings), 1);
    let records = metrics(&dir.path().join("runs/tuned"), "eval");
    assert_eq!(records.len(), 1);
    for name in ["hellaswag/acc_norm", "arc_easy/acc", "mmlu/acc_stderr"] {
        assert!(records[0][name].is_number(), "{}", records[0]);
    }
}

/// What is missing is said before the run folder is made.
#[test]
fn a_run_asks_for_its_items_first() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |more: &[&str], message: &str| {
        let fixed = ["eval.every=1", "train.max_steps=1"];
        let arguments = stream_run("run", &[&fixed, more].concat());
        let outcome = llama_train(dir.path()).args(arguments).assert().code(2);
        let said = crate::common::stderr_of(&outcome);
        assert!(said.contains(message), "{said}");
        assert!(!dir.path().join("runs").exists());
    };
    let nowhere = ["eval.tasks=[\"piqa\"]", "eval.task_data.piqa=\"nowhere\""];
    refused(
        &nowhere,
        "--task-data piqa=nowhere (eval.task_data.piqa): no such file",
    );
    let here = items("piqa").replacen("piqa=", "eval.task_data.piqa=", 1);
    refused(
        &["eval.tasks=[\"piqa\"]", &here],
        "eval.tasks: piqa is text, and there is no tokenizer",
    );
    refused(&["eval.tasks=[\"helaswag\"]"], "did you mean `hellaswag`?");
}
