//! `[wandb]` as a sink.

use crate::config::{Config, WandbConfig, WandbMode, machine_variable};
use crate::metrics::MetricSink;
use crate::metrics::wandb::{Account, Run, WandbSink};
use crate::train::RunPlan;
use anyhow::Result;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// What `wandb.mode` asks for.
pub(super) enum Reporting {
    Disabled,
    Offline,
    Online(Account),
}

impl Reporting {
    /// # Errors
    /// A bad request where the key is missing.
    pub(super) fn of(config: &WandbConfig) -> Result<Self> {
        Ok(match config.mode {
            WandbMode::Disabled => Self::Disabled,
            WandbMode::Offline => Self::Offline,
            WandbMode::Online => Self::Online(Account::find()?),
        })
    }

    /// Asks the server whether it takes the key.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Disabled | Self::Offline => Ok(()),
            Self::Online(account) => account.check(),
        }
    }

    /// The sink of a run that stands at `step`, if one is wanted.
    ///
    /// # Errors
    /// When its file cannot be written, or the server refuses the run.
    pub(super) fn sink(
        &self,
        dir: &Path,
        step: u64,
        run: Run,
    ) -> Result<Option<Box<dyn MetricSink>>> {
        let account = match self {
            Self::Disabled => return Ok(None),
            Self::Offline => None,
            Self::Online(account) => Some(account),
        };
        let sink = WandbSink::start(dir, step, run, account)?;
        Ok(Some(Box::new(sink)))
    }
}

/// What W&B is told about the run; where `[wandb]` is silent, the official client's variables speak.
pub(super) fn describe(config: &Config, plan: &RunPlan) -> Run {
    let wandb = &config.wandb;
    let or = |key: &Option<String>, variable| key.clone().or_else(|| machine_variable(variable));
    let mut tags = wandb.tags.clone();
    if let (true, Some(given)) = (tags.is_empty(), machine_variable("WANDB_TAGS")) {
        tags = given.split(',').map(|tag| tag.trim().to_owned()).collect();
    }
    let mut all = serde_json::to_value(config).unwrap_or_else(|_| json!({}));
    all["plan"] = serde_json::to_value(plan).unwrap_or(Value::Null);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Run {
        id: String::new(),
        project: or(&wandb.project, "WANDB_PROJECT").unwrap_or_else(|| "llama-train".into()),
        entity: or(&wandb.entity, "WANDB_ENTITY"),
        name: or(&wandb.name, "WANDB_NAME").unwrap_or_else(|| config.run.name.clone()),
        group: or(&wandb.group, "WANDB_RUN_GROUP"),
        tags,
        config: all,
        host: host.trim().to_owned(),
    }
}
