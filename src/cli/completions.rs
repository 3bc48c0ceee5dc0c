//! `llama-train completions`: what a shell reads to complete verbs and flags, by clap's own generator.

use super::args::{Cli, Completions};
use crate::commands::Output;
use clap::CommandFactory;
use serde_json::json;

impl Completions {
    pub(super) fn run(&self) -> Output {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "llama-train", &mut script);
        let script = String::from_utf8_lossy(&script);
        Output {
            json: json!({"shell": self.shell.to_string(), "script": script}),
            text: script.trim_end().to_owned(),
            exit_code: 0,
        }
    }
}
