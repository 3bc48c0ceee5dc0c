//! The model that a policy is held against: what its run started from, also after a resume, or the one that was named.

use super::found_model::init_from;
use super::reference_scores::Scores;
use super::second_model::{Role, SecondModel, recorded};
use super::training::TrainingRequest;
use crate::bad_request;
use crate::config::ModelConfig;
use crate::data::PreferenceDataset;
use crate::dist::{ProcessGroup, Rendezvous};
use crate::objective::Reference;
use crate::train::{Parts, compute_kind};
use crate::weights::{ModelRecord, Pretrained};
use anyhow::Result;
use std::path::PathBuf;
use tch::Device;

const ROLE: Role = Role {
    name: "reference",
    key: "dpo.reference",
};

/// Found and recognised, but not loaded.
#[derive(Debug)]
pub(super) struct ReferenceModel {
    record: Option<ModelRecord>,
    held: Held,
}

/// How its log-probabilities are come by.
#[derive(Debug)]
enum Held {
    /// There is none.
    Nothing,
    /// It is the model below the adapters.
    Base,
    /// It is a second model.
    Model(Box<Pretrained>),
    /// They are on disk, or the model is asked once.
    Scores(Box<Scores>),
}

impl ReferenceModel {
    /// The one that `[dpo]` asks for: a named one, else that of the run which is resumed, else what is started from.
    ///
    /// # Errors
    /// A bad request when it is gone, or not the one that the run started with.
    pub(super) fn choose(
        request: &TrainingRequest,
        policy: &ModelConfig,
        checkpoints: &[PathBuf],
        rendezvous: &Rendezvous,
    ) -> Result<Self> {
        let config = &request.config.dpo;
        if !config.has_reference() {
            return Ok(Self {
                record: None,
                held: Held::Nothing,
            });
        }
        let recorded = recorded(checkpoints)?;
        let path = path(request, checkpoints, recorded.as_ref())?;
        let SecondModel { opened, record } =
            SecondModel::find(ROLE, &path, policy, recorded, request, rendezvous)?;
        let held = match &record {
            Some(record) if config.cache_reference => {
                Held::Scores(Box::new(Scores::find(request, record, opened, rendezvous)?))
            }
            _ => Held::of(opened?, request),
        };
        Ok(Self { record, held })
    }

    /// What the run's checkpoints remember of it.
    pub(super) fn record(&self) -> Option<&ModelRecord> {
        self.record.as_ref()
    }

    /// The shape of the second model that will be held, if one will.
    pub(super) fn second_model(&self) -> Option<&ModelConfig> {
        match &self.held {
            Held::Model(model) => Some(model.config()),
            _ => None,
        }
    }

    /// Loads it, or gives the data what it makes of them.
    ///
    /// # Errors
    /// When weights or scores cannot be read, written or computed.
    pub(super) fn load(
        self,
        parts: &Parts<PreferenceDataset>,
        device: Device,
        group: &dyn ProcessGroup,
    ) -> Result<Reference> {
        Ok(match self.held {
            Held::Nothing => Reference::None,
            Held::Base => Reference::Base,
            Held::Model(model) => {
                let kind = compute_kind(parts.config.train.precision, device);
                Reference::Model(Box::new(model.model(device, kind)?))
            }
            Held::Scores(scores) => {
                scores.give_to(parts, device, group)?;
                Reference::Cached
            }
        })
    }
}

impl Held {
    /// What adapters stand on is there already; what began with adapters of its own is a second model.
    fn of(found: Pretrained, request: &TrainingRequest) -> Self {
        let config = &request.config;
        let is_own = config.dpo.named_reference().is_none() && found.adapter().is_none();
        match config.lora.enabled && is_own {
            true => Self::Base,
            false => Self::Model(Box::new(found)),
        }
    }
}

fn path(
    request: &TrainingRequest,
    checkpoints: &[PathBuf],
    recorded: Option<&ModelRecord>,
) -> Result<PathBuf> {
    let config = &request.config;
    match (config.dpo.named_reference(), recorded, init_from(config)) {
        (Some(named), ..) => Ok(PathBuf::from(named)),
        (None, Some(recorded), _) => Ok(PathBuf::from(&recorded.model)),
        (None, None, Some(start)) if checkpoints.is_empty() => Ok(start),
        _ => Err(bad_request!(
            "--resume: this checkpoint is of a run that had no reference; name one with --set dpo.reference=PATH, or \
             start a new run from its weights with --init-from"
        )),
    }
}
