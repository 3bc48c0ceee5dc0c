//! Rows that hold a prompt and two answers, of which one is preferred: as texts, as lists of turns, as whole dialogues; or
//! what they were tokenized to.

use super::{
    conversation_rows::{PROMPTS, list_of_turns, pick, system_field, with_system_field},
    example::{Example, Preference},
    json_fields::{self, wrong},
    row::{BadRow, missing_field},
};
use crate::{
    config::PrepareConfig,
    tokenizer::{ASSISTANT, Message},
};
use serde_json::{Map, Value};

/// Who speaks in a dialogue that is one text (Anthropic's hh-rlhf).
const SPEAKERS: [(&str, &str); 2] = [("\n\nHuman:", "user"), ("\n\nAssistant:", ASSISTANT)];
const IDS: [&str; 3] = ["prompt_ids", "chosen_ids", "rejected_ids"];

/// The names of the fields.
#[derive(Debug, Clone)]
pub(in crate::prepare) struct PreferenceFields {
    prompt: String,
    chosen: String,
    rejected: String,
}

impl PreferenceFields {
    pub(super) fn of(config: &PrepareConfig) -> Self {
        Self {
            prompt: config.prompt_field.clone(),
            chosen: config.chosen_field.clone(),
            rejected: config.rejected_field.clone(),
        }
    }

    pub(super) fn names(&self) -> [&str; 3] {
        [&self.prompt, &self.chosen, &self.rejected]
    }

    /// The fields that are read. The prompt may lie within the answers.
    pub(super) fn wanted<'n>(&self, present: &[&'n str]) -> Result<Vec<&'n str>, String> {
        let find = |name: &str, remedy| {
            pick(&[name], present).ok_or_else(|| missing_field(name, remedy, present))
        };
        let chosen = find(&self.chosen, "--chosen-field, prepare.chosen_field")?;
        let rejected = find(&self.rejected, "--rejected-field, prepare.rejected_field")?;
        let beside = [self.prompt_field(present)?, system_field(present)];
        Ok([chosen, rejected]
            .into_iter()
            .chain(beside.into_iter().flatten())
            .collect())
    }

    fn prompt_field<'n>(&self, present: &[&'n str]) -> Result<Option<&'n str>, String> {
        match pick(&[&self.prompt], present) {
            Some(prompt) => Ok(Some(prompt)),
            None if self.prompt == PROMPTS[0] => Ok(pick(&PROMPTS, present)),
            None => Err(missing_field(
                &self.prompt,
                "--prompt-field, prepare.prompt_field",
                present,
            )),
        }
    }

    /// The pair of a row.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn turns(&self, row: &Map<String, Value>) -> Result<Example, BadRow> {
        let present: Vec<&str> = row.keys().map(String::as_str).collect();
        self.wanted(&present).map_err(BadRow::MissingField)?;
        let prompt = self.prompt_field(&present).map_err(BadRow::MissingField)?;
        let read = || {
            let before = prompt.map_or(Ok(Vec::new()), |name| before(&row[name], name))?;
            let side = |name: &String| split(whole(&row[name], name, &before)?, name);
            let (prompt, chosen) = side(&self.chosen)?;
            let (other_prompt, rejected) = side(&self.rejected)?;
            if prompt != other_prompt {
                return Err(format!(
                    "`{}` and `{}` differ before their last turns",
                    self.chosen, self.rejected
                ));
            }
            if prompt.is_empty() {
                return Err("nothing comes before the answers: there is no prompt".to_owned());
            }
            Ok(Example::Preference(Preference {
                prompt: with_system_field(row, prompt)?,
                chosen,
                rejected,
            }))
        };
        read().map_err(BadRow::Malformed)
    }
}

/// The turns of a prompt: what the user says, or a list, or a dialogue that waits for its answer.
fn before(value: &Value, name: &str) -> Result<Vec<Message>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(_) => list_of_turns(value, name),
        _ => {
            let text = json_fields::text(value, name)?;
            let mut turns = dialogue(text).unwrap_or_else(|| vec![Message::new("user", text)]);
            turns.pop_if(|turn| turn.role == ASSISTANT && turn.content.is_empty());
            Ok(turns)
        }
    }
}

/// The whole conversation of one side. A text that is a dialogue, or a list that does not begin with the assistant, is the
/// whole; anything else goes on from the prompt.
fn whole(value: &Value, name: &str, before: &[Message]) -> Result<Vec<Message>, String> {
    let turns = match value {
        Value::String(text) => match dialogue(text) {
            Some(turns) => return Ok(turns),
            None => vec![Message::new(ASSISTANT, text)],
        },
        Value::Null => return Err(format!("`{name}` is null")),
        Value::Array(_) => list_of_turns(value, name)?,
        other => return Err(wrong(name, "text or list of turns", other)),
    };
    match turns.first() {
        Some(first) if first.role != ASSISTANT => Ok(turns),
        _ => Ok([before, &turns].concat()),
    }
}

/// What comes before the answer, and the answer.
fn split(mut turns: Vec<Message>, name: &str) -> Result<(Vec<Message>, String), String> {
    match turns.pop() {
        Some(last) if last.role == ASSISTANT => Ok((turns, last.content)),
        _ => Err(format!("`{name}` does not end with the assistant's turn")),
    }
}

/// The turns of a text that begins as such a dialogue does, without the space around each.
fn dialogue(text: &str) -> Option<Vec<Message>> {
    let (mut role, mut rest) = SPEAKERS
        .iter()
        .find_map(|(mark, role)| Some((*role, text.strip_prefix(mark)?)))?;
    let mut turns = Vec::new();
    while let Some((at, mark, next)) = next_speaker(rest) {
        turns.push(Message::new(role, rest[..at].trim()));
        (role, rest) = (next, &rest[at + mark.len()..]);
    }
    turns.push(Message::new(role, rest.trim()));
    Some(turns)
}

fn next_speaker(text: &str) -> Option<(usize, &'static str, &'static str)> {
    let found = SPEAKERS
        .iter()
        .filter_map(|(mark, role)| Some((text.find(mark)?, *mark, *role)));
    found.min_by_key(|(at, ..)| *at)
}

/// Fields of a pair that is tokenized already.
pub(super) fn wanted_ids<'n>(present: &[&'n str]) -> Result<Vec<&'n str>, String> {
    let find = |name| {
        let remedy = "--pretokenized takes `prompt_ids`, `chosen_ids` and `rejected_ids`";
        pick(&[name], present).ok_or_else(|| missing_field(name, remedy, present))
    };
    IDS.into_iter().map(find).collect()
}

/// A pair that is tokenized already.
///
/// # Errors
/// What is wrong with it.
pub(super) fn ids(row: &Map<String, Value>) -> Result<Example, BadRow> {
    let present: Vec<&str> = row.keys().map(String::as_str).collect();
    wanted_ids(&present).map_err(BadRow::MissingField)?;
    let read = || {
        let [prompt, chosen, rejected] = IDS.map(|name| json_fields::ids(&row[name], name));
        let pair = Preference {
            prompt: prompt?,
            chosen: chosen?,
            rejected: rejected?,
        };
        match pair.prompt.is_empty() {
            true => Err("`prompt_ids` is empty: nothing comes before the answers".to_owned()),
            false => Ok(Example::PreferenceIds(pair)),
        }
    };
    read().map_err(BadRow::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<(String, String)> {
        let turns = dialogue(text).unwrap().into_iter();
        turns.map(|turn| (turn.role, turn.content)).collect()
    }

    #[test]
    fn a_dialogue_is_split_at_its_speakers_alone() {
        let text = "\n\nHuman: Who said\nHuman: first?\n\nAssistant: I.\n\nReally.\n\nHuman: Ok\n\nAssistant:";
        let turn = |role: &str, content: &str| (role.to_owned(), content.to_owned());
        let expected = [
            turn("user", "Who said\nHuman: first?"),
            turn(ASSISTANT, "I.\n\nReally."),
            turn("user", "Ok"),
            turn(ASSISTANT, ""),
        ];
        assert_eq!(said(text), expected);
        assert!(dialogue("Human: no dialogue").is_none());
    }
}
