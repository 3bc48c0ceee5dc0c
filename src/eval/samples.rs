//! Text that the model writes, as it learns.

use super::Evaluator;
use crate::config::{Cadence, GenerateConfig};
use crate::dist::ProcessGroup;
use crate::generate::generate;
use crate::model::Transformer;
use crate::tokenizer::{PromptStyle, Tokenizer};
use anyhow::Result;
use std::sync::Arc;

/// Continues the configured prompts and shows the result in the log.
pub struct Samples {
    config: GenerateConfig,
    tokenizer: Arc<Tokenizer>,
    style: PromptStyle,
}

impl Samples {
    /// Samples of `config.prompts`, every `config.every` steps.
    #[must_use]
    pub fn new(config: GenerateConfig, tokenizer: Arc<Tokenizer>, style: PromptStyle) -> Self {
        Self {
            config,
            tokenizer,
            style,
        }
    }
}

impl Evaluator for Samples {
    fn cadence(&self) -> Cadence {
        Cadence::new(self.config.every)
    }

    fn evaluate(
        &mut self,
        model: &Transformer,
        group: &dyn ProcessGroup,
    ) -> Result<Vec<(&'static str, f64)>> {
        if self.config.prompts.is_empty() || group.rank() != 0 {
            return Ok(Vec::new());
        }
        let prompts: Result<Vec<_>> = self
            .config
            .prompts
            .iter()
            .map(|prompt| self.style.encode(&self.tokenizer, prompt))
            .collect();
        let completions = generate(
            model,
            &prompts?,
            &self.config,
            &self.tokenizer.stop_tokens(),
        )?;
        for (prompt, completion) in self.config.prompts.iter().zip(completions) {
            let text = self.tokenizer.decode(&completion.tokens)?;
            match self.style {
                PromptStyle::Text => log::info!("sample: {prompt}{text}"),
                PromptStyle::Chat { .. } => log::info!("sample: {prompt}\n  {text}"),
            }
        }
        Ok(Vec::new())
    }
}
