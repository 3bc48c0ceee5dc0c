//! Text that the model writes, as it learns.

use super::{Evaluator, Findings};
use crate::config::{Cadence, GenerateConfig};
use crate::dist::ProcessGroup;
use crate::generate::generate;
use crate::metrics::Sample;
use crate::model::Transformer;
use crate::tokenizer::{PromptStyle, Tokenizer};
use anyhow::Result;
use std::sync::Arc;

/// Continues the configured prompts.
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

    fn evaluate(&mut self, model: &Transformer, group: &dyn ProcessGroup) -> Result<Findings> {
        let prompts = &self.config.prompts;
        if prompts.is_empty() || group.rank() != 0 {
            return Ok(Findings::default());
        }
        let tokens: Result<Vec<_>> = prompts
            .iter()
            .map(|prompt| self.style.encode(&self.tokenizer, prompt))
            .collect();
        let stop = self.tokenizer.stop_tokens();
        let completions = generate(model, &tokens?, &self.config, &stop)?;
        let samples = prompts.iter().zip(completions);
        let samples = samples.map(|(prompt, completion)| {
            let text = self.tokenizer.decode(&completion.tokens)?;
            Ok(Sample {
                prompt: prompt.clone(),
                completion: match self.style {
                    PromptStyle::Text => text,
                    PromptStyle::Chat { .. } => format!("\n  {text}"),
                },
            })
        });
        Ok(Findings {
            values: Vec::new(),
            samples: samples.collect::<Result<_>>()?,
        })
    }
}
