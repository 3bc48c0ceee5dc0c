//! Plain text to ids: each document is the separator and its tokens.

use crate::tokenizer::Tokenizer;
use anyhow::{Result, bail};

/// The ids of a text, the separator before it where one is given.
///
/// # Errors
/// When the tokenizer cannot express the text.
pub(super) fn encode(
    text: &str,
    separator: Option<u32>,
    tokenizer: &Tokenizer,
) -> Result<Vec<u32>> {
    let mut ids = tokenizer.encode(text)?;
    if let Some(separator) = separator {
        ids.insert(0, separator);
    }
    Ok(ids)
}

/// Holds ids that were made elsewhere against the vocabulary.
///
/// # Errors
/// When one is outside of it.
pub(super) fn check_ids(ids: &[u32], tokenizer: &Tokenizer) -> Result<()> {
    let size = tokenizer.vocab_size();
    match ids.iter().find(|&&id| id as usize >= size) {
        Some(id) => bail!(
            "token {id} is outside the tokenizer's vocabulary of {size}; name the tokenizer that made these ids with \
             --tokenizer"
        ),
        None => Ok(()),
    }
}
