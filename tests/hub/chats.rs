//! Conversations and pairs by the names of their data sets.

use super::Case;
use crate::common::fixture;
use serde_json::{Value, json};
use std::fs;

/// The shards of an input: the same as of the same rows in a local file.
fn same_as_local(verb: &str, name: &str, rows: &[Value]) {
    let case = Case::new();
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let files = [
        ("data/train.jsonl", lines.clone().into_bytes()),
        ("data/test.jsonl", b"{}\n".to_vec()),
    ];
    case.hub.commit(&format!("datasets/{name}"), "main", &files);
    fs::write(case.dir.path().join("rows.jsonl"), lines).unwrap();
    let tokenizer = fixture("tokenizer").display().to_string();
    for (input, out) in [
        (format!("hf://datasets/{name}"), "hub"),
        ("rows.jsonl".to_owned(), "local"),
    ] {
        let fixed = [
            "prep-data",
            verb,
            "--tokenizer",
            &tokenizer,
            "--val-fraction",
            "0.3",
        ];
        case.command(&fixed)
            .args(["--input", &input, "--out", out])
            .assert()
            .success();
    }
    let shards = case.shards("hub");
    assert!(
        shards.len() >= 4 && shards == case.shards("local"),
        "{verb}"
    );
    let inspected = case
        .command(&[
            "prep-data",
            verb,
            "--tokenizer",
            &tokenizer,
            "--inspect",
            "1",
            "--json",
        ])
        .args(["--input", &format!("hf://datasets/{name}")])
        .assert()
        .success();
    let said: Value = serde_json::from_slice(&inspected.get_output().stdout).unwrap();
    let origin = said["examples"][0]["origin"].as_str().unwrap();
    assert!(
        origin.starts_with(&format!("hf://datasets/{name}@")) && origin.ends_with("train.jsonl:1"),
        "{origin}"
    );
    assert!(!case.dir.path().join(".llama-train-fetched").exists());
}

#[test]
fn conversations_come_from_the_hub() {
    let turn = |role: &str, content: String| json!({"role": role, "content": content});
    let row = |row: usize| json!({"messages": [turn("user", format!("What is {row}?")), turn("assistant", "A number.".into())]});
    same_as_local(
        "instruct",
        "org/talk",
        &(0..40).map(row).collect::<Vec<_>>(),
    );
}

#[test]
fn pairs_come_from_the_hub() {
    let dialogue =
        |row: usize, answer: &str| format!("\n\nHuman: What is {row}?\n\nAssistant: {answer}");
    let row = |row: usize| json!({"chosen": dialogue(row, "A number."), "rejected": dialogue(row, "No.")});
    same_as_local(
        "preference",
        "org/hh",
        &(0..40).map(row).collect::<Vec<_>>(),
    );
}
