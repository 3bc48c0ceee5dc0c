//! `llama-train dpo`: from a model that answers to one that answers as people prefer.

use super::Output;
use super::found_model::{self, FoundModel};
use super::reference::ReferenceModel;
use super::training::{self, TrainingRequest};
use crate::bad_request;
use crate::config::{Config, ModelConfig};
use crate::data::manifest::Kind;
use crate::data::{Dataset, PreferenceDataset, PreparedFolder, Split};
use crate::dist::Rendezvous;
use crate::objective::Dpo;
use crate::tokenizer::Tokenizer;
use crate::train::{BatchPlan, Parts};
use anyhow::Result;
use std::path::Path;

/// Checks the request, trains, and tells what came of it.
///
/// # Errors
/// A bad request before a device is touched; later what the device, the disk or the data do.
pub fn run(request: &TrainingRequest) -> Result<Output> {
    let rendezvous = training::meet(request)?;
    let (parts, reference) = check(request, &rendezvous)?;
    training::run(request, parts, rendezvous, |parts, device, group| {
        let reference = reference.load(parts, device, group)?;
        Ok(Dpo::new(request.config.dpo.clone(), reference))
    })
}

/// Everything that can be known without a device.
fn check(
    request: &TrainingRequest,
    rendezvous: &Rendezvous,
) -> Result<(Parts<PreferenceDataset>, ReferenceModel)> {
    let config = &request.config;
    let place = training::run_folder(request, rendezvous)?;
    let dir = config.data.path.as_deref().ok_or_else(|| {
        bad_request!(
            "data.path is not set: name the folder that prep-data preference wrote (--set data.path=FOLDER)"
        )
    })?;
    let source = found_model::to_tune(request, &place, rendezvous)?;
    let shape = source.config().clone();
    let tokenizer = found_model::find_tokenizer(config, Some(&source), dir, rendezvous)?;
    let found = (Some(source), tokenizer.map(Tokenizer::with_chat_template));
    let model = FoundModel::new(
        request,
        shape,
        found,
        found_model::chat_prompts(&config.sft),
    )?;
    let open = |split| PreparedFolder::open(dir, split, Kind::Preference);
    let (train, val) = (open(Split::Train)?, open(Split::Val)?);
    model.check(dir, &train, Kind::Preference)?;
    let config = &model.request.config;
    let splits = both_splits(config, dir, &model.shape, (train, val))?;
    let checkpoints = training::checkpoints(&place.0, &place.1)?;
    let reference = ReferenceModel::choose(&model.request, &model.shape, &checkpoints, rendezvous)?;
    let batch = batch_plan(config, rendezvous.launch().world_size)?;
    let mut parts = model.train_on(splits, batch, place);
    parts.reference = reference.record().cloned();
    Ok((parts.beside(reference.second_model()), reference))
}

fn pairs(
    config: &Config,
    model: &ModelConfig,
    data: PreparedFolder,
    split: Split,
) -> Result<PreferenceDataset> {
    let (seq_len, too_long) = (config.train.seq_len(), config.dpo.on_too_long);
    let shards = data.into_preference_shards()?;
    let pairs = PreferenceDataset::new(shards, seq_len, model.vocab_size, too_long)?;
    log::info!(
        "{split}: {} pairs; {} were longer than {seq_len} tokens (dpo.on_too_long), {} had an empty answer",
        pairs.len(),
        pairs.too_long(),
        pairs.without_answer()
    );
    Ok(pairs)
}

/// The pairs of both splits.
///
/// # Errors
/// A bad request when there is nothing to train on.
pub(super) fn both_splits(
    config: &Config,
    dir: &Path,
    model: &ModelConfig,
    (train, val): (PreparedFolder, PreparedFolder),
) -> Result<(PreferenceDataset, PreferenceDataset)> {
    let train = pairs(config, model, train, Split::Train)?;
    let val = pairs(config, model, val, Split::Val)?;
    let seq_len = config.train.seq_len();
    if train.is_empty() {
        return Err(bad_request!(
            "{}: the train split has no pair with rows of at most {seq_len} tokens; raise train.seq_len, or set \
             dpo.on_too_long to \"truncate\"",
            dir.display()
        ));
    }
    if val.is_empty() && config.validate.every > 0 {
        log::warn!(
            "{}: the val split has no pair with rows of at most {seq_len} tokens, so nothing is validated",
            dir.display()
        );
    }
    Ok((train, val))
}

/// A row is a pair, and pairs are counted.
///
/// # Errors
/// A bad request when tokens are, or pairs leave a remainder.
pub(super) fn batch_plan(config: &Config, world_size: u64) -> Result<BatchPlan> {
    match config.train.total_batch_tokens {
        Some(_) => Err(bad_request!(
            "train.total_batch_tokens: for dpo a row is a pair of any length; set train.total_batch_examples"
        )),
        None => BatchPlan::of_pairs(&config.train, world_size),
    }
}
