//! Where the key comes from, what is said without a good one, and that it stays a secret.

use super::{online, wandb_run};
use crate::common::stderr_of;
use crate::wandb::server::{KEY, Server};
use base64::Engine;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

#[test]
fn a_missing_or_refused_key_is_said_before_anything_is_made() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start());
    let missing = wandb_run(dir.path(), &["wandb.mode=online"])
        .env("WANDB_BASE_URL", &server.url)
        .assert()
        .code(2);
    let message = stderr_of(&missing);
    for part in ["no W&B key", "WANDB_API_KEY", ".netrc", "\"offline\""] {
        assert!(message.contains(part), "{message}");
    }
    let refused = online(dir.path(), &server, &[])
        .env("WANDB_API_KEY", "another")
        .assert()
        .code(1);
    let message = stderr_of(&refused);
    for part in ["refuses the key", "401", "WANDB_API_KEY", "\"offline\""] {
        assert!(message.contains(part), "{message}");
    }
    let bad = online(dir.path(), &server, &[])
        .env("WANDB_BASE_URL", "localhost:1")
        .assert()
        .code(2);
    assert!(stderr_of(&bad).contains("begins with https://"));
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn the_key_of_the_env_file_or_of_netrc_will_do() {
    let server = Server::start();
    let host = server.url.strip_prefix("http://").unwrap();
    let files = [
        (
            ".env",
            format!("WANDB_API_KEY={KEY}\nWANDB_BASE_URL={}\n", server.url),
        ),
        (
            ".netrc",
            format!("machine {host}\n  login user\n  password {KEY}\n"),
        ),
    ];
    for (name, text) in files {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), text).unwrap();
        let mut run = wandb_run(dir.path(), &["wandb.mode=online", "train.max_steps=2"]);
        if name == ".netrc" {
            run.env("WANDB_BASE_URL", &server.url);
        }
        run.env("WANDB_RUN_ID", format!("from{name}"))
            .assert()
            .success();
        let runs = &server.state()["runs"];
        assert_eq!(runs[format!("from{name}")]["complete"], json!(true));
    }
}

/// In no file, no line and no process title; and a signal's exit code arrives.
#[test]
fn the_key_stays_a_secret() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start());
    let settings = [
        "wandb.mode=online",
        "wandb.project=reference",
        "train.max_steps=100000",
    ];
    let run = Command::new(env!("CARGO_BIN_EXE_llama-train"))
        .args(crate::common::stream_run("told", &settings))
        .current_dir(dir.path())
        .envs([
            ("WANDB_BASE_URL", server.url.as_str()),
            ("WANDB_API_KEY", KEY),
        ])
        .env("LLAMA_TRAIN_LOG", "debug")
        .env("OMP_NUM_THREADS", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !dir.path().join("runs/told/metrics.jsonl").exists() {
        thread::sleep(Duration::from_millis(10));
    }
    let mut seen = Vec::new();
    let process = format!("/proc/{}", run.id());
    seen.extend(fs::read(format!("{process}/cmdline")).unwrap());
    for thread in fs::read_dir(format!("{process}/task")).unwrap() {
        seen.extend(fs::read(thread.unwrap().path().join("comm")).unwrap_or_default());
    }
    let sent = Command::new("kill")
        .arg(run.id().to_string())
        .status()
        .unwrap();
    assert!(sent.success());
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    seen.extend([output.stdout, output.stderr].concat());
    read_all(dir.path(), &mut seen);
    read_all_of(&server, &mut seen);
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("api:{KEY}"));
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("train/loss") && seen.contains("step_seconds") && seen.contains("told"));
    assert!(!seen.contains(KEY) && !seen.contains(&encoded));
    assert_eq!(server.run()["exitcode"], json!(143));
}

fn read_all(dir: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            read_all(&path, into);
        } else {
            into.extend(fs::read(&path).unwrap_or_default());
        }
    }
}

/// What the run told, its configuration and console too.
fn read_all_of(server: &Server, into: &mut Vec<u8>) {
    into.extend(server.state().to_string().into_bytes());
}
