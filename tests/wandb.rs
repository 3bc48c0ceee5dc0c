//! Weights & Biases: the run's file, the protocol, and a server in trouble.

mod http;
mod keys;
mod server;
mod store;
mod trouble;

use crate::common::{fixture, llama_train, metrics, stderr_of, stream_run};
use assert_cmd::Command;
use serde_json::{Value, json};
use server::{KEY, Server};
use std::path::Path;

/// The run of the reference stream with W&B, where no account of this machine can be found.
fn wandb_run(dir: &Path, settings: &[&str]) -> Command {
    let mut command = llama_train(dir);
    let ours = ["WANDB_PROJECT", "WANDB_RUN_ID", "WANDB_NAME", "WANDB_TAGS"];
    for name in ours {
        command.env_remove(name);
    }
    command
        .env("HOME", dir)
        .env_remove("NETRC")
        .env_remove("WANDB_API_KEY")
        .args(stream_run(
            "told",
            &[&["wandb.project=reference"], settings].concat(),
        ));
    command
}

fn online(dir: &Path, server: &Server, settings: &[&str]) -> Command {
    let mut command = wandb_run(dir, &[&["wandb.mode=online"], settings].concat());
    command
        .env("WANDB_BASE_URL", &server.url)
        .env("WANDB_API_KEY", KEY);
    command
}

/// What the server has of each step is what `metrics.jsonl` has.
fn assert_same_numbers(server: &Server, run: &Path, steps: usize) {
    let received = server.run();
    let history = store::lines(&received, "history");
    let at: Vec<u64> = history
        .iter()
        .map(|row| row["_step"].as_u64().unwrap())
        .collect();
    assert_eq!(at, (1..=steps as u64).collect::<Vec<_>>());
    let mut compared = 0;
    for split in ["train", "val"] {
        for record in metrics(run, split) {
            let row = &history[record["step"].as_u64().unwrap() as usize - 1];
            for (name, value) in record.as_object().unwrap() {
                if !["step", "split", "time"].contains(&name.as_str()) {
                    assert_eq!(&row[format!("{split}/{name}")], value, "{name} of {record}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 8 * steps, "{compared} numbers");
}

/// Wide, a row for each line; a run is found by its name too.
#[test]
fn a_table_of_the_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["train.max_steps=4", "validate.every=2"];
    llama_train(dir.path())
        .args(stream_run("one", &settings))
        .assert()
        .success();
    for run in ["runs/one", "one"] {
        let report = llama_train(dir.path())
            .args(["report", run, "--csv", "--json"])
            .assert()
            .success();
        let said: Value = serde_json::from_slice(&report.get_output().stdout).unwrap();
        assert_eq!(
            said["files"],
            json!([{"file": "runs/one/metrics.csv", "rows": 6}])
        );
    }
    let text = std::fs::read_to_string(dir.path().join("runs/one/metrics.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0][..4], ["step", "split", "time", "loss"]);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));
    let splits: Vec<_> = rows[1..].iter().map(|row| (row[0], row[1])).collect();
    let train = |step| (step, "train");
    let val = |step| (step, "val");
    assert_eq!(
        splits,
        [
            train("1"),
            train("2"),
            val("2"),
            train("3"),
            train("4"),
            val("4")
        ]
    );
    let loss = &metrics(&dir.path().join("runs/one"), "val")[0]["loss"];
    assert_eq!(rows[3][3], loss.to_string());
    let missing = llama_train(dir.path())
        .args(["report", "two", "--csv"])
        .assert()
        .code(2);
    assert!(stderr_of(&missing).contains("two: no run with a metrics.jsonl"));
}

#[test]
fn doctor_tells_of_the_server_and_the_key() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start());
    let cases = [
        (Some(KEY), true, "answers and takes the key"),
        (Some("another"), false, "refuses the key"),
        (None, false, "no W&B key"),
    ];
    for (key, works, words) in cases {
        let mut doctor = llama_train(dir.path());
        doctor
            .args(["doctor", "--json"])
            .env("WANDB_BASE_URL", &server.url)
            .env("HOME", dir.path());
        doctor
            .env_remove("NETRC")
            .env("WANDB_API_KEY", key.unwrap_or_default());
        let found: Value =
            serde_json::from_slice(&doctor.assert().success().get_output().stdout).unwrap();
        assert_eq!(found["wandb"]["works"], works, "{found}");
        assert!(
            found["wandb"]["found"].as_str().unwrap().contains(words),
            "{found}"
        );
    }
}

#[test]
fn a_run_is_told_whole() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start());
    let settings = [
        "validate.every=5",
        "wandb.group=g",
        "wandb.tags=[\"x\", \"y\"]",
        "generate.every=10",
        "generate.prompts=[\"def \", \"class \"]",
        "generate.max_new_tokens=4",
    ];
    let tokenizer = format!("tokenizer.path=\"{}\"", fixture("tokenizer").display());
    let settings = [&settings[..], &[tokenizer.as_str()]].concat();
    let run = online(dir.path(), &server, &settings).assert().success();
    assert_same_numbers(&server, &dir.path().join("runs/told"), 20);
    let received = server.run();
    assert_eq!(received["project"], "reference");
    assert_eq!(received["displayName"], "told");
    assert_eq!(received["groupName"], "g");
    assert_eq!(received["tags"], json!(["x", "y"]));
    assert_eq!(received["config"]["optim"]["max_lr"], json!(3e-3));
    assert_eq!(received["config"]["plan"]["world_size"], json!(1));
    let last = store::lines(&received, "history").last().unwrap();
    for name in ["_step", "train/loss", "val/loss", "samples/1"] {
        assert_eq!(received["summary"][name], last[name], "{name}");
    }
    let samples = ["samples/1", "samples/2"].map(|name| last[name].as_str().unwrap());
    assert!(samples[0].starts_with("def ") && samples[1].starts_with("class "));
    assert_eq!(
        (&received["complete"], &received["exitcode"]),
        (&json!(true), &json!(0))
    );
    let events = store::lines(&received, "events");
    assert!(events[0]["system.proc.memory.rssMB"].as_f64().unwrap() > 1.0);
    let output = store::lines(&received, "output");
    let output: Vec<&str> = output.iter().filter_map(Value::as_str).collect();
    assert!(
        output
            .iter()
            .any(|line| line.contains("step 20/20 val: loss")),
        "{output:?}"
    );
    assert!(stderr_of(&run).contains(&format!("the run is at {}/me/reference/runs/", server.url)));
}
