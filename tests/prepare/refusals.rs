//! What is refused, and what is left alone: each with its message.

use super::*;

#[test]
fn malformed_rows_are_named_and_skipped_up_to_the_limit() {
    let rows = b"{\"text\": \"good\"}\n{\"text\": 5}\nnot json\n{\"text\": \"\xff\"}\n{\"text\": \"good too\"}\n";
    let mut case = Case::new(&[("a.jsonl", rows), ("b.txt", b"\xff\xfe")]);
    let (message, bad_request) = case.error();
    assert!(
        message.contains("a.jsonl:2: malformed row: `text` is no string but 5"),
        "{message}"
    );
    assert!(message.contains("--max-bad-rows"), "{message}");
    assert!(!bad_request);
    case.config.max_bad_rows = 1;
    assert!(
        case.error()
            .0
            .contains("a.jsonl:3: malformed row: not JSON"),
        "{}",
        case.error().0
    );
    case.config.max_bad_rows = 2;
    assert!(
        case.error().0.contains("a.jsonl:4: malformed row"),
        "{}",
        case.error().0
    );
    case.config.max_bad_rows = 3;
    assert!(
        case.error()
            .0
            .contains("b.txt: malformed row: not UTF-8 text (byte 0)"),
        "{}",
        case.error().0
    );
    case.config.max_bad_rows = 4;
    assert_eq!(case.run().unwrap()["bad_rows"], 4);
    assert_eq!(case.documents(Split::Train), ["good", "good too"]);
}

#[test]
fn a_missing_field_names_those_that_exist() {
    let rows = b"{\"content\": \"x\", \"url\": \"y\", \"Texts\": \"z\"}\n";
    let (message, bad_request) = Case::new(&[("a.jsonl", rows)]).error();
    assert!(bad_request, "{message}");
    assert!(message.contains("a.jsonl:1: no field `text`"), "{message}");
    assert!(
        message.contains("found `content`, `url`, `Texts`; did you mean `Texts`?"),
        "{message}"
    );
}

#[test]
fn broken_json_arrays_are_named() {
    for (json, reason) in [
        (&b"[{\"text\": \"a\"}, {\"text\" \"b\"}]"[..], "row 2"),
        (b"[{\"text\": \"a\"}", "ends too early"),
        (b"[1, 2]", "expected an object, found `1`"),
        (b"", "ends too early"),
    ] {
        let (message, bad_request) = Case::new(&[("a.json", json)]).error();
        assert!(
            message.contains("a.json: not JSON, row") && message.contains(reason),
            "{message}"
        );
        assert!(!bad_request);
    }
}

#[test]
fn wrong_requests_are_refused_with_the_remedy() {
    let refused = |change: &dyn Fn(&mut PrepareConfig), expected: &str| {
        let mut case = Case::new(&[("a.txt", b"text")]);
        change(&mut case.config);
        let (message, bad_request) = case.error();
        assert!(bad_request && message.contains(expected), "{message}");
    };
    refused(&|config| config.input.clear(), "--input");
    refused(
        &|config| config.input = vec!["/no/such/file".into()],
        "/no/such/file: no such file or folder",
    );
    refused(
        &|config| config.input = vec!["/no/such/*.txt".into()],
        "the glob matches no file",
    );
    refused(
        &|config| config.input = vec!["tests/fixtures/9_stream/data".into()],
        "holds no .txt, .md, .jsonl, .json (also .gz, .zst) or .parquet",
    );
    refused(&|config| config.out = None, "--out");
    refused(&|config| config.val_fraction = 1.0, "val_fraction");
    refused(&|config| config.val_fraction = f64::NAN, "val_fraction");
    refused(&|config| config.shard_tokens = 0, "shard_tokens");
    refused(&|config| config.prefix = "a/b".into(), "prefix");
    refused(
        &|config| config.vocab_size = 200,
        "a vocabulary of 200 is too small",
    );
    let prepare = Case::new(&[("a.txt", b"text")]).config;
    let error = prep_data::run_shards(&ShardsRequest {
        job: Job::pretrain(prepare),
        tokenizer: TokenizerConfig::default(),
        inspect: None,
    })
    .unwrap_err();
    assert!(error.to_string().contains("--tokenizer"), "{error}");
}

#[test]
fn an_empty_corpus_says_where_it_looked() {
    for vocab_size in [0, 300] {
        let mut case = Case::new(&[("a.txt", b""), ("b.jsonl", b"\n\n"), ("c.json", b"[]")]);
        case.config.vocab_size = vocab_size;
        let (message, bad_request) = case.error();
        assert!(
            bad_request && message.contains("no text in") && message.contains("3 files"),
            "{message}"
        );
        assert!(Manifest::read(&case.out()).unwrap().is_none());
    }
}

#[test]
fn the_same_request_again_does_nothing_and_another_is_refused() {
    let mut case = Case::new(&[("a.jsonl", &jsonl(50))]);
    assert_eq!(case.run().unwrap()["already_prepared"], false);
    let before = case.files();
    let modified = |case: &Case| {
        fs::metadata(case.out().join("manifest.json"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let time = modified(&case);
    case.config.workers = 1;
    let again = case.run().unwrap();
    assert_eq!(
        (&again["already_prepared"], &again["documents"]),
        (&true.into(), &50.into())
    );
    assert_eq!((case.files(), modified(&case)), (before, time));
    case.config.seed = 43;
    let (message, bad_request) = case.error();
    assert!(
        bad_request && message.contains("seed was 42, is 43") && message.contains("--out"),
        "{message}"
    );
    case.config.seed = 42;
    fs::write(case.dir.path().join("input/b.txt"), "more").unwrap();
    assert!(case.error().0.contains("input files"), "{}", case.error().0);
}

#[test]
fn an_output_folder_within_the_input_is_not_read_back() {
    let mut case = Case::new(&[
        ("a.txt", b"text"),
        ("deep/tokenizer.json", b"{\"text\": \"no tokenizer\"}"),
    ]);
    case.config.out = Some(case.dir.path().join("input"));
    case.run().unwrap();
    assert_eq!(case.documents(Split::Train), ["text", "no tokenizer"]);
    assert_eq!(case.run().unwrap()["already_prepared"], true);
}

#[test]
fn an_unfinished_folder_is_started_over_and_a_foreign_one_left_alone() {
    let mut case = Case::new(&[("a.jsonl", &jsonl(50))]);
    case.config.shard_tokens = 64;
    case.run().unwrap();
    let whole = case.files();
    let manifest: serde_json::Value = serde_json::from_slice(&whole["manifest.json"]).unwrap();
    fs::write(
        case.out().join("preparing.json"),
        serde_json::json!({"request": manifest["request"], "reached": null}).to_string(),
    )
    .unwrap();
    fs::remove_file(case.out().join("manifest.json")).unwrap();
    fs::write(case.out().join("data_val_000009.npy"), "left over").unwrap();
    case.run().unwrap();
    assert_eq!(case.files(), whole);
    fs::remove_file(case.out().join("manifest.json")).unwrap();
    let (message, bad_request) = case.error();
    assert!(
        bad_request && message.contains("data_train_000000.npy: would be overwritten"),
        "{message}"
    );
}

/// As a request that is wrong, before anything is trained or written.
#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let mut case = Case::new(&[("a.txt", b"text")]);
    let file = case.dir.path().join("input/a.txt");
    for (out, said) in [
        (PathBuf::from("/proc/out"), "/proc/out: cannot create"),
        (file.clone(), "a.txt: this is a file; name a folder"),
        (file.join("out"), "out: this lies below a file"),
    ] {
        case.config.out = Some(out.clone());
        let tokenizer = prep_data::run_tokenizer(&TokenizerRequest {
            prepare: case.config.clone(),
            vocab_size: 300,
            out,
        });
        for error in [case.run().unwrap_err(), tokenizer.unwrap_err()] {
            let message = format!("{error:#}");
            assert!(
                error.is::<BadRequest>() && message.contains(said),
                "{message}"
            );
        }
    }
    assert_eq!(fs::read(file).unwrap(), b"text");
}
