//! Models and data sets by their names on the Hub, against a server on the loopback interface.

mod bases;
mod benchmarks;
mod chats;
mod connections;
mod datasets;
mod hostile;
mod http;
mod models;
mod refusals;
mod repository;
mod server;
mod standalone;
mod streaming;

use crate::common::{fixture, llama_train, stderr_of};
use assert_cmd::Command;
use server::Hub;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A Hub, and a place with a cache of its own.
struct Case {
    hub: Hub,
    dir: tempfile::TempDir,
    exports: AtomicUsize,
}

impl Case {
    fn new() -> Self {
        Self {
            hub: Hub::start(),
            dir: tempfile::tempdir().unwrap(),
            exports: AtomicUsize::new(0),
        }
    }

    /// With the model `org/tiny`: four files of a checkpoint and its tokenizer, among others.
    fn with_model() -> Self {
        let case = Self::new();
        case.hub.commit("models/org/tiny", "main", &tiny());
        case
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = llama_train(self.dir.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HF_")) {
            command.env_remove(name);
        }
        command
            .env("HF_HOME", self.home())
            .env("HF_ENDPOINT", &self.hub.address)
            .args(arguments);
        command
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Exports a model, which takes all of it.
    fn export(&self, model: &str) -> Command {
        let out = format!("out-{}", self.exports.fetch_add(1, Ordering::Relaxed));
        self.command(&["export", "--checkpoint", model, "--out", &out])
    }

    /// What the command says when it ends with this code.
    fn said(&self, mut command: Command, code: i32) -> String {
        stderr_of(&command.assert().code(code))
    }

    /// A file of a repository's commit in the cache.
    fn cached(&self, repo: &str, commit: &str, file: &str) -> PathBuf {
        let repo = self.home().join("hub").join(repo);
        repo.join("snapshots").join(commit).join(file)
    }
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    fs::read(fixture("").join(path)).unwrap()
}

/// A model's repository: what is needed, and what is not.
fn tiny() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("README.md", b"# tiny".to_vec()),
        ("config.json", read("2_train_trace/init/config.json")),
        (
            "model.safetensors",
            read("2_train_trace/init/model.safetensors"),
        ),
        ("pytorch_model.bin", vec![0; 100]),
        ("original/params.json", b"{}".to_vec()),
        ("tokenizer.json", read("tokenizer/tokenizer.json")),
        (
            "tokenizer_config.json",
            read("tokenizer/tokenizer_config.json"),
        ),
    ]
}
