//! From a checked configuration to a trainer whose parts are finished: the same for every objective.

use super::early_stopping::Patience;
use super::set_up::{compute_kind, is_taken, last_used_first, seed_generators, transfers};
use super::step_report::Speed;
use super::{
    AtSignal, BatchPlan, Feed, Limits, RunFolder, RunPlan, Signals, Start, StepGraph, TrainState,
    Trainer, Validation,
};
use crate::checkpoint::{Checkpointer, Moments};
use crate::config::{Cadence, Config, ModelConfig, Precision};
use crate::data::{DataLoader, Dataset, Order, Share};
use crate::dist::ProcessGroup;
use crate::eval::{Evaluator, Samples};
use crate::metrics::peak_flops;
use crate::objective::Objective;
use crate::optim::{AdamW, Schedule};
use crate::tokenizer::{PromptStyle, Tokenizer};
use crate::torch::{self, Feature};
use crate::weights::ModelRecord;
use crate::weights::hf::SpecialTokens;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use tch::{Device, Kind, Tensor, nn};

/// What a verb has found out before a device is touched.
pub struct Parts<D> {
    /// The whole configuration.
    pub config: Config,
    /// Shape of the model.
    pub model: ModelConfig,
    /// Weights to start from, unless the run is resumed.
    pub init_from: Option<PathBuf>,
    /// The model below adapters, where they are trained.
    pub base: Option<String>,
    /// The model that the run is held against, to be remembered in its checkpoints.
    pub reference: Option<ModelRecord>,
    /// The model's tokenizer.
    pub tokenizer: Option<Arc<Tokenizer>>,
    /// The ids that begin and end a text.
    pub special: SpecialTokens,
    /// How it puts prompts of samples.
    pub prompts: PromptStyle,
    /// Data to train on.
    pub train: Arc<D>,
    /// Held-out data.
    pub val: Arc<D>,
    /// Shape of the model that is held beside it and only asked, where one is: a reference or a teacher.
    pub second: Option<ModelConfig>,
    /// How a step is cut.
    pub batch: BatchPlan,
    /// Sizes and lengths.
    pub plan: RunPlan,
    /// The run's folder, checked but not made.
    pub folder: RunFolder,
    /// How the run begins.
    pub start: Start,
    /// Step to begin with in place of the one that would follow.
    pub start_step: Option<u64>,
    /// What a resume does with the optimizer's moments.
    pub moments: Moments,
}

impl<D: Dataset> Parts<D> {
    /// The configuration with what it leaves to the weights, the data and other keys filled in.
    #[must_use]
    pub fn resolved_config(&self) -> Config {
        let mut config = self.config.clone();
        config.model.describe(&self.model);
        config.optim.min_lr = Some(config.optim.final_lr());
        config
    }

    /// The same with a model that is held beside the first.
    #[must_use]
    pub fn beside(self, second: Option<&ModelConfig>) -> Self {
        Self {
            plan: self.plan.beside(second),
            second: second.cloned(),
            ..self
        }
    }

    /// Puts everything together on the device that [`prepare_device`] gave, but for the sinks. Every rank ends with
    /// rank 0's weights.
    ///
    /// # Errors
    /// When weights or state cannot be loaded, or a rank is gone.
    pub fn assemble<O: Objective<Batch = D::Batch>>(
        self,
        objective: O,
        device: Device,
        group: Rc<dyn ProcessGroup>,
    ) -> Result<Trainer<O, D>> {
        let config = self.config.clone();
        let config_toml = config.to_toml();
        let (store, model) = self.build_model(device)?;
        let mut optimizer = self.optimizer(&store, &group);
        let batch = self.batch;
        let checkpointer = self.checkpointer(config_toml, Rc::clone(&group));
        let start_at =
            |step| TrainState::starting_at(step, batch.rows_per_step(), batch.tokens_per_step());
        let state = match self.resume(&checkpointer, &store, &mut optimizer)? {
            Some(state) => self.adjust(state, start_at),
            None => {
                self.fill_weights(&store, &model)?;
                seed_generators(config.run.seed, group.rank());
                start_at(self.start_step.unwrap_or(0))
            }
        };
        let (names, params) = last_used_first(&store);
        let all: BTreeMap<_, _> = store.variables().into_iter().collect();
        let all: Vec<Tensor> = all.values().map(Tensor::detach).collect();
        group.broadcast(&all, 0)?;
        let evaluators = self.evaluators();
        Ok(Trainer {
            objective,
            model,
            optimizer,
            schedule: Schedule::new(&config.optim, self.plan.max_steps),
            feed: self.feed(&batch, &state, group.rank()),
            transfers: transfers(config.train.async_transfers, device)?,
            graph: self.step_graph(device),
            validation: Validation::new(Arc::clone(&self.val), config.validate.batches, batch),
            evaluators,
            checkpointer,
            saving: config.checkpoint.clone(),
            sinks: Vec::new(),
            reducer: group.grad_reducer(&params, &names)?,
            group,
            limits: self.limits(),
            signals: Signals::watch(AtSignal::of(&config.checkpoint))?,
            speed: self.speed(device),
            state,
            store,
        })
    }

    /// The state of the checkpoint to go on from, its weights, moments and generators loaded; none where a run begins.
    fn resume(
        &self,
        checkpointer: &Checkpointer,
        store: &nn::VarStore,
        optimizer: &mut AdamW,
    ) -> Result<Option<TrainState>> {
        let Start::Resume(from) = &self.start else {
            return Ok(None);
        };
        let found = checkpointer.resume::<TrainState>(from, store, optimizer, self.moments)?;
        match &found {
            Some((dir, state)) => {
                log::info!("resuming from {} (step {})", dir.display(), state.step);
                let best = state.early_stopping.best_step;
                best.iter().for_each(|&step| checkpointer.name_best(step));
            }
            None => log::info!(
                "{}: no checkpoint yet; starting afresh",
                self.folder.path().display()
            ),
        }
        Ok(found.map(|(_, state)| state))
    }

    /// What `--start-step` and `--reset-optimizer` change about a resumed state.
    fn adjust(&self, state: TrainState, start_at: impl Fn(u64) -> TrainState) -> TrainState {
        let early_stopping = match self.moments {
            Moments::Restore => state.early_stopping,
            Moments::Reset => Default::default(),
        };
        TrainState {
            early_stopping,
            ..self.start_step.map_or(state, start_at)
        }
    }

    fn feed(&self, batch: &BatchPlan, state: &TrainState, rank: u64) -> Feed<D> {
        let order = match self.config.data.shuffle {
            true => Order::Shuffled {
                seed: self.config.run.seed,
            },
            false => Order::Sequential,
        };
        let share = Share {
            rows: batch.micro_batch_size,
            rank,
            world_size: batch.world_size,
        };
        let loader = DataLoader::new(
            Arc::clone(&self.train),
            order,
            state.train_loader,
            share,
            self.config.data.prefetch,
        );
        Feed::new(loader, batch.grad_accum_steps)
    }

    /// What draws random numbers or waits for other ranks is not for a record.
    fn step_graph(&self, device: Device) -> StepGraph<D::Batch> {
        let lora = &self.config.lora;
        let can = self.batch.world_size == 1 && (!lora.enabled || lora.dropout == 0.0);
        match device {
            Device::Cuda(index)
                if can && is_taken(Feature::CudaGraphs, self.config.train.cuda_graphs) =>
            {
                StepGraph::on_gpu(index)
            }
            _ => StepGraph::off(),
        }
    }

    fn evaluators(&self) -> Vec<Box<dyn Evaluator>> {
        let Some(tokenizer) = &self.tokenizer else {
            return Vec::new();
        };
        let samples = Samples::new(
            self.config.generate.clone(),
            Arc::clone(tokenizer),
            self.prompts.clone(),
        );
        vec![Box::new(samples)]
    }

    fn limits(&self) -> Limits {
        let config = &self.config.validate;
        Limits {
            max_steps: self.plan.max_steps,
            grad_clip: self.config.optim.grad_clip,
            max_skipped_steps: self.config.train.max_skipped_steps,
            check_replicas: Cadence::new(self.config.train.check_replicas_every),
            validate: Cadence::new(config.every),
            patience: Patience {
                validations: config.early_stopping_patience,
                skip_until_step: config.early_stopping_skip_steps,
            },
        }
    }

    fn speed(&self, device: Device) -> Speed {
        let peak = torch::device_name(device)
            .and_then(|name| peak_flops(&name, self.config.train.precision));
        Speed {
            flops_per_token: self.plan.flops_per_token,
            peak_flops: peak.map(|peak| peak * self.plan.world_size as f64),
            device,
            precision: match (
                self.config.train.precision,
                compute_kind(self.config.train.precision, device),
            ) {
                (Precision::Fp8, _) => "fp8",
                (_, Kind::BFloat16) => "bf16",
                _ => "fp32",
            },
        }
    }
}
