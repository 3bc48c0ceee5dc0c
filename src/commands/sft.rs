//! `llama-train sft`: from a base model to one that answers.

use super::Output;
use super::found_model::{self, FoundModel};
use super::shape::shape;
use super::training::{self, TrainingRequest};
use crate::bad_request;
use crate::config::{Config, ModelConfig, TrainConfig};
use crate::data::manifest::Kind;
use crate::data::{Dataset, InstructDataset, PreparedFolder, RowLayout, Split};
use crate::dist::Rendezvous;
use crate::objective::CausalLm;
use crate::tokenizer::Tokenizer;
use crate::train::{BatchPlan, Parts};
use anyhow::Result;
use std::convert::identity;
use std::path::Path;

/// Checks the request, trains, and tells what came of it.
///
/// # Errors
/// A bad request before a device is touched; later what the device, the disk or the data do.
pub fn run(request: &TrainingRequest) -> Result<Output> {
    let rendezvous = training::meet(request)?;
    let parts = parts(request, Beginning::Weights, &rendezvous, identity)?;
    training::run(request, parts, rendezvous, |_, _, _| Ok(CausalLm))
}

/// What a run may begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// The weights of a model.
    Weights,
    /// These, or fresh ones of the shape in `[model]`.
    WeightsOrShape,
}

/// Everything that can be known without a device, for all verbs that read conversations: over the rows, or what `wrap`
/// makes of them.
///
/// # Errors
/// A bad request, or what the network has to say.
pub(super) fn parts<D: Dataset>(
    request: &TrainingRequest,
    beginning: Beginning,
    rendezvous: &Rendezvous,
    wrap: impl Fn(InstructDataset) -> D,
) -> Result<Parts<D>> {
    let config = &request.config;
    let place = training::run_folder(request, rendezvous)?;
    let dir = config.data.path.as_deref().ok_or_else(|| {
        bad_request!("data.path is not set: name the folder that prep-data instruct wrote (--set data.path=FOLDER)")
    })?;
    let source = match beginning {
        Beginning::Weights => Some(found_model::to_tune(request, &place, rendezvous)?),
        Beginning::WeightsOrShape => found_model::source(request, &place, rendezvous)?,
    };
    let tokenizer = found_model::find_tokenizer(config, source.as_ref(), dir, rendezvous)?;
    let tokenizer = tokenizer.map(Tokenizer::with_chat_template);
    let open = |split| PreparedFolder::open(dir, split, Kind::Instruct);
    let (train, val) = (open(Split::Train)?, open(Split::Val)?);
    let shape = shape(config, source.as_ref(), Some(&train), tokenizer.as_ref())?;
    let prompts = found_model::chat_prompts(&config.sft);
    let model = FoundModel::new(request, shape, (source, tokenizer), prompts)?;
    model.check(dir, &train, Kind::Instruct)?;
    let config = &model.request.config;
    let (train, val) = both_splits(config, &model.shape, train, val)?;
    let batch = batch_plan(config, rendezvous.launch().world_size)?;
    Ok(model.train_on((wrap(train), wrap(val)), batch, place))
}

fn rows(
    config: &Config,
    model: &ModelConfig,
    data: PreparedFolder,
    split: Split,
) -> Result<InstructDataset> {
    let layout = match config.sft.packing {
        true => RowLayout::Packed,
        false => RowLayout::Padded,
    };
    let (seq_len, too_long) = (config.train.seq_len(), config.sft.on_too_long);
    let shards = data.into_instruct_shards()?;
    let rows = InstructDataset::new(shards, seq_len, model.vocab_size, layout, too_long)?;
    log::info!(
        "{split}: {} conversations in {} rows; {} were longer than {seq_len} tokens (sft.on_too_long)",
        rows.examples(),
        rows.len(),
        rows.too_long()
    );
    Ok(rows)
}

/// The rows of both splits.
///
/// # Errors
/// A bad request when there is nothing to train on.
pub(super) fn both_splits(
    config: &Config,
    model: &ModelConfig,
    train: PreparedFolder,
    val: PreparedFolder,
) -> Result<(InstructDataset, InstructDataset)> {
    let train = rows(config, model, train, Split::Train)?;
    let val = rows(config, model, val, Split::Val)?;
    let (seq_len, dir) = (config.train.seq_len(), config.data.path.as_deref());
    let dir = dir.unwrap_or(Path::new("")).display();
    if train.is_empty() {
        return Err(bad_request!(
            "{dir}: the train split has no conversation of at most {seq_len} tokens; raise train.seq_len, or set \
             sft.on_too_long to \"truncate\""
        ));
    }
    if val.is_empty() && config.validate.every > 0 {
        log::warn!(
            "{dir}: the val split has no conversation of at most {seq_len} tokens, so nothing is validated"
        );
    }
    Ok((train, val))
}

/// A packed row is about `train.seq_len` tokens; else a row is an example, and these are counted, whatever is said of tokens.
///
/// # Errors
/// A bad request when only the other is set, or it leaves a remainder.
pub(super) fn batch_plan(config: &Config, world_size: u64) -> Result<BatchPlan> {
    let (tokens, examples) = (
        config.train.total_batch_tokens,
        config.train.total_batch_examples,
    );
    match (config.sft.packing, tokens, examples) {
        (true, _, Some(_)) => Err(bad_request!(
            "train.total_batch_examples: a packed row holds several; set train.total_batch_tokens, or sft.packing=false"
        )),
        (false, Some(_), None) => Err(bad_request!(
            "train.total_batch_tokens: without sft.packing a row is one example; set train.total_batch_examples, which then \
             counts in its place"
        )),
        (true, ..) => BatchPlan::new(&config.train, world_size),
        (false, ..) => {
            if tokens.is_some() {
                log::info!(
                    "train.total_batch_tokens is passed over: without sft.packing train.total_batch_examples counts"
                );
            }
            let counted = TrainConfig {
                total_batch_tokens: None,
                ..config.train.clone()
            };
            BatchPlan::of_examples(&counted, world_size)
        }
    }
}
