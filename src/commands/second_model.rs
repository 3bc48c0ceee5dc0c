//! A model that a run is held against, a reference or a teacher: found, and after a resume recognised.

use super::training::TrainingRequest;
use crate::bad_request;
use crate::checkpoint;
use crate::config::ModelConfig;
use crate::dist::Rendezvous;
use crate::weights::{ModelRecord, Pretrained};
use anyhow::{Error, Result};
use std::path::{Path, PathBuf};

/// What it is to the run, in words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    /// "reference", for example.
    pub(super) name: &'static str,
    /// The key that names it.
    pub(super) key: &'static str,
}

/// Found, but not loaded.
#[derive(Debug)]
pub(super) struct SecondModel {
    /// The model; one that a resumed run remembers may be gone, and is missed only where it is needed.
    pub(super) opened: Result<Pretrained>,
    /// What the run's checkpoints remember; none on a dry run.
    pub(super) record: Option<ModelRecord>,
}

/// What the newest of the checkpoints that says so remembers.
///
/// # Errors
/// When that cannot be understood.
pub(super) fn recorded(checkpoints: &[PathBuf]) -> Result<Option<ModelRecord>> {
    let mut records = checkpoints
        .iter()
        .filter_map(|dir| checkpoint::recorded_reference(dir).transpose());
    records.next().transpose()
}

impl SecondModel {
    /// The model at `path`, for one of `vocab_size` tokens. That of a resumed run has to be of the weights that are
    /// recorded, wherever they are now.
    ///
    /// # Errors
    /// A bad request when it is gone (unless it was recorded), is another one, or does not fit.
    pub(super) fn find(
        role: Role,
        path: &Path,
        model: &ModelConfig,
        recorded: Option<ModelRecord>,
        request: &TrainingRequest,
        rendezvous: &Rendezvous,
    ) -> Result<Self> {
        let opened = rendezvous.rank_zero_first(role.name, || Ok(open(request, path)))?;
        let (found, recorded) = match (opened, recorded) {
            (Ok(found), recorded) => (found, recorded),
            (Err(error), Some(record)) if !request.dry_run => {
                return Ok(Self {
                    opened: Err(role.is_gone(path, &error)),
                    record: Some(record),
                });
            }
            (Err(error), _) => return Err(error.context(format!("the {}", role.name))),
        };
        role.check_vocabulary(&found, model)?;
        let record = match request.dry_run {
            true => None,
            false => Some(role.identify(&found, recorded, rendezvous)?),
        };
        Ok(Self {
            opened: Ok(found),
            record,
        })
    }
}

impl Role {
    fn is_gone(self, path: &Path, error: &Error) -> Error {
        let Self { name, key } = self;
        bad_request!(
            "{}: the {name} that this run started with cannot be opened: {error:#}; put it back, or name a copy of it with \
             --set {key}=PATH",
            path.display()
        )
    }

    fn check_vocabulary(self, found: &Pretrained, model: &ModelConfig) -> Result<()> {
        let [theirs, ours] = [found.config(), model].map(|config| config.vocab_size);
        match theirs == ours {
            true => Ok(()),
            false => Err(bad_request!(
                "{}: the {} has a vocabulary of {theirs}, the model that is trained one of {ours}; both have to be of one \
                 tokenizer",
                found.name(),
                self.name
            )),
        }
    }

    fn identify(
        self,
        found: &Pretrained,
        recorded: Option<ModelRecord>,
        rendezvous: &Rendezvous,
    ) -> Result<ModelRecord> {
        let fingerprint = rendezvous.rank_zero_says("fingerprint", || found.fingerprint())?;
        match recorded {
            Some(recorded) if recorded.fingerprint != fingerprint => Err(bad_request!(
                "{}: this is not the {} that the run started with ({}, fingerprint {}; this one's is {fingerprint}); name a \
                 copy of that one with --set {}=PATH, or start a new run",
                found.name(),
                self.name,
                recorded.model,
                recorded.fingerprint,
                self.key
            )),
            _ => Ok(ModelRecord {
                model: found.name().to_owned(),
                fingerprint,
            }),
        }
    }
}

fn open(request: &TrainingRequest, path: &Path) -> Result<Pretrained> {
    match request.dry_run {
        true => Pretrained::describe(path),
        false => Pretrained::open(path, None, request.config.lora.alpha),
    }
}
