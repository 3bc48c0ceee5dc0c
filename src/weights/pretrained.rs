//! A model to use as it is: weights in any form, and maybe an adapter over them.

use super::names::has_adapters;
use super::{Adapter, Form, check_size, load, original, peft, read_config, stored_kind};
use crate::bad_request;
use crate::config::ModelConfig;
use crate::hub;
use crate::model::{LoraOptions, ModelOptions, Transformer};
use crate::tokenizer::{self, Tokenizer};
use crate::torch;
use anyhow::Result;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, nn};

/// Found and understood, but for its adapter not read yet.
#[derive(Debug)]
pub struct Pretrained {
    base: PathBuf,
    config: ModelConfig,
    adapter: Option<Adapter>,
}

impl Pretrained {
    /// The model of a folder or file, and the adapter of another folder over it. A folder that holds an adapter itself
    /// names the model below it. Each may be `hf://org/name`, and is fetched then. `alpha` scales an adapter that does not say how it is scaled.
    ///
    /// # Errors
    /// A bad request when one of them is missing; an error when one cannot be understood, or fetched.
    pub fn open(checkpoint: &Path, adapter: Option<&Path>, alpha: f64) -> Result<Self> {
        let checkpoint = &*hub::model_dir(checkpoint)?;
        let adapter = adapter.map(hub::model_dir).transpose()?;
        let adapter = adapter.as_deref();
        let (base, adapter_dir) = match (peft::is_adapter(checkpoint), adapter) {
            (false, adapter) => (checkpoint.to_owned(), adapter),
            (true, None) => (base_of(checkpoint)?, Some(checkpoint)),
            (true, Some(second)) => {
                return Err(bad_request!(
                    "{}: this is an adapter, and {} is another; merge one of them first: llama-train export \
                     --merge-lora",
                    checkpoint.display(),
                    second.display()
                ));
            }
        };
        let config = read_config(&base)?;
        check_size(&base, &config)?;
        let adapter = match adapter_dir {
            Some(dir) => Some(peft::read(dir)?),
            None if matches!(Form::of(&base), Form::Original) => {
                original::read_adapter(&base, &config, alpha)?
            }
            None => None,
        };
        Ok(Self {
            base,
            config,
            adapter,
        })
    }

    /// The shape.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The model below the adapter.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// What stands over it, if anything does.
    #[must_use]
    pub fn adapter(&self) -> Option<&Adapter> {
        self.adapter.as_ref()
    }

    /// The tokenizer given, else the one beside the adapter, else the one beside the weights.
    ///
    /// # Errors
    /// A bad request when there is none; an error when its files are damaged.
    pub fn tokenizer(&self, given: Option<&Path>) -> Result<Tokenizer> {
        let path = given.or_else(|| self.tokenizer_folder());
        let path = path.ok_or_else(|| {
            bad_request!(
                "{}: there is no tokenizer beside the weights; name one with --set tokenizer.path=PATH",
                self.base.display()
            )
        })?;
        Tokenizer::load(&hub::tokenizer_dir(path)?)
    }

    /// The folder of the adapter, or of the weights, that holds a tokenizer.
    #[must_use]
    pub fn tokenizer_folder(&self) -> Option<&Path> {
        let beside_adapter = self.adapter.as_ref().map(Adapter::path);
        let folders = beside_adapter.into_iter().chain([self.base.as_path()]);
        folders.into_iter().find(|dir| tokenizer::is_in(dir))
    }

    fn lora(&self) -> Option<&LoraOptions> {
        self.adapter.as_ref().map(Adapter::options)
    }

    /// The kind of number that the weights are stored in.
    ///
    /// # Errors
    /// When there are none, or their file is damaged.
    pub fn stored_kind(&self) -> Result<Kind> {
        stored_kind(&self.base)
    }

    /// The model to evaluate with, its adapter beside the weights; they are kept in the kind it computes in.
    ///
    /// # Errors
    /// When a tensor is missing, extra or of another shape (all of them are named), or a file is damaged.
    pub fn model(&self, device: Device, compute: Kind) -> Result<Transformer> {
        let options = ModelOptions {
            compute,
            lora: self.lora().cloned(),
        };
        let (store, model) = self.build(device, options)?;
        if let Some(adapter) = &self.adapter {
            adapter.fill(&store)?;
        }
        Ok(model)
    }

    /// The weights on the CPU, the adapter added into them, to be kept in this kind. Where it or the stored one is fp32,
    /// so is the sum.
    ///
    /// # Errors
    /// As those of [`Self::model`].
    pub fn merged_weights(&self, kind: Kind) -> Result<nn::VarStore> {
        let is_rounded_once = self.adapter.is_none() || self.stored_kind()? == kind;
        let kind = if is_rounded_once { kind } else { Kind::Float };
        let options = ModelOptions {
            compute: kind,
            lora: None,
        };
        let (store, _) = self.build(Device::Cpu, options)?;
        self.merge(&store)?;
        Ok(store)
    }

    /// Fills a model: its adapters where it has some, and else this one's adapter is added into its weights.
    ///
    /// # Errors
    /// As those of [`Self::model`].
    pub fn fill(&self, store: &nn::VarStore) -> Result<()> {
        load(&self.base, store, &self.config)?;
        match &self.adapter {
            Some(adapter) if has_adapters(store) => adapter.fill(store),
            _ => self.merge(store),
        }
    }

    fn merge(&self, store: &nn::VarStore) -> Result<()> {
        match &self.adapter {
            Some(adapter) => adapter.merge(store),
            None => Ok(()),
        }
    }

    /// Weights in the kind that the model computes in; adapters are left as they are.
    fn build(&self, device: Device, options: ModelOptions) -> Result<(nn::VarStore, Transformer)> {
        let mut store = nn::VarStore::new(device);
        store.set_kind(options.compute);
        let model = torch::catch(|| Transformer::new(&store.root(), &self.config, &options))?;
        load(&self.base, &store, &self.config)?;
        Ok((store, model))
    }
}

/// The model that an adapter's configuration names: a path from here, or from the adapter's folder.
fn base_of(adapter: &Path) -> Result<PathBuf> {
    let name = peft::base_name(adapter)?;
    let Some(name) = name else {
        return Err(bad_request!(
            "{}: it does not name the model it belongs to; give that with --checkpoint, and this folder with --adapter",
            adapter.display()
        ));
    };
    let candidates = [PathBuf::from(&name), adapter.join(&name)];
    candidates.into_iter().find(|path| path.exists()).ok_or_else(|| {
        bad_request!(
            "{}: it belongs to {name}, which is not here; give that model with --checkpoint, and this folder with \
             --adapter",
            adapter.display()
        )
    })
}
