//! Rows of a table as JSON, nested as they are: what examples are read from.

use arrow_array::{Array, RecordBatch, cast::AsArray, downcast_integer_array};
use arrow_schema::DataType;
use serde_json::{Map, Value};

/// A row, by the names of its columns.
pub(super) fn row_of(batch: &RecordBatch, row: usize) -> Map<String, Value> {
    let schema = batch.schema_ref();
    let columns = schema.fields().iter().zip(batch.columns());
    columns
        .map(|(field, column)| (field.name().clone(), value_of(column.as_ref(), row)))
        .collect()
}

/// One value; null also for the kinds that no example is made of (times, floats, binary data).
fn value_of(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    downcast_integer_array!(
        array => array.value(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::List(_) => items_of(array.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => items_of(array.as_list::<i64>().value(row).as_ref()),
        DataType::FixedSizeList(..) => items_of(array.as_fixed_size_list().value(row).as_ref()),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            value_of(dictionary.values().as_ref(), dictionary.normalized_keys()[row])
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let values = columns.map(|(field, column)| (field.name().clone(), value_of(column.as_ref(), row)));
            Value::Object(values.collect())
        }
        _ => Value::Null
    )
}

fn items_of(items: &dyn Array) -> Value {
    (0..items.len()).map(|item| value_of(items, item)).collect()
}
