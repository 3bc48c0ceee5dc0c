//! Rows that hold a conversation: a list of turns, or a prompt beside its answer; or what it was tokenized to.

use super::{
    example::Example,
    json_fields::{self, wrong},
    row::{BadRow, missing_field},
};
use crate::tokenizer::{ASSISTANT, Conversation, Message};
use serde_json::{Map, Value};

/// The field of turns that is looked for first, unless the user names another.
pub(super) const MESSAGES: &str = "messages";
/// Other names of it that data sets have.
const OTHER_LISTS: [&str; 2] = ["conversations", "conversation"];
/// Where there is no list: one of these beside one of [`ANSWERS`].
pub(super) const PROMPTS: [&str; 3] = ["prompt", "instruction", "question"];
const ANSWERS: [&str; 4] = ["completion", "response", "output", "answer"];
/// What an `instruction` is about (Alpaca): it goes below it.
const INPUT: (&str, &str) = ("instruction", "input");
/// What the system says, beside turns that do not say it.
const SYSTEM: [&str; 2] = ["system", "system_prompt"];
/// Who speaks, by the names that data sets have for them.
const ROLES: [(&str, &str); 6] = [
    ("system", "system"),
    ("user", "user"),
    ("human", "user"),
    (ASSISTANT, ASSISTANT),
    ("gpt", ASSISTANT),
    ("tool", "tool"),
];

/// Where the turns of a row are.
pub(super) enum Turns<'n> {
    List(&'n str),
    Columns { prompt: &'n str, answer: &'n str },
}

impl<'n> Turns<'n> {
    /// Where they are in a row with these fields.
    pub(super) fn find(messages_field: &str, present: &[&'n str]) -> Option<Self> {
        if let Some(list) = pick(&[messages_field], present) {
            return Some(Self::List(list));
        }
        if messages_field != MESSAGES {
            return None; // the user has said where they are
        }
        if let Some(list) = pick(&OTHER_LISTS, present) {
            return Some(Self::List(list));
        }
        let (prompt, answer) = (pick(&PROMPTS, present)?, pick(&ANSWERS, present)?);
        Some(Self::Columns { prompt, answer })
    }

    /// The fields that are read.
    pub(super) fn fields(&self, present: &[&'n str]) -> Vec<&'n str> {
        let mut fields = match self {
            Self::List(list) => vec![*list],
            Self::Columns { prompt, answer } if *prompt == INPUT.0 => {
                let input = pick(&[INPUT.1], present);
                [*prompt, *answer].into_iter().chain(input).collect()
            }
            Self::Columns { prompt, answer } => vec![*prompt, *answer],
        };
        fields.extend(pick(&SYSTEM, present));
        fields
    }
}

/// The first of these names that a row has.
pub(super) fn pick<'n>(names: &[&str], present: &[&'n str]) -> Option<&'n str> {
    let find = |name: &&str| present.iter().find(|found| **found == *name).copied();
    names.iter().find_map(find)
}

/// That a row has no conversation.
pub(super) fn missing(messages_field: &str, present: &[&str]) -> String {
    let others = match messages_field {
        MESSAGES => ", nor `conversations`, nor a prompt beside an answer",
        _ => "",
    };
    let remedy = format!("--messages-field, prepare.messages_field{others}");
    missing_field(messages_field, &remedy, present)
}

/// The conversation of a row.
///
/// # Errors
/// What is wrong with it.
pub(super) fn turns(row: &Map<String, Value>, messages_field: &str) -> Result<Example, BadRow> {
    let present: Vec<&str> = row.keys().map(String::as_str).collect();
    let found = Turns::find(messages_field, &present)
        .ok_or_else(|| BadRow::MissingField(missing(messages_field, &present)))?;
    let turns = match found {
        Turns::List(list) => list_of_turns(&row[list], list),
        Turns::Columns { prompt, answer } => columns(row, prompt, answer),
    };
    let turns = turns.and_then(|turns| with_system_field(row, turns));
    turns.map(Example::Conversation).map_err(BadRow::Malformed)
}

fn columns(row: &Map<String, Value>, prompt: &str, answer: &str) -> Result<Vec<Message>, String> {
    let mut turns = said_by("user", &row[prompt], prompt)?;
    let input = row.get(INPUT.1).filter(|_| prompt == INPUT.0);
    if let (Some(Value::String(input)), Some(asked)) = (input, turns.last_mut())
        && !input.trim().is_empty()
    {
        asked.content = format!("{}\n\n{input}", asked.content);
    }
    turns.extend(said_by(ASSISTANT, &row[answer], answer)?);
    Ok(turns)
}

/// A text that somebody says, or a list of turns.
fn said_by(role: &str, value: &Value, name: &str) -> Result<Vec<Message>, String> {
    match value {
        Value::Array(_) => list_of_turns(value, name),
        _ => Ok(vec![Message::new(role, json_fields::text(value, name)?)]),
    }
}

/// With what a field beside the turns has the system say, where they do not begin with it themselves.
pub(super) fn with_system_field(
    row: &Map<String, Value>,
    mut turns: Vec<Message>,
) -> Result<Vec<Message>, String> {
    let present = SYSTEM
        .into_iter()
        .find_map(|name| Some((name, row.get(name)?)));
    let begins = turns.first().is_some_and(|turn| turn.role == "system");
    match present {
        Some((_, Value::Null)) | None => {}
        Some((name, value)) => {
            let said = json_fields::text(value, name)?;
            if !begins && !said.trim().is_empty() {
                turns.insert(0, Message::new("system", said));
            }
        }
    }
    Ok(turns)
}

/// The field of a row that says what the system says, if it has one.
pub(super) fn system_field<'n>(present: &[&'n str]) -> Option<&'n str> {
    pick(&SYSTEM, present)
}

/// Turns as `role` and `content`, or as `from` and `value` (ShareGPT).
///
/// # Errors
/// Which of them is none, and why.
pub(super) fn list_of_turns(value: &Value, name: &str) -> Result<Vec<Message>, String> {
    let Value::Array(turns) = value else {
        return match value {
            Value::Null => Err(format!("`{name}` is null")),
            other => Err(wrong(name, "list of turns", other)),
        };
    };
    let turns = turns.iter().enumerate();
    turns
        .map(|(index, turn)| one_turn(turn, &format!("{name}[{index}]")))
        .collect()
}

fn one_turn(value: &Value, place: &str) -> Result<Message, String> {
    let Value::Object(turn) = value else {
        return Err(wrong(
            place,
            "turn (an object with `role` and `content`)",
            value,
        ));
    };
    let text = |names: [&str; 2]| {
        let present = names
            .into_iter()
            .find_map(|name| Some((name, turn.get(name)?)));
        let (name, value) = present.ok_or_else(|| format!("`{place}` has no `{}`", names[0]))?;
        json_fields::text(value, &format!("{place}.{name}"))
    };
    let (role, content) = (text(["role", "from"])?, text(["content", "value"])?);
    let known = ROLES.iter().find(|(name, _)| *name == role);
    let (_, role) = known.ok_or_else(|| {
        let names = ROLES.map(|(name, _)| name).join(", ");
        format!("`{place}` is said by an unknown role, `{role}`; known are {names}")
    })?;
    Ok(Message::new(role, content))
}

/// Fields of a conversation that is tokenized already: ids, and a mask or labels.
pub(super) fn wanted_ids<'n>(present: &[&'n str]) -> Result<[&'n str; 2], String> {
    let ids = pick(&["input_ids"], present);
    let marks = pick(&["loss_mask", "labels"], present);
    ids.zip(marks).map(<[_; 2]>::from).ok_or_else(|| {
        let lacks = if ids.is_none() {
            "input_ids"
        } else {
            "loss_mask"
        };
        let remedy = "--pretokenized takes `input_ids` with `loss_mask` or `labels`";
        missing_field(lacks, remedy, present)
    })
}

/// A conversation that is tokenized already.
///
/// # Errors
/// What is wrong with it.
pub(super) fn ids(row: &Map<String, Value>) -> Result<Example, BadRow> {
    let present: Vec<&str> = row.keys().map(String::as_str).collect();
    let [ids, marks] = wanted_ids(&present).map_err(BadRow::MissingField)?;
    let read = || {
        let ids = json_fields::ids(&row[ids], ids)?;
        let mask = match marks {
            "labels" => mask_of_labels(&row[marks], &ids)?,
            _ => mask_of(&row[marks], marks)?,
        };
        match mask.len() == ids.len() {
            true => Ok(Example::Masked(Conversation { ids, mask })),
            false => Err(format!(
                "`{marks}` has {} entries for {} ids",
                mask.len(),
                ids.len()
            )),
        }
    };
    read().map_err(BadRow::Malformed)
}

fn mask_of(value: &Value, name: &str) -> Result<Vec<bool>, String> {
    let is_on = |entry: &Value| match entry.as_u64() {
        Some(0) => Some(false),
        Some(1) => Some(true),
        _ => entry.as_bool(),
    };
    let mask = value
        .as_array()
        .map(|entries| entries.iter().map(is_on).collect());
    mask.flatten()
        .ok_or_else(|| wrong(name, "list of 0 and 1", value))
}

/// A label is the id of its own place (not of the next), or -100 where nothing is learned.
fn mask_of_labels(value: &Value, ids: &[u32]) -> Result<Vec<bool>, String> {
    let labels: Option<Vec<i64>> = value
        .as_array()
        .and_then(|labels| labels.iter().map(Value::as_i64).collect());
    let labels = labels.ok_or_else(|| wrong("labels", "list of numbers", value))?;
    let strange = labels.iter().zip(ids).enumerate();
    let mut strange =
        strange.filter(|(_, (label, id))| **label != -100 && **label != i64::from(**id));
    match strange.next() {
        Some((place, (label, id))) => Err(format!(
            "`labels[{place}]` is {label}, neither -100 nor the id of its place, {id}; labels are not shifted"
        )),
        None => Ok(labels.iter().map(|label| *label != -100).collect()),
    }
}
