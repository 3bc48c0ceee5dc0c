//! What the training verbs share: their request, what they look up before a device is touched, and their summary.

use super::history::{self, End, Event, Start as Started};
use super::{Output, benchmarks, plan, report, sinks, summary, wandb};
use crate::bad_request;
use crate::checkpoint::{self, Moments, ResumeFrom};
use crate::config::{Config, GenerateConfig, SftConfig};
use crate::data::Dataset;
use crate::dist::{LaunchEnv, ProcessGroup, Rendezvous};
use crate::generate::tokens_needed;
use crate::hub;
use crate::logging;
use crate::objective::Objective;
use crate::tokenizer::{self, PromptStyle, Tokenizer};
use crate::torch;
use crate::train::{Parts, RunFolder, Start, Summary, prepare_device};
use crate::weights::Pretrained;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::Device;

/// A training verb's request.
#[derive(Debug, Clone)]
pub struct TrainingRequest {
    /// Which of them.
    pub verb: plan::Verb,
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

/// The folder with weights to start from.
#[must_use]
pub fn init_from(config: &Config) -> Option<PathBuf> {
    config.model.init_from.as_ref().map(PathBuf::from)
}

/// What says what the model is: the newest readable checkpoint where a run is resumed, else the weights it starts from;
/// none where `[model]` alone does.
///
/// # Errors
/// A bad request when the checkpoint asked for is missing, or there is nothing to adapt.
pub fn model_source(
    request: &TrainingRequest,
    folder: &RunFolder,
    start: &Start,
    rendezvous: &Rendezvous,
) -> Result<Option<Pretrained>> {
    let config = &request.config;
    let checkpoints = checkpoints(folder, start)?;
    let open = |path: &Path| Pretrained::open(path, None, config.lora.alpha);
    let readable = checkpoints.iter().find_map(|dir| open(dir).ok());
    match (readable, init_from(config)) {
        (Some(checkpoint), _) => Ok(Some(checkpoint)),
        (None, Some(path)) if request.dry_run => Pretrained::describe(&path).map(Some),
        // One on the Hub is fetched by rank 0, and found by the others.
        (None, Some(path)) => rendezvous
            .rank_zero_first("weights", || open(&path))
            .map(Some),
        (None, None) if config.lora.enabled => Err(bad_request!(
            "lora.enabled: name the model to adapt with --init-from (model.init_from)"
        )),
        (None, None) => Ok(None),
    }
}

/// The same for verbs that tune what is there.
///
/// # Errors
/// A bad request when nothing is.
pub fn model_to_tune(
    request: &TrainingRequest,
    folder: &RunFolder,
    start: &Start,
    rendezvous: &Rendezvous,
) -> Result<Pretrained> {
    model_source(request, folder, start, rendezvous)?.ok_or_else(|| {
        bad_request!("there is no model to tune: name one with --init-from (model.init_from)")
    })
}

/// The checkpoints that a run may go on from, the newest first.
///
/// # Errors
/// A bad request when the one asked for is missing.
pub fn checkpoints(folder: &RunFolder, start: &Start) -> Result<Vec<PathBuf>> {
    match start {
        Start::Fresh => Ok(Vec::new()),
        Start::Resume(ResumeFrom::Latest) => checkpoint::newest_first(&folder.checkpoints()),
        Start::Resume(ResumeFrom::Path(dir)) if dir.is_dir() => Ok(vec![dir.clone()]),
        Start::Resume(ResumeFrom::Path(dir)) => Err(bad_request!(
            "--resume {}: there is no such checkpoint folder",
            dir.display()
        )),
    }
}

/// The tokenizer that goes with the model: `tokenizer.path`, else the one beside the weights, else the data's own.
/// Token shards without any can be trained on, but not sampled from.
///
/// # Errors
/// When its file cannot be read.
pub fn find_tokenizer(
    config: &Config,
    model: Option<&Pretrained>,
    data: &Path,
    rendezvous: &Rendezvous,
) -> Result<Option<Arc<Tokenizer>>> {
    let beside = |dir: &Path| tokenizer::is_in(dir).then(|| dir.to_owned());
    let path = config.tokenizer.path.as_ref();
    let fetch = |path| rendezvous.rank_zero_first("tokenizer", || hub::tokenizer_dir(path));
    let path = path.map(fetch).transpose()?;
    let path = path
        .or_else(|| model?.tokenizer_folder().map(Path::to_owned))
        .or_else(|| beside(data));
    path.map(|path| Ok(Arc::new(Tokenizer::load(&path)?)))
        .transpose()
}

/// How a model of conversations is put the prompts of samples.
#[must_use]
pub fn chat_prompts(config: &SftConfig) -> PromptStyle {
    PromptStyle::Chat {
        system_prompt: config.system_prompt.clone(),
    }
}

/// Holds the samples that are wanted during training against what the model reads.
///
/// # Errors
/// A bad request when a prompt is too long.
pub fn check_samples(
    config: &GenerateConfig,
    tokenizer: Option<&Tokenizer>,
    style: &PromptStyle,
    max_seq_len: i64,
) -> Result<()> {
    if config.every == 0 || config.prompts.is_empty() {
        return Ok(());
    }
    let Some(tokenizer) = tokenizer else {
        log::warn!(
            "generate.every: there is no tokenizer.json beside the data or the weights, so no samples"
        );
        return Ok(());
    };
    let encode = |prompt: &String| style.encode(tokenizer, prompt);
    let prompts = config
        .prompts
        .iter()
        .map(encode)
        .collect::<Result<Vec<_>>>()?;
    tokens_needed(&prompts, config.max_new_tokens, max_seq_len)?;
    Ok(())
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
    parts: Parts<'_, D>,
    rendezvous: Rendezvous,
    objective: impl FnOnce(&Parts<'_, D>, Device, &dyn ProcessGroup) -> Result<O>,
) -> Result<Output>
where
    O: Objective<Batch = D::Batch>,
    D: Dataset,
{
    let benchmarks = benchmarks::find_due(&request.config.eval)?;
    if request.dry_run {
        return plan::of_run(request.verb, &parts);
    }
    let benchmarks = benchmarks::load_for(&parts, &benchmarks, &rendezvous)?;
    let is_first = rendezvous.launch().rank == 0;
    let reporting = sinks::reporting(request, rendezvous.launch())?;
    rendezvous.rank_zero_first("wandb key", || reporting.check())?;
    let device = prepare_device(&parts.config.run, &parts.config.train, rendezvous.launch())?;
    let (folder, prompts) = (parts.folder.clone(), parts.prompts.clone());
    let plan = parts.plan.clone();
    open_folder(&folder, request, &rendezvous)?;
    log::info!("{}", parts.plan);
    let run = wandb::describe(&request.config, &parts.plan);
    let group = rendezvous.group(device)?;
    let objective = torch::catch(|| objective(&parts, device, group.as_ref()))?;
    let mut trainer = parts.assemble(objective, device, group)?;
    let periodic = benchmarks::periodic(&request.config.eval, benchmarks, device);
    trainer.evaluators.push(Box::new(periodic));
    if is_first {
        let step = trainer.state.step;
        trainer.sinks = sinks::local(&folder, step, plan.max_steps)?;
        let sink = reporting.sink(folder.path(), step, run)?;
        trainer.sinks.extend(sink);
    }
    let trains = trainer.state.step < plan.max_steps; // else the run was finished before, and stays as it is
    if is_first && trains {
        let started = Started::here(trainer.state.step, device, trainer.speed.precision, &plan);
        history::append(folder.path(), &Event::Start(started));
    }
    let summary = trainer.run();
    let draw = || draw_page(folder.path(), trainer.state.step, &summary);
    let page = (is_first && trains).then(draw).flatten();
    let output = summary.and_then(|summary| {
        let (run, state) = (folder.path(), &trainer.state);
        summary::output(run, &prompts, state, &summary, page.as_deref())
    });
    sinks::finish(&mut trainer.sinks, &output);
    output
}

/// Rank 0 makes the folder; the log lines of all go there from now on.
fn open_folder(
    folder: &RunFolder,
    request: &TrainingRequest,
    rendezvous: &Rendezvous,
) -> Result<()> {
    let is_first = rendezvous.launch().rank == 0;
    rendezvous.rank_zero_first("run folder", || {
        if is_first {
            folder.create(&request.config.to_toml())?;
        }
        logging::tee_into(&folder.log())
    })
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
