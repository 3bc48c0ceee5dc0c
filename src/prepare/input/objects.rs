//! Whole rows of small files: all their fields, whatever the format. Benchmarks are read with it.

use super::{compression, json_fields::start_of, parquet_values, row::Place, source::Format};
use anyhow::{Context, Result, anyhow};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};
use std::{
    fs::File,
    io::{BufRead, Read},
    path::Path,
};

/// A row with all its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectRow {
    /// `file:line` or `file, row n`.
    pub origin: String,
    /// Its fields.
    pub fields: Map<String, Value>,
}

/// All rows of a `.jsonl`, `.json` (an array of objects, or one) or `.parquet` file, also `.gz` and `.zst`. No row is
/// passed over.
///
/// # Errors
/// A bad request when the file is of another kind; an error that names the line or row that is no object.
pub fn read_objects(path: &Path) -> Result<Vec<ObjectRow>> {
    let format = Format::of(path);
    let rows = match format {
        Some(Format::Parquet) => table(path),
        Some(Format::JsonLines) => compression::open(path).and_then(|(file, _)| lines(file)),
        Some(Format::Json) => compression::open(path).and_then(|(file, _)| array(file)),
        Some(Format::Text) | None => {
            return Err(crate::bad_request!(
                "{}: rows with fields are read from .jsonl, .json (also .gz, .zst) and .parquet files",
                path.display()
            ));
        }
    };
    let rows = rows.with_context(|| path.display().to_string())?;
    let named = |(place, value): (Place, Result<Value>)| {
        let origin = format!("{}{place}", path.display());
        match value {
            Ok(Value::Object(fields)) => Ok(ObjectRow { origin, fields }),
            Ok(other) => Err(anyhow!(
                "{origin}: malformed row: expected an object, found {}",
                start_of(&other)
            )),
            Err(error) => Err(anyhow!("{origin}: malformed row: {error:#}")),
        }
    };
    rows.into_iter().map(named).collect()
}

type Placed = Vec<(Place, Result<Value>)>;

/// One object a line; blank lines are passed over.
fn lines(file: impl BufRead) -> Result<Placed> {
    let mut rows = Placed::new();
    for (index, line) in file.split(b'\n').enumerate() {
        let line = line.context("cannot read")?;
        if !line.trim_ascii().is_empty() {
            let value = serde_json::from_slice(&line).map_err(|error| anyhow!("not JSON: {error}"));
            rows.push((Place::Line(index as u64 + 1), value));
        }
    }
    Ok(rows)
}

fn array(mut file: impl Read) -> Result<Placed> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).context("cannot read")?;
    let rows = match serde_json::from_slice(&bytes).map_err(|error| anyhow!("not JSON: {error}"))? {
        Value::Array(rows) => rows,
        one => vec![one],
    };
    Ok((1..)
        .map(Place::Row)
        .zip(rows.into_iter().map(Ok))
        .collect())
}

fn table(path: &Path) -> Result<Placed> {
    let unreadable = "not a Parquet file that can be read";
    let file = File::open(path).context("cannot open")?;
    let batches = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .context(unreadable)?;
    let mut values = Vec::new();
    for batch in batches {
        let batch = batch.context("damaged Parquet data")?;
        let rows = 0..batch.num_rows();
        values.extend(rows.map(|row| Ok(Value::Object(parquet_values::row_of(&batch, row)))));
    }
    Ok((1..).map(Place::Row).zip(values).collect())
}
