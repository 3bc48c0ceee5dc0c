//! A conversation on the terminal: a line is a message, and the answer appears as it is written.

use super::Output;
use crate::config::GenerateConfig;
use crate::generate::Dialogue;
use crate::model::Transformer;
use crate::tokenizer::{ChatFormat, Message, PromptStyle, Tokenizer};
use anyhow::Result;
use serde_json::json;
use std::io::{self, BufRead, Write};

/// Answers each line of standard input until it ends, with all that was said before in mind.
///
/// # Errors
/// When the terminal is gone. A turn that finds no room is told, and forgotten.
pub(super) fn converse(
    model: &Transformer,
    tokenizer: &Tokenizer,
    options: &GenerateConfig,
    style: &PromptStyle,
) -> Result<Output> {
    let format = ChatFormat::of(tokenizer)?;
    let mut dialogue = Dialogue::new(model, options.clone(), tokenizer.stop_tokens());
    let mut messages: Vec<Message> = match style {
        PromptStyle::Chat { system_prompt } => {
            let system = system_prompt.iter();
            system.map(|text| Message::new("system", text)).collect()
        }
        PromptStyle::Text => Vec::new(),
    };
    log::info!("a line is a message; end with Ctrl-D");
    let first = messages.len();
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        messages.push(Message::new("user", &line));
        let prompt = format.prompt(&messages)?;
        let mut screen = Screen::new(tokenizer);
        match dialogue.answer(&prompt, |tokens| screen.show(tokens)) {
            Ok(answer) => {
                screen.end()?;
                messages.push(Message::new(
                    "assistant",
                    &tokenizer.decode(&answer.tokens)?,
                ));
            }
            Err(error) => {
                log::error!("{error:#}; the conversation starts anew");
                messages.truncate(first);
            }
        }
    }
    Ok(Output {
        json: json!({ "turns": (messages.len() - first) / 2 }),
        text: String::new(),
        exit_code: 0,
    })
}

/// Standard output, with the text of the tokens so far.
struct Screen<'t> {
    tokenizer: &'t Tokenizer,
    shown: usize,
}

impl<'t> Screen<'t> {
    fn new(tokenizer: &'t Tokenizer) -> Self {
        Self {
            tokenizer,
            shown: 0,
        }
    }

    /// A character of several tokens waits for its last.
    fn show(&mut self, tokens: &[u32]) -> Result<()> {
        let text = self.tokenizer.decode(tokens)?;
        if let Some(new) = text
            .get(self.shown..)
            .filter(|_| !text.ends_with('\u{fffd}'))
        {
            let mut stdout = io::stdout();
            stdout.write_all(new.as_bytes())?;
            stdout.flush()?;
            self.shown = text.len();
        }
        Ok(())
    }

    fn end(&self) -> Result<()> {
        Ok(writeln!(io::stdout())?)
    }
}
