//! Every way to encode gives the ids that were recorded, or those of somebody else's code, on any text.

use crate::common::fixture;
use llama_train::config::TokenizerBackend::{Auto, Stable};
use llama_train::tokenizer::Tokenizer;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn load(path: impl AsRef<Path>) -> Tokenizer {
    Tokenizer::load(path.as_ref()).unwrap_or_else(|error| panic!("{error:#}"))
}

/// `vectors/tokenizer`: recorded with tiktoken and with Hugging Face's library.
fn recorded() -> Vec<(String, Vec<u32>)> {
    let text = fs::read_to_string(fixture("tokenizer/expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let case = |case: &Value| {
        let ids = serde_json::from_value(case["ids"].clone()).unwrap();
        (case["text"].as_str().unwrap().to_owned(), ids)
    };
    expected["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(case)
        .collect()
}

/// Scripts, emoji, code and white space, mixed by a seed.
fn mixed(seed: u64) -> String {
    let parts = "The quick brown fox¦ jumps¦ над ленивой собакой¦ 東京は日本の首都です。¦ مرحبا بالعالم¦ 한국어¦ ไทย¦ हिन्दी\
                 ¦👩‍👩‍👧‍👦¦🇩🇪¦é¦e\u{301}¦ 12345678¦ 3.14¦\n¦\n\n¦\r\n¦\t\t¦    ¦ \u{a0}¦\u{2028}¦fn main() { let x = &mut y[0]; }¦ don't\
                 ¦ WE'LL¦_snake_case¦<|eot_id|>¦</s>¦\0¦!!!¦/* x */¦\u{200b}¦ﬁ¦Ⅷ¦½¦٣¦ A¦a";
    let parts: Vec<&str> = parts.split('¦').collect();
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        parts[(state >> 33) as usize % parts.len()]
    };
    (0..120).map(|_| next()).collect()
}

#[test]
fn both_files_and_every_backend_give_the_recorded_ids() {
    for file in ["tokenizer/tokenizer.json", "tokenizer/tokenizer.model"] {
        for backend in [Auto, Stable] {
            let tokenizer = load(fixture(file)).with_backend(backend);
            for (text, ids) in recorded() {
                assert_eq!(
                    tokenizer.encode(&text).unwrap(),
                    ids,
                    "{file}, {backend:?}: {text:?}"
                );
            }
        }
    }
}

/// A `tokenizer.model` and the `tokenizer.json` published beside it are one tokenizer: same ids, names and prompts.
#[test]
fn ranks_become_the_published_file() {
    let (json, ranks) = (
        load(fixture("tokenizer")),
        load(fixture("tokenizer/tokenizer.model")),
    );
    assert_eq!(ranks.fingerprint(), json.fingerprint());
    assert_eq!(
        ranks.encode_prompt("Hello").unwrap(),
        json.encode_prompt("Hello").unwrap()
    );
    assert_eq!(
        ranks.document_separator().unwrap(),
        json.document_separator().unwrap()
    );
    let dir = tempfile::tempdir().unwrap();
    ranks.write_to(dir.path()).unwrap();
    assert_eq!(load(dir.path()).fingerprint(), json.fingerprint());
}

#[test]
fn every_backend_agrees_on_mixed_text() {
    let backends = |path: &Path| [Auto, Stable].map(|backend| load(path).with_backend(backend));
    let [fast, stable] = backends(&fixture("tokenizer/tokenizer.json"));
    let [_, tiktoken] = backends(&fixture("tokenizer/tokenizer.model"));
    for seed in 0..500 {
        let text = mixed(seed);
        let ids = stable.encode(&text).unwrap();
        assert_eq!(fast.encode(&text).unwrap(), ids, "fast: {text:?}");
        assert_eq!(tiktoken.encode(&text).unwrap(), ids, "tiktoken: {text:?}");
        assert_eq!(stable.decode(&ids).unwrap(), text);
    }
}

/// OpenAI's encodings, through the `tokenizer.json` that we make of them, against tiktoken itself.
#[test]
fn embedded_encodings_are_tiktokens() {
    let encodings = [
        ("cl100k_base", tiktoken_rs::cl100k_base_singleton(), 100_277),
        ("o200k_base", tiktoken_rs::o200k_base_singleton(), 200_019),
        ("r50k_base", tiktoken_rs::r50k_base_singleton(), 50_257),
        ("p50k_base", tiktoken_rs::p50k_base_singleton(), 50_281),
    ];
    for (name, reference, vocab_size) in encodings {
        let ours = load(format!("tiktoken:{name}"));
        assert_eq!(ours.vocab_size(), vocab_size, "{name}");
        let end = reference.encode_with_special_tokens("<|endoftext|>")[0];
        assert_eq!(ours.document_separator().unwrap(), end);
        let dir = tempfile::tempdir().unwrap();
        ours.write_to(dir.path()).unwrap();
        let reread = load(dir.path()).with_backend(Stable);
        for seed in 0..40 {
            let text = mixed(seed);
            let ids = reference.encode_ordinary(&text);
            assert_eq!(ours.encode(&text).unwrap(), ids, "{name}: {text:?}");
            assert_eq!(
                reread.encode(&text).unwrap(),
                ids,
                "{name} as tokenizer.json: {text:?}"
            );
        }
    }
}

/// Texts on which tokenizers panic, give up or take quadratic time: all end, and read back.
#[test]
fn pathological_texts_are_encoded_on_every_path() {
    let files = ["tokenizer/tokenizer.json", "tokenizer/tokenizer.model"];
    let tokenizers =
        files.map(|file| [Auto, Stable].map(|backend| load(fixture(file)).with_backend(backend)));
    let million = 1_000_000;
    let texts = [
        String::new(),
        " ".repeat(million),
        "a".repeat(million),
        format!("{}x", "\t ".repeat(million / 2)),
        "\n".repeat(million),
        "ab1!".repeat(2_500_000),
    ];
    for text in texts {
        let [[first, second], [third, fourth]] = tokenizers.each_ref().map(|pair| {
            pair.each_ref()
                .map(|tokenizer| tokenizer.encode(&text).unwrap())
        });
        assert!(
            first == second && second == third && third == fourth,
            "{} bytes",
            text.len()
        );
        assert!(tokenizers[0][0].decode(&first).unwrap() == text);
    }
}

/// The original project's recorded ids, through Meta's own file where this machine has it.
#[test]
fn the_published_llama_3_ranks_give_the_originals_ids() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/llama3-tokenizer.model");
    if !path.exists() {
        eprintln!("skipped: {} is not on this machine", path.display());
        return;
    }
    let golden: [(&str, &[u32]); 8] = [
        ("\n", &[198]),
        ("\n\n", &[271]),
        ("system", &[9125]),
        (
            "\nYou are a helpful AI assistant",
            &[198, 2675, 527, 264, 11190, 15592, 18328],
        ),
        ("Hello world", &[9906, 1917]),
        ("<|eot_id|>", &[27, 91, 68, 354, 851, 91, 29]),
        (
            "I'm 12345  ok\r\n\r\nx",
            &[40, 2846, 220, 4513, 1774, 220, 5509, 881, 87],
        ),
        (
            "A man is sitting on a roof. he",
            &[32, 893, 374, 11961, 389, 264, 15485, 13, 568],
        ),
    ];
    for backend in [Auto, Stable] {
        let tokenizer = load(&path).with_backend(backend);
        assert_eq!(tokenizer.vocab_size(), 128_256);
        assert_eq!(tokenizer.bos(), Some(128_000));
        assert_eq!(tokenizer.stop_tokens(), [128_001, 128_009]);
        for (text, ids) in golden {
            assert_eq!(
                tokenizer.encode(text).unwrap(),
                ids,
                "{backend:?}: {text:?}"
            );
        }
    }
}

#[test]
fn what_is_no_tokenizer_is_refused() {
    let message = |path: &str| format!("{:#}", Tokenizer::load(Path::new(path)).unwrap_err());
    assert!(message("tiktoken:gpt5").contains("the known encodings are cl100k_base, o200k_base"));
    assert!(
        message("/none")
            .contains("no such tokenizer; give a tokenizer.json, a Llama 3 tokenizer.model")
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broken.model");
    fs::write(&path, "IQ== 0\nIg== one\n").unwrap();
    let text = message(path.to_str().unwrap());
    assert!(
        text.contains("broken.model: line 2: expected a base64 token and its rank"),
        "{text}"
    );
}
