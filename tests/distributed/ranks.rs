//! Ranks as processes, started as a launcher starts them, without one.

use crate::common::llama_train;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A port that was free a moment ago.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// One rank of a job; rank 0 serves the store.
pub(super) fn rank(dir: &Path, arguments: &[String], place: (u64, u64), port: u16) -> Command {
    let template = llama_train(dir);
    let mut command = Command::new(template.get_program());
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .args(arguments)
        .current_dir(dir)
        .env("RANK", place.0.to_string())
        .env("LOCAL_RANK", place.0.to_string())
        .env("WORLD_SIZE", place.1.to_string())
        .env("LOCAL_WORLD_SIZE", place.1.to_string())
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// All ranks of a job, running.
pub(crate) fn start(dir: &Path, arguments: &[String], world_size: u64) -> Vec<Child> {
    let port = free_port();
    let start = |number| rank(dir, arguments, (number, world_size), port).spawn();
    (0..world_size)
        .map(|number| start(number).unwrap())
        .collect()
}

/// What each of them came to.
pub(crate) fn wait(ranks: Vec<Child>) -> Vec<Output> {
    let outputs = ranks.into_iter().map(Child::wait_with_output);
    outputs.map(Result::unwrap).collect()
}

/// Runs a job in which nothing may go wrong.
pub(crate) fn run(dir: &Path, arguments: &[String], world_size: u64) {
    for (number, output) in wait(start(dir, arguments, world_size)).iter().enumerate() {
        assert!(output.status.success(), "rank {number}: {}", said(output));
        assert_eq!(output.stdout.is_empty(), number != 0, "rank {number}");
    }
}

/// What a rank said on stderr.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
