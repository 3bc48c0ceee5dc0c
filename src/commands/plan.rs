//! `llama-train plan`: what a configuration means, without a device.

use super::Output;
use crate::config::Config;
use crate::dist::LaunchEnv;
use crate::hub;
use crate::train::{BatchPlan, RunPlan};
use crate::weights;
use anyhow::Result;

/// Works out sizes and lengths.
///
/// # Errors
/// A bad request when the shape is not given in full.
pub fn run(config: &Config) -> Result<Output> {
    let model = match &config.model.init_from {
        Some(path) => weights::read_config(&hub::model_description(path)?)?,
        None => config.model.resolve(None, config.train.seq_len as i64)?,
    };
    let batch = BatchPlan::new(&config.train, LaunchEnv::read()?.world_size);
    let plan = RunPlan::new(&model, &batch, 0, config.train.max_steps);
    Ok(Output {
        json: serde_json::to_value(&plan)?,
        text: plan.to_string(),
        exit_code: 0,
    })
}
