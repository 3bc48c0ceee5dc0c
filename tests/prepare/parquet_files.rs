//! Parquet: every kind of text column, nulls, and files that are none.

use super::*;
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray,
    builder::{ArrayBuilder, ListBuilder, StringBuilder, StructBuilder},
    types::{Int8Type, Int64Type},
};
use arrow_schema::{DataType, Field, Fields};
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

fn write(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

/// Who says what.
type Turn<'a> = (&'a str, Option<&'a str>);

/// A column of lists of turns, as data sets of conversations have them: `list<struct<role, content>>`.
fn turns(rows: &[Option<&[Turn]>]) -> ArrayRef {
    let fields = ["content", "role"].map(|name| Field::new(name, DataType::Utf8, true));
    let columns = || Box::new(StringBuilder::new()) as Box<dyn ArrayBuilder>;
    let turn = StructBuilder::new(Fields::from(fields.to_vec()), vec![columns(), columns()]);
    let mut lists = ListBuilder::new(turn);
    for row in rows {
        for (role, content) in row.unwrap_or_default() {
            let turn = lists.values();
            turn.field_builder::<StringBuilder>(0)
                .unwrap()
                .append_option(*content);
            turn.field_builder::<StringBuilder>(1)
                .unwrap()
                .append_value(role);
            turn.append(true);
        }
        lists.append(row.is_some());
    }
    Arc::new(lists.finish())
}

#[test]
fn nested_columns_of_conversations_are_read() {
    let talk: &[Turn<'_>] = &[("user", Some("Hi")), ("assistant", Some("Ho"))];
    let messages = turns(&[
        Some(talk),
        None,
        Some(&[("user", Some("Hi")), ("assistant", None)]),
        Some(talk),
    ]);
    let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..4));
    let batch = RecordBatch::try_from_iter([("n", numbers), ("messages", messages)]).unwrap();
    let mut case = Case::of_kind(Kind::Instruct, &[("a.parquet", &write(&batch))]);
    let (message, _) = case.error();
    assert!(
        message.contains("a.parquet, row 2: malformed row: `messages` is null"),
        "{message}"
    );
    case.config.max_bad_rows = 1;
    let (message, _) = case.error();
    assert!(
        message.contains("a.parquet, row 3: malformed row: `messages[1].content` is null"),
        "{message}"
    );
    case.config.max_bad_rows = 2;
    case.run().unwrap();
    assert_eq!(case.trained(), ["Ho<|eot_id|>", "Ho<|eot_id|>"]);
    let mut other = Case::of_kind(Kind::Instruct, &[("a.parquet", &write(&batch))]);
    other.config.messages_field = "talk".into();
    let (message, bad_request) = other.error();
    assert!(
        bad_request
            && message.contains("no field `talk`")
            && message.contains("found `n`, `messages`"),
        "{message}"
    );
}

#[test]
fn nested_columns_of_pairs_and_of_ids_are_read() {
    let side = |said| [("user", Some("Who?")), ("assistant", Some(said))];
    let chosen = turns(&[Some(&side("Me."))]);
    let rejected = turns(&[Some(&side("You!"))]);
    let prompt: ArrayRef = Arc::new(StringArray::from(vec!["Who?"]));
    let batch = RecordBatch::try_from_iter([
        ("chosen", chosen),
        ("rejected", rejected),
        ("prompt", prompt),
    ])
    .unwrap();
    let case = Case::of_kind(Kind::Preference, &[("a.parquet", &write(&batch))]);
    case.run().unwrap();
    assert_eq!(case.pairs()[0][1], [44, 68, 13, 393]);
    let list = |ids: &[i64]| -> ArrayRef {
        let row = Some(ids.iter().map(|id| Some(*id)));
        Arc::new(arrow_array::ListArray::from_iter_primitive::<Int64Type, _, _>([row]))
    };
    let batch = RecordBatch::try_from_iter([
        ("input_ids", list(&[5, 6, 7])),
        ("labels", list(&[-100, 6, 7])),
    ])
    .unwrap();
    let mut case = Case::of_kind(Kind::Instruct, &[("a.parquet", &write(&batch))]);
    case.config.pretokenized = true;
    case.run().unwrap();
    assert_eq!(case.masked(Split::Train), [(vec![5, 6, 7], vec![0, 1, 1])]);
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
