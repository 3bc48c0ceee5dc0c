//! From a checked configuration to a trainer whose parts are finished: the same for every objective.

use super::early_stopping::Patience;
use super::step_report::Speed;
use super::{
    BatchPlan, Limits, RunFolder, RunPlan, Signals, Start, TrainState, Trainer, Validation,
};
use crate::checkpoint::{Checkpointer, Keep, Moments, Retention, RunIdentity};
use crate::config::{Cadence, Config, ModelConfig, Precision};
use crate::data::{DataLoader, Dataset, Order, Share};
use crate::dist::{LaunchEnv, ProcessGroup};
use crate::eval::{Evaluator, Samples};
use crate::metrics::peak_flops;
use crate::model::{ModelOptions, Transformer};
use crate::objective::Objective;
use crate::optim::{AdamW, Schedule, param_groups};
use crate::tokenizer::Tokenizer;
use crate::torch;
use crate::weights::Pretrained;
use anyhow::Result;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use tch::{Device, Kind, Tensor, nn};

/// What a verb has found out before a device is touched.
pub struct Parts<'a, D> {
    /// The whole configuration.
    pub config: &'a Config,
    /// Shape of the model.
    pub model: ModelConfig,
    /// Weights to start from, unless the run is resumed.
    pub init_from: Option<PathBuf>,
    /// The model's tokenizer.
    pub tokenizer: Option<Arc<Tokenizer>>,
    /// Data to train on.
    pub train: Arc<D>,
    /// Held-out data.
    pub val: Arc<D>,
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

impl<D: Dataset> Parts<'_, D> {
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
        let config = self.config;
        let config_toml = config.to_toml();
        let (store, model) = self.build_model(device)?;
        let groups = param_groups(&store, config.optim.weight_decay);
        let mut optimizer = AdamW::new(groups, config.optim.betas, config.optim.eps);
        let batch = BatchPlan::new(&config.train, group.world_size());
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
        all.into_values()
            .try_for_each(|weight| group.broadcast(&mut weight.detach()))?;
        let evaluators = self.evaluators();
        Ok(Trainer {
            objective,
            model,
            optimizer,
            schedule: Schedule::new(&config.optim, self.plan.max_steps),
            loader: self.loader(&batch, &state, group.rank()),
            validation: Validation::new(Arc::clone(&self.val), config.validate.batches, batch),
            evaluators,
            checkpointer,
            saving: config.checkpoint.clone(),
            sinks: Vec::new(),
            reducer: group.grad_reducer(&params, &names)?,
            group,
            plan: batch,
            limits: self.limits(),
            signals: Signals::watch()?,
            speed: self.speed(device),
            state,
            store,
        })
    }

    fn build_model(&self, device: Device) -> Result<(nn::VarStore, Transformer)> {
        let store = nn::VarStore::new(device);
        let options = ModelOptions {
            compute: compute_kind(self.config.train.precision, device),
            lora: None,
        };
        let model = torch::catch(|| Transformer::new(&store.root(), &self.model, &options))?;
        Ok((store, model))
    }

    fn fill_weights(&self, store: &nn::VarStore, model: &Transformer) -> Result<()> {
        match &self.init_from {
            Some(path) => Pretrained::open(path, None, self.config.lora.alpha)?.fill(store),
            None => {
                model.initialize(self.config.run.seed);
                Ok(())
            }
        }
    }

    fn checkpointer(&self, config_toml: String, group: Rc<dyn ProcessGroup>) -> Checkpointer {
        let config = &self.config.checkpoint;
        let keep_best = if config.keep_best {
            Keep::Always
        } else {
            Keep::WhileRecent
        };
        let identity = RunIdentity {
            model: self.model.clone(),
            tokenizer: self.tokenizer.clone(),
            config_toml,
        };
        Checkpointer::new(
            self.folder.checkpoints(),
            Retention {
                keep_last: config.keep_last,
            },
            keep_best,
            identity,
            group,
        )
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

    fn loader(&self, batch: &BatchPlan, state: &TrainState, rank: u64) -> DataLoader<D> {
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
        DataLoader::new(
            Arc::clone(&self.train),
            order,
            state.train_loader,
            share,
            self.config.data.prefetch,
        )
    }

    fn evaluators(&self) -> Vec<Box<dyn Evaluator>> {
        let Some(tokenizer) = &self.tokenizer else {
            return Vec::new();
        };
        let samples = Samples::new(self.config.generate.clone(), Arc::clone(tokenizer));
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
            precision: match compute_kind(self.config.train.precision, device) {
                Kind::BFloat16 => "bf16",
                _ => "fp32",
            },
        }
    }
}

/// Chooses the device and sets threads, generators and precision for the process.
///
/// # Errors
/// When the device is not there.
pub fn prepare_device(config: &Config, launch: &LaunchEnv) -> Result<Device> {
    let device = launch.select_device(config.run.device)?;
    torch::set_threads(config.run.threads, launch.local_world_size);
    if config.run.deterministic {
        torch::require_determinism()?;
    }
    seed_generators(config.run.seed, launch.rank);
    Ok(device)
}

/// The trainable weights as the backward pass gives their gradients, so that the reducer's buckets are the same from
/// the first step on (which a resume repeats): the model declares its weights in the order of their use.
fn last_used_first(store: &nn::VarStore) -> (Vec<String>, Vec<Tensor>) {
    let variables = store.variables();
    let by_address = |(name, tensor): (String, Tensor)| (tensor.data_ptr() as usize, name);
    let names: HashMap<usize, String> = variables.into_iter().map(by_address).collect();
    let used = store.trainable_variables().into_iter().rev();
    let trainable = used.filter(Tensor::requires_grad);
    let named = |tensor: Tensor| Some((names.get(&(tensor.data_ptr() as usize))?.clone(), tensor));
    trainable.filter_map(named).unzip()
}

/// Each rank draws its own random numbers.
fn seed_generators(seed: u64, rank: u64) {
    tch::manual_seed(i64::from_ne_bytes(seed.wrapping_add(rank).to_ne_bytes()));
}

/// The kind that weights are cast to for the forward pass: `auto` is fp32 on CPU and bf16 on CUDA.
#[must_use]
pub fn compute_kind(precision: Precision, device: Device) -> Kind {
    match precision {
        Precision::Bf16 => Kind::BFloat16,
        Precision::Auto if device.is_cuda() => Kind::BFloat16,
        Precision::Fp32 | Precision::Auto => Kind::Float,
    }
}
