//! `llama-train pretrain`: from raw text or a folder of tokens to a model.

use super::Output;
use super::training::{self, TrainingRequest};
use crate::bad_request;
use crate::config::{Config, ModelConfig};
use crate::data::{Dataset, PreparedFolder, Split, TokenDataset};
use crate::dist::LaunchEnv;
use crate::objective::CausalLm;
use crate::prepare;
use crate::tokenizer::Tokenizer;
use crate::train::{BatchPlan, Parts, RunFolder, RunPlan};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Checks the request, trains, and tells what came of it.
///
/// # Errors
/// A bad request before a device is touched; later what the device, the disk or the data do.
pub fn run(request: &TrainingRequest) -> Result<Output> {
    let parts = check(request)?;
    training::run(request, parts, CausalLm)
}

/// Everything that can be known without a device.
fn check(request: &TrainingRequest) -> Result<Parts<'_, TokenDataset>> {
    let config = &request.config;
    let launch = LaunchEnv::read()?;
    let folder = RunFolder::new(&config.run.dir, &config.run.name);
    let start = request.start();
    folder.check(&start)?;
    let data = data_folder(config)?;
    let train = PreparedFolder::open(&data, Split::Train)?;
    let val = PreparedFolder::open(&data, Split::Val)?;
    let init_from = training::init_from(config);
    let tokenizer = training::find_tokenizer(config, &data, init_from.as_deref())?;
    training::check_same_tokenizer(&data, &train, tokenizer.as_deref())?;
    let vocab_size = vocab_size(&train, tokenizer.as_deref());
    let model = training::model_shape(config, &folder, &start, init_from.as_deref(), vocab_size)?;
    check_model(config, &model, &data, &train)?;
    let windows = |split: PreparedFolder| {
        TokenDataset::new(split.into_shards(), config.train.seq_len, model.vocab_size)
    };
    let (train, val) = (Arc::new(windows(train)), Arc::new(windows(val)));
    if train.is_empty() {
        return Err(bad_request!(
            "{}: the train split has no window of train.seq_len = {} tokens; lower it or prepare more text",
            data.display(),
            config.train.seq_len
        ));
    }
    let batch = BatchPlan::new(&config.train, launch.world_size);
    let plan = RunPlan::new(&model, &batch, train.len(), config.train.max_steps);
    Ok(Parts {
        config,
        model,
        init_from,
        tokenizer,
        train,
        val,
        plan,
        launch,
        folder,
        start,
        start_step: request.start_step,
        moments: request.moments(),
    })
}

/// The folder of tokens; made from `prepare.input` where that is given.
fn data_folder(config: &Config) -> Result<PathBuf> {
    let path = config
        .data
        .path
        .clone()
        .or_else(|| config.prepare.out.clone());
    let Some(path) = path else {
        return Err(bad_request!(
            "data.path is not set: give the folder that prep-data wrote (--set data.path=FOLDER), or raw text with \
             prepare.input and a folder for its tokens with data.path"
        ));
    };
    if !config.prepare.input.is_empty() {
        prepare::ensure(&config.prepare, config.tokenizer.path.as_deref(), &path)?;
    } else if !path.is_dir() {
        return Err(bad_request!(
            "data.path = {}: there is no such folder",
            path.display()
        ));
    }
    Ok(path)
}

fn vocab_size(data: &PreparedFolder, tokenizer: Option<&Tokenizer>) -> Option<i64> {
    let of_tokenizer = || tokenizer.map(|tokenizer| tokenizer.vocab_size() as u64);
    data.vocab_size()
        .or_else(of_tokenizer)
        .and_then(|size| i64::try_from(size).ok())
}

fn check_model(
    config: &Config,
    model: &ModelConfig,
    data: &Path,
    train: &PreparedFolder,
) -> Result<()> {
    if config.train.seq_len as i64 > model.max_seq_len {
        return Err(bad_request!(
            "train.seq_len = {} is longer than the model's max_seq_len of {}",
            config.train.seq_len,
            model.max_seq_len
        ));
    }
    match train.vocab_size() {
        Some(size) if size as i64 > model.vocab_size => Err(bad_request!(
            "{}: the data has a vocabulary of {size}, the model one of {}; prepare the data with the model's tokenizer, \
             or set model.vocab_size",
            data.display(),
            model.vocab_size
        )),
        _ => Ok(()),
    }
}
