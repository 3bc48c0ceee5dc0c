//! What a row holds: text, or the ids of a text that was tokenized elsewhere.

use crate::config::PrepareConfig;
use std::borrow::Cow;

/// The field of rows that are tokenized already.
const IDS: &str = "input_ids";

/// Which field of a row is taken, and as what.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) holds: Holds,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Text,
    Ids,
}

impl Column {
    pub(super) fn of(config: &PrepareConfig) -> Self {
        match config.pretokenized {
            true => Self {
                name: IDS.to_owned(),
                holds: Holds::Ids,
            },
            false => Self {
                name: config.text_field.clone(),
                holds: Holds::Text,
            },
        }
    }
}

/// A document's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Text, as it was: not trimmed.
    Text(String),
    /// Ids, nothing added.
    Ids(Vec<u32>),
}

impl Content {
    /// What its hash is taken over: UTF-8, or the ids little-endian.
    pub(super) fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Text(text) => text.as_bytes().into(),
            Self::Ids(ids) => ids.iter().flat_map(|id| id.to_le_bytes()).collect(),
        }
    }

    /// Length in bytes of text, or in ids.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Ids(ids) => ids.len(),
        }
    }
}
