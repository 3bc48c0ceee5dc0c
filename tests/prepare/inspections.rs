//! `--inspect`: what would be trained on, before anything is written.

use super::*;
use crate::common::{fixture, llama_train};
use serde_json::{Value, json};

/// What the command prints, with the first examples of this file.
fn inspect(verb: &str, rows: &str, more: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.jsonl"), rows).unwrap();
    let tokenizer = fixture("tokenizer").display().to_string();
    let run = llama_train(dir.path())
        .args([
            "prep-data",
            verb,
            "--input",
            "a.jsonl",
            "--tokenizer",
            &tokenizer,
        ])
        .args(more)
        .assert()
        .success();
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing is written"
    );
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

#[test]
fn what_is_trained_on_is_in_brackets_where_there_are_no_colours() {
    let rows = fs::read_to_string(fixture("9_stream/conversations.jsonl")).unwrap();
    let text = inspect("instruct", &rows, &["--inspect", "2"]);
    let first = "a.jsonl:1: 39 tokens, 5 trained on\n<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n\
                 What is the capital of France?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n⟦Paris.<|eot_id|>⟧\n";
    assert!(text.starts_with(first), "{text}");
    assert!(
        text.contains("a.jsonl:2: ")
            && text.contains("⟦5<|eot_id|>⟧")
            && text.contains("⟦15<|eot_id|>⟧"),
        "{text}"
    );
    assert!(!text.contains("a.jsonl:3"), "{text}");
}

#[test]
fn as_json_it_has_the_ids_and_the_mask() {
    let rows = fs::read_to_string(fixture("9_stream/conversations.jsonl")).unwrap();
    let rows = format!(
        "{}\n{rows}",
        json!({"messages": [{"role": "user", "content": "no answer"}]})
    );
    let said: Value =
        serde_json::from_str(&inspect("instruct", &rows, &["--inspect", "1", "--json"])).unwrap();
    let expected = fs::read_to_string(fixture("7_chat/expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let examples = said["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 2);
    assert_eq!(examples[0]["left_out"], "there is nothing to learn from it");
    for key in ["input_ids", "loss_mask"] {
        assert_eq!(examples[1][key], expected[0][key]);
    }
    assert_eq!(
        examples[1]["parts"][1],
        json!({"part": "trained", "text": "Paris.<|eot_id|>"})
    );
}

#[test]
fn a_pair_has_three_parts() {
    let row = json!({"prompt": "Who?", "chosen": "Me.", "rejected": "You!"}).to_string();
    let text = inspect("preference", &row, &["--inspect", "5"]);
    assert!(
        text.contains("prompt: <|begin_of_text|>")
            && text.contains("\nchosen: Me.<|eot_id|>\nrejected: You!<|eot_id|>\n"),
        "{text}"
    );
    let said: Value =
        serde_json::from_str(&inspect("preference", &row, &["--inspect", "5", "--json"])).unwrap();
    assert_eq!(said["examples"][0]["chosen_ids"], json!([44, 68, 13, 393]));
}

/// On a terminal parts are told by colours.
#[test]
fn colours_are_for_people() {
    let case = Case::conversations(&[json!({"prompt": "Who?", "completion": "Me."})]);
    let request = case.request(None);
    let tokenizer = Tokenizer::load(Path::new(TOKENIZER)).unwrap();
    let examples = llama_train::prepare::inspect(&request.job, &tokenizer, &case.out(), 1).unwrap();
    let text = examples[0].text(llama_train::prepare::Marks::Colours);
    assert!(
        text.contains("\u{1b}[32mMe.<|eot_id|>\u{1b}[0m")
            && text.contains("\u{1b}[2m<|begin_of_text|>"),
        "{text:?}"
    );
}
