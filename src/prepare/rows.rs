//! The rows of one file, whatever its format.

use super::{
    compression,
    content::{Column, Content, Holds},
    json_rows, parquet_rows,
    row::{BadRow, Place, Row, Rows},
    source::{Format, SourceFile},
};
use anyhow::{Context, Result};
use std::io::BufRead;

/// Opens a file and reads it row by row; memory holds one row (Parquet: one batch).
///
/// # Errors
/// When the file cannot be opened; a bad request when a table lacks the column.
pub(super) fn open(file: &SourceFile, column: &Column) -> Result<Rows> {
    match (file.format, column.holds) {
        (Format::Parquet, _) => return parquet_rows::open(file, column),
        (Format::Text, Holds::Ids) => {
            return Err(crate::bad_request!(
                "a text file holds no token ids; --pretokenized reads .jsonl, .json and .parquet"
            ));
        }
        _ => {}
    }
    let (content, taken) = compression::open(&file.path)?;
    let column = column.clone();
    let rows: Rows = match file.format {
        Format::JsonLines => Box::new(json_rows::lines(content, column)),
        Format::Json => Box::new(json_rows::objects(content, column)?),
        Format::Text | Format::Parquet => Box::new(std::iter::once(whole_file(content))),
    };
    Ok(Box::new(rows.map(move |row| {
        row.map(|row| Row {
            source_bytes: taken.since_last(),
            ..row
        })
    })))
}

fn whole_file(mut content: Box<dyn BufRead + Send>) -> Result<Row> {
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes).context("cannot read")?;
    Ok(Row {
        place: Place::Whole,
        source_bytes: 0,
        content: String::from_utf8(bytes)
            .map(Content::Text)
            .map_err(|error| {
                let valid = error.utf8_error().valid_up_to();
                BadRow::Malformed(format!("not UTF-8 text (byte {valid})"))
            }),
    })
}
