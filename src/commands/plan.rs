//! `llama-train plan`: what a configuration means, without a device.

use super::Output;
use crate::config::Config;
use crate::data::{Manifest, manifest::Kind};
use crate::dist::LaunchEnv;
use crate::hub;
use crate::train::{BatchPlan, RunPlan};
use crate::weights::{self, Pretrained};
use anyhow::Result;
use std::path::Path;

/// Works out sizes and lengths.
///
/// # Errors
/// A bad request when the shape is not given in full.
pub fn run(config: &Config) -> Result<Output> {
    let model = match &config.model.init_from {
        Some(path) => weights::read_config(&hub::model_description(path)?)?,
        None => config.model.resolve(None, config.train.seq_len as i64)?,
    };
    let batch = batch(config, LaunchEnv::read()?.world_size)?;
    let teacher = config.distill.teacher.as_deref();
    let teacher = teacher.map(|teacher| Pretrained::describe(Path::new(teacher)));
    let teacher = teacher.transpose()?;
    let plan = RunPlan::new(&model, &batch, 0, config.train.max_steps)
        .beside(teacher.as_ref().map(Pretrained::config));
    Ok(Output {
        json: serde_json::to_value(&plan)?,
        text: plan.to_string(),
        exit_code: 0,
    })
}

/// Tokens are counted, or examples where those are asked for: pairs, if the data is there and holds some.
fn batch(config: &Config, world_size: u64) -> Result<BatchPlan> {
    let data = config.data.path.as_deref().map(Manifest::read);
    let kind = data.transpose()?.flatten().map(|manifest| manifest.kind);
    let train = &config.train;
    Ok(match (kind, train.total_batch_examples) {
        (Some(Kind::Preference), _) => BatchPlan::of_pairs(train, world_size),
        (_, Some(_)) => BatchPlan::of_examples(train, world_size),
        (_, None) => BatchPlan::new(train, world_size),
    })
}
