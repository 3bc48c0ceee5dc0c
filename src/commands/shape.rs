//! The shape of the model that is trained.

use super::found_model::init_from;
use super::pretrain;
use crate::config::{Config, HubKind, HubPath, ModelConfig};
use crate::data::{Manifest, PreparedFolder};
use crate::tokenizer::{self, Tokenizer};
use crate::weights::Pretrained;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// The shape of the weights to start from, else of `[model]` for the data's vocabulary.
///
/// # Errors
/// A bad request when neither says it in full.
pub(super) fn shape(
    config: &Config,
    source: Option<&Pretrained>,
    data: Option<&PreparedFolder>,
    tokenizer: Option<&Tokenizer>,
) -> Result<ModelConfig> {
    match source {
        Some(source) => Ok(source.config().clone()),
        None => {
            let vocab_size = data.and_then(PreparedFolder::vocab_size);
            let vocab_size = vocab_size.or_else(|| tokenizer.map(size_of));
            resolve(config, vocab_size.or_else(|| to_be_trained(config)))
        }
    }
}

/// The same where nothing is prepared, fetched or read for it but descriptions: the shape of `model.init_from`, else of
/// `[model]` for the vocabulary of the prepared data, of a tokenizer on this machine, of a teacher, or of the tokenizer
/// that is to be trained.
///
/// # Errors
/// A bad request when none of them says it in full, or one that is named is missing.
pub(super) fn before_training(
    config: &Config,
    teacher: Option<&ModelConfig>,
) -> Result<ModelConfig> {
    if let Some(path) = init_from(config) {
        return Ok(Pretrained::describe(&path)?.config().clone());
    }
    if config.model.vocab_size.is_some() {
        return resolve(config, None);
    }
    let folder = pretrain::folder(config);
    let manifest = folder.as_deref().map(Manifest::read).transpose()?.flatten();
    let mut vocab_size = manifest.map(|manifest| manifest.vocab_size);
    if vocab_size.is_none() {
        let path = tokenizer_here(config, folder.as_deref())?;
        let tokenizer = path.map(|path| Tokenizer::load(&path)).transpose()?;
        vocab_size = tokenizer.as_ref().map(size_of);
    }
    let of_teacher = || teacher.map(|teacher| teacher.vocab_size.unsigned_abs());
    let vocab_size = vocab_size.or_else(of_teacher);
    resolve(config, vocab_size.or_else(|| to_be_trained(config)))
}

/// The tokenizer that is named, unless it is on the Hub, else the one beside the data.
fn tokenizer_here(config: &Config, data: Option<&Path>) -> Result<Option<PathBuf>> {
    let Some(named) = &config.tokenizer.path else {
        return Ok(data.filter(|dir| tokenizer::is_in(dir)).map(Path::to_owned));
    };
    let on_hub = HubPath::parse_if_meant(named, HubKind::Model)?;
    Ok(on_hub.is_none().then(|| PathBuf::from(named)))
}

fn size_of(tokenizer: &Tokenizer) -> u64 {
    tokenizer.vocab_size() as u64
}

fn to_be_trained(config: &Config) -> Option<u64> {
    Some(config.prepare.vocab_size as u64).filter(|&size| size > 0)
}

fn resolve(config: &Config, vocab_size: Option<u64>) -> Result<ModelConfig> {
    let vocab_size = vocab_size.and_then(|size| i64::try_from(size).ok());
    config
        .model
        .resolve(vocab_size, config.train.seq_len() as i64)
}
