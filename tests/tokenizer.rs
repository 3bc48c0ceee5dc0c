//! The tokenizer against ids that tiktoken and Hugging Face's `tokenizers` recorded.

use llama_train::{config::BadRequest, tokenizer::Tokenizer};
use serde_json::{Map, Value};
use std::{fs, path::Path, thread};

const FIXTURE: &str = "tests/fixtures/tokenizer";

fn fixture() -> Tokenizer {
    Tokenizer::load(Path::new(FIXTURE)).unwrap()
}

fn expected() -> Value {
    serde_json::from_slice(&fs::read(format!("{FIXTURE}/expected.json")).unwrap()).unwrap()
}

fn cases() -> Vec<(String, Vec<u32>)> {
    let case = |case: &Value| {
        (
            case["text"].as_str().unwrap().to_owned(),
            serde_json::from_value(case["ids"].clone()).unwrap(),
        )
    };
    expected()["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(case)
        .collect()
}

fn json() -> Value {
    serde_json::from_slice(&fs::read(format!("{FIXTURE}/tokenizer.json")).unwrap()).unwrap()
}

/// A folder with a changed `tokenizer.json` and, unless empty, a `tokenizer_config.json`.
fn folder(json: &Value, config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tokenizer.json"), json.to_string()).unwrap();
    if !config.is_empty() {
        fs::write(dir.path().join("tokenizer_config.json"), config).unwrap();
    }
    dir
}

#[test]
fn ids_and_texts_are_the_recorded_ones() {
    let tokenizer = fixture();
    assert_eq!(tokenizer.vocab_size(), 640);
    let cases = cases();
    assert!(cases.len() >= 8);
    for (text, ids) in cases {
        assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
}

#[test]
fn many_threads_may_encode_at_once() {
    let (tokenizer, cases) = (fixture(), cases());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (text, ids) in &cases {
                    assert_eq!(&tokenizer.encode(text).unwrap(), ids);
                }
            });
        }
    });
}

#[test]
fn names_of_special_tokens_in_text_are_text() {
    let tokenizer = fixture();
    let first_special = expected()["base_vocab"].as_u64().unwrap() as u32;
    for text in ["<|eot_id|>", "a<|begin_of_text|>b <|end_of_text|>"] {
        for ids in [
            tokenizer.encode(text).unwrap(),
            tokenizer.encode_prompt(text).unwrap()[1..].to_vec(),
        ] {
            assert!(ids.iter().all(|id| *id < first_special), "{text}: {ids:?}");
            assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        }
    }
}

#[test]
fn a_prompt_begins_as_the_tokenizer_says() {
    let tokenizer = fixture();
    let ids = tokenizer.encode("Hello").unwrap();
    let prompt = tokenizer.encode_prompt("Hello").unwrap();
    assert_eq!(prompt[0], tokenizer.bos().unwrap());
    assert_eq!(prompt[1..], ids);
    assert_eq!(tokenizer.decode(&prompt).unwrap(), "<|begin_of_text|>Hello");
}

#[test]
fn truncation_saved_in_the_file_does_not_cut_documents() {
    let mut json = json();
    json["truncation"] = serde_json::json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    let tokenizer = Tokenizer::load(folder(&json, "").path()).unwrap();
    let (text, ids) = &cases()[0];
    assert_eq!(&tokenizer.encode(text).unwrap(), ids);
}

#[test]
fn special_tokens_play_their_roles() {
    let special = |name: &str| expected()["special_ids"][name].as_u64().unwrap() as u32;
    let (end_of_text, eot) = (special("<|end_of_text|>"), special("<|eot_id|>"));
    let tokenizer = fixture(); // its eos_token is <|eot_id|>, as an instruct model's
    assert_eq!(tokenizer.document_separator().unwrap(), end_of_text);
    assert_eq!(tokenizer.bos(), Some(special("<|begin_of_text|>")));
    assert_eq!(tokenizer.stop_tokens(), [end_of_text, eot]);
}

/// The fixture with other names for Llama 3's special tokens.
fn renamed() -> Value {
    let text = json().to_string();
    text.replace("<|end_of_text|>", "</s>")
        .replace("<|eot_id|>", "<end>")
        .parse()
        .unwrap()
}

#[test]
fn eos_token_separates_documents_where_llama_3_names_are_missing() {
    let plain = folder(&renamed(), r#"{"eos_token": "</s>"}"#);
    let tokenizer = Tokenizer::load(plain.path()).unwrap();
    assert_eq!(tokenizer.document_separator().unwrap(), 385);
    assert_eq!(tokenizer.stop_tokens(), [385]);
    let object = folder(
        &renamed(),
        r#"{"eos_token": {"content": "<end>", "lstrip": false}}"#,
    );
    assert_eq!(
        Tokenizer::load(object.path())
            .unwrap()
            .document_separator()
            .unwrap(),
        393
    );
    let map = folder(&renamed(), "");
    fs::write(
        map.path().join("special_tokens_map.json"),
        r#"{"eos_token": "</s>"}"#,
    )
    .unwrap();
    assert_eq!(
        Tokenizer::load(map.path())
            .unwrap()
            .document_separator()
            .unwrap(),
        385
    );
    let generation = folder(&renamed(), "");
    fs::write(
        generation.path().join("generation_config.json"),
        r#"{"eos_token_id": [393, 385]}"#,
    )
    .unwrap();
    let tokenizer = Tokenizer::load(generation.path()).unwrap();
    assert_eq!(tokenizer.document_separator().unwrap(), 393);
    assert_eq!(tokenizer.stop_tokens(), [385, 393]);
}

#[test]
fn a_tokenizer_without_eos_is_refused_with_the_remedy() {
    let dir = folder(&renamed(), "");
    let error = Tokenizer::load(dir.path())
        .unwrap()
        .document_separator()
        .unwrap_err();
    assert!(error.is::<BadRequest>());
    assert!(
        error
            .to_string()
            .contains("tokenizer_config.json with \"eos_token\""),
        "{error}"
    );
}

fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .rev()
                .map(|(k, v)| (k.clone(), reversed(v)))
                .collect::<Map<_, _>>(),
        ),
        other => other.clone(),
    }
}

#[test]
fn the_fingerprint_is_the_vocabularys_not_the_files() {
    let fingerprint = |json: &Value| {
        Tokenizer::load(folder(json, "").path())
            .unwrap()
            .fingerprint()
            .to_owned()
    };
    let original = fixture().fingerprint().to_owned();
    let mut resaved = reversed(&json());
    let merges = resaved["model"]["merges"].as_array_mut().unwrap();
    for merge in merges {
        // The older way to write a merge.
        *merge = format!(
            "{} {}",
            merge[0].as_str().unwrap(),
            merge[1].as_str().unwrap()
        )
        .into();
    }
    assert_eq!(fingerprint(&resaved), original);
    let mut swapped = json();
    let vocabulary = swapped["model"]["vocab"].as_object_mut().unwrap();
    (vocabulary["a"], vocabulary["b"]) = (vocabulary["b"].clone(), vocabulary["a"].clone());
    assert_ne!(fingerprint(&swapped), original);
    assert_ne!(fingerprint(&renamed()), original);
}

#[test]
fn files_are_passed_on_as_they_were_and_the_config_is_made_where_missing() {
    let out = tempfile::tempdir().unwrap();
    fixture().write_to(out.path()).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        assert_eq!(
            fs::read(out.path().join(name)).unwrap(),
            fs::read(Path::new(FIXTURE).join(name)).unwrap()
        );
    }
    let out = tempfile::tempdir().unwrap();
    Tokenizer::load(folder(&json(), "").path())
        .unwrap()
        .write_to(out.path())
        .unwrap();
    let config = fs::read(out.path().join("tokenizer_config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["tokenizer_class"], "PreTrainedTokenizerFast");
    assert_eq!(config["bos_token"], "<|begin_of_text|>");
    assert_eq!(config["eos_token"], "<|end_of_text|>");
    assert_eq!(config["pad_token"], "<|reserved_special_token_0|>");
}

#[test]
fn a_missing_or_foreign_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Tokenizer::load(dir.path()).unwrap_err();
    assert!(missing.is::<BadRequest>());
    assert!(
        format!("{missing:#}").contains("tokenizer.json: no such tokenizer"),
        "{missing:#}"
    );
    let foreign = dir.path().join("tokenizer.json");
    fs::write(&foreign, "[]").unwrap();
    let error = Tokenizer::load(&foreign).unwrap_err();
    assert!(!error.is::<BadRequest>());
    let message = format!("{error:#}");
    assert!(
        message.starts_with(&foreign.display().to_string()),
        "{message}"
    );
    assert!(message.contains("not a tokenizer.json"), "{message}");
}
