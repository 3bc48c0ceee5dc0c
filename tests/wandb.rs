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
    assert!(stderr_of(&run).contains(&format!("{}/me/reference/runs/", server.url)));
}
