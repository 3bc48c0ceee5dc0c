//! The model that a training verb finds before a device is touched: what it starts from, its tokenizer, its shape.

use super::adapters;
use super::fit::{self, Vocabulary};
use super::training::{TrainingRequest, checkpoints};
use crate::bad_request;
use crate::config::{Config, GenerateConfig, ModelConfig, SftConfig};
use crate::data::manifest::Kind;
use crate::data::{Dataset, PreparedFolder};
use crate::dist::Rendezvous;
use crate::generate::tokens_needed;
use crate::hub;
use crate::tokenizer::{self, PromptStyle, Tokenizer};
use crate::train::{BatchPlan, Parts, RunFolder, Start};
use crate::weights::Pretrained;
use crate::weights::hf::SpecialTokens;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the request asks for, as far as the model decides it.
pub(super) struct FoundModel {
    /// The request, its rows no longer than the model reads.
    pub(super) request: TrainingRequest,
    /// The model's shape.
    pub(super) shape: ModelConfig,
    source: Option<Pretrained>,
    tokenizer: Option<Tokenizer>,
    prompts: PromptStyle,
}

impl FoundModel {
    /// A model of this shape, with the weights and the tokenizer that it starts with.
    ///
    /// # Errors
    /// A bad request when rows are asked for that are longer than it reads.
    pub(super) fn new(
        request: &TrainingRequest,
        shape: ModelConfig,
        (source, tokenizer): (Option<Pretrained>, Option<Tokenizer>),
        prompts: PromptStyle,
    ) -> Result<Self> {
        Ok(Self {
            request: TrainingRequest {
                config: fit::for_model(&request.config, &shape)?,
                ..request.clone()
            },
            shape,
            source,
            tokenizer,
            prompts,
        })
    }

    /// Refuses data that are not for this model, and samples that it cannot write.
    ///
    /// # Errors
    /// A bad request that names both.
    pub(super) fn check(&self, dir: &Path, data: &PreparedFolder, kind: Kind) -> Result<()> {
        let config = &self.request.config;
        let tokenizer = self.tokenizer.as_ref();
        // A resumed run's vocabulary was compared when it began.
        let weights = self
            .source
            .as_ref()
            .filter(|_| self.request.resume.is_none());
        let vocabulary = match config.tokenizer.path {
            Some(_) => Vocabulary::Padded,
            None => Vocabulary::of(weights),
        };
        fit::check(dir, data, kind, (&self.shape, vocabulary), tokenizer)?;
        check_samples(
            &config.generate,
            tokenizer,
            &self.prompts,
            self.shape.max_seq_len,
        )
    }

    /// What a run of it over these data is made of.
    pub(super) fn train_on<D: Dataset>(
        self,
        (train, val): (D, D),
        batch: BatchPlan,
        (folder, start): (RunFolder, Start),
    ) -> Parts<D> {
        let Self {
            request,
            shape,
            source,
            tokenizer,
            prompts,
        } = self;
        Parts {
            plan: request
                .verb
                .plan(&request.config, &shape, &batch, train.len()),
            model: shape,
            init_from: init_from(&request.config),
            base: source.as_ref().map(|source| source.base_name().to_owned()),
            reference: None,
            second: None,
            special: special_tokens(tokenizer.as_ref(), source.as_ref()),
            tokenizer: tokenizer.map(Arc::new),
            prompts,
            train: Arc::new(train),
            val: Arc::new(val),
            batch,
            folder,
            start,
            start_step: request.start_step,
            moments: request.moments(),
            config: request.config,
        }
    }
}

/// The folder with weights to start from.
pub(super) fn init_from(config: &Config) -> Option<PathBuf> {
    config.model.init_from.as_ref().map(PathBuf::from)
}

/// What says what the model is: the newest readable checkpoint where a run is resumed, else the weights it starts from;
/// none where `[model]` alone does.
///
/// # Errors
/// A bad request when the checkpoint asked for is missing, there is nothing to adapt, or adapters of another kind.
pub(super) fn source(
    request: &TrainingRequest,
    (folder, start): &(RunFolder, Start),
    rendezvous: &Rendezvous,
) -> Result<Option<Pretrained>> {
    let config = &request.config;
    let checkpoints = checkpoints(folder, start)?;
    let open = |path: &Path| Pretrained::open(path, None, config.lora.alpha);
    let readable = checkpoints.iter().find_map(|dir| open(dir).ok());
    match (readable, init_from(config)) {
        (Some(checkpoint), _) => {
            adapters::check_resumed(config, &checkpoint)?;
            Ok(Some(checkpoint))
        }
        (None, Some(path)) => {
            let weights = match request.dry_run {
                true => Pretrained::describe(&path)?,
                // One on the Hub is fetched by rank 0, and found by the others.
                false => rendezvous.rank_zero_first("weights", || open(&path))?,
            };
            adapters::check_trained(config, &weights)?;
            Ok(Some(weights))
        }
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
pub(super) fn to_tune(
    request: &TrainingRequest,
    place: &(RunFolder, Start),
    rendezvous: &Rendezvous,
) -> Result<Pretrained> {
    source(request, place, rendezvous)?.ok_or_else(|| {
        bad_request!("there is no model to tune: name one with --init-from (model.init_from)")
    })
}

/// The tokenizer that goes with the model: `tokenizer.path`, else the one beside the weights, else the data's own.
/// Token shards without any can be trained on, but not sampled from.
///
/// # Errors
/// When its file cannot be read.
pub(super) fn find_tokenizer(
    config: &Config,
    model: Option<&Pretrained>,
    data: &Path,
    rendezvous: &Rendezvous,
) -> Result<Option<Tokenizer>> {
    let beside = |dir: &Path| tokenizer::is_in(dir).then(|| dir.to_owned());
    let path = config.tokenizer.path.as_ref();
    let fetch = |path| rendezvous.rank_zero_first("tokenizer", || hub::tokenizer_dir(path));
    let path = path.map(fetch).transpose()?;
    let path = path
        .or_else(|| model?.tokenizer_folder().map(Path::to_owned))
        .or_else(|| beside(data));
    path.map(|path| Tokenizer::load(&path)).transpose()
}

/// The ids that begin and end a text, which whoever opens a checkpoint looks for.
fn special_tokens(tokenizer: Option<&Tokenizer>, weights: Option<&Pretrained>) -> SpecialTokens {
    match weights {
        Some(weights) => weights.special_tokens(tokenizer),
        None => tokenizer.map_or_else(SpecialTokens::default, SpecialTokens::of),
    }
}

/// How a model of conversations is put the prompts of samples.
pub(super) fn chat_prompts(config: &SftConfig) -> PromptStyle {
    PromptStyle::Chat {
        system_prompt: config.system_prompt.clone(),
    }
}

/// Holds the samples that are wanted during training against what the model reads.
///
/// # Errors
/// A bad request when a prompt is too long.
fn check_samples(
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
