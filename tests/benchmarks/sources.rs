//! Where items come from: every format, folders, prepared folders and the Hub, to the same numbers.

use super::*;
use crate::common::stderr_of;
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, StringArray, StructArray};
use arrow_schema::Field;
use parquet::arrow::ArrowWriter;
use std::sync::Arc;

/// Details of these tasks, with their items where `flags` say.
fn details(dir: &Path, tasks: &str, flags: &[&str]) -> Vec<Value> {
    let arguments = ["eval", "--json", "--checkpoint", "model", "--tasks", tasks];
    let arguments = arguments.iter().chain(flags).map(|&flag| flag.to_owned());
    run(dir, &arguments.collect::<Vec<_>>(), 1).1
}

/// A list of texts for each row.
fn lists(rows: &[Vec<String>]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        lists.append_value(row.iter().map(Some));
    }
    Arc::new(lists.finish())
}

/// The rows of ARC as the Hub has them: `choices` is a group of two lists.
fn arc_as_parquet() -> Vec<u8> {
    let rows = lines(&fixture("benchmarks/arc_easy.jsonl"));
    let texts = |field: &str| -> ArrayRef {
        let texts = rows.iter().map(|row| row[field].as_str().unwrap());
        Arc::new(StringArray::from_iter_values(texts))
    };
    let choices = |field: &str| {
        let of = |row: &Value| serde_json::from_value(row["choices"][field].clone()).unwrap();
        lists(&rows.iter().map(of).collect::<Vec<Vec<String>>>())
    };
    let (text, label) = (choices("text"), choices("label"));
    let field = |name: &str, column: &ArrayRef| {
        Arc::new(Field::new(name, column.data_type().clone(), true))
    };
    let group = StructArray::from(vec![
        (field("text", &text), text.clone()),
        (field("label", &label), label.clone()),
    ]);
    let columns = [
        ("question", texts("question")),
        ("choices", Arc::new(group) as ArrayRef),
        ("answerKey", texts("answerKey")),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn every_format_and_folder_gives_the_same_items() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), 1024);
    let expected = details(
        dir.path(),
        "arc_easy,mmlu",
        &[
            "--task-data",
            &items("arc_easy"),
            "--task-data",
            &items("mmlu"),
        ],
    );
    let place = |name: &str| dir.path().join(name);
    fs::write(place("arc.parquet"), arc_as_parquet()).unwrap();
    let rows: Value = lines(&fixture("benchmarks/arc_easy.jsonl")).into();
    fs::create_dir(place("arc")).unwrap();
    fs::write(place("arc/arc_easy-test.json"), rows.to_string()).unwrap();
    fs::write(place("arc/arc_easy-train.json"), "[]").unwrap();
    // One file, whose examples say that they are.
    let example = |mut row: Value| {
        row["split"] = "dev".into();
        row
    };
    let examples = lines(&fixture("benchmarks/mmlu/dev.jsonl"))
        .into_iter()
        .map(example);
    let rows = lines(&fixture("benchmarks/mmlu/test.jsonl"));
    let rows: Vec<String> = rows
        .into_iter()
        .chain(examples)
        .map(|row| row.to_string())
        .collect();
    fs::write(place("mmlu.jsonl"), rows.join("\n")).unwrap();
    for (arc, mmlu) in [
        ("arc_easy=arc.parquet", "mmlu=mmlu.jsonl"),
        ("arc_easy=arc", "mmlu=mmlu.jsonl"),
    ] {
        let found = details(
            dir.path(),
            "arc_easy,mmlu",
            &["--task-data", arc, "--task-data", mmlu],
        );
        assert_eq!(found, expected, "{arc} {mmlu}");
    }
}

#[test]
fn a_prepared_folder_gives_the_same_scores_to_its_own_tokenizer_only() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), 1024);
    let given = ["hellaswag", "mmlu"].map(items);
    let given = given
        .iter()
        .flat_map(|place| ["--task-data", place.as_str()]);
    let given: Vec<&str> = given.collect();
    let expected = details(dir.path(), "hellaswag,mmlu", &given);
    llama_train(dir.path())
        .args([
            "prep-data",
            "eval",
            "--tasks",
            "hellaswag,mmlu",
            "--out",
            "prepared",
        ])
        .args(["--tokenizer", "model"])
        .args(&given)
        .assert()
        .success();
    let prepared = [
        "--task-data",
        "hellaswag=prepared",
        "--task-data",
        "mmlu=prepared",
    ];
    assert_eq!(details(dir.path(), "hellaswag,mmlu", &prepared), expected);
    let manifest = json(&dir.path().join("prepared/manifest.json"));
    assert_eq!(
        (&manifest["kind"], &manifest["tasks"]["mmlu"]["items"]),
        (&"eval".into(), &14.into())
    );

    let refused = |flags: &[&str], message: &str| {
        let outcome = llama_train(dir.path()).args(flags).assert().failure();
        let said = stderr_of(&outcome);
        assert!(said.contains(message), "{said}");
    };
    let eval = [
        "eval",
        "--checkpoint",
        "model",
        "--task-data",
        "piqa=prepared",
        "--tasks",
    ];
    refused(
        &[eval.as_slice(), &["piqa"]].concat(),
        "prepared: holds no piqa; it holds hellaswag, mmlu",
    );
    let loss = [
        "eval",
        "--checkpoint",
        "model",
        "--tasks",
        "loss",
        "--data",
        "prepared",
    ];
    refused(
        &loss,
        "holds benchmarks; score them with llama-train eval --task-data",
    );
    let other = [
        "--set",
        "tokenizer.path=\"tiktoken:r50k_base\"",
        "hellaswag",
    ];
    let eval = [
        "eval",
        "--checkpoint",
        "model",
        "--task-data",
        "hellaswag=prepared",
    ];
    let [set, path, task] = other;
    let eval = [eval.as_slice(), &[set, path, "--tasks", task]].concat();
    refused(&eval, "prepared with another tokenizer than the model's");
    let file = dir.path().join("prepared/mmlu.jsonl");
    let damaged = fs::read_to_string(&file).unwrap().replacen(':', ": ", 1);
    fs::write(file, damaged).unwrap();
    let eval = [
        "eval",
        "--checkpoint",
        "model",
        "--task-data",
        "mmlu=prepared",
        "--tasks",
        "mmlu",
    ];
    refused(&eval, "mmlu.jsonl: damaged");
}

#[test]
fn places_without_items_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), 1024);
    fs::create_dir(dir.path().join("two")).unwrap();
    for name in ["a.jsonl", "b.jsonl"] {
        fs::write(dir.path().join("two").join(name), "{}").unwrap();
    }
    fs::write(dir.path().join("items.txt"), "text").unwrap();
    for (data, message) in [
        (
            "mmlu=nowhere",
            "no such file or folder; leave it out to take cais/mmlu from the Hub",
        ),
        (
            "mmlu=two",
            "two: holds no .jsonl, .json or .parquet file of mmlu's test split",
        ),
        (
            "mmlu=items.txt",
            "items.txt: rows with fields are read from .jsonl",
        ),
        ("mmlu", "--task-data mmlu: expected NAME=PATH"),
        (
            "mmlo=two",
            "there is no task \"mmlo\"; did you mean `mmlu`?",
        ),
        (
            "mmlu=hf://org/name",
            "is a model, and a data set is needed here",
        ),
    ] {
        let outcome = llama_train(dir.path())
            .args([
                "eval",
                "--checkpoint",
                "model",
                "--tasks",
                "mmlu",
                "--task-data",
                data,
            ])
            .assert()
            .code(2);
        let said = stderr_of(&outcome);
        assert!(said.contains(message), "{said}");
    }
}
