//! Data sets by name: the files of a configuration and split, as they would be prepared from a folder.

use super::Case;
use super::server::Hub;
use crate::common::fixture;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Rows of text, each different.
pub(super) fn texts(name: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|row| format!("{name} {row} says {}", "hello ".repeat(row % 7)))
        .collect()
}

pub(super) fn jsonl(name: &str, count: usize) -> Vec<u8> {
    let row = |text: String| format!("{}\n", json!({ "text": text }));
    texts(name, count)
        .into_iter()
        .map(row)
        .collect::<String>()
        .into_bytes()
}

pub(super) fn parquet(name: &str, count: usize) -> Vec<u8> {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts(name, count)));
    let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

pub(super) const PARTS: [&str; 5] = [
    "p/0.jsonl",
    "p/1.jsonl",
    "p/2.jsonl",
    "p/3.jsonl",
    "p/4.jsonl",
];

/// A part of a data set, of more text than is read at once.
pub(super) fn long(name: &str) -> Vec<u8> {
    let row = |row: usize| {
        let text = format!("{name} {row} says hello. ").repeat(300);
        format!("{}\n", json!({ "text": text }))
    };
    (0..60).map(row).collect::<String>().into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

const CARD: &str = "---\nlicense: mit\nconfigs:\n- config_name: small\n  data_files:\n  - split: train\n    path: \
                    small/part-*.parquet\n  - split: held_out\n    path:\n    - small/x.parquet\n- config_name: one\n  \
                    default: true\n  data_files: small/part-1.parquet\n---\n# A set\n";
const PACKED_CARD: &str = "---\nconfigs:\n- config_name: packed\n  default: true\n  data_files: packed/*.jsonl.gz\n- \
                           config_name: folder\n  data_dir: folder\n---\n";

/// A data set with a card, one without, and one in five parts.
pub(super) fn fill(hub: &Hub) {
    hub.commit(
        "datasets/org/cards",
        "main",
        &[
            ("README.md", CARD.into()),
            ("small/part-0.parquet", parquet("small 0", 30)),
            ("small/part-1.parquet", parquet("small 1", 20)),
            ("small/x.parquet", parquet("held out", 10)),
        ],
    );
    hub.commit(
        "datasets/org/packed",
        "main",
        &[
            ("README.md", PACKED_CARD.into()),
            ("packed/a.jsonl.gz", gzip(&jsonl("packed a", 25))),
            ("packed/b.jsonl.gz", gzip(&jsonl("packed b", 15))),
            ("folder/train.json", jsonl("folder", 12)),
            ("folder/test.json", jsonl("folder test", 5)),
        ],
    );
    hub.commit(
        "datasets/org/plain",
        "main",
        &[
            (".gitattributes", b"* text".to_vec()),
            ("data/train-00000-of-00002.parquet", parquet("plain 0", 40)),
            ("data/train-00001-of-00002.parquet", parquet("plain 1", 40)),
            (
                "data/test-00000-of-00001.parquet",
                parquet("plain test", 10),
            ),
        ],
    );
    hub.commit(
        "datasets/words",
        "main",
        &[
            ("my-train.jsonl", jsonl("words", 8)),
            ("my_val.jsonl", jsonl("val", 3)),
        ],
    );
    hub.commit(
        "datasets/org/tables",
        "main",
        &[("a.csv", b"text\nx\n".to_vec())],
    );
    let parts: Vec<(&str, Vec<u8>)> = PARTS.iter().map(|name| (*name, long(name))).collect();
    hub.commit("datasets/org/parts", "main", &parts);
}

impl Case {
    pub(super) fn with_data() -> Self {
        let case = Self::new();
        fill(&case.hub);
        case
    }

    /// `prep-data pretrain` of this input.
    pub(super) fn prepare(&self, input: &str, out: &str, more: &[&str]) -> assert_cmd::Command {
        let tokenizer = fixture("tokenizer").display().to_string();
        let fixed = [
            "prep-data",
            "pretrain",
            "--json",
            "--tokenizer",
            &tokenizer,
            "--out",
            out,
        ];
        let mut command = self.command(&fixed);
        if !input.is_empty() {
            command.args(["--input", input]);
        }
        command.args(more);
        command
    }

    pub(super) fn manifest(&self, out: &str) -> Value {
        let path = self.dir.path().join(out).join("manifest.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// The shards of a prepared folder.
    pub(super) fn shards(&self, out: &str) -> Vec<(String, Vec<u8>)> {
        shards(&self.dir.path().join(out))
    }

    /// The shards that the same rows in local files give.
    pub(super) fn locally(&self, files: &[(&str, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let input = dir.path().display().to_string();
        let out = dir.path().join("out");
        self.prepare(&input, &out.display().to_string(), &[])
            .assert()
            .success();
        shards(&out)
    }
}

fn shards(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let shards = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "npy"));
    let mut shards: Vec<(String, Vec<u8>)> = shards
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    shards.sort();
    shards
}

#[test]
fn configurations_and_splits_are_found() {
    let case = Case::with_data();
    let of = |name: &'static str, bytes: Vec<u8>| (name, bytes);
    let cases = [
        (
            "hf://datasets/org/cards:small/train",
            vec![
                of("0.parquet", parquet("small 0", 30)),
                of("1.parquet", parquet("small 1", 20)),
            ],
        ),
        (
            "hf://datasets/org/cards:small/held_out",
            vec![of("0.parquet", parquet("held out", 10))],
        ),
        (
            "hf://datasets/org/packed",
            vec![
                of("0.jsonl", jsonl("packed a", 25)),
                of("1.jsonl", jsonl("packed b", 15)),
            ],
        ),
        (
            "hf://datasets/org/packed:folder",
            vec![of("0.jsonl", jsonl("folder", 12))],
        ),
        (
            "hf://datasets/org/packed:folder/test",
            vec![of("0.jsonl", jsonl("folder test", 5))],
        ),
        (
            "hf://datasets/org/plain",
            vec![
                of("0.parquet", parquet("plain 0", 40)),
                of("1.parquet", parquet("plain 1", 40)),
            ],
        ),
        (
            "hf://datasets/org/plain@main:default/test",
            vec![of("0.parquet", parquet("plain test", 10))],
        ),
        (
            "hf://datasets/words",
            vec![of("0.jsonl", jsonl("words", 8))],
        ),
        (
            "hf://datasets/words:default/validation",
            vec![of("0.jsonl", jsonl("val", 3))],
        ),
        (
            "hf://datasets/org/plain/data/test-*.parquet",
            vec![of("0.parquet", parquet("plain test", 10))],
        ),
        (
            "hf://datasets/org/packed@main/folder/*.json",
            vec![
                of("0.jsonl", jsonl("folder test", 5)),
                of("1.jsonl", jsonl("folder", 12)),
            ],
        ),
    ];
    for (index, (input, files)) in cases.into_iter().enumerate() {
        let out = format!("out-{index}");
        case.prepare(input, &out, &[]).assert().success();
        assert!(case.shards(&out) == case.locally(&files), "{input}");
    }
}

#[test]
fn what_there_is_instead_is_told() {
    let case = Case::with_data();
    for (input, part) in [
        (
            "hf://datasets/org/cards:big",
            "hf://datasets/org/cards: has no configuration `big`; there are small, one",
        ),
        (
            "hf://datasets/org/cards:small/test",
            "configuration `small` has no split `test`; there are train, held_out",
        ),
        (
            "hf://datasets/org/plain:default/dev",
            "no split `dev`; there are train, test",
        ),
        (
            "hf://datasets/org/plain/none/*",
            "no file matches none/*; its page lists them",
        ),
        (
            "hf://datasets/org/tables",
            "its files are csv, which is not read here",
        ),
        (
            "hf://datasets/org/none",
            "hf://datasets/org/none: there is no such repository, or it is private",
        ),
    ] {
        let said = case.said(case.prepare(input, "out", &[]), 1);
        assert!(said.contains(part), "{said}");
        assert!(!case.dir.path().join("out").exists());
    }
    let said = case.said(
        case.prepare("hf://datasets/org/packed", "out", &["--text-field", "txet"]),
        2,
    );
    assert!(
        said.contains("/packed/a.jsonl.gz:1: no field `txet`"),
        "{said}"
    );
}

/// A mix takes from the Hub and from here.
#[test]
fn a_mix_takes_from_the_hub() {
    let case = Case::with_data();
    fs::write(case.dir.path().join("here.jsonl"), jsonl("here", 100)).unwrap();
    let mix = "[[source]]\ninput = [\"hf://datasets/org/plain\"]\nweight = 1\n[[source]]\ninput = [\"here.jsonl\"]\nweight = 1\n";
    fs::write(case.dir.path().join("mix.toml"), mix).unwrap();
    case.prepare("", "out", &["--mix", "mix.toml"])
        .assert()
        .success();
    let sources = &case.manifest("out")["request"]["sources"];
    let first = sources[0]["files"][0]["path"].as_str().unwrap();
    assert!(first.starts_with("hf://datasets/org/plain@"), "{first}");
    assert_eq!(sources[1]["files"][0]["path"], "here.jsonl");
    let wrong = mix.replace("org/plain", "org/plain/../x");
    fs::write(case.dir.path().join("mix.toml"), wrong).unwrap();
    case.prepare("", "other", &["--mix", "mix.toml"])
        .assert()
        .code(2);
}
