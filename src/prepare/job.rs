//! What is asked for.

use super::encoded::Limit;
use crate::{config::PrepareConfig, data::manifest::Kind};

/// What is to be prepared, and for which training.
#[derive(Debug, Clone)]
pub struct Job {
    /// What the shards are for.
    pub kind: Kind,
    /// `[prepare]`
    pub config: PrepareConfig,
    /// What the system says in conversations where it says nothing (`sft.system_prompt`).
    pub system_prompt: Option<String>,
    /// Tokens of the rows that examples are to fit (`train.seq_len`), where `prepare.on_too_long` says that they must.
    pub seq_len: u64,
}

impl Job {
    /// Shards of plain text.
    #[must_use]
    pub fn pretrain(config: PrepareConfig) -> Self {
        Self {
            kind: Kind::Pretrain,
            config,
            system_prompt: None,
            seq_len: 0,
        }
    }

    /// Of `seq_len` + 1 tokens all but the last are read, and all but the first predicted.
    pub(super) fn limit(&self) -> Option<Limit> {
        let rule = self.config.on_too_long?;
        let tokens = usize::try_from(self.seq_len).unwrap_or(usize::MAX);
        Some(Limit {
            tokens: tokens.saturating_add(1),
            rule,
        })
    }
}

/// What documents of a kind are called.
pub(super) fn unit(kind: Kind) -> &'static str {
    match kind {
        Kind::Pretrain => "documents",
        Kind::Instruct => "conversations",
        Kind::Preference => "pairs",
    }
}
