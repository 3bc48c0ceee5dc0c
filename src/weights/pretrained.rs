//! A model to use as it is: weights in any form, and maybe an adapter over them.

use super::base_model::BaseModel;
use super::hf_config::SpecialTokens;
use super::names::has_adapters;
use super::{Adapter, Form, check_size, load, original, peft, read_config, stored_kind};
use crate::bad_request;
use crate::config::ModelConfig;
use crate::hub;
use crate::model::{LoraOptions, ModelOptions, Transformer};
use crate::tokenizer::{self, Tokenizer};
use crate::torch;
use anyhow::Result;
use std::path::Path;
use tch::{Device, Kind, nn};

/// Found and understood, but for its adapter not read yet.
#[derive(Debug)]
pub struct Pretrained {
    /// What was opened: the adapter's where there is one.
    name: String,
    pub(super) base: BaseModel,
    config: ModelConfig,
    adapter: Option<Adapter>,
}

impl Pretrained {
    /// The model of a folder or file, and the adapter of another folder over it. A folder that holds an adapter itself
    /// names the model below it. Each may be `hf://org/name`, and is fetched then. `alpha` scales an adapter that does
    /// not say how it is scaled.
    ///
    /// # Errors
    /// A bad request when one of them is missing; an error when one cannot be understood, or fetched.
    pub fn open(checkpoint: &Path, adapter: Option<&Path>, alpha: f64) -> Result<Self> {
        let found = BaseModel::find(checkpoint)?;
        let name = found.name.clone();
        let adapter = adapter.map(hub::model_dir).transpose()?;
        let (base, adapter) = match (peft::is_adapter(&found.path), adapter) {
            (false, adapter) => (found, adapter),
            (true, None) => (BaseModel::of_adapter(&found.path)?, Some(found.path)),
            (true, Some(second)) => {
                return Err(bad_request!(
                    "{}: this is an adapter, and {} is another; merge one of them first: llama-train export \
                     --merge-lora",
                    checkpoint.display(),
                    second.display()
                ));
            }
        };
        let config = read_config(&base.path)?;
        check_size(&base.path, &config)?;
        let adapter = match adapter {
            Some(dir) => Some(peft::read(&dir)?),
            None if matches!(Form::of(&base.path), Form::Original) => {
                original::read_adapter(&base.path, &config, alpha)?
            }
            None => None,
        };
        Ok(Self {
            name,
            base,
            config,
            adapter,
        })
    }

    /// The same without the weights, which may be missing: what it takes to plan with it.
    ///
    /// # Errors
    /// As those of [`Self::open`].
    pub fn describe(checkpoint: &Path) -> Result<Self> {
        let path = hub::model_description(checkpoint)?;
        if peft::is_adapter(&path) {
            let any_scale = 1.0;
            return Self::open(checkpoint, None, any_scale);
        }
        let name = checkpoint.to_string_lossy().into_owned();
        Ok(Self {
            config: read_config(&path)?,
            base: BaseModel {
                path,
                name: name.clone(),
            },
            name,
            adapter: None,
        })
    }

    /// The shape.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What was opened, adapter or model: its address on the Hub, else the path that is good from anywhere.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model below the adapter: its address on the Hub, else the path that is good from anywhere.
    #[must_use]
    pub fn base_name(&self) -> &str {
        &self.base.name
    }

    /// Whether the model below is a Hugging Face folder, which others open as it is.
    #[must_use]
    pub fn has_hub_base(&self) -> bool {
        matches!(Form::of(&self.base.path), Form::HuggingFace)
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
                self.base.path.display()
            )
        })?;
        Tokenizer::load(&hub::tokenizer_dir(path)?)
    }

    /// The folder of the adapter, or of the weights, that holds a tokenizer.
    #[must_use]
    pub fn tokenizer_folder(&self) -> Option<&Path> {
        let beside_adapter = self.adapter.as_ref().map(Adapter::path);
        let folders = beside_adapter.into_iter().chain([self.base.path.as_path()]);
        folders.into_iter().find(|dir| tokenizer::is_in(dir))
    }

    /// The ids that begin and end a text: its tokenizer's, else those that the weights' own folder names.
    #[must_use]
    pub fn special_tokens(&self, tokenizer: Option<&Tokenizer>) -> SpecialTokens {
        let beside = || SpecialTokens::beside(&self.base.path);
        tokenizer.map_or_else(beside, SpecialTokens::of)
    }

    fn lora(&self) -> Option<&LoraOptions> {
        self.adapter.as_ref().map(Adapter::options)
    }

    /// The kind of number that the weights are stored in.
    ///
    /// # Errors
    /// When there are none, or their file is damaged.
    pub fn stored_kind(&self) -> Result<Kind> {
        stored_kind(&self.base.path)
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
        load(&self.base.path, store, &self.config)?;
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
        load(&self.base.path, &store, &self.config)?;
        Ok((store, model))
    }
}
