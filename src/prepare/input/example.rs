//! What a row says that is an example of its own: a conversation, or two answers of which one is preferred.

use crate::tokenizer::{Conversation, Message};
use serde_json::{Value, json};

/// An example, not yet tokens unless its row held tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prepare) enum Example {
    /// Its turns.
    Conversation(Vec<Message>),
    /// Its ids, and which of them are trained on.
    Masked(Conversation),
    /// Turns, and how they may go on.
    Preference(Preference<Vec<Message>, String>),
    /// The same as ids.
    PreferenceIds(Preference<Vec<u32>, Vec<u32>>),
}

/// Two answers to the same prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prepare) struct Preference<P, A> {
    pub(in crate::prepare) prompt: P,
    pub(in crate::prepare) chosen: A,
    pub(in crate::prepare) rejected: A,
}

impl Example {
    /// Length in bytes of what was said, or in ids.
    pub(super) fn len(&self) -> usize {
        let said = |turns: &[Message]| turns.iter().map(|turn| turn.content.len()).sum::<usize>();
        match self {
            Self::Conversation(turns) => said(turns),
            Self::Masked(conversation) => conversation.ids.len(),
            Self::Preference(pair) => said(&pair.prompt) + pair.chosen.len() + pair.rejected.len(),
            Self::PreferenceIds(pair) => {
                pair.prompt.len() + pair.chosen.len() + pair.rejected.len()
            }
        }
    }

    /// Bytes of memory, about.
    pub(in crate::prepare) fn bytes(&self) -> usize {
        match self {
            Self::Conversation(_) | Self::Preference(_) => self.len(),
            Self::Masked(_) | Self::PreferenceIds(_) => self.len() * size_of::<u32>(),
        }
    }

    /// Bytes of text.
    pub(in crate::prepare) fn text_bytes(&self) -> usize {
        match self {
            Self::Conversation(_) | Self::Preference(_) => self.len(),
            Self::Masked(_) | Self::PreferenceIds(_) => 0,
        }
    }

    /// JSON of what was said and nothing else, in one form whatever the row's: decides what is held out, and what came
    /// before.
    pub(super) fn canonical(&self) -> String {
        match self {
            Self::Conversation(turns) => turns_as_json(turns),
            Self::Masked(conversation) => {
                let mask: Vec<u8> = conversation.mask.iter().map(|&on| on.into()).collect();
                json!({"input_ids": conversation.ids, "loss_mask": mask})
            }
            Self::Preference(pair) => json!({
                "prompt": turns_as_json(&pair.prompt),
                "chosen": pair.chosen,
                "rejected": pair.rejected,
            }),
            Self::PreferenceIds(pair) => json!({
                "prompt_ids": pair.prompt,
                "chosen_ids": pair.chosen,
                "rejected_ids": pair.rejected,
            }),
        }
        .to_string()
    }
}

fn turns_as_json(turns: &[Message]) -> Value {
    let turns = turns.iter();
    turns
        .map(|turn| json!({"role": turn.role, "content": turn.content}))
        .collect()
}
