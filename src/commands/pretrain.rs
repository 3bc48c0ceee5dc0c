//! `llama-train pretrain`: from raw text or a folder of tokens to a model.

use super::found_model::{self, FoundModel};
use super::shape::shape;
use super::training::{self, TrainingRequest};
use super::{Output, prep_data};
use crate::bad_request;
use crate::config::Config;
use crate::data::manifest::Kind;
use crate::data::{Dataset, Manifest, PreparedFolder, Split, TokenDataset};
use crate::dist::Rendezvous;
use crate::objective::CausalLm;
use crate::prepare::Job;
use crate::tokenizer::PromptStyle;
use crate::train::{BatchPlan, Parts};
use anyhow::Result;
use std::convert::identity;
use std::path::{Path, PathBuf};

/// Checks the request, trains, and tells what came of it.
///
/// # Errors
/// A bad request before a device is touched; later what the device, the disk or the data do.
pub fn run(request: &TrainingRequest) -> Result<Output> {
    let rendezvous = training::meet(request)?;
    let parts = parts(request, &rendezvous, identity)?;
    training::run(request, parts, rendezvous, |_, _, _| Ok(CausalLm))
}

/// Everything that can be known without a device, for all verbs that read plain text: over the windows, or what `wrap`
/// makes of them.
///
/// # Errors
/// A bad request, or what the network has to say.
pub(super) fn parts<D: Dataset>(
    request: &TrainingRequest,
    rendezvous: &Rendezvous,
    wrap: impl Fn(TokenDataset) -> D,
) -> Result<Parts<D>> {
    let config = &request.config;
    if config.train.total_batch_examples.is_some() {
        return Err(bad_request!(
            "train.total_batch_examples: a row of plain text is no example; set train.total_batch_tokens"
        ));
    }
    let place = training::run_folder(request, rendezvous)?;
    let dir = data_folder(config)?;
    let source = found_model::source(request, &place, rendezvous)?;
    let data = if request.dry_run && will_be_prepared(config, &dir)? {
        prep_data::check_folder(&job(config), &config.tokenizer, &dir)?;
        None
    } else {
        Some(rendezvous.rank_zero_first("data", || open_data(config, &dir))?)
    };
    let train = data.as_ref().map(|(train, _)| train);
    let tokenizer = found_model::find_tokenizer(config, source.as_ref(), &dir, rendezvous)?;
    let shape = shape(config, source.as_ref(), train, tokenizer.as_ref())?;
    let model = FoundModel::new(request, shape, (source, tokenizer), PromptStyle::Text)?;
    if let Some(train) = train {
        model.check(&dir, train, Kind::Pretrain)?;
    }
    let config = &model.request.config;
    let (train, val) = windows(config, &dir, data, model.shape.vocab_size)?;
    let batch = BatchPlan::new(&config.train, rendezvous.launch().world_size)?;
    Ok(model.train_on((wrap(train), wrap(val)), batch, place))
}

/// The windows of both splits; of none where the data is still to be prepared.
///
/// # Errors
/// A bad request when prepared data have no window to train on.
pub(super) fn windows(
    config: &Config,
    dir: &Path,
    data: Option<(PreparedFolder, PreparedFolder)>,
    vocab_size: i64,
) -> Result<(TokenDataset, TokenDataset)> {
    let seq_len = config.train.seq_len();
    let is_prepared = data.is_some();
    let (train, val) = data.map_or_else(Default::default, |(train, val)| {
        (train.into_shards(), val.into_shards())
    });
    let [train, val] = [train, val].map(|shards| TokenDataset::new(shards, seq_len, vocab_size));
    if is_prepared && train.is_empty() {
        return Err(bad_request!(
            "{}: the train split has no window of train.seq_len = {seq_len} tokens; lower it or prepare more text",
            dir.display()
        ));
    }
    if is_prepared && val.is_empty() && config.validate.every > 0 {
        log::warn!(
            "{}: the val split has no window of {seq_len} tokens, so nothing is validated",
            dir.display()
        );
    }
    Ok((train, val))
}

/// Where the tokens are, or will be.
pub(super) fn folder(config: &Config) -> Option<PathBuf> {
    let path = config.data.path.clone();
    path.or_else(|| config.prepare.out.clone())
}

fn data_folder(config: &Config) -> Result<PathBuf> {
    folder(config).ok_or_else(|| {
        bad_request!(
            "data.path is not set: name the folder that prep-data wrote (--set data.path=FOLDER); or name raw text with \
             prepare.input, and with data.path a folder for its tokens"
        )
    })
}

fn is_prepared_here(config: &Config) -> bool {
    !config.prepare.input.is_empty() || config.prepare.mix.is_some()
}

fn job(config: &Config) -> Job {
    Job::pretrain(config.prepare.clone())
}

/// Whether the folder is made from `prepare.input` first.
///
/// # Errors
/// When its manifest is damaged.
pub(super) fn will_be_prepared(config: &Config, dir: &Path) -> Result<bool> {
    Ok(is_prepared_here(config) && Manifest::read(dir)?.is_none())
}

/// The two splits; made from `prepare.input` first, where that is given and has not been done.
fn open_data(config: &Config, dir: &Path) -> Result<(PreparedFolder, PreparedFolder)> {
    if is_prepared_here(config) {
        let prepared = prep_data::prepare_folder(&job(config), &config.tokenizer, dir)?;
        log::info!("{}", prepared.summary());
    }
    let open = |split| PreparedFolder::open(dir, split, Kind::Pretrain);
    Ok((open(Split::Train)?, open(Split::Val)?))
}
