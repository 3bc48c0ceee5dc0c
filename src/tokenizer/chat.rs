//! Conversations as tokens, and which of them are trained on.
//!
//! A template's own text may name special tokens; what people wrote may not: it is encoded as plain text. So each message
//! is rendered as a mark that no text contains, and the marks are replaced by contents afterwards.

use super::Tokenizer;
use super::llama3;
use super::marked_run::MarkedRun;
use super::template::{Ending, LLAMA3, Template};
use crate::config::TrainOn;
use anyhow::{Result, bail};

/// Whose words are learned.
pub const ASSISTANT: &str = "assistant";
/// A mark is the number of a message between these two characters of the private use area.
const MARK: [char; 2] = ['\u{f0f0}', '\u{f0f1}'];

/// One turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// "system", "user", "assistant", or what else the template takes.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl Message {
    /// What somebody said.
    #[must_use]
    pub fn new(role: &str, content: &str) -> Self {
        Self {
            role: role.to_owned(),
            content: content.to_owned(),
        }
    }
}

/// A conversation's ids, and for each whether it is trained on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conversation {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Of the same length: the assistant's words, and the token that closes each turn.
    pub mask: Vec<bool>,
}

/// How a tokenizer writes conversations: by the template in its own files, else as Llama 3.
#[derive(Debug)]
pub struct ChatFormat<'t> {
    tokenizer: &'t Tokenizer,
    template: Template,
    special: Vec<(String, u32)>,
}

/// A part of a rendered conversation.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Special(u32),
    Template(&'a str),
    /// The number of the message.
    Content(usize),
}

impl Tokenizer {
    /// The same with the template by which [`ChatFormat`] has it write conversations, for others who read its files.
    #[must_use]
    pub fn with_chat_template(mut self) -> Self {
        if ChatFormat::of(&self).is_ok() {
            self.files.add_chat_template(LLAMA3);
        }
        self
    }
}

impl<'t> ChatFormat<'t> {
    /// The format of a tokenizer.
    ///
    /// # Errors
    /// A bad request when it has neither a template nor Llama 3's tokens; otherwise when its template is no Jinja.
    pub fn of(tokenizer: &'t Tokenizer) -> Result<Self> {
        let source = tokenizer.files.chat_template();
        if source.is_none() {
            check_llama3_tokens(tokenizer)?;
        }
        let role = |name, default: &str| tokenizer.files.role(name).unwrap_or(default).to_owned();
        let bos = role("bos_token", llama3::BEGIN_OF_TEXT);
        let eos = role("eos_token", llama3::EOT_ID);
        Ok(Self {
            tokenizer,
            template: Template::new(source.unwrap_or_else(|| LLAMA3.to_owned()), &bos, &eos)?,
            special: special_tokens(tokenizer),
        })
    }

    /// The template's identity.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.template.fingerprint()
    }

    /// A whole conversation.
    ///
    /// # Errors
    /// When the template refuses it, or changes what was said.
    pub fn encode(&self, messages: &[Message], train_on: TrainOn) -> Result<Conversation> {
        let last = messages
            .iter()
            .rposition(|message| message.role == ASSISTANT);
        let is_trained = |index: usize| match train_on {
            TrainOn::All => messages[index].role == ASSISTANT,
            TrainOn::Last => Some(index) == last,
        };
        self.encode_as(messages, Ending::Complete, is_trained)
    }

    /// A conversation up to where the assistant answers.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        Ok(self.encode_as(messages, Ending::Prompt, |_| false)?.ids)
    }

    fn encode_as(
        &self,
        messages: &[Message],
        ending: Ending,
        is_trained: impl Fn(usize) -> bool,
    ) -> Result<Conversation> {
        let marked = self.template.render(&marked(messages), ending)?;
        let contents = self.contents(messages, &marked, ending)?;
        let mut run = MarkedRun::new(self.tokenizer);
        let mut closes = false; // whether a trained turn waits for the token that closes it
        for part in self.parts(&marked)? {
            match part {
                Part::Content(index) => {
                    closes = is_trained(index);
                    run.text(&contents[index], closes);
                }
                Part::Special(id) => {
                    run.special(id, closes)?;
                    closes = false;
                }
                Part::Template(text) => {
                    closes &= text.trim().is_empty();
                    run.text(text, closes);
                }
            }
        }
        run.finish()
    }

    /// What each mark stands for: the content, or what is left of it without the space around.
    fn contents(&self, messages: &[Message], marked: &str, ending: Ending) -> Result<Vec<String>> {
        let rendered = self.template.render(messages, ending)?;
        let contents = |content: fn(&str) -> &str| -> Vec<String> {
            let of = |message: &Message| content(&message.content).to_owned();
            messages.iter().map(of).collect()
        };
        for contents in [contents(|said| said), contents(str::trim)] {
            if filled(marked, &contents) == rendered {
                return Ok(contents);
            }
        }
        bail!(
            "the tokenizer's chat template rewrites what was said, which cannot be told from its own words; give the \
             tokenizer another chat_template"
        )
    }

    fn parts<'a>(&self, marked: &'a str) -> Result<Vec<Part<'a>>> {
        let mut parts = Vec::new();
        let mut rest = marked;
        let mut plain = 0; // bytes of the template's own text at the beginning of `rest`
        while plain < rest.len() {
            let found = self.part_at(&rest[plain..]);
            let Some((part, length)) = found else {
                plain += rest[plain..].chars().next().map_or(1, char::len_utf8);
                continue;
            };
            if plain > 0 {
                parts.push(Part::Template(&rest[..plain]));
            }
            parts.push(part);
            rest = &rest[plain + length..];
            plain = 0;
        }
        if plain > 0 {
            parts.push(Part::Template(rest));
        }
        Ok(parts)
    }

    /// A mark or the longest special token at the beginning of the text, and its bytes.
    fn part_at<'a>(&self, text: &'a str) -> Option<(Part<'a>, usize)> {
        if let Some(rest) = text.strip_prefix(MARK[0]) {
            let (number, _) = rest.split_once(MARK[1])?;
            let length = number.len() + MARK[0].len_utf8() + MARK[1].len_utf8();
            return Some((Part::Content(number.parse().ok()?), length));
        }
        let fitting = self
            .special
            .iter()
            .filter(|(name, _)| text.starts_with(name));
        let (name, id) = fitting.max_by_key(|(name, _)| name.len())?;
        Some((Part::Special(*id), name.len()))
    }
}

fn check_llama3_tokens(tokenizer: &Tokenizer) -> Result<()> {
    let names = [
        llama3::BEGIN_OF_TEXT,
        llama3::START_HEADER_ID,
        llama3::END_HEADER_ID,
        llama3::EOT_ID,
    ];
    match names.iter().find(|name| tokenizer.token_id(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(crate::bad_request!(
            "the tokenizer has no chat template of its own, and no `{name}`, which Llama 3's needs; put a \
             \"chat_template\" into the tokenizer_config.json beside it, or name another tokenizer"
        )),
    }
}

/// The tokens that stand for no text, by their names.
fn special_tokens(tokenizer: &Tokenizer) -> Vec<(String, u32)> {
    let added = tokenizer.inner.get_added_tokens_decoder();
    let special = added.into_iter().filter(|(_, token)| token.special);
    special.map(|(id, token)| (token.content, id)).collect()
}

fn mark(index: usize) -> String {
    format!("{}{index}{}", MARK[0], MARK[1])
}

fn marked(messages: &[Message]) -> Vec<Message> {
    let mark = |(index, message): (usize, &Message)| Message {
        role: message.role.clone(),
        content: mark(index),
    };
    messages.iter().enumerate().map(mark).collect()
}

fn filled(marked: &str, contents: &[String]) -> String {
    let mut text = String::new();
    let mut rest = marked;
    while let Some((before, after)) = rest.split_once(MARK[0]) {
        text.push_str(before);
        let Some((number, after)) = after.split_once(MARK[1]) else {
            break;
        };
        let index: Option<usize> = number.parse().ok();
        text.push_str(
            index
                .and_then(|index| contents.get(index))
                .map_or("", String::as_str),
        );
        rest = after;
    }
    text.push_str(rest);
    text
}
