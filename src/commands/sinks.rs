//! Where a run's numbers go: rank 0 keeps them in the run folder, shows them, and tells W&B where that is asked for.

use super::Output;
use super::training::TrainingRequest;
use super::wandb::{self, Reporting};
use crate::config::Config;
use crate::dist::LaunchEnv;
use crate::metrics::{ConsoleSink, JsonlSink, MetricSink, SamplesSink};
use crate::train::{RunFolder, RunPlan};
use anyhow::Result;

/// Where rank 0 reports to besides the run folder.
pub(super) fn reporting(request: &TrainingRequest, launch: &LaunchEnv) -> Result<Reporting> {
    match launch.rank {
        0 => Reporting::of(&request.config.wandb),
        _ => Ok(Reporting::Disabled),
    }
}

/// The run folder's files, the terminal, and W&B where it is asked for, of a run that stands at `step`.
pub(super) fn open(
    reporting: &Reporting,
    folder: &RunFolder,
    step: u64,
    (config, plan): (&Config, &RunPlan),
) -> Result<Vec<Box<dyn MetricSink>>> {
    let mut sinks: Vec<Box<dyn MetricSink>> = vec![
        Box::new(JsonlSink::open(&folder.metrics(), step)?),
        Box::new(SamplesSink::open(&folder.samples(), step)?),
        Box::new(ConsoleSink::new(step, plan.max_steps)),
    ];
    sinks.extend(reporting.sink(folder.path(), step, wandb::describe(config, plan))?);
    Ok(sinks)
}

/// A sink that cannot end well changes nothing about the run.
pub(super) fn finish(sinks: &mut [Box<dyn MetricSink>], output: &Result<Output>) {
    let failed = 1;
    let exit_code = output.as_ref().map_or(failed, |output| output.exit_code);
    for sink in sinks {
        if let Err(error) = sink.finish(exit_code.into()) {
            log::warn!("{error:#}");
        }
    }
}
