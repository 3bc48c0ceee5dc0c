//! What each rank says when another is gone, late or never there.

use super::ranks::{free_port, rank, said, start, wait};
use crate::common::{fixture, stream_run};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Output};
use std::thread::sleep;
use std::time::Duration;

/// A run that goes on until it is stopped.
fn endless(more: &[&str]) -> Vec<String> {
    let fixed = [
        "train.max_steps=1000000",
        "train.total_batch_tokens=192",
        "train.micro_batch_size=1",
    ];
    let settings: Vec<&str> = fixed.iter().chain(more).copied().collect();
    stream_run("run", &settings)
}

fn wait_for_steps(dir: &Path, ranks: &mut [Child]) {
    let metrics = dir.join("runs/run/metrics.jsonl");
    while fs::read_to_string(&metrics)
        .unwrap_or_default()
        .lines()
        .count()
        < 3
    {
        assert!(
            ranks
                .iter_mut()
                .all(|rank| rank.try_wait().unwrap().is_none())
        );
        sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

fn assert_named(output: &Output, missing: u64) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let named = format!("rank {missing} does not answer");
    assert!(
        said.contains(&named) && said.contains("after step "),
        "{said}"
    );
}

#[test]
fn survivors_of_a_killed_rank_name_it_and_the_step() {
    let dir = tempfile::tempdir().unwrap();
    let mut ranks = start(dir.path(), &endless(&[]), 3);
    wait_for_steps(dir.path(), &mut ranks);
    signal(&ranks[1], "KILL");
    let outputs = wait(ranks);
    for survivor in [0, 2] {
        assert_named(&outputs[survivor], 1);
    }
    let log = fs::read_to_string(dir.path().join("runs/run/log.txt")).unwrap();
    assert!(
        log.contains("[rank 2] error: rank 2: rank 1 does not answer"),
        "{log}"
    );
}

#[test]
fn a_silent_rank_is_named_after_the_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let mut ranks = start(dir.path(), &endless(&["dist.timeout_seconds=2"]), 3);
    wait_for_steps(dir.path(), &mut ranks);
    signal(&ranks[2], "STOP");
    let silent = ranks.remove(2);
    let outputs = wait(ranks);
    signal(&silent, "KILL");
    wait(vec![silent]);
    for output in &outputs {
        assert_named(output, 2);
    }
}

/// Rank 0 writes samples for longer than the others wait.
#[test]
fn a_slow_rank_is_named_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let prompts = format!("generate.prompts={:?}", vec!["a"; 6000]);
    let tokenizer = format!("tokenizer.path=\"{}\"", fixture("tokenizer").display());
    let slow = [
        "train.max_steps=12",
        "dist.timeout_seconds=1",
        "generate.every=4",
        "generate.max_new_tokens=20",
        &prompts,
        &tokenizer,
    ];
    let outputs = wait(start(dir.path(), &endless(&slow), 3));
    for output in &outputs[1..] {
        let said = said(output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("rank 0 is still at work while others wait"),
            "{said}"
        );
    }
    assert_eq!(outputs[0].status.code(), Some(1), "{}", said(&outputs[0]));
}

#[test]
fn a_rank_that_never_comes_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let arguments = endless(&["dist.init_timeout_seconds=2"]);
    let here = [0, 2].map(|number| {
        rank(dir.path(), &arguments, (number, 3), port)
            .spawn()
            .unwrap()
    });
    for output in wait(here.into()) {
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("rank 1 has not come within 2 s"), "{said}");
    }
    assert!(!dir.path().join("runs").exists());
}

#[test]
fn a_taken_port_a_wrong_address_and_a_foreign_server_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let arguments = endless(&["dist.init_timeout_seconds=1"]);
    let nobody = rank(dir.path(), &arguments, (1, 2), free_port());
    let mut unknown = rank(dir.path(), &arguments, (1, 2), free_port());
    unknown.env("MASTER_ADDR", "no-such-host.invalid");
    let cases = [
        (
            rank(dir.path(), &arguments, (0, 2), taken),
            "is the port taken?",
        ),
        (nobody, "is rank 0 running"),
        (unknown, "does this machine reach that address?"),
        (
            rank(dir.path(), &arguments, (1, 2), taken),
            "is not a store of torch",
        ),
    ];
    for (mut command, expected) in cases {
        let output = command.output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn an_incomplete_environment_is_a_bad_request() {
    let dir = tempfile::tempdir().unwrap();
    for (name, value, expected) in [
        ("MASTER_PORT", "", "MASTER_PORT is not set"),
        ("MASTER_PORT", "a", "MASTER_PORT=a: expected a number"),
        ("RANK", "", "RANK is not set"),
        ("RANK", "2", "RANK=2: must be below WORLD_SIZE=2"),
        ("WORLD_SIZE", "0", "WORLD_SIZE=0"),
    ] {
        let mut command = rank(dir.path(), &endless(&[]), (1, 2), free_port());
        let output = command.env(name, value).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

/// SIGTERM to one rank alone: all finish the step, rank 0 saves, all exit alike.
#[test]
fn a_signal_to_one_rank_ends_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut ranks = start(dir.path(), &endless(&[]), 3);
    wait_for_steps(dir.path(), &mut ranks);
    signal(&ranks[1], "TERM");
    for output in wait(ranks) {
        assert_eq!(output.status.code(), Some(143), "{}", said(&output));
    }
    assert!(
        dir.path()
            .join("runs/run/checkpoints/latest/model.safetensors")
            .exists()
    );
}

/// A bad request that rank 0 alone can see ends the others too.
#[test]
fn a_taken_run_folder_is_refused_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("runs/run/checkpoints/step_00000004")).unwrap();
    let outputs = wait(start(dir.path(), &endless(&[]), 2));
    assert_eq!(outputs[0].status.code(), Some(2));
    assert!(said(&outputs[0]).contains("holds a run already"));
    assert!(said(&outputs[1]).contains("rank 0 has stopped; its own message says why"));
}
