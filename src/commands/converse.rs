//! A conversation on the terminal: a line is a message, and the answer appears as it is written.

use super::Output;
use crate::config::{BadRequest, GenerateConfig};
use crate::generate::Dialogue;
use crate::model::Transformer;
use crate::tokenizer::{ChatFormat, Message, PromptStyle, Tokenizer};
use anyhow::Result;
use serde_json::json;
use std::io::{self, IsTerminal, Write};

/// Answers each line of standard input until it ends, with all that was said before in mind.
///
/// # Errors
/// When the terminal is gone. Where there is no room for all that was said, the last message begins a new conversation;
/// one that finds no room alone is told, and forgotten.
pub(super) fn converse(
    model: &Transformer,
    tokenizer: &Tokenizer,
    options: &GenerateConfig,
    style: &PromptStyle,
) -> Result<Output> {
    let format = ChatFormat::of(tokenizer)?;
    let mut dialogue = Dialogue::new(model, options.clone(), tokenizer.stop_tokens());
    let mut messages = what_comes_first(style);
    log::info!("a line is a message; end with Ctrl-D");
    let first = messages.len();
    let mut answer = |messages: &[Message]| -> Result<Message> {
        let mut screen = Screen::new(tokenizer);
        let answer = dialogue.answer(&format.prompt(messages)?, |tokens| screen.show(tokens))?;
        screen.end()?;
        Ok(Message::new(
            "assistant",
            &tokenizer.decode(&answer.tokens)?,
        ))
    };
    while let Some(line) = next_line()? {
        messages.push(Message::new("user", &line));
        let mut answered = answer(&messages);
        let is_full = answered
            .as_ref()
            .is_err_and(|error| error.is::<BadRequest>());
        if is_full && messages.len() > first + 1 {
            log::warn!("there is no room left for all that was said: the conversation starts anew");
            messages.drain(first..messages.len() - 1);
            answered = answer(&messages);
        }
        match answered {
            Ok(message) => messages.push(message),
            Err(error) => {
                log::error!("{error:#}");
                messages.pop();
            }
        }
    }
    Ok(Output {
        json: json!({ "turns": (messages.len() - first) / 2 }),
        text: String::new(),
        exit_code: 0,
    })
}

/// The system prompt, if there is one.
fn what_comes_first(style: &PromptStyle) -> Vec<Message> {
    match style {
        PromptStyle::Chat { system_prompt } => {
            let system = system_prompt.iter();
            system.map(|text| Message::new("system", text)).collect()
        }
        PromptStyle::Text => Vec::new(),
    }
}

/// What is said next; blank lines are passed over. On a terminal a sign asks for it.
fn next_line() -> Result<Option<String>> {
    let mut line = String::new();
    while line.trim().is_empty() {
        if io::stdin().is_terminal() {
            io::stderr().write_all(b"> ")?;
        }
        line.clear();
        if io::stdin().read_line(&mut line)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
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
