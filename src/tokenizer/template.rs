//! Chat templates in Jinja, as transformers renders them.

use super::chat::Message;
use crate::storage;
use anyhow::{Context, Result, anyhow};
use minijinja::{Environment, Error, ErrorKind, Value, context};
use sha2::{Digest, Sha256};

/// Llama 3's format (Grattafiori et al. 2024), for tokenizers without a template of their own.
pub(super) const LLAMA3: &str = "\
{%- for message in messages -%}
{%- if loop.first -%}{{ bos_token }}{%- endif -%}
{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif -%}";

/// What comes after the last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing.
    Complete,
    /// What an answer begins with.
    Prompt,
}

/// A template, parsed.
#[derive(Debug)]
pub(super) struct Template {
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
}

const NAME: &str = "chat";

impl Template {
    /// Parses a template; the tokens are what it calls `bos_token` and `eos_token`.
    ///
    /// # Errors
    /// When it is no Jinja.
    pub(super) fn new(source: String, bos_token: &str, eos_token: &str) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<Value, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment
            .add_template_owned(NAME, source)
            .context("the tokenizer's chat template cannot be parsed")?;
        Ok(Self {
            environment,
            bos_token: bos_token.to_owned(),
            eos_token: eos_token.to_owned(),
        })
    }

    /// SHA-256 of its text and of the two tokens.
    pub(super) fn fingerprint(&self) -> String {
        let template = self.environment.get_template(NAME);
        let source = template.map_or(String::new(), |template| template.source().to_owned());
        let parts = [&source, &self.bos_token, &self.eos_token];
        storage::hex(&Sha256::digest(parts.map(String::as_str).join("\0")))
    }

    /// The text of a conversation.
    ///
    /// # Errors
    /// What the template says against it.
    pub(super) fn render(&self, messages: &[Message], ending: Ending) -> Result<String> {
        let template = self.environment.get_template(NAME)?;
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| context! { role => message.role, content => message.content })
            .collect();
        let rendered = template.render(context! {
            messages,
            bos_token => self.bos_token,
            eos_token => self.eos_token,
            add_generation_prompt => ending == Ending::Prompt,
        });
        rendered.map_err(|error| anyhow!("the chat template refuses this conversation: {error}"))
    }
}
