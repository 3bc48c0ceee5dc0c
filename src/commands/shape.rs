//! The shape of the model that is trained.

use crate::config::{Config, ModelConfig};
use crate::data::PreparedFolder;
use crate::tokenizer::Tokenizer;
use crate::weights::Pretrained;
use anyhow::Result;

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
            let vocab_size = vocab_size(config, data, tokenizer);
            config
                .model
                .resolve(vocab_size, config.train.seq_len as i64)
        }
    }
}

fn vocab_size(
    config: &Config,
    data: Option<&PreparedFolder>,
    tokenizer: Option<&Tokenizer>,
) -> Option<i64> {
    let of_tokenizer = || tokenizer.map(|tokenizer| tokenizer.vocab_size() as u64);
    let to_be_trained = || Some(config.prepare.vocab_size as u64).filter(|&size| size > 0);
    let size = data
        .and_then(PreparedFolder::vocab_size)
        .or_else(of_tokenizer)
        .or_else(to_be_trained);
    size.and_then(|size| i64::try_from(size).ok())
}
