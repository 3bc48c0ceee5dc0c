//! The fields of a row, with words for what is wrong with them.

use crate::bad_request;
use crate::config::did_you_mean;
use crate::prepare::ObjectRow;
use anyhow::{Result, anyhow};
use serde_json::{Map, Value};

/// A row, or an object within one.
#[derive(Debug, Clone, Copy)]
pub(in crate::eval) struct Fields<'a> {
    origin: &'a str,
    /// Where within the row, with a dot behind.
    path: &'a str,
    fields: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// All of a row.
    pub(in crate::eval) fn of(row: &'a ObjectRow) -> Self {
        Self {
            origin: &row.origin,
            path: "",
            fields: &row.fields,
        }
    }

    /// What is wrong with the row.
    pub(in crate::eval) fn malformed(&self, problem: &str) -> anyhow::Error {
        anyhow!("{}: malformed row: {problem}", self.origin)
    }

    /// A text.
    ///
    /// # Errors
    /// A bad request when there is no such field; an error when it holds something else.
    pub(in crate::eval) fn text(&self, name: &str) -> Result<&'a str> {
        let value = self.value(name)?;
        let wrong = || self.malformed(&format!("`{}{name}` is no text but {value}", self.path));
        value.as_str().ok_or_else(wrong)
    }

    /// Several texts.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(in crate::eval) fn texts(&self, name: &str) -> Result<Vec<&'a str>> {
        let value = self.value(name)?;
        let texts: Option<Vec<_>> = value
            .as_array()
            .and_then(|list| list.iter().map(Value::as_str).collect());
        texts.ok_or_else(|| {
            let path = self.path;
            self.malformed(&format!("`{path}{name}` is no list of texts but {value}"))
        })
    }

    /// An object within the row; `path` is its name with a dot behind.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(in crate::eval) fn object(&self, path: &'a str) -> Result<Self> {
        let name = path.trim_end_matches('.');
        let value = self.value(name)?;
        let wrong = || self.malformed(&format!("`{name}` is no object but {value}"));
        Ok(Self {
            path,
            fields: value.as_object().ok_or_else(wrong)?,
            ..*self
        })
    }

    /// A name, written as a text or as a number.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(in crate::eval) fn name(&self, name: &str) -> Result<String> {
        let value = self.value(name)?;
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(self.malformed(&format!("`{name}` is neither text nor number but {value}"))),
        }
    }

    /// A number from 0, which may be written as a text.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(in crate::eval) fn number(&self, name: &str) -> Result<usize> {
        let text = self.name(name)?;
        let wrong = |_| self.malformed(&format!("`{name}` is no number from 0 but {text:?}"));
        text.trim().parse().map_err(wrong)
    }

    fn value(&self, name: &str) -> Result<&'a Value> {
        self.fields.get(name).ok_or_else(|| {
            let present = self.fields.keys().map(String::as_str);
            let hint = did_you_mean(name, present.clone());
            let found: Vec<String> = present.map(|name| format!("`{name}`")).collect();
            let (origin, path) = (self.origin, self.path);
            let found = found.join(", ");
            bad_request!("{origin}: no field `{path}{name}`; found {found}{hint}")
        })
    }
}
