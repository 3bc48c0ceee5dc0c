//! `prep-data tokenizer`, and training before preparing.

use super::*;

fn corpus() -> Case {
    Case::new(&[
        ("a.jsonl", &jsonl(500)),
        ("b.txt", include_bytes!("../prepare.rs")),
    ])
}

fn train(case: &Case, out: &str, vocab_size: usize) -> anyhow::Result<PathBuf> {
    let out = case.dir.path().join(out);
    let prepare = case.config.clone();
    prep_data::run_tokenizer(&TokenizerRequest {
        prepare,
        vocab_size,
        out: out.clone(),
    })?;
    Ok(out)
}

#[test]
fn training_again_gives_the_same_bytes_whatever_the_workers() {
    let mut case = corpus();
    let read = |case: &Case, name| {
        fs::read(train(case, name, 700).unwrap().join("tokenizer.json")).unwrap()
    };
    let first = read(&case, "one");
    case.config.workers = 1;
    assert!(first == read(&case, "two"));
}

#[test]
fn the_vocabulary_has_the_size_asked_for_and_ends_in_the_special_tokens() {
    let case = corpus();
    let tokenizer = Tokenizer::load(&train(&case, "t", 500).unwrap()).unwrap();
    assert_eq!(tokenizer.vocab_size(), 500);
    assert_eq!(tokenizer.token_id("<|begin_of_text|>"), Some(494));
    assert_eq!(tokenizer.document_separator().unwrap(), 495);
    assert_eq!(
        tokenizer.token_id("<|reserved_special_token_0|>"),
        Some(499)
    );
    let text = "fn naïve() -> 東京 🙂 { 12345 }\r\n\t don't\0";
    let ids = tokenizer.encode(text).unwrap();
    assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    assert_eq!(
        tokenizer.encode_prompt(text).unwrap(),
        ids,
        "no BOS is added"
    );
    let hello = tokenizer.encode(" hello").unwrap();
    assert_eq!(hello.len(), 1, "a frequent word is one token");
}

#[test]
fn it_is_written_as_a_file_or_a_folder() {
    let case = corpus();
    let file = train(&case, "deep/own.json", 300).unwrap();
    assert_eq!(Tokenizer::load(&file).unwrap().vocab_size(), 300);
    assert!(!file.with_file_name("tokenizer_config.json").exists());
    train(&case, "folder/tokenizer.json", 300).unwrap();
    assert!(
        case.dir
            .path()
            .join("folder/tokenizer_config.json")
            .exists()
    );
}

#[test]
fn preparing_trains_one_and_finds_it_again() {
    let mut case = corpus();
    case.config.vocab_size = 400;
    let made = case.run().unwrap();
    assert_eq!(made["vocab_size"], 400);
    let folder = PreparedFolder::open(&case.out(), Split::Train, case.kind).unwrap();
    let tokenizer = Tokenizer::load(&case.out()).unwrap();
    assert_eq!(
        folder.tokenizer_fingerprint(),
        Some(tokenizer.fingerprint())
    );
    assert_eq!(case.run().unwrap()["already_prepared"], true);
    case.config.vocab_size = 401;
    assert!(
        case.error().0.contains("tokenizer was"),
        "{}",
        case.error().0
    );
}
