//! Text that the model writes, as it learns.

use super::Evaluator;
use crate::config::{Cadence, GenerateConfig};
use crate::dist::ProcessGroup;
use crate::generate::generate;
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;
use anyhow::Result;
use std::sync::Arc;

/// Continues the configured prompts and shows the result in the log.
pub struct Samples {
    config: GenerateConfig,
    tokenizer: Arc<Tokenizer>,
}

impl Samples {
    /// Samples of `config.prompts`, every `config.every` steps.
    #[must_use]
    pub fn new(config: GenerateConfig, tokenizer: Arc<Tokenizer>) -> Self {
        Self { config, tokenizer }
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
            .map(|prompt| self.tokenizer.encode_prompt(prompt))
            .collect();
        let completions = generate(
            model,
            &prompts?,
            &self.config,
            &self.tokenizer.stop_tokens(),
        )?;
        for (prompt, completion) in self.config.prompts.iter().zip(completions) {
            log::info!(
                "sample: {prompt}{}",
                self.tokenizer.decode(&completion.tokens)?
            );
        }
        Ok(Vec::new())
    }
}
