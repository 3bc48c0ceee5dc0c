//! The rows of one file, each with its place, the text or what is wrong with it.

use super::{
    json_rows, parquet_rows,
    source::{Format, SourceFile},
};
use anyhow::{Context, Result};
use std::{
    fmt,
    fs::{self, File},
    io::BufReader,
    path::Path,
};

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
    /// Its text.
    pub(super) text: Result<String, BadRow>,
    /// Bytes of the file it takes up.
    pub(super) source_bytes: u64,
}

/// The rows of a file; an error is one after which the file cannot be read on.
pub(super) type Rows = Box<dyn Iterator<Item = Result<Row>> + Send>;

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

/// Which fields there are instead, and which of them may have been meant.
pub(super) fn missing_field<'a>(
    field: &str,
    present: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let similarity = |name: &str| strsim::jaro_winkler(&field.to_lowercase(), &name.to_lowercase());
    let nearest = present
        .clone()
        .map(|name| (similarity(name), name))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let names: Vec<String> = present.map(|name| format!("`{name}`")).collect();
    let found = if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    };
    let hint = nearest.map_or(String::new(), |(_, name)| {
        format!("; did you mean `{name}`?")
    });
    format!("no field `{field}` (--text-field, prepare.text_field); found {found}{hint}")
}
