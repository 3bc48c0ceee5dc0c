//! `llama-train eval`: how good a checkpoint is, and whether it is better than another.

mod answer;
mod loss;

use super::{Output, benchmarks};
use crate::bad_request;
use crate::config::Config;
use crate::data::Split;
use crate::dist::{LaunchEnv, ProcessGroup, Rendezvous};
use crate::eval::{BenchmarkScores, LOSS, Scoring, Task, TaskSource};
use crate::torch;
use crate::train::{compute_kind, prepare_device};
use crate::weights::Pretrained;
use anyhow::Result;
use loss::{LossData, LossScores};
use std::path::{Path, PathBuf};
use tch::Device;

/// What to score, and on what.
#[derive(Debug, Clone)]
pub struct Request {
    /// The checked configuration: tasks, their items, limit, data, device.
    pub config: Config,
    /// A checkpoint, any Hugging Face Llama folder, Meta's, or a `.pt` file of the original project.
    pub checkpoint: PathBuf,
    /// An adapter over it.
    pub adapter: Option<PathBuf>,
    /// Another model to score on the same items.
    pub compare: Option<PathBuf>,
    /// Part of the data.
    pub split: Split,
    /// Tokens per row.
    pub seq_len: Option<u64>,
    /// File to write a line per item to.
    pub details: Option<PathBuf>,
}

/// A model, and what it is scored on.
struct Subject {
    pretrained: Pretrained,
    loss: Option<LossData>,
    tasks: Vec<Task>,
}

/// What a model makes of it.
struct Scores {
    loss: Option<LossScores>,
    benchmarks: Vec<BenchmarkScores>,
}

/// Loads the model and scores it.
///
/// # Errors
/// A bad request before a device is touched; later what the files or the device do.
pub fn run(request: &Request) -> Result<Output> {
    let config = &request.config;
    if config.eval.tasks.is_empty() {
        return Err(bad_request!(
            "nothing to do: name what to score with --tasks loss,hellaswag (eval.tasks)"
        ));
    }
    let sources = benchmarks::find(&config.eval)?;
    let rendezvous = Rendezvous::meet(LaunchEnv::read()?, config.dist.clone())?;
    let open = |path: &Path, adapter: Option<&Path>| {
        Subject::open(request, path, adapter, (&sources, &rendezvous))
    };
    let is_first = rendezvous.launch().rank == 0;
    let details = request.details.as_deref().filter(|_| is_first);
    let details = details.map(answer::Details::create).transpose()?; // before the work, not after it
    let subject = open(&request.checkpoint, request.adapter.as_deref())?;
    let other = request.compare.as_deref().map(|path| open(path, None));
    let other = other.transpose()?;
    let device = prepare_device(&config.run, &config.train, rendezvous.launch())?;
    let group = rendezvous.group(device)?;
    let score = |subject: Subject| torch::catch(|| subject.score(config, device, group.as_ref()));
    let scores = score(subject)?;
    let other = other.map(score).transpose()?;
    if let Some(details) = details {
        details.write(&scores)?;
    }
    Ok(answer::output(request, &scores, other.as_ref()))
}

impl Subject {
    /// Everything but the weights on the device.
    fn open(
        request: &Request,
        checkpoint: &Path,
        adapter: Option<&Path>,
        (sources, rendezvous): (&[TaskSource], &Rendezvous),
    ) -> Result<Self> {
        let config = &request.config;
        let pretrained = Pretrained::open(checkpoint, adapter, config.lora.alpha)?;
        let loss = match config.eval.tasks.iter().any(|task| task == LOSS) {
            true => Some(LossData::open(request, &pretrained)?),
            false => None,
        };
        let tasks = match sources {
            [] => Vec::new(),
            _ => {
                let given = config.tokenizer.path.as_deref().map(Path::new);
                let tokenizer = pretrained.tokenizer(given)?;
                let model = pretrained.config();
                benchmarks::load(
                    sources,
                    (&tokenizer, checkpoint),
                    model,
                    (&config.eval, rendezvous),
                )?
            }
        };
        Ok(Self {
            pretrained,
            loss,
            tasks,
        })
    }

    fn score(self, config: &Config, device: Device, group: &dyn ProcessGroup) -> Result<Scores> {
        let kind = compute_kind(config.train.precision, device);
        let model = self.pretrained.model(device, kind)?;
        let scoring = Scoring {
            device,
            batch_tokens: config.eval.batch_tokens,
        };
        let loss = self.loss.map(|data| data.score(&model, device, group));
        let benchmarks = self.tasks.iter();
        let benchmarks = benchmarks.map(|task| task.score(&model, scoring, group));
        Ok(Scores {
            loss: loss.transpose()?,
            benchmarks: benchmarks.collect::<Result<_>>()?,
        })
    }
}
