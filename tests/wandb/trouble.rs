//! A server in trouble, and runs that were cut: nothing is lost.

use super::{assert_same_numbers, online, wandb_run};
use crate::common::{metrics, stderr_of, stream_run};
use crate::runs::run_until_killed;
use crate::wandb::server::{KEY, Server};
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The first three requests (the key, the run so far, the run) are answered; then comes the trouble.
fn survives(faults: &[&str]) {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start());
    server.faults(&[&["", "", ""], faults].concat());
    let run = online(dir.path(), &server, &["validate.every=5"])
        .assert()
        .success();
    assert_same_numbers(&server, &dir.path().join("runs/told"), 20);
    let received = server.run();
    assert_eq!(
        (&received["complete"], &received["exitcode"]),
        (&json!(true), &json!(0))
    );
    let message = stderr_of(&run);
    assert_eq!(message.matches("falling behind").count(), 1, "{message}");
    assert!(message.contains("answers again; all is sent"), "{message}");
}

#[test]
fn lines_whose_answer_is_lost_are_not_doubled() {
    survives(&["lost", "500"]);
}

#[test]
fn a_busy_server_is_asked_again_and_nonsense_is_no_answer() {
    survives(&["429", "garbage", "silence"]);
}

#[test]
fn a_server_that_comes_late_gets_everything() {
    let dir = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut run = wandb_run(dir.path(), &["wandb.mode=online"]);
    run.env("WANDB_BASE_URL", format!("http://{address}"))
        .env("WANDB_API_KEY", KEY);
    let run = thread::spawn(move || stderr_of(&run.assert().success()));
    while !dir.path().join("runs/told/metrics.jsonl").exists() {
        thread::sleep(Duration::from_millis(10));
    }
    let server = Server::start_at(&address);
    let message = run.join().unwrap();
    assert!(
        message.contains("sent when the server answers"),
        "{message}"
    );
    assert_same_numbers(&server, &dir.path().join("runs/told"), 20);
}

/// What a refusing server has not taken, a resume sends, under the same id.
#[test]
fn a_refusal_ends_the_sending_and_a_resume_takes_it_up() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start());
    server.faults(&["", "", "", "403"]);
    let run = online(dir.path(), &server, &[]).assert().success();
    let message = stderr_of(&run);
    assert_eq!(message.matches("giving up").count(), 1, "{message}");
    assert!(
        message.contains("wandb sync runs/told/wandb/run-"),
        "{message}"
    );
    assert_eq!(server.run()["history"], json!([]));
    let mut more = online(dir.path(), &server, &["train.max_steps=25"]);
    more.arg("--resume").assert().success();
    assert_same_numbers(&server, &dir.path().join("runs/told"), 25);
    assert_eq!(server.run()["upserts"], 2);
}

/// Killed twice and resumed: online, W&B keeps the first numbers of the steps that are trained again, which are the same
/// but for the time they took.
#[test]
fn a_killed_run_goes_on_as_the_same_run() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start());
    let settings = [
        "wandb.mode=offline",
        "wandb.project=reference",
        "checkpoint.every=5",
        "train.max_steps=40",
        "train.total_batch_tokens=512",
    ];
    let mut cut = stream_run("told", &settings);
    cut.push("--resume".into());
    run_until_killed(dir.path(), &cut, "told", 17);
    let first = run_file(dir.path());
    run_until_killed(dir.path(), &cut, "told", 29);
    let settings = [&settings[1..], &["wandb.mode=online"]].concat();
    let mut rest = online(dir.path(), &server, &settings);
    rest.arg("--resume").assert().success();
    assert_eq!(run_file(dir.path()), first);
    assert_same_numbers(&server, &dir.path().join("runs/told"), 40);
    // From its last checkpoint once more: the same numbers come, and are passed over.
    for step in ["00000040", "00000035"] {
        let folder = format!("runs/told/checkpoints/step_{step}");
        fs::remove_dir_all(dir.path().join(folder)).unwrap();
    }
    let again = online(dir.path(), &server, &settings)
        .arg("--resume")
        .assert()
        .success();
    let message = stderr_of(&again);
    assert!(
        message.contains("the server has this run up to step 40"),
        "{message}"
    );
    let received = server.run();
    let losses = |records: &[serde_json::Value], name: &str| -> Vec<f64> {
        records
            .iter()
            .map(|record| record[name].as_f64().unwrap())
            .collect()
    };
    let trained = metrics(&dir.path().join("runs/told"), "train");
    let history = super::store::lines(&received, "history");
    assert_eq!(losses(history, "train/loss"), losses(&trained, "loss"));
}

/// The only `.wandb` file.
fn run_file(dir: &Path) -> PathBuf {
    let folders = fs::read_dir(dir.join("runs/told/wandb")).unwrap();
    let folders: Vec<_> = folders.map(|folder| folder.unwrap().path()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    let files = fs::read_dir(&folders[0])
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files = files.filter(|file| file.extension().is_some_and(|end| end == "wandb"));
    files.next().unwrap()
}
