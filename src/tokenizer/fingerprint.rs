//! The identity of a vocabulary: which token each id stands for.
//!
//! Only that: ids prepared with one file are right for a model with another exactly when every id means the same in
//! both. How text was cut (merges, pattern, file layout) is not part of it, so that Llama 3's `tokenizer.model` and its
//! `tokenizer.json`, or a file saved again by another library, are one tokenizer.

use crate::storage;
use sha2::{Digest, Sha256};

/// Every token with its id, special tokens included, by ascending id.
pub(super) fn sorted_vocabulary(tokenizer: &tokenizers::Tokenizer) -> Vec<(u32, String)> {
    let mut vocabulary: Vec<(u32, String)> = tokenizer
        .get_vocab(true)
        .into_iter()
        .map(|(token, id)| (id, token))
        .collect();
    vocabulary.sort_unstable();
    vocabulary
}

/// SHA-256 over id (u32), length (u32) and UTF-8 of each token, integers little-endian.
pub(super) fn of(vocabulary: &[(u32, String)]) -> String {
    let mut hasher = Sha256::new();
    for (id, token) in vocabulary {
        hasher.update(id.to_le_bytes());
        hasher.update((token.len() as u32).to_le_bytes());
        hasher.update(token);
    }
    storage::hex(&hasher.finalize())
}
