//! The prepared data of a plan, as far as they are there.

use crate::commands::TrainingVerb;
use crate::commands::fit::{self, Vocabulary};
use crate::commands::{dpo, pretrain, sft};
use crate::config::{Config, ModelConfig};
use crate::data::manifest::Kind;
use crate::data::{Dataset, PreparedFolder, Split};
use anyhow::Result;
use std::path::PathBuf;

/// Both splits of a folder, open.
#[derive(Debug)]
pub(super) struct PreparedData {
    dir: PathBuf,
    train: PreparedFolder,
    val: PreparedFolder,
}

impl PreparedData {
    /// Those of the configuration's folder; none where it is still to be prepared.
    ///
    /// # Errors
    /// When the manifest or a shard is damaged.
    pub(super) fn find(config: &Config) -> Result<Option<Self>> {
        let Some(dir) = pretrain::folder(config) else {
            return Ok(None);
        };
        if pretrain::will_be_prepared(config, &dir)? {
            return Ok(None); // what lies there is not whole
        }
        let Some(train) = PreparedFolder::open_if_prepared(&dir)? else {
            return Ok(None);
        };
        let kind = train.kind().unwrap_or(Kind::Pretrain);
        let val = PreparedFolder::open(&dir, Split::Val, kind)?;
        Ok(Some(Self { dir, train, val }))
    }

    /// What they are for.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.train.kind()
    }

    /// Rows of the train split, counted as `verb` makes them for this model.
    ///
    /// # Errors
    /// A bad request when they are for another verb or model, or there is none.
    pub(super) fn rows(
        self,
        config: &Config,
        verb: TrainingVerb,
        model: &ModelConfig,
    ) -> Result<u64> {
        let Self { dir, train, val } = self;
        let kind = verb.kind(config);
        fit::check(&dir, &train, kind, (model, Vocabulary::Padded), None)?;
        Ok(match kind {
            Kind::Pretrain => {
                let (train, _) =
                    pretrain::windows(config, &dir, Some((train, val)), model.vocab_size)?;
                train.len()
            }
            Kind::Instruct => sft::both_splits(config, model, train, val)?.0.len(),
            Kind::Preference => dpo::both_splits(config, &dir, model, (train, val))?.0.len(),
        })
    }
}

/// What keeps an epoch's length from being known, in words.
pub(super) fn missing(config: &Config, verb: TrainingVerb) -> String {
    let kind = verb.kind(config);
    let folder = pretrain::folder(config);
    if let (Kind::Pretrain, Some(dir)) = (kind, &folder)
        && let Ok(true) = pretrain::will_be_prepared(config, dir)
    {
        return format!(
            "an epoch's steps, tokens and hours: the run itself prepares {} before it trains; set train.max_steps to know \
             them now",
            dir.display()
        );
    }
    let prepare = kind.name();
    let (what, out) = match folder {
        None => ("data.path is not set".to_owned(), "FOLDER".to_owned()),
        Some(dir) => {
            let dir = dir.display().to_string();
            (format!("{dir} holds no prepared data"), dir)
        }
    };
    format!(
        "an epoch's steps, tokens and hours: {what}; make some with `llama-train prep-data {prepare} --out {out}`, or set \
         train.max_steps"
    )
}
