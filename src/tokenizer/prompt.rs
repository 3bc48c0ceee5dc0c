//! What a prompt is to a model.

use super::{ChatFormat, Message, Tokenizer};
use anyhow::Result;

/// How prompts are put before a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptStyle {
    /// A text to go on with.
    Text,
    /// A user's message to answer.
    Chat {
        /// What the system says first, if anything.
        system_prompt: Option<String>,
    },
}

impl PromptStyle {
    /// The ids of a prompt.
    ///
    /// # Errors
    /// When the tokenizer cannot express the text, or its template refuses it.
    pub fn encode(&self, tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>> {
        match self {
            Self::Text => tokenizer.encode_prompt(prompt),
            Self::Chat { system_prompt } => {
                let system = system_prompt
                    .iter()
                    .map(|text| Message::new("system", text));
                let messages: Vec<_> = system.chain([Message::new("user", prompt)]).collect();
                ChatFormat::of(tokenizer)?.prompt(&messages)
            }
        }
    }
}
