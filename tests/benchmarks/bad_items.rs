//! Items that are too long, too short, or none.

use super::*;
use crate::common::stderr_of;

const GOOD: &str = r#"{"goal":"Open a jar","sol1":"Turn the lid.","sol2":"Sing.","label":0}"#;

/// What is said about these lines of PIQA when the evaluation ends with this code.
fn said(lines: &[&str], max_seq_len: u64, code: i32) -> String {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), max_seq_len);
    fs::write(dir.path().join("items.jsonl"), lines.join("\n")).unwrap();
    let tasks = ["--tasks", "piqa", "--task-data", "piqa=items.jsonl"];
    let details = ["--details", "details.jsonl", "--set", "run.device=cpu"];
    let outcome = llama_train(dir.path())
        .args(["eval", "--checkpoint", "model"])
        .args(tasks)
        .args(details)
        .assert()
        .code(code);
    let details = fs::read_to_string(dir.path().join("details.jsonl")).unwrap_or_default();
    stderr_of(&outcome) + &details
}

#[test]
fn a_row_that_is_none_names_its_line() {
    for (line, code, message) in [
        ("{\"goal\": ", 1, "items.jsonl:2: malformed row: not JSON"),
        (
            "[1]",
            1,
            "items.jsonl:2: malformed row: expected an object, found [1]",
        ),
        (
            r#"{"goal":"x","sol1":"a","sol_2":"b","label":0}"#,
            2,
            "items.jsonl:2: no field `sol2`; found `goal`, `sol1`, `sol_2`, `label`; did you mean `sol_2`?",
        ),
        (
            r#"{"goal":3,"sol1":"a","sol2":"b","label":0}"#,
            1,
            "items.jsonl:2: malformed row: `goal` is no text but 3",
        ),
        (
            r#"{"goal":"x","sol1":"a","sol2":"b","label":2}"#,
            1,
            "items.jsonl:2: malformed row: the right answer is number 2, counted from 0, of 2",
        ),
        (
            r#"{"goal":"x","sol1":"a","sol2":"b","label":"first"}"#,
            1,
            "items.jsonl:2: malformed row: `label` is no number from 0 but \"first\"",
        ),
    ] {
        let said = said(&[GOOD, line, GOOD], 512, code);
        assert!(said.contains(message), "{said}");
    }
    let said = said(&[""], 512, 2);
    assert!(
        said.contains("piqa (eval.task_data.piqa): holds no item"),
        "{said}"
    );
}

#[test]
fn what_is_wrong_with_other_benchmarks_is_said() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), 512);
    for (task, row, message) in [
        (
            "winogrande",
            r#"{"sentence":"No gap.","option1":"a","option2":"b","answer":"1"}"#,
            "`sentence` has no `_` to fill in",
        ),
        (
            "winogrande",
            r#"{"sentence":"A _ gap.","option1":"a","option2":"b","answer":""}"#,
            "`answer` is no number",
        ),
        (
            "arc_easy",
            r#"{"question":"q","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"E"}"#,
            "`answerKey` \"E\" is none of the labels",
        ),
        (
            "arc_easy",
            r#"{"question":"q","choices":{"text":["a","b"]},"answerKey":"A"}"#,
            "no field `choices.label`; found `text`",
        ),
        (
            "mmlu",
            r#"{"question":"q","choices":["a","b","c"],"answer":0,"subject":"x"}"#,
            "`choices` are 3, not 4",
        ),
        (
            "mmlu",
            r#"{"question":"q","choices":["a","b","c","d"],"answer":"B","subject":"x"}"#,
            "mmlu shows 5 solved examples of \"x\" before the question, and there are 0; give --task-data mmlu= a folder",
        ),
    ] {
        fs::write(dir.path().join("items.jsonl"), row).unwrap();
        let data = format!("{task}=items.jsonl");
        let outcome = llama_train(dir.path())
            .args(["eval", "--checkpoint", "model", "--tasks", task])
            .args(["--task-data", &data])
            .assert()
            .failure();
        let said = stderr_of(&outcome);
        assert!(
            said.contains("items.jsonl:1: ") && said.contains(message),
            "{said}"
        );
    }
}

#[test]
fn tokens_that_the_model_does_not_know_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), 512);
    let other = ["--set", "tokenizer.path=\"tiktoken:r50k_base\""];
    let arguments = eval(&["piqa"], &other);
    let outcome = llama_train(dir.path()).args(arguments).assert().code(2);
    let said = stderr_of(&outcome);
    assert!(
        said.contains("is beyond the model's vocabulary of 640"),
        "{said}"
    );
}

/// The beginning goes, as in the harness (whose sums of such items are in `expected.json`); an answer is never cut.
#[test]
fn an_item_longer_than_the_model_reads_loses_its_beginning() {
    let long = GOOD.replace("Open a jar", &"Open a jar of plums. ".repeat(9));
    let found = said(&[GOOD, &long], 64, 0);
    let warning = "piqa: 1 of 2 items are longer than the 64 tokens that the model reads";
    assert!(found.contains(warning), "{found}");
    let answer = GOOD.replace("Sing.", &"Sing a song. ".repeat(30));
    let found = said(&[GOOD, &answer], 64, 2);
    assert!(found.contains("items.jsonl:2: answer 2 has "), "{found}");
    assert!(
        found.contains("the model reads at most 64 (max_seq_len)"),
        "{found}"
    );
}

/// Its blank is scored like any token; per character it is never the best, as nothing is divided by nothing.
#[test]
fn an_empty_answer_is_scored_by_its_blank() {
    let empty = GOOD.replace("Turn the lid.", "");
    let found = said(&[&empty], 512, 0);
    let item: Value = serde_json::from_str(found.lines().last().unwrap()).unwrap();
    let ending = &item["endings"][0];
    assert_eq!(
        (&ending["num_tokens"], &ending["num_chars"]),
        (&1.into(), &0.into())
    );
    assert!(ending["sum_logprob"].as_f64().unwrap() < -1.0);
    assert_eq!((&item["pred"], &item["pred_norm"]), (&0.into(), &1.into()));
}
