//! Whether a model and prepared data belong together.

use crate::bad_request;
use crate::config::ModelConfig;
use crate::data::PreparedFolder;
use crate::data::manifest::Kind;
use crate::tokenizer::Tokenizer;
use anyhow::Result;
use std::path::Path;

/// Refuses data of another kind, from another tokenizer, or with more tokens than the model knows.
///
/// # Errors
/// A bad request that names both.
pub fn check(
    dir: &Path,
    data: &PreparedFolder,
    kind: Kind,
    model: &ModelConfig,
    tokenizer: Option<&Tokenizer>,
) -> Result<()> {
    check_kind(dir, data, kind)?;
    check_tokenizer(dir, data, tokenizer)?;
    check_vocabulary(dir, data, model)
}

/// Refuses data of another kind.
///
/// # Errors
/// A bad request that names the verb for it.
pub fn check_kind(dir: &Path, data: &PreparedFolder, kind: Kind) -> Result<()> {
    let held = data.kind().unwrap_or(kind);
    if held == kind {
        return Ok(());
    }
    let (what, verb) = match held {
        Kind::Pretrain => ("plain text", "pretrain"),
        Kind::Instruct => ("conversations", "sft"),
        Kind::Preference => ("pairs of answers", "dpo"),
    };
    let wanted = match kind {
        Kind::Pretrain => "pretrain",
        Kind::Instruct => "instruct",
        Kind::Preference => "preference",
    };
    Err(bad_request!(
        "{}: holds {what}; train on it with `llama-train {verb}`, or prepare other data with `llama-train prep-data \
         {wanted}`",
        dir.display()
    ))
}

/// Refuses data that was made with another tokenizer than the model's.
///
/// # Errors
/// A bad request that names both.
pub fn check_tokenizer(
    dir: &Path,
    data: &PreparedFolder,
    tokenizer: Option<&Tokenizer>,
) -> Result<()> {
    match (data.tokenizer_fingerprint(), tokenizer) {
        (Some(of_data), Some(tokenizer)) if of_data != tokenizer.fingerprint() => {
            Err(bad_request!(
                "{}: the data was made with another tokenizer (fingerprint {of_data}, the model's is {}); prepare the data \
                 again with --tokenizer set to the model's",
                dir.display(),
                tokenizer.fingerprint()
            ))
        }
        _ => Ok(()),
    }
}

fn check_vocabulary(dir: &Path, data: &PreparedFolder, model: &ModelConfig) -> Result<()> {
    match data.vocab_size() {
        Some(size) if size > model.vocab_size.unsigned_abs() => Err(bad_request!(
            "{}: the data has a vocabulary of {size}, the model one of {}; prepare the data with the model's tokenizer, \
             or set model.vocab_size",
            dir.display(),
            model.vocab_size
        )),
        _ => Ok(()),
    }
}

/// Refuses rows that are longer than the model can read.
///
/// # Errors
/// A bad request that names both.
pub fn check_seq_len(seq_len: u64, model: &ModelConfig) -> Result<()> {
    match seq_len > model.max_seq_len.unsigned_abs() {
        true => Err(bad_request!(
            "train.seq_len = {seq_len} is longer than the model's max_seq_len of {0}; set train.seq_len to {0} or less",
            model.max_seq_len
        )),
        false => Ok(()),
    }
}
