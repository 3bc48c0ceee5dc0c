//! What the reference makes of the data: asked once, kept beside them.

use super::training::TrainingRequest;
use crate::bad_request;
use crate::data::{Dataset, PreferenceDataset, PreparedFolder};
use crate::dist::{self, ProcessGroup, Rendezvous};
use crate::objective::{ReferenceCache, reference_scores};
use crate::storage;
use crate::train::{Parts, compute_kind};
use crate::weights::{ModelRecord, Pretrained};
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;
use tch::Device;

/// Scores that are on disk, or will be once the model has been asked.
#[derive(Debug)]
pub(super) struct Scores {
    /// The prepared data's.
    folder: PathBuf,
    /// What they depend on, apart from the kind of arithmetic.
    depends_on: serde_json::Value,
    /// Who is asked where they are not there; one that is gone is missed only then.
    model: Result<Pretrained>,
}

impl Scores {
    /// Those of a reference on the request's data.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub(super) fn find(
        request: &TrainingRequest,
        reference: &ModelRecord,
        model: Result<Pretrained>,
        rendezvous: &Rendezvous,
    ) -> Result<Self> {
        let config = &request.config;
        let folder = config.data.path.clone();
        let folder = folder.ok_or_else(|| bad_request!("data.path is not set"))?;
        let data = rendezvous
            .rank_zero_says("data fingerprint", || PreparedFolder::fingerprint(&folder))?;
        let depends_on = json!({
            "reference": reference.fingerprint,
            "data": data,
            "seq_len": config.train.seq_len(),
            "on_too_long": config.dpo.on_too_long,
        });
        Ok(Self {
            folder,
            depends_on,
            model,
        })
    }

    /// Reads them, or asks the model and keeps them; the model is let go then.
    ///
    /// # Errors
    /// When the scores cannot be read, computed or written.
    pub(super) fn give_to(
        self,
        parts: &Parts<PreferenceDataset>,
        device: Device,
        group: &dyn ProcessGroup,
    ) -> Result<()> {
        let kind = compute_kind(parts.config.train.precision, device);
        let key = storage::sha256(format!("{} {kind:?}", self.depends_on).as_bytes());
        let cache = ReferenceCache::new(&self.folder, &key[..16]);
        let splits = [&parts.train, &parts.val];
        let is_kept = dist::broadcast_text(group, if cache.is_there() { "kept" } else { "" })?;
        let scores = match is_kept.is_empty() {
            false => cache.read(splits.map(|pairs| pairs.len()))?,
            true => {
                let model = self.model?.model(device, kind)?;
                let batch_size = parts.batch.micro_batch_size;
                let ask = |pairs| reference_scores(&model, device, pairs, batch_size, group);
                let scores = [ask(splits[0])?, ask(splits[1])?];
                if group.rank() == 0 {
                    cache.write(&scores)?;
                }
                scores
            }
        };
        log::info!(
            "reference: its log-probabilities are in {}",
            cache.path().display()
        );
        for (pairs, scores) in splits.into_iter().zip(scores) {
            pairs.set_reference(scores);
        }
        Ok(())
    }
}
