//! The model of a run, its optimizer, and what its checkpoints say of it.

use super::Parts;
use super::set_up::compute_kind;
use crate::checkpoint::{AdapterIdentity, Checkpointer, Keep, Retention, RunIdentity};
use crate::config::{OptimConfig, Precision, Weights};
use crate::data::Dataset;
use crate::dist::ProcessGroup;
use crate::model::{LoraOptions, ModelOptions, Products, Transformer};
use crate::optim::{AdamW, param_groups};
use crate::torch;
use crate::weights::{self, Pretrained};
use anyhow::Result;
use indicatif::{HumanBytes, HumanCount};
use std::rc::Rc;
use tch::{Device, Kind, Tensor, nn};

impl<D: Dataset> Parts<D> {
    /// The weights that are trained are of the kind that is asked for; those below adapters are kept in the kind they are
    /// computed in, and adapters in fp32.
    pub(super) fn build_model(&self, device: Device) -> Result<(nn::VarStore, Transformer)> {
        let mut store = nn::VarStore::new(device);
        let options = ModelOptions {
            compute: compute_kind(self.config.train.precision, device),
            lora: LoraOptions::of(&self.config.lora),
        };
        match (&options.lora, self.config.train.weights) {
            (Some(_), _) => store.set_kind(options.compute),
            (None, Weights::Bf16) => store.set_kind(Kind::BFloat16),
            (None, Weights::Fp32) => {}
        }
        let model = torch::catch(|| Transformer::new(&store.root(), &self.model, &options))?
            .with_recompute(self.config.train.activation_checkpointing)
            .with_products(match self.config.train.precision {
                Precision::Fp8 => Products::Fp8,
                _ => Products::Plain,
            });
        if options.lora.is_some() {
            weights::freeze_base(&store);
            let trained = store.trainable_variables();
            let trained = trained.iter().filter(|weight| weight.requires_grad());
            let trained: usize = trained.map(Tensor::numel).sum();
            log::info!(
                "lora    {} parameters are trained",
                HumanCount(trained as u64)
            );
        }
        Ok((store, model))
    }

    pub(super) fn optimizer(&self, store: &nn::VarStore, group: &Rc<dyn ProcessGroup>) -> AdamW {
        let groups = param_groups(store, self.weight_decay());
        let OptimConfig { betas, eps, .. } = self.config.optim;
        if !self.config.train.shard_optimizer {
            return AdamW::new(groups, betas, eps);
        }
        let optimizer = AdamW::sharded(groups, betas, eps, Rc::clone(group));
        log::info!(
            "shard   {} of the optimizer's state on this rank, of {}",
            HumanBytes(optimizer.state_bytes() as u64),
            group.world_size()
        );
        optimizer
    }

    /// Adapters do not decay: that would pull towards the model below them.
    fn weight_decay(&self) -> f64 {
        match self.config.lora.enabled {
            true => 0.0,
            false => self.config.optim.weight_decay,
        }
    }

    pub(super) fn fill_weights(&self, store: &nn::VarStore, model: &Transformer) -> Result<()> {
        let seed = self.config.run.seed;
        match &self.init_from {
            Some(path) => {
                model.initialize_adapters(seed);
                Pretrained::open(path, None, self.config.lora.alpha)?.fill(store)
            }
            None => {
                model.initialize(seed);
                model.initialize_adapters(seed);
                Ok(())
            }
        }
    }

    pub(super) fn checkpointer(
        &self,
        config_toml: String,
        group: Rc<dyn ProcessGroup>,
    ) -> Checkpointer {
        let config = &self.config.checkpoint;
        let keep_best = if config.keep_best {
            Keep::Always
        } else {
            Keep::WhileRecent
        };
        let identity = RunIdentity {
            model: self.model.clone(),
            tokenizer: self.tokenizer.clone(),
            special: self.special.clone(),
            adapter: LoraOptions::of(&self.config.lora).map(|options| AdapterIdentity {
                options,
                base: self.base.clone().unwrap_or_default(),
            }),
            reference: self.reference.clone(),
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
}
