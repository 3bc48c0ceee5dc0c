//! Items as token ids, as the harness makes them.

use super::items::Located;
use crate::bad_request;
use crate::eval::benchmarks::{Choice, strip_end};
use crate::tokenizer::Tokenizer;
use anyhow::{Context, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A question as token ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenizedItem {
    /// `file:line` or `file, row n`.
    pub(super) origin: String,
    /// What is counted together with it.
    pub(super) group: String,
    /// Which ending is right, from 0.
    pub(super) label: usize,
    /// What is given: one for all endings, or one for each.
    pub(super) contexts: Vec<Vec<u32>>,
    /// The answers, in order.
    pub(super) endings: Vec<TokenizedEnding>,
}

/// An answer as token ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenizedEnding {
    /// Which of the contexts it follows.
    pub(super) context: usize,
    /// What is scored; never empty.
    pub(super) tokens: Vec<u32>,
    /// Characters of the answer.
    pub(super) num_chars: usize,
    /// Bytes of the answer.
    pub(super) num_bytes: usize,
}

/// All items, on all cores.
///
/// # Errors
/// When the tokenizer cannot express a text, or leaves an ending without a token.
pub(super) fn tokenize(tokenizer: &Tokenizer, items: &[Located]) -> Result<Vec<TokenizedItem>> {
    items
        .par_iter()
        .map(|located| tokenize_item(tokenizer, located).with_context(|| located.origin.clone()))
        .collect()
}

fn tokenize_item(tokenizer: &Tokenizer, located: &Located) -> Result<TokenizedItem> {
    let item = &located.item;
    let mut contexts: Vec<(&Arc<str>, Vec<u32>)> = Vec::new();
    let mut endings = Vec::new();
    for (index, choice) in item.choices.iter().enumerate() {
        let (context, tokens) = encode(tokenizer, choice)?;
        if tokens.is_empty() {
            return Err(bad_request!(
                "answer {} has no token of its own behind the question, so it cannot be scored",
                index + 1
            ));
        }
        let same =
            |(text, ids): &(&Arc<str>, Vec<u32>)| *text == &choice.context && *ids == context;
        let at = contexts.iter().position(same).unwrap_or_else(|| {
            contexts.push((&choice.context, context));
            contexts.len() - 1
        });
        endings.push(TokenizedEnding {
            context: at,
            tokens,
            num_chars: choice.answer.chars().count(),
            num_bytes: choice.answer.len(),
        });
    }
    Ok(TokenizedItem {
        origin: located.origin.clone(),
        group: item.group.clone(),
        label: item.label,
        contexts: contexts.into_iter().map(|(_, ids)| ids).collect(),
        endings,
    })
}

/// Context and ending are tokenized together, and what the context alone comes to is taken off: so the ending gets the
/// tokens that it has in running text. Blanks at the context's end go with the ending. What the tokenizer's own files put
/// before a text stands before the context.
fn encode(tokenizer: &Tokenizer, choice: &Choice) -> Result<(Vec<u32>, Vec<u32>)> {
    if choice.context.is_empty() {
        return encode_alone(tokenizer, &choice.ending);
    }
    let context = strip_end(&choice.context);
    let whole = format!("{}{}", choice.context, choice.ending);
    let mut context = tokenizer.encode_prompt(context)?;
    let whole = tokenizer.encode_prompt(&whole)?;
    let ending = whole.get(context.len()..).unwrap_or_default().to_vec();
    if context.is_empty() {
        context.push(first_token(tokenizer)?);
    }
    Ok((context, ending))
}

/// Without a context the ending follows the token that begins a text, which counts once where it begins with it itself.
fn encode_alone(tokenizer: &Tokenizer, ending: &str) -> Result<(Vec<u32>, Vec<u32>)> {
    let first = first_token(tokenizer)?;
    let ending = tokenizer.encode(ending)?;
    Ok(match ending.split_first() {
        Some((token, rest)) if *token == first => (vec![first], rest.to_vec()),
        _ => (vec![first], ending),
    })
}

/// The token that begins a text, or else the one that ends it.
fn first_token(tokenizer: &Tokenizer) -> Result<u32> {
    match tokenizer.bos() {
        Some(token) => Ok(token),
        None => tokenizer.document_separator(),
    }
}
