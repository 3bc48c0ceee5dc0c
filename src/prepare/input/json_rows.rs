//! The rows of `.jsonl` and `.json` files.

use super::content::Content;
use super::json_fields::{self, wrong};
use super::row::{BadRow, Place, Row};
use super::row_form::{Holds, RowForm};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::{io::BufRead, iter};

/// One object a line; blank lines are passed over.
pub(super) fn lines(
    mut reader: impl BufRead + Send,
    form: RowForm,
) -> impl Iterator<Item = Result<Row>> + Send {
    let mut line_number = 0;
    iter::from_fn(move || {
        let mut line = Vec::new();
        while line.trim_ascii().is_empty() {
            line.clear();
            match reader.read_until(b'\n', &mut line).context("cannot read") {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            line_number += 1;
        }
        let content = serde_json::from_slice(&line)
            .map_err(|error| BadRow::Malformed(format!("not JSON: {error}")))
            .and_then(|row| content_of(row, &form));
        Some(Ok(Row {
            place: Place::Line(line_number),
            content,
            source_bytes: 0,
        }))
    })
}

/// The objects of an array one by one, or the only object. After broken syntax nobody knows where the next one begins.
pub(super) fn objects(
    mut reader: impl BufRead + Send,
    form: RowForm,
) -> Result<impl Iterator<Item = Result<Row>> + Send> {
    let in_array = next_byte(&mut reader)? == Some(b'[');
    if in_array {
        reader.consume(1);
    }
    let mut rows_read = 0;
    Ok(iter::from_fn(move || {
        let place = Place::Row(rows_read + 1);
        let row = next_object(&mut reader, in_array, rows_read)
            .with_context(|| format!("not JSON{place}; what follows cannot be read"))
            .transpose()?;
        rows_read += 1;
        Some(row.map(|row| Row {
            place,
            content: content_of(row, &form),
            source_bytes: 0,
        }))
    }))
}

fn next_object(reader: &mut impl BufRead, in_array: bool, rows_read: u64) -> Result<Option<Value>> {
    let mut byte = next_byte(reader)?;
    if in_array && rows_read > 0 && byte == Some(b',') {
        reader.consume(1);
        byte = next_byte(reader)?;
    }
    match byte {
        Some(b'{') => Ok(Some(Value::deserialize(
            &mut serde_json::Deserializer::from_reader(reader),
        )?)),
        Some(b']') if in_array => Ok(None),
        None if !in_array && rows_read > 0 => Ok(None),
        None => bail!("the file ends too early"),
        Some(other) => bail!("expected an object, found `{}`", char::from(other)),
    }
}

/// The next byte that is no white space, left in the reader.
fn next_byte(reader: &mut impl BufRead) -> Result<Option<u8>> {
    loop {
        let buffer = reader.fill_buf().context("cannot read")?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let blank = buffer
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let byte = buffer.get(blank).copied();
        reader.consume(blank);
        if byte.is_some() {
            return Ok(byte);
        }
    }
}

fn content_of(row: Value, form: &RowForm) -> Result<Content, BadRow> {
    let Value::Object(mut row) = row else {
        return Err(BadRow::Malformed("expected an object".into()));
    };
    let column = match form {
        RowForm::Column(column) => column,
        RowForm::Example(form) => return form.content_of(&row),
    };
    let Some(value) = row.swap_remove(&column.name) else {
        let present: Vec<&str> = row.keys().map(String::as_str).collect();
        return Err(BadRow::MissingField(column.missing(&present)));
    };
    let content = match (column.holds, value) {
        (Holds::Text, Value::String(text)) => Ok(Content::Text(text)),
        (Holds::Text, other) => Err(wrong(&column.name, "string", &other)),
        (Holds::Ids, value) => json_fields::ids(&value, &column.name).map(Content::Ids),
    };
    content.map_err(BadRow::Malformed)
}
