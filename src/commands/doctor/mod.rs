//! `llama-train doctor`: what this machine offers, what is missing, and the remedy.

mod gpu;

use super::Output;
use crate::config::DistConfig;
use crate::dist::{LaunchEnv, Meeting, Rendezvous, ServedBy, barrier};
use crate::hub::{self, Status};
use crate::metrics::machine_memory_bytes;
use crate::metrics::wandb::Account;
use crate::torch::{self, StoreAddress};
use anyhow::{Context, Result};
use indicatif::HumanBytes;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::{fmt::Write, net::TcpListener, thread};
use tch::Device;

/// Bytes of disk below which a run may not end well.
const SCARCE: u64 = 10 << 30;

/// One thing that was looked at.
struct Finding {
    /// Field name with `--json`.
    name: &'static str,
    works: bool,
    /// What was found, or what is wrong and the remedy.
    text: String,
}

/// Looks at libtorch, the devices and the ranks' backends. Nothing that is missing is an error: a CPU is enough.
/// `runs` is the folder that runs are kept in.
#[must_use]
pub fn run(runs: &Path) -> Output {
    let hub = hub::status(); // asked once: without a network it takes its time
    let findings = [
        libtorch(),
        processors(),
        disk(runs, hub.as_ref().ok().map(|status| status.cache.clone())),
        gpu::gpus(),
        gpu::cuda(),
        gloo(),
        gpu::nccl(),
        gpu::kernels(),
        the_hub(hub),
        weights_and_biases(),
    ];
    let mut text = String::from("ok: there; --: not there, with what it is for and the remedy\n");
    let mut json = serde_json::Map::new();
    for Finding {
        name,
        works,
        text: found,
    } in findings
    {
        let mark = if works { "ok" } else { "--" };
        let found_here = wrapped(&found);
        let _ = writeln!(text, "{mark}  {name:<9} {found_here}"); // a String takes everything
        json.insert(name.to_owned(), json!({"works": works, "found": found}));
    }
    Output {
        json: Value::Object(json),
        text: text.trim_end().to_owned(),
        exit_code: 0,
    }
}

/// Words in lines that a terminal of 80 columns does not break, each below the first.
fn wrapped(text: &str) -> String {
    const INDENT: usize = 14;
    const COLUMNS: usize = 80;
    let (mut lines, mut column) = (String::new(), INDENT);
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > INDENT && column + 1 + width > COLUMNS {
            let _ = write!(lines, "\n{:INDENT$}", "");
            column = INDENT;
        } else if column > INDENT {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += width;
    }
    lines
}

fn libtorch() -> Finding {
    let place = torch::library_path().map_or_else(String::new, |path| format!(", {path}"));
    Finding {
        name: "libtorch",
        works: true,
        text: format!("{}{place}", torch::version()),
    }
}

fn processors() -> Finding {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let memory = machine_memory_bytes().map_or_else(String::new, |bytes| {
        format!(", {} of memory", HumanBytes(bytes))
    });
    Finding {
        name: "cpu",
        works: true,
        text: format!("{cores} cores{memory}; trains in fp32 or bf16 (train.precision)"),
    }
}

/// Where runs are kept, and where the Hub's files are.
fn disk(runs: &Path, cache: Option<PathBuf>) -> Finding {
    let runs = std::path::absolute(runs).unwrap_or_else(|_| runs.to_owned());
    let places = [("runs", Some(runs)), ("the Hub's files", cache)];
    let found: Vec<_> = places
        .into_iter()
        .filter_map(|(what, dir)| Some((what, free_space(&dir?)?)))
        .collect();
    let least = found.iter().map(|(_, free)| *free).min().unwrap_or(0);
    let text: Vec<_> = found
        .iter()
        .map(|(what, free)| format!("{} free for {what}", HumanBytes(*free)))
        .collect();
    let remedy = match least < SCARCE {
        true => {
            "; little for checkpoints of 12 bytes a parameter: run.dir and HF_HOME name other places"
        }
        false => "",
    };
    Finding {
        name: "disk",
        works: least >= SCARCE,
        text: format!("{}{remedy}", text.join(", ")),
    }
}

/// Bytes that a file below this folder could take; it need not be there yet.
fn free_space(dir: &Path) -> Option<u64> {
    let there = dir.ancestors().find(|dir| dir.exists())?;
    let disk = rustix::fs::statvfs(there).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

/// A group of one rank, over the loopback interface.
fn gloo() -> Finding {
    let outcome = join_alone();
    Finding {
        name: "gloo",
        works: outcome.is_ok(),
        text: match outcome {
            Ok(()) => "ranks on CPUs: run here just now, with one rank; many ranks and two nodes by the project's tests".into(),
            Err(error) => format!(
                "{error:#}; GLOO_SOCKET_IFNAME names the network interface to use (ip address lists them)"
            ),
        },
    }
}

fn join_alone() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port on the loopback interface")?;
    let port = listener.local_addr()?.port();
    drop(listener);
    let launch = LaunchEnv {
        meeting: Some(Meeting {
            address: StoreAddress {
                host: "127.0.0.1".into(),
                port,
                prefix: "doctor".into(),
            },
            served_by: ServedBy::RankZero,
        }),
        ..LaunchEnv::alone()
    };
    let rendezvous = Rendezvous::meet(launch, DistConfig::default())?;
    barrier(rendezvous.group(Device::Cpu)?.as_ref())
}

/// Whether it answers, and who asks.
fn the_hub(status: Result<Status>) -> Finding {
    let (works, text) = match status {
        Err(error) => (false, format!("{error:#}")),
        Ok(Status {
            problem: Some(problem),
            ..
        }) => (
            false,
            format!("{problem}; without it hf:// finds only what was fetched before"),
        ),
        Ok(status) => (true, describe(&status)),
    };
    Finding {
        name: "hub",
        works,
        text,
    }
}

fn describe(status: &Status) -> String {
    let answers = match status.offline {
        true => "not asked (HF_HUB_OFFLINE is set)".to_owned(),
        false => format!("{} answers", status.endpoint),
    };
    let token = match status.has_token {
        true => "with a token",
        false => "without a token (gated and private models need one: set HF_TOKEN)",
    };
    format!("{answers}, {token}; files in {}", status.cache.display())
}

/// Whether `wandb.mode = "online"` would work.
fn weights_and_biases() -> Finding {
    let status = Account::status();
    Finding {
        name: "wandb",
        works: status.is_ok(),
        text: status.unwrap_or_else(|error| format!("{error:#}")),
    }
}
