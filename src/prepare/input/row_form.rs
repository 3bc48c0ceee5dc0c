//! What a row is read as: a text, ids, or one of the forms that examples have.

use super::{
    content::Content,
    conversation_rows::{self, MESSAGES, Turns},
    preference_rows::{self, PreferenceFields},
    row::{BadRow, missing_field},
};
use crate::{config::PrepareConfig, data::manifest::Kind};
use serde_json::{Map, Value};

/// The field of rows that are tokenized already.
const IDS: &str = "input_ids";

/// What a row is read as.
#[derive(Debug, Clone)]
pub(in crate::prepare) enum RowForm {
    /// One field is the document.
    Column(Column),
    /// Several fields may be an example.
    Example(ExampleForm),
}

/// Which field of a row is taken, and as what.
#[derive(Debug, Clone)]
pub(in crate::prepare) struct Column {
    pub(super) name: String,
    pub(super) holds: Holds,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Text,
    Ids,
}

/// How an example lies in a row.
#[derive(Debug, Clone)]
pub(in crate::prepare) enum ExampleForm {
    /// A conversation, in a field of this name or one that is known.
    Conversation { messages_field: String },
    /// A conversation's ids, with a mask or labels.
    ConversationIds,
    /// A prompt and two answers.
    Preference(PreferenceFields),
    /// The ids of a prompt and two answers.
    PreferenceIds,
}

impl Column {
    /// That a row does not have it.
    pub(super) fn missing(&self, present: &[&str]) -> String {
        let remedy = match self.holds {
            Holds::Text if present.contains(&MESSAGES) => {
                "these are conversations, for prep-data instruct; else --text-field, prepare.text_field"
            }
            Holds::Text => "--text-field, prepare.text_field",
            Holds::Ids => "needed by --pretokenized",
        };
        missing_field(&self.name, remedy, present)
    }
}

impl RowForm {
    /// The form of the rows for shards of this kind.
    pub(in crate::prepare) fn of(kind: Kind, config: &PrepareConfig) -> Self {
        let column = |name: &str, holds| {
            let name = name.to_owned();
            Self::Column(Column { name, holds })
        };
        match (kind, config.pretokenized) {
            (Kind::Pretrain, false) => column(&config.text_field, Holds::Text),
            (Kind::Pretrain, true) => column(IDS, Holds::Ids),
            (Kind::Instruct, false) => Self::Example(ExampleForm::Conversation {
                messages_field: config.messages_field.clone(),
            }),
            (Kind::Instruct, true) => Self::Example(ExampleForm::ConversationIds),
            (Kind::Preference, false) => {
                Self::Example(ExampleForm::Preference(PreferenceFields::of(config)))
            }
            (Kind::Preference, true) => Self::Example(ExampleForm::PreferenceIds),
        }
    }

    /// Whether whole files of text may be read.
    pub(super) fn takes_text(&self) -> bool {
        matches!(self, Self::Column(column) if column.holds == Holds::Text)
    }
}

impl ExampleForm {
    /// The fields that decide which rows these are, as a manifest keeps them.
    pub(in crate::prepare) fn fields(&self) -> Vec<String> {
        match self {
            Self::Conversation { messages_field } => vec![messages_field.clone()],
            Self::Preference(fields) => fields.names().map(str::to_owned).into(),
            Self::ConversationIds | Self::PreferenceIds => Vec::new(),
        }
    }

    /// Which of the fields that a table has are read.
    ///
    /// # Errors
    /// What is missing, and what there is instead.
    pub(super) fn wanted<'n>(&self, present: &[&'n str]) -> Result<Vec<&'n str>, String> {
        match self {
            Self::Conversation { messages_field } => Turns::find(messages_field, present)
                .map(|turns| turns.fields(present))
                .ok_or_else(|| conversation_rows::missing(messages_field, present)),
            Self::ConversationIds => conversation_rows::wanted_ids(present).map(Into::into),
            Self::Preference(fields) => fields.wanted(present),
            Self::PreferenceIds => preference_rows::wanted_ids(present),
        }
    }

    /// What a row holds.
    pub(super) fn content_of(&self, row: &Map<String, Value>) -> Result<Content, BadRow> {
        let example = match self {
            Self::Conversation { messages_field } => conversation_rows::turns(row, messages_field),
            Self::ConversationIds => conversation_rows::ids(row),
            Self::Preference(fields) => fields.turns(row),
            Self::PreferenceIds => preference_rows::ids(row),
        };
        example.map(Content::Example)
    }
}
