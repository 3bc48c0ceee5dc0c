//! `llama-train sft`: from a base model to one that answers.

use super::training::{self, TrainingRequest};
use super::{Output, fit};
use crate::bad_request;
use crate::config::{Config, ModelConfig};
use crate::data::manifest::Kind;
use crate::data::{Dataset, InstructDataset, PreparedFolder, RowLayout, Split};
use crate::dist::Rendezvous;
use crate::objective::CausalLm;
use crate::tokenizer::PromptStyle;
use crate::train::{BatchPlan, Parts, RunFolder, RunPlan};
use anyhow::Result;
use std::path::Path;
use std::sync::Arc;

/// Checks the request, trains, and tells what came of it.
///
/// # Errors
/// A bad request before a device is touched; later what the device, the disk or the data do.
pub fn run(request: &TrainingRequest) -> Result<Output> {
    let rendezvous = training::meet(request)?;
    let parts = check(request, &rendezvous)?;
    training::run(request, parts, CausalLm, rendezvous)
}

/// Everything that can be known without a device.
fn check<'a>(
    request: &'a TrainingRequest,
    rendezvous: &Rendezvous,
) -> Result<Parts<'a, InstructDataset>> {
    let config = &request.config;
    let folder = RunFolder::new(&config.run.dir, &config.run.name);
    let start = request.start();
    training::check_folder(&folder, &start, rendezvous)?;
    let dir = config.data.path.as_deref().ok_or_else(|| {
        bad_request!("data.path is not set: name the folder that prep-data instruct wrote (--set data.path=FOLDER)")
    })?;
    let source = training::model_source(config, &folder, &start, rendezvous)?.ok_or_else(|| {
        bad_request!("there is no model to tune: name one with --init-from (model.init_from)")
    })?;
    let model = source.config().clone();
    let tokenizer = training::find_tokenizer(config, Some(&source), dir, rendezvous)?;
    fit::check_seq_len(config.train.seq_len, &model)?;
    let open = |split| {
        let data = PreparedFolder::open(dir, split)?;
        fit::check(dir, &data, Kind::Instruct, &model, tokenizer.as_deref())?;
        rows(config, &model, data, split)
    };
    let (train, val) = (open(Split::Train)?, open(Split::Val)?);
    check_rows(config, dir, &train, &val)?;
    let prompts = PromptStyle::Chat {
        system_prompt: config.sft.system_prompt.clone(),
    };
    let longest = model.max_seq_len;
    training::check_samples(&config.generate, tokenizer.as_deref(), &prompts, longest)?;
    let batch = batch_plan(config, rendezvous.launch().world_size)?;
    let plan = RunPlan::new(&model, &batch, train.len(), config.train.max_steps);
    Ok(Parts {
        config,
        init_from: training::init_from(config),
        base: training::base_of(config, Some(&source))?,
        model,
        tokenizer,
        prompts,
        train: Arc::new(train),
        val: Arc::new(val),
        batch,
        plan,
        folder,
        start,
        start_step: request.start_step,
        moments: request.moments(),
    })
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
    let (seq_len, too_long) = (config.train.seq_len, config.sft.on_too_long);
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

fn check_rows(
    config: &Config,
    dir: &Path,
    train: &InstructDataset,
    val: &InstructDataset,
) -> Result<()> {
    let seq_len = config.train.seq_len;
    if train.is_empty() {
        return Err(bad_request!(
            "{}: the train split has no conversation of at most {seq_len} tokens; raise train.seq_len, or set \
             sft.on_too_long to \"truncate\"",
            dir.display()
        ));
    }
    if val.is_empty() && config.validate.every > 0 {
        log::warn!(
            "{}: the val split has no conversation of at most {seq_len} tokens, so nothing is validated",
            dir.display()
        );
    }
    Ok(())
}

/// A packed row is about `train.seq_len` tokens; else a row is an example, and these are counted.
fn batch_plan(config: &Config, world_size: u64) -> Result<BatchPlan> {
    let (tokens, examples) = (
        config.train.total_batch_tokens,
        config.train.total_batch_examples,
    );
    match (config.sft.packing, tokens, examples) {
        (true, _, Some(_)) => Err(bad_request!(
            "train.total_batch_examples: a packed row holds several; set train.total_batch_tokens, or sft.packing=false"
        )),
        (false, Some(_), _) => Err(bad_request!(
            "train.total_batch_tokens: without sft.packing a row is one example; set train.total_batch_examples"
        )),
        (true, ..) => Ok(BatchPlan::new(&config.train, world_size)),
        (false, ..) => Ok(BatchPlan::of_examples(&config.train, world_size)),
    }
}
