//! The rows of one file, whatever its format.

use super::{
    json_rows, parquet_rows,
    row::{BadRow, Place, Row, Rows},
    source::{Format, SourceFile},
};
use anyhow::{Context, Result};
use std::{
    fs::{self, File},
    io::BufReader,
    path::Path,
};

/// Opens a file and reads it row by row; memory holds one row (Parquet: one batch).
///
/// # Errors
/// When the file cannot be opened; a bad request when a table lacks the column.
pub(super) fn open(file: &SourceFile, text_field: &str) -> Result<Rows> {
    let field = text_field.to_owned();
    match file.format {
        Format::Text => Ok(Box::new(std::iter::once(whole_file(file)))),
        Format::JsonLines => Ok(Box::new(json_rows::lines(reader(&file.path)?, field))),
        Format::Json => Ok(Box::new(json_rows::objects(reader(&file.path)?, field)?)),
        Format::Parquet => parquet_rows::open(file, text_field),
    }
}

fn reader(path: &Path) -> Result<BufReader<File>> {
    Ok(BufReader::with_capacity(
        1 << 20,
        File::open(path).context("cannot open")?,
    ))
}

fn whole_file(file: &SourceFile) -> Result<Row> {
    let bytes = fs::read(&file.path).context("cannot read")?;
    Ok(Row {
        place: Place::Whole,
        source_bytes: bytes.len() as u64,
        text: String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            BadRow::Malformed(format!("not UTF-8 text (byte {valid})"))
        }),
    })
}
