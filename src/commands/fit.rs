//! Whether a model and prepared data belong together.

use crate::bad_request;
use crate::config::{Config, ModelConfig, Precision};
use crate::data::PreparedFolder;
use crate::data::manifest::Kind;
use crate::tokenizer::Tokenizer;
use crate::weights::Pretrained;
use anyhow::Result;
use std::path::Path;

/// What the model's vocabulary says of the data's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// It is that or larger: the tokenizers are compared, or there are no weights yet.
    Padded,
    /// It is all that there is to compare: weights without a tokenizer.
    Exact,
}

impl Vocabulary {
    /// Of the weights that a run starts from, if it does, where no tokenizer is named for them.
    #[must_use]
    pub fn of(weights: Option<&Pretrained>) -> Self {
        match weights {
            Some(weights) if weights.tokenizer_folder().is_none() => Self::Exact,
            _ => Self::Padded,
        }
    }
}

/// Refuses data of another kind, from another tokenizer, or with more tokens than the model knows; for weights without a
/// tokenizer, any other number of tokens.
///
/// # Errors
/// A bad request that names both.
pub fn check(
    dir: &Path,
    data: &PreparedFolder,
    kind: Kind,
    (model, vocabulary): (&ModelConfig, Vocabulary),
    tokenizer: Option<&Tokenizer>,
) -> Result<()> {
    check_kind(dir, data, kind)?;
    check_tokenizer(dir, data, tokenizer)?;
    check_vocabulary(dir, data, model, vocabulary)
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
    let on = match held {
        Kind::Pretrain => " (distill: distill.on=\"pretrain\")",
        Kind::Instruct => " (distill: distill.on=\"instruct\")",
        Kind::Preference => "",
    };
    let wanted = kind.name();
    Err(bad_request!(
        "{}: holds {what}; train on it with `llama-train {verb}`{on}, or prepare other data with `llama-train prep-data \
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
                "{}: the data was made with another tokenizer (fingerprint {:.12}.., the model's is {:.12}..); prepare the \
                 data again with --tokenizer set to the model's",
                dir.display(),
                of_data,
                tokenizer.fingerprint()
            ))
        }
        _ => Ok(()),
    }
}

fn check_vocabulary(
    dir: &Path,
    data: &PreparedFolder,
    model: &ModelConfig,
    vocabulary: Vocabulary,
) -> Result<()> {
    let known = model.vocab_size.unsigned_abs();
    match data.vocab_size() {
        Some(size) if size > known || (vocabulary == Vocabulary::Exact && size != known) => {
            Err(bad_request!(
                "{}: the data has a vocabulary of {size}, the model one of {}; prepare the data with the model's tokenizer, \
             or set model.vocab_size",
                dir.display(),
                model.vocab_size
            ))
        }
        _ => Ok(()),
    }
}

/// The configuration for a model: rows as long as it says, or where it says nothing as long as they are by default and
/// the model can read.
///
/// # Errors
/// A bad request when the model cannot read rows so long, or cannot be multiplied in the precision asked for.
pub fn for_model(config: &Config, model: &ModelConfig) -> Result<Config> {
    check_fp8(config, model)?;
    let longest = model.max_seq_len.unsigned_abs();
    let mut config = config.clone();
    match config.train.seq_len {
        Some(given) => check_seq_len(given, model)?,
        None => config.train.seq_len = Some(config.train.seq_len().min(longest)),
    }
    Ok(config)
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

/// Tensor cores take fp8 matrices of multiples of 16.
fn check_fp8(config: &Config, model: &ModelConfig) -> Result<()> {
    if config.train.precision != Precision::Fp8 {
        return Ok(());
    }
    if config.lora.enabled {
        return Err(bad_request!(
            "train.precision = \"fp8\": the weights below adapters are kept in bf16 and not multiplied in fp8; set it to \"bf16\""
        ));
    }
    let heads = |count: i64| count * model.head_dim;
    let sizes = [
        ("dim", model.dim),
        ("ffn_hidden_dim", model.ffn_hidden_dim),
        ("the width of all query heads", heads(model.n_heads)),
        ("the width of all key heads", heads(model.n_kv_heads)),
    ];
    match sizes.iter().find(|(_, size)| size % 16 != 0) {
        Some((name, size)) => Err(bad_request!(
            "train.precision = \"fp8\": the model's {name}, {size}, is not a multiple of 16; set it to \"bf16\""
        )),
        None => Ok(()),
    }
}
