//! One row of a file: its place, its text or what is wrong with it.

use super::content::Content;
use crate::config::did_you_mean;
use anyhow::Result;
use std::fmt;

/// Where in its file a row is, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the file.
    Whole,
    /// A line of text.
    Line(u64),
    /// A row of a table or an array.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Line(line) => write!(f, ":{line}"),
            Self::Row(row) => write!(f, ", row {row}"),
        }
    }
}

/// What is wrong with a row.
#[derive(Debug)]
pub(super) enum BadRow {
    /// It is damaged.
    Malformed(String),
    /// It is well-formed but lacks the field: the user may have named the wrong one.
    MissingField(String),
}

/// A row that was reached, whether it can be used or not.
#[derive(Debug)]
pub(super) struct Row {
    /// Where it is.
    pub(super) place: Place,
    /// What it holds.
    pub(super) content: Result<Content, BadRow>,
    /// Bytes of the file read for it; whoever opened the file fills them in.
    pub(super) source_bytes: u64,
}

/// The rows of a file; an error is one after which the file cannot be read on.
pub(super) type Rows = Box<dyn Iterator<Item = Result<Row>> + Send>;

/// That a field is not there, and which there are instead; `remedy` says how another is named.
pub(super) fn missing_field(field: &str, remedy: &str, present: &[&str]) -> String {
    let names: Vec<String> = present.iter().map(|name| format!("`{name}`")).collect();
    let hint = did_you_mean(field, present.iter().copied());
    let found = match names.is_empty() {
        true => "none".into(),
        false => names.join(", "),
    };
    format!("no field `{field}` ({remedy}); found {found}{hint}")
}
