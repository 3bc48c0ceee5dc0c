//! Mixtures of sources, and rows that were tokenized elsewhere.

use super::*;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{ArrayRef, ListArray, RecordBatch};
use llama_train::config::Dedup;

/// A mix of two inputs of the case.
fn mixed(case: &mut Case, toml: &str) {
    let path = case.dir.path().join("mix.toml");
    let input = case.dir.path().join("input");
    fs::write(&path, toml.replace("INPUT", &input.display().to_string())).unwrap();
    case.config.input.clear();
    case.config.mix = Some(path);
}

const TWO_SOURCES: &str = "[[source]]\ninput = [\"INPUT/a.jsonl\"]\nweight = 3\n\n[[source]]\ninput = [\"INPUT/b.jsonl\"]\nweight = 1\n";

fn rows(name: &str, count: usize) -> Vec<u8> {
    let row = |index: usize| format!("{{\"text\": \"{name}{}\"}}\n", "x".repeat(index % 50));
    (0..count).map(row).collect::<String>().into_bytes()
}

#[test]
fn a_mix_keeps_its_proportions_until_a_source_is_used_up() {
    let files = [("a.jsonl", rows("a", 3000)), ("b.jsonl", rows("b", 3000))];
    let mut made = Vec::new();
    for workers in [1, 5] {
        let mut case = Case::new(&[("a.jsonl", &files[0].1), ("b.jsonl", &files[1].1)]);
        mixed(&mut case, TWO_SOURCES);
        case.config.workers = workers;
        case.run().unwrap();
        let documents = case.documents(Split::Train);
        let bytes = |name: char, documents: &[String]| -> f64 {
            documents
                .iter()
                .filter(|text| text.starts_with(name))
                .map(|text| text.len() as f64)
                .sum()
        };
        for end in [100, 1000, documents.len()] {
            let (a, b) = (bytes('a', &documents[..end]), bytes('b', &documents[..end]));
            assert!(
                (a - 3.0 * b).abs() <= 200.0,
                "{a} and {b} bytes in the first {end}"
            );
        }
        assert_eq!(
            documents
                .iter()
                .filter(|text| text.starts_with('a'))
                .count(),
            3000
        );
        made.push(documents);
    }
    assert_eq!(made[0], made[1]);
}

#[test]
fn a_mix_that_cannot_be_is_refused() {
    let refused = |toml: &str, expected: &str| {
        let mut case = Case::new(&[("a.jsonl", b"{\"text\": \"a\"}\n")]);
        mixed(&mut case, toml);
        let (message, bad_request) = case.error();
        assert!(bad_request && message.contains(expected), "{message}");
    };
    refused(
        "[[source]]\ninput = [\"INPUT/a.jsonl\"]\nwight = 1\n",
        "unknown field `wight`",
    );
    refused(
        "[[source]]\ninput = [\"INPUT/a.jsonl\"]\nweight = 0\n",
        "weight 0 must be above 0",
    );
    refused(
        "[[source]]\ninput = [\"INPUT/none\"]\nweight = 1\n",
        "none: no such file or folder",
    );
    let mut both = Case::new(&[("a.jsonl", b"{\"text\": \"a\"}\n")]);
    let input = both.config.input.clone();
    mixed(&mut both, TWO_SOURCES);
    both.config.input = input;
    assert!(both.error().0.contains("one of them says what is read"));
}

#[test]
fn ids_are_taken_as_they_are() {
    let ids: Vec<i64> = (0..600).collect();
    let rows = format!(
        "{{\"input_ids\": {:?}}}\n{{\"input_ids\": [385, 1, 2]}}\n{{\"input_ids\": []}}\n",
        &ids[..500]
    );
    let mut case = Case::new(&[("a.jsonl", rows.as_bytes())]);
    let list = |from: i64, to: i64| Some((from..to).map(Some).collect::<Vec<_>>());
    let long = ListArray::from_iter_primitive::<Int64Type, _, _>([list(500, 510), list(510, 520)]);
    let short: [Option<Vec<Option<i32>>>; 1] = [Some(vec![Some(520), Some(521)])];
    let short = ListArray::from_iter_primitive::<Int32Type, _, _>(short);
    for (name, array) in [("b.parquet", long), ("c.parquet", short)] {
        let batch =
            RecordBatch::try_from_iter([("input_ids", std::sync::Arc::new(array) as ArrayRef)])
                .unwrap();
        let file = fs::File::create(case.dir.path().join("input").join(name)).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
    case.config.pretokenized = true;
    let summary = case.run().unwrap();
    assert_eq!(
        (&summary["documents"], &summary["empty_documents"]),
        (&5.into(), &1.into())
    );
    let expected: Vec<i64> = (0..500).chain([385, 1, 2]).chain(500..522).collect();
    assert_eq!(case.tokens(Split::Train), expected);
}

#[test]
fn ids_that_cannot_be_are_refused() {
    let refused = |name: &str, rows: &[u8], expected: &str| {
        let mut case = Case::new(&[(name, rows)]);
        case.config.pretokenized = true;
        let (message, _) = case.error();
        assert!(message.contains(expected), "{message}");
    };
    refused(
        "a.jsonl",
        b"{\"input_ids\": [1, 640]}\n",
        "a.jsonl:1: token 640 is outside the tokenizer's vocabulary of 640",
    );
    refused(
        "a.jsonl",
        b"{\"input_ids\": [1, -1]}\n",
        "`input_ids` is no list of token ids but [1,-1]",
    );
    refused(
        "a.jsonl",
        b"{\"input_ids\": \"text\"}\n",
        "`input_ids` is no list of token ids",
    );
    refused(
        "a.jsonl",
        b"{\"ids\": [1]}\n",
        "no field `input_ids` (needed by --pretokenized); found `ids`",
    );
    refused("a.txt", b"text", "a text file holds no token ids");
    let mut case = Case::new(&[("a.jsonl", b"{\"input_ids\": [1]}\n")]);
    case.config.pretokenized = true;
    case.config.vocab_size = 300;
    assert!(
        case.error()
            .0
            .contains("name the tokenizer that made the ids")
    );
}

/// One text stays in its file, one is held and cut, one repeats the first.
#[test]
fn a_long_text_is_one_document_with_the_ids_of_the_whole() {
    let line = "Ein langer Text, o'clock 12345:\n  東京、大阪 and more words \u{1f600}\n";
    let (longest, long) = (line.repeat(35_000_000 / line.len()), line.repeat(20_000));
    let bytes = longest.len() + long.len();
    let mut case = Case::new(&[
        ("a.txt", longest.as_bytes()),
        ("b.txt", long.as_bytes()),
        ("c.txt", longest.as_bytes()),
        ("d.txt", b"short"),
    ]);
    case.config.dedup = Dedup::Exact;
    case.config.workers = 3;
    let summary = case.run().unwrap();
    let counted = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(
        (counted("documents"), counted("duplicate_documents")),
        (3, 1)
    );
    assert_eq!(counted("text_bytes"), bytes as u64 + 5);
    let tokenizer = Tokenizer::load(Path::new(TOKENIZER)).unwrap();
    let mut expected = Vec::new();
    for text in [longest.as_str(), &long, "short"] {
        expected.push(SEPARATOR);
        expected.extend(tokenizer.encode(text).unwrap().into_iter().map(i64::from));
    }
    assert!(case.tokens(Split::Train) == expected);
}
