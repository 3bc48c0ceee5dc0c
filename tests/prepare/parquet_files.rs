//! Parquet: every kind of text column, nulls, and files that are none.

use super::*;
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, types::Int8Type,
};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

fn table(column: &str, texts: ArrayRef) -> Vec<u8> {
    let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..texts.len() as i32));
    let batch = RecordBatch::try_from_iter([("n", numbers), (column, texts)]).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(300))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn texts() -> Vec<String> {
    // More than one row group and more than one batch.
    (0..700)
        .map(|index| format!("text {}", index % 100))
        .collect()
}

#[test]
fn every_kind_of_text_column_is_read() {
    let texts = texts();
    let strings = || texts.iter().map(String::as_str);
    let columns: [ArrayRef; 4] = [
        Arc::new(StringArray::from_iter_values(strings())),
        Arc::new(LargeStringArray::from_iter_values(strings())),
        Arc::new(StringViewArray::from_iter_values(strings())),
        Arc::new(strings().collect::<DictionaryArray<Int8Type>>()),
    ];
    for column in columns {
        let data_type = column.data_type().clone();
        let case = Case::new(&[("a.parquet", &table("text", column))]);
        case.run().unwrap();
        assert_eq!(case.documents(Split::Train), texts, "{data_type}");
    }
}

#[test]
fn a_null_is_a_malformed_row() {
    let plain: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]));
    let dictionary: ArrayRef = Arc::new(
        [Some("a"), None, Some("b")]
            .into_iter()
            .collect::<DictionaryArray<Int8Type>>(),
    );
    for column in [plain, dictionary] {
        let mut case = Case::new(&[("a.parquet", &table("text", column))]);
        assert!(
            case.error()
                .0
                .contains("a.parquet, row 2: malformed row: `text` is null"),
            "{}",
            case.error().0
        );
        case.config.max_bad_rows = 1;
        case.run().unwrap();
        assert_eq!(case.documents(Split::Train), ["a", "b"]);
    }
}

#[test]
fn a_wrong_column_or_file_is_named() {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let mut case = Case::new(&[("a.parquet", &table("content", column))]);
    let (message, bad_request) = case.error();
    assert!(
        bad_request && message.contains("a.parquet") && message.contains("found `n`, `content`"),
        "{message}"
    );
    case.config.text_field = "n".into();
    let (message, bad_request) = case.error();
    assert!(
        bad_request && message.contains("column `n` is Int32, not text"),
        "{message}"
    );
    let (message, bad_request) = Case::new(&[("a.parquet", b"PAR1 and so on")]).error();
    assert!(
        !bad_request && message.contains("a.parquet: not a Parquet file"),
        "{message}"
    );
}
