//! Raw files to shards: what is written, what does not depend on workers or order, and what is refused.

mod bad_rows;
mod conversations;
mod inspections;
mod kills;
mod parquet_files;
mod preferences;
mod prepared_folders;
mod refusals;
mod sources;
mod splits;
mod too_long;
mod trained_tokenizers;

use llama_train::{
    commands::prep_data::{self, ShardsRequest, TokenizerRequest},
    config::{BadRequest, PrepareConfig, TokenizerConfig},
    data::{Manifest, PreparedFolder, Shard, ShardError, Split, manifest::Kind},
    prepare::Job,
    tokenizer::Tokenizer,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

const TOKENIZER: &str = "tests/fixtures/tokenizer";
const SEPARATOR: i64 = 385;

/// A folder `input` with the given files beside an empty place `out`.
struct Case {
    dir: tempfile::TempDir,
    config: PrepareConfig,
    kind: Kind,
    seq_len: u64,
    system_prompt: Option<String>,
}

impl Case {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = dir.path().join("input").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let config = PrepareConfig {
            input: vec![dir.path().join("input").display().to_string()],
            out: Some(dir.path().join("out")),
            val_fraction: 0.0,
            workers: 2,
            ..PrepareConfig::default()
        };
        Self {
            dir,
            config,
            kind: Kind::Pretrain,
            seq_len: 1024,
            system_prompt: None,
        }
    }

    fn input(mut self, pattern: &str) -> Self {
        self.config.input = vec![
            self.dir
                .path()
                .join("input")
                .join(pattern)
                .display()
                .to_string(),
        ];
        self
    }

    fn out(&self) -> PathBuf {
        self.config.out.clone().unwrap()
    }

    fn run(&self) -> anyhow::Result<serde_json::Value> {
        Ok(prep_data::run_shards(&self.request(None))?.json)
    }

    fn request(&self, inspect: Option<usize>) -> ShardsRequest {
        ShardsRequest {
            tokenizer: TokenizerConfig {
                path: (self.config.vocab_size == 0).then(|| TOKENIZER.to_owned()),
                ..TokenizerConfig::default()
            },
            job: Job {
                kind: self.kind,
                config: self.config.clone(),
                system_prompt: self.system_prompt.clone(),
                seq_len: self.seq_len,
            },
            inspect,
        }
    }

    fn error(&self) -> (String, bool) {
        let error = self.run().unwrap_err();
        (format!("{error:#}"), error.is::<BadRequest>())
    }

    fn tokens(&self, split: Split) -> Vec<i64> {
        let folder = PreparedFolder::open(&self.out(), split, self.kind).unwrap();
        folder
            .shards()
            .iter()
            .flat_map(|shard| shard.read(0, shard.len() as usize))
            .collect()
    }

    /// The documents of a split, as text.
    fn documents(&self, split: Split) -> Vec<String> {
        let tokenizer = Tokenizer::load(Path::new(TOKENIZER)).unwrap();
        let tokens: Vec<u32> = self.tokens(split).into_iter().map(|id| id as u32).collect();
        let documents = tokens.split(|id| i64::from(*id) == SEPARATOR).skip(1);
        documents
            .map(|ids| tokenizer.decode(ids).unwrap())
            .collect()
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entry = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        };
        fs::read_dir(self.out()).unwrap().map(entry).collect()
    }
}

fn jsonl(count: usize) -> Vec<u8> {
    let row = |index| {
        format!(
            "{{\"id\": {index}, \"text\": \"document {index} says {}\"}}\n",
            "hello ".repeat(index % 40)
        )
    };
    (0..count).map(row).collect::<String>().into_bytes()
}

#[test]
fn every_format_gives_its_documents_in_order_unstripped() {
    let case = Case::new(&[
        ("a.txt", b"  first\n"),
        ("b/c.md", b"# second"),
        (
            "d.jsonl",
            b"{\"text\": \"third\", \"n\": 1}\n\n{\"n\": 2, \"text\": \"<|end_of_text|> \"}\r\n",
        ),
        (
            "e.json",
            b" [ {\"text\": \"fifth\"} , {\"text\": \"\"}, {\"text\": \"sixth\\n\"} ] ",
        ),
        ("f.json", b"{\"text\": \"seventh\"}\n"),
        ("g.py", b"not looked at"),
        (".hidden.txt", b"not looked at"),
    ]);
    let summary = case.run().unwrap();
    let expected = [
        "  first\n",
        "# second",
        "third",
        "<|end_of_text|> ",
        "fifth",
        "sixth\n",
        "seventh",
    ];
    assert_eq!(case.documents(Split::Train), expected);
    assert_eq!(summary["documents"], 7);
    assert_eq!(summary["empty_documents"], 1);
    assert_eq!(summary["tokens"], case.tokens(Split::Train).len());
    assert_eq!(case.tokens(Split::Train)[0], SEPARATOR);
}

/// gzip of one and of two members, and Zstandard: the same documents as plain.
#[test]
fn compressed_files_give_what_they_hold() {
    let rows = b"{\"text\": \"one\"}\n{\"text\": \"two\"}\n{\"text\": \"three\"}\n";
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let members = [gzip(&rows[..16]), gzip(&rows[16..])].concat();
    let zstandard = zstd::encode_all(&rows[..], 1).unwrap();
    let text = gzip(b"a whole file");
    let files: [(&str, &[u8]); 4] = [
        ("a.jsonl", rows),
        ("b.jsonl.gz", &members),
        ("c.jsonl.zst", &zstandard),
        ("d.txt.gz", &text),
    ];
    let case = Case::new(&files);
    case.run().unwrap();
    let three = ["one", "two", "three"];
    let expected = [&three[..], &three, &three, &["a whole file"]].concat();
    assert_eq!(case.documents(Split::Train), expected);
    let cut = Case::new(&[("cut.jsonl.gz", &members[..members.len() - 9])]);
    let (message, bad_request) = cut.error();
    assert!(
        !bad_request && message.contains("cut.jsonl.gz"),
        "{message}"
    );
}

#[test]
fn globs_and_explicit_files_of_any_kind_are_text() {
    let files: &[(&str, &[u8])] = &[("x/b.py", b"two"), ("x/a.py", b"one"), ("x/a.txt", b"no")];
    let case = Case::new(files).input("**/*.py");
    case.run().unwrap();
    assert_eq!(case.documents(Split::Train), ["one", "two"]);
    let mut twice = Case::new(files).input("x/b.py");
    twice
        .config
        .input
        .push(twice.dir.path().join("input/x/*.py").display().to_string());
    twice.run().unwrap();
    assert_eq!(twice.documents(Split::Train), ["two", "one"]);
}

#[test]
fn shards_are_what_numpy_saves() {
    let mut case = Case::new(&[("a.jsonl", &jsonl(3))]);
    case.config.shard_tokens = 16;
    case.run().unwrap();
    let tokens = case.tokens(Split::Train);
    let first = &case.files()["data_train_000000.npy"];
    let mut expected =
        b"\x93NUMPY\x01\x00v\x00{'descr': '<u2', 'fortran_order': False, 'shape': (16,), }"
            .to_vec();
    expected.resize(127, b' ');
    expected.push(b'\n');
    expected.extend(
        tokens[..16]
            .iter()
            .flat_map(|id| (*id as u16).to_le_bytes()),
    );
    assert_eq!(first, &expected);
}

#[test]
fn a_document_runs_on_into_the_next_shard_and_the_manifest_counts() {
    let mut case = Case::new(&[("a.jsonl", &jsonl(30))]);
    case.config.shard_tokens = 100;
    case.run().unwrap();
    let manifest = Manifest::read(&case.out()).unwrap().unwrap();
    let split = manifest.split(Split::Train);
    assert_eq!(split.documents, 30);
    assert!(split.shards.len() > 3);
    let (last, full) = split.shards.split_last().unwrap();
    assert!(full.iter().all(|shard| shard.tokens == 100) && last.tokens <= 100);
    assert_eq!(
        split
            .shards
            .iter()
            .map(|shard| shard.documents)
            .sum::<u64>(),
        30
    );
    assert_eq!(
        split.shards.iter().map(|shard| shard.tokens).sum::<u64>(),
        split.tokens
    );
    let starts = case
        .tokens(Split::Train)
        .iter()
        .take(100)
        .filter(|id| **id == SEPARATOR)
        .count();
    assert_eq!(split.shards[0].documents, starts as u64);
    for shard in &split.shards {
        let hash = llama_train::storage::sha256_file(&case.out().join(&shard.file)).unwrap();
        assert_eq!(hash, shard.sha256);
    }
    assert_eq!(manifest.vocab_size, 640);
    assert_eq!(
        manifest.tokenizer_fingerprint,
        Tokenizer::load(&case.out()).unwrap().fingerprint()
    );
    assert!(!case.out().join("preparing.json").exists());
}

#[test]
fn the_standard_library_of_python_is_found() {
    let mut case = Case::new(&[]);
    case.config.input = vec!["python-stdlib".into()];
    case.config.max_documents = 20;
    assert_eq!(case.run().unwrap()["documents"], 20);
    let manifest = fs::read_to_string(case.out().join("manifest.json")).unwrap();
    assert!(
        manifest.contains("/argparse.py")
            && !manifest.contains("/test/")
            && !manifest.contains("site-packages")
    );
}
