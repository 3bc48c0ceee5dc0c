//! What the training verbs share: their request, what they look up before a device is touched, and their summary.

use super::history::{self, End, Event, Start as Started};
use super::{Output, TrainingVerb, benchmarks, course, plan, report, sinks, summary};
use crate::bad_request;
use crate::checkpoint::{self, Moments, ResumeFrom};
use crate::config::Config;
use crate::data::Dataset;
use crate::dist::{self, LaunchEnv, ProcessGroup, Rendezvous};
use crate::logging;
use crate::objective::Objective;
use crate::torch;
use crate::train::{Parts, RunFolder, RunPlan, Speed, Start, Summary, prepare_device};
use anyhow::Result;
use std::path::{Path, PathBuf};
use tch::Device;

/// A training verb's request.
#[derive(Debug, Clone)]
pub struct TrainingRequest {
    /// Which of them.
    pub verb: TrainingVerb,
    /// The checked configuration, flags included.
    pub config: Config,
    /// `--resume`.
    pub resume: Option<ResumeFrom>,
    /// `--reset-optimizer`: fresh moments, and the best validation forgotten.
    pub reset_optimizer: bool,
    /// `--start-step`.
    pub start_step: Option<u64>,
    /// `--dry-run`: stop after the checks.
    pub dry_run: bool,
}

impl TrainingRequest {
    /// How the run begins.
    #[must_use]
    pub fn start(&self) -> Start {
        self.resume.clone().map_or(Start::Fresh, Start::Resume)
    }

    /// What a resume does with the optimizer's moments.
    #[must_use]
    pub fn moments(&self) -> Moments {
        if self.reset_optimizer {
            Moments::Reset
        } else {
            Moments::Restore
        }
    }
}

/// The checkpoints that a run may go on from, the newest first.
///
/// # Errors
/// A bad request when the one asked for is missing.
pub fn checkpoints(folder: &RunFolder, start: &Start) -> Result<Vec<PathBuf>> {
    match start {
        Start::Fresh => Ok(Vec::new()),
        Start::Resume(ResumeFrom::Latest) => checkpoint::newest_first(&folder.checkpoints()),
        Start::Resume(ResumeFrom::Path(dir)) if checkpoint::is_in(dir) => Ok(vec![dir.clone()]),
        Start::Resume(ResumeFrom::Path(dir)) => Err(bad_request!(
            "--resume {}: there is no checkpoint of a run in it; name one, such as {}, or leave the folder out",
            dir.display(),
            folder.checkpoints().join("latest").display()
        )),
    }
}

/// Waits for the other ranks, unless nothing will be trained.
///
/// # Errors
/// When a rank does not come.
pub fn meet(request: &TrainingRequest) -> Result<Rendezvous> {
    let (launch, config) = (LaunchEnv::read()?, request.config.dist.clone());
    sinks::reporting(request, &launch)?; // a missing key is said before data is prepared
    match request.dry_run {
        true => Ok(Rendezvous::without_others(launch, config)),
        false => Rendezvous::meet(launch, config),
    }
}

/// The folder of the run, and how it begins. Rank 0 sees to it that no run is overwritten.
///
/// # Errors
/// A bad request when one would be.
pub fn run_folder(
    request: &TrainingRequest,
    rendezvous: &Rendezvous,
) -> Result<(RunFolder, Start)> {
    let folder = RunFolder::new(&request.config.run.dir, &request.config.run.name);
    let start = request.start();
    let is_first = rendezvous.launch().rank == 0;
    rendezvous.rank_zero_first("folder", || match is_first {
        true => folder.check(&start),
        false => Ok(()),
    })?;
    Ok((folder, start))
}

/// Makes the run folder, trains, and tells what came of it; or tells the plan, for `--dry-run`. What is minimised is made
/// once the device and the other ranks are there.
///
/// # Errors
/// A bad request when the folder cannot be written; later what the device, the disk or the data do.
pub fn run<O, D>(
    request: &TrainingRequest,
    parts: Parts<D>,
    rendezvous: Rendezvous,
    objective: impl FnOnce(&Parts<D>, Device, &dyn ProcessGroup) -> Result<O>,
) -> Result<Output>
where
    O: Objective<Batch = D::Batch>,
    D: Dataset,
{
    let is_first = rendezvous.launch().rank == 0;
    let parts = settled(request, parts)?;
    let benchmarks = benchmarks::find_due(&parts.config.eval)?;
    if request.dry_run {
        return plan::of_run(request.verb, &parts);
    }
    let benchmarks = benchmarks::load_for(&parts, &benchmarks, &rendezvous)?;
    let reporting = sinks::reporting(request, rendezvous.launch())?;
    rendezvous.rank_zero_first("wandb key", || reporting.check())?;
    let device = prepare_device(&parts.config.run, &parts.config.train, rendezvous.launch())?;
    let (folder, prompts) = (parts.folder.clone(), parts.prompts.clone());
    let (config, plan) = (parts.config.clone(), parts.plan.clone());
    open_folder(&parts, &rendezvous)?;
    log::info!("{}", parts.plan);
    let group = rendezvous.group(device)?;
    let objective = torch::catch(|| objective(&parts, device, group.as_ref()))?;
    let mut trainer = parts.assemble(objective, device, group)?;
    let periodic = benchmarks::periodic(&config.eval, benchmarks, device);
    trainer.evaluators.push(Box::new(periodic));
    if is_first {
        trainer.sinks = sinks::open(&reporting, &folder, trainer.state.step, (&config, &plan))?;
    }
    let trains = !trainer.is_finished();
    if is_first && trains {
        folder.record(&config.to_toml())?;
        note_start(&folder, trainer.state.step, &trainer.speed, &plan);
    }
    let summary = trainer.run();
    let draw = || draw_page(folder.path(), trainer.state.step, &summary);
    let page = (is_first && trains).then(draw).flatten();
    let output = summary.and_then(|summary| {
        let (run, state) = (folder.path(), &trainer.state);
        summary::output(run, &prompts, state, &summary, page.as_deref())
    });
    sinks::finish(&mut trainer.sinks, &output);
    if output.is_ok() {
        wait_for_rank_zero(trainer.group.as_ref());
    }
    output
}

/// torchrun ends every rank as soon as one exits with a signal's code: none does while rank 0 still tells what came of it.
fn wait_for_rank_zero(group: &dyn ProcessGroup) {
    if let Err(error) = dist::barrier(group) {
        log::debug!("a rank ended before all was told: {error:#}");
    }
}

/// The parts with the configuration as it will be recorded. Weights have a shape; what `[model]` says otherwise does not
/// count.
fn settled<D: Dataset>(request: &TrainingRequest, mut parts: Parts<D>) -> Result<Parts<D>> {
    for (field, of_weights) in parts.config.model.passed_over(&parts.model) {
        log::info!(
            "model.{field} is passed over: the weights that the run goes on from have {of_weights}"
        );
    }
    parts.config = parts.resolved_config();
    course::check(request, &parts)?;
    Ok(parts)
}

/// Rank 0 makes the folder; the log lines of all go there from now on. How a run is continued is recorded once it is.
fn open_folder<D>(parts: &Parts<D>, rendezvous: &Rendezvous) -> Result<()> {
    let (folder, is_first) = (&parts.folder, rendezvous.launch().rank == 0);
    rendezvous.rank_zero_first("run folder", || {
        if is_first {
            folder.create()?;
        }
        if is_first && parts.start == Start::Fresh {
            folder.record(&parts.config.to_toml())?;
        }
        logging::tee_into(&folder.log())
    })
}

fn note_start(folder: &RunFolder, step: u64, speed: &Speed, plan: &RunPlan) {
    let started = Started::here(step, speed.device, speed.precision, plan);
    history::append(folder.path(), &Event::Start(started));
}

/// Notes how the run ended and draws its page; a run that went well has done so without one, too.
fn draw_page(run: &Path, step: u64, summary: &Result<Summary>) -> Option<PathBuf> {
    let end = match summary {
        Ok(summary) => End::stopped(step, summary.stopped, summary.elapsed.as_secs_f64()),
        Err(error) => End::failed(step, error),
    };
    history::append(run, &Event::End(end));
    let page = report::draw(&[run.to_owned()], &run.join("report.html"));
    page.inspect_err(|error| log::warn!("no report: {error:#}"))
        .ok()
}
