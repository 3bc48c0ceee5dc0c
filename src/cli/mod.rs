//! The command line: flags in, exit code out.

mod args;
mod assignments;
mod completions;
mod eval_args;
mod examples;
mod model_args;
mod prep_args;
mod prep_requests;
mod requests;

use crate::commands::{Output, TrainingVerb, distill, dpo, pretrain, sft};
use crate::config::BadRequest;
use crate::dist::LaunchEnv;
use crate::{logging, torch};
use args::{Cli, Verb};
use clap::Parser;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Parses the command line, does what it says, and tells how it went.
#[must_use]
pub fn run() -> ExitCode {
    torch::quiet_log();
    torch::load_accelerator();
    torch::install_panic_hook();
    torch::report_file_size_limit();
    let rank = LaunchEnv::read().map_or(0, |launch| launch.rank);
    logging::init(rank);
    let cli = Cli::parse();
    let json = cli.verb.wants_json();
    match cli.verb.run() {
        Ok(output) if rank == 0 => finish(&output, json),
        Ok(output) => ExitCode::from(output.exit_code),
        Err(error) => {
            log::error!("{error:#}");
            let wrong_request = error.downcast_ref::<BadRequest>().is_some();
            ExitCode::from(if wrong_request { 2 } else { 1 })
        }
    }
}

/// A reader that has gone away is no failure of ours.
fn finish(output: &Output, json: bool) -> ExitCode {
    let text = if json {
        output.json.to_string()
    } else {
        output.text.clone()
    };
    if text.is_empty() {
        return ExitCode::from(output.exit_code);
    }
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            log::error!("stdout: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::from(output.exit_code),
    }
}

impl Verb {
    fn wants_json(&self) -> bool {
        match self {
            Self::PrepData(preparation) => preparation.common().json,
            Self::Pretrain(args) | Self::Sft(args) => args.common.json,
            Self::Dpo(args) | Self::Distill(args) => args.common.json,
            Self::Generate(args) => args.common.json,
            Self::Bench(args) => args.common.json,
            Self::Doctor(args) => args.common.json,
            Self::Export(args) => args.common.json,
            Self::Eval(args) => args.common.json,
            Self::Plan(args) => args.common.json,
            Self::Report(args) => args.common.json,
            Self::Completions(args) => args.json,
        }
    }

    fn run(&self) -> anyhow::Result<Output> {
        match self {
            Self::PrepData(preparation) => preparation.run(),
            Self::Pretrain(args) => pretrain::run(&args.request(TrainingVerb::Pretrain)?),
            Self::Sft(args) => sft::run(&args.request(TrainingVerb::Sft)?),
            Self::Dpo(args) => dpo::run(&args.request(TrainingVerb::Dpo)?),
            Self::Distill(args) => distill::run(&args.request(TrainingVerb::Distill)?),
            Self::Generate(args) => args.run(),
            Self::Bench(args) => args.run(),
            Self::Doctor(args) => args.run(),
            Self::Export(args) => args.run(),
            Self::Eval(args) => args.run(),
            Self::Plan(args) => args.run(),
            Self::Report(args) => args.run(),
            Self::Completions(args) => Ok(args.run()),
        }
    }
}
