//! The rows of one file, whatever its format.

use super::{
    compression,
    content::Content,
    fetched::LocalFile,
    json_rows,
    long_text::LongText,
    parquet_rows,
    row::{BadRow, Place, Row, Rows},
    row_form::RowForm,
    source::{Format, SourceFile},
};
use anyhow::{Context, Result};
use std::{
    io::{BufRead, Cursor, Read},
    sync::Arc,
};

/// A text up to here is held in memory.
const LONG_BYTES: u64 = 32 << 20;

/// Opens a file and reads it row by row; memory holds one row (Parquet: one batch).
///
/// # Errors
/// When the file cannot be opened; a bad request when a table lacks the column.
pub(super) fn open(file: &SourceFile, form: &RowForm) -> Result<Rows> {
    match file.format {
        Format::Parquet => return parquet_rows::open(&file.local()?, file.bytes, form),
        Format::Text if !form.takes_text() => {
            return Err(crate::bad_request!(
                "a text file holds no token ids, conversations or preferences; name .jsonl, .json or .parquet files"
            ));
        }
        _ => {}
    }
    let local = file.local()?;
    let (content, taken) = compression::open(&local)?;
    let form = form.clone();
    let rows: Rows = match file.format {
        Format::JsonLines => Box::new(json_rows::lines(content, form)),
        Format::Json => Box::new(json_rows::objects(content, form)?),
        Format::Text | Format::Parquet => Box::new(std::iter::once(whole_file(local, content))),
    };
    Ok(Box::new(rows.map(move |row| {
        row.map(|row| Row {
            source_bytes: taken.since_last(),
            ..row
        })
    })))
}

fn whole_file(local: Arc<LocalFile>, mut file: Box<dyn BufRead + Send>) -> Result<Row> {
    let mut bytes = Vec::new();
    file.by_ref()
        .take(LONG_BYTES)
        .read_to_end(&mut bytes)
        .context("cannot read")?;
    let content = if bytes.len() < LONG_BYTES as usize {
        String::from_utf8(bytes)
            .map(Content::Text)
            .map_err(|error| error.utf8_error().valid_up_to())
    } else {
        let whole = Box::new(Cursor::new(bytes).chain(file));
        LongText::check(local, whole)?.map(Content::LongText)
    };
    Ok(Row {
        place: Place::Whole,
        source_bytes: 0,
        content: content
            .map_err(|valid| BadRow::Malformed(format!("not UTF-8 text (byte {valid})"))),
    })
}
