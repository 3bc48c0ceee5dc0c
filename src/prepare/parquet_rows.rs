//! The rows of a Parquet file: one column, batch by batch.

use super::{
    row::{BadRow, Place, Row, Rows, missing_field},
    source::SourceFile,
};
use anyhow::{Context, Result};
use arrow_array::{Array, cast::AsArray};
use arrow_schema::{DataType, Schema};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use std::{fs::File, sync::Arc};

/// Rows held in memory at once.
const BATCH_ROWS: usize = 256;

/// Opens the file and checks its column.
pub(super) fn open(file: &SourceFile, text_field: &str) -> Result<Rows> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path).context("cannot open")?)
            .context("not a Parquet file that can be read")?;
    check_column(builder.schema(), text_field)?;
    let total_rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
    let column = ProjectionMask::columns(builder.parquet_schema(), [text_field]);
    let batches = builder
        .with_projection(column)
        .with_batch_size(BATCH_ROWS)
        .build()
        .context("not a Parquet file that can be read")?;
    let field = text_field.to_owned();
    let texts = batches.flat_map(move |batch| match batch {
        Ok(batch) => column_texts(batch.column(0), &field)
            .into_iter()
            .map(Ok)
            .collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    });
    // The file's bytes, dealt out over its rows: compressed columns have no finer measure.
    let file_bytes = file.bytes;
    let bytes_before =
        move |row: u64| (u128::from(file_bytes) * u128::from(row) / u128::from(total_rows)) as u64;
    Ok(Box::new((0..).zip(texts).map(move |(index, text)| {
        Ok(Row {
            place: Place::Row(index + 1),
            text: text.context("damaged Parquet data; what follows cannot be read")?,
            source_bytes: bytes_before(index + 1) - bytes_before(index),
        })
    })))
}

fn check_column(schema: &Arc<Schema>, text_field: &str) -> Result<()> {
    let Ok(column) = schema.field_with_name(text_field) else {
        let names = schema.fields().iter().map(|field| field.name().as_str());
        return Err(crate::bad_request!("{}", missing_field(text_field, names)));
    };
    if is_text(column.data_type()) {
        return Ok(());
    }
    Err(crate::bad_request!(
        "column `{text_field}` is {}, not text; name another with --text-field (prepare.text_field)",
        column.data_type()
    ))
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn column_texts(column: &dyn Array, field: &str) -> Vec<Result<String, BadRow>> {
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        let values = strings(dictionary.values().as_ref());
        let keys = dictionary.normalized_keys();
        let value = |row: usize| {
            let present = dictionary.keys().is_valid(row);
            if present { values[keys[row]] } else { None }
        };
        return (0..column.len())
            .map(|row| text(value(row), field))
            .collect();
    }
    strings(column)
        .into_iter()
        .map(|value| text(value, field))
        .collect()
}

/// The strings of a column of one of the plain types ([`is_text`] was asked before).
fn strings(column: &dyn Array) -> Vec<Option<&str>> {
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().iter().collect(),
        DataType::LargeUtf8 => column.as_string::<i64>().iter().collect(),
        _ => column.as_string_view().iter().collect(),
    }
}

fn text(value: Option<&str>, field: &str) -> Result<String, BadRow> {
    let null = || BadRow::Malformed(format!("`{field}` is null"));
    value.map(str::to_owned).ok_or_else(null)
}
