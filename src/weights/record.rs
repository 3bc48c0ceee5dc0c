//! A model by its name and the identity of what it computes, to be found again later.

use super::{Form, Pretrained, hf, meta, peft};
use crate::storage::{self, sha256_file};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// What a run remembers of a model that it does not carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// [`Pretrained::name`].
    pub model: String,
    /// [`Pretrained::fingerprint`].
    pub fingerprint: String,
}

impl Pretrained {
    /// The identity of what the model computes: SHA-256 over its shape, its weight files' own and its adapter's.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn fingerprint(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        hasher.update(serde_json::to_vec(self.config())?);
        let mut files = self.weight_files()?;
        if let Some(adapter) = self.adapter() {
            hasher.update(adapter.options().scale().to_le_bytes());
            files.extend(peft::weight_file(adapter.path()));
        }
        for file in files {
            let sha256 = sha256_file(&file);
            hasher.update(sha256.with_context(|| format!("{}: cannot read", file.display()))?);
        }
        Ok(storage::hex(&hasher.finalize()))
    }

    fn weight_files(&self) -> Result<Vec<PathBuf>> {
        let path = self.base.path.as_path();
        match Form::of(path) {
            Form::HuggingFace => hf::weight_files(path),
            Form::Meta => meta::shard_files(path),
            Form::Original => Ok(vec![path.to_owned()]),
        }
    }
}
