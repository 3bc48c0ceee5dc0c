//! The rows of a Parquet file: the columns that are needed, batch by batch.

use super::{
    content::Content,
    parquet_values,
    row::{BadRow, Place, Row, Rows},
    row_form::{Column, Holds, RowForm},
};
use anyhow::{Context, Result};
use arrow_array::{
    Array, ArrowPrimitiveType, PrimitiveArray, RecordBatch,
    cast::AsArray,
    types::{Int32Type, Int64Type, UInt16Type, UInt32Type},
};
use arrow_schema::{DataType, Schema};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use std::{fs::File, path::Path, sync::Arc};

/// Rows held in memory at once.
const BATCH_ROWS: usize = 256;

/// Opens the file and checks its columns.
pub(super) fn open(path: &Path, file_bytes: u64, form: &RowForm) -> Result<Rows> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path).context("cannot open")?)
            .context("not a Parquet file that can be read")?;
    let columns = columns(builder.schema(), form)?;
    let total_rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
    // All leaves below a column: a list has one of its own.
    let projection = ProjectionMask::roots(builder.parquet_schema(), columns);
    let batches = builder
        .with_projection(projection)
        .with_batch_size(BATCH_ROWS)
        .build()
        .context("not a Parquet file that can be read")?;
    let form = form.clone();
    let contents = batches.flat_map(move |batch| match batch {
        Ok(batch) => contents_of(&batch, &form)
            .into_iter()
            .map(Ok)
            .collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    });
    // The file's bytes, dealt out over its rows: compressed columns have no finer measure.
    let bytes_before =
        move |row: u64| (u128::from(file_bytes) * u128::from(row) / u128::from(total_rows)) as u64;
    Ok(Box::new((0..).zip(contents).map(
        move |(index, content)| {
            Ok(Row {
                place: Place::Row(index + 1),
                content: content.context("damaged Parquet data; what follows cannot be read")?,
                source_bytes: bytes_before(index + 1) - bytes_before(index),
            })
        },
    )))
}

/// Which columns are read.
fn columns(schema: &Arc<Schema>, form: &RowForm) -> Result<Vec<usize>> {
    let present: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let wanted = match form {
        RowForm::Column(column) => {
            check_column(schema, column, &present)?;
            vec![column.name.as_str()]
        }
        RowForm::Example(form) => form
            .wanted(&present)
            .map_err(|missing| crate::bad_request!("{missing}"))?,
    };
    let index = |name: &str| Ok(schema.index_of(name)?);
    wanted.into_iter().map(index).collect()
}

fn check_column(schema: &Arc<Schema>, column: &Column, present: &[&str]) -> Result<()> {
    let Ok(field) = schema.field_with_name(&column.name) else {
        return Err(crate::bad_request!("{}", column.missing(present)));
    };
    let (name, data_type) = (&column.name, field.data_type());
    match column.holds {
        Holds::Text if !is_text(data_type) => Err(crate::bad_request!(
            "column `{name}` is {data_type}, not text; name another with --text-field (prepare.text_field)"
        )),
        Holds::Ids if !is_ids(data_type) => Err(crate::bad_request!(
            "column `{name}` is {data_type}, not a list of token ids, which --pretokenized needs"
        )),
        _ => Ok(()),
    }
}

fn is_ids(data_type: &DataType) -> bool {
    use DataType::{Int32, Int64, LargeList, List, UInt16, UInt32};
    match data_type {
        List(items) | LargeList(items) => {
            matches!(items.data_type(), Int32 | Int64 | UInt16 | UInt32)
        }
        _ => false,
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn contents_of(batch: &RecordBatch, form: &RowForm) -> Vec<Result<Content, BadRow>> {
    let rows = 0..batch.num_rows();
    let column = match form {
        RowForm::Column(column) => column,
        RowForm::Example(form) => {
            let row = |row| form.content_of(&parquet_values::row_of(batch, row));
            return rows.map(row).collect();
        }
    };
    let (array, field) = (batch.column(0), &column.name);
    match column.holds {
        Holds::Text => {
            let texts = texts_of(array, field).into_iter();
            texts.map(|text| text.map(Content::Text)).collect()
        }
        Holds::Ids => rows.map(|row| ids_of(array, row, field)).collect(),
    }
}

/// The ids of one row of a list column ([`is_ids`] was asked before).
fn ids_of(array: &dyn Array, row: usize, field: &str) -> Result<Content, BadRow> {
    if array.is_null(row) {
        return Err(BadRow::Malformed(format!("`{field}` is null")));
    }
    let items = match array.as_list_opt::<i32>() {
        Some(list) => list.value(row),
        None => array.as_list::<i64>().value(row),
    };
    let ids: Option<Vec<u32>> = match items.data_type() {
        DataType::Int32 => numbers(items.as_primitive::<Int32Type>()),
        DataType::Int64 => numbers(items.as_primitive::<Int64Type>()),
        DataType::UInt16 => numbers(items.as_primitive::<UInt16Type>()),
        _ => numbers(items.as_primitive::<UInt32Type>()),
    };
    let wrong = || BadRow::Malformed(format!("`{field}` holds something that is no token id"));
    ids.map(Content::Ids).ok_or_else(wrong)
}

fn numbers<T: ArrowPrimitiveType<Native: TryInto<u32>>>(
    items: &PrimitiveArray<T>,
) -> Option<Vec<u32>> {
    items.iter().map(|id| id?.try_into().ok()).collect()
}

fn texts_of(column: &dyn Array, field: &str) -> Vec<Result<String, BadRow>> {
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
