//! Benchmarks by the names of their data sets, fetched once.

use super::{Case, read};
use serde_json::Value;

const CARD: &str = "---\nconfigs:\n- config_name: all\n  data_files:\n  - split: test\n    path: all/test.jsonl\n  - \
                    split: dev\n    path: all/dev.jsonl\n- config_name: anatomy\n  data_files:\n  - split: test\n    path: \
                    anatomy/test.jsonl\n---\n";

#[test]
fn items_come_from_the_benchmarks_own_data_sets() {
    let case = Case::with_model();
    let hellaswag = read("benchmarks/hellaswag.jsonl");
    let files = [
        ("data/train.jsonl", b"{}".to_vec()),
        ("data/validation.jsonl", hellaswag),
    ];
    case.hub.commit("datasets/Rowan/hellaswag", "main", &files);
    let files = [
        ("README.md", CARD.into()),
        ("all/test.jsonl", read("benchmarks/mmlu/test.jsonl")),
        ("all/dev.jsonl", read("benchmarks/mmlu/dev.jsonl")),
        ("anatomy/test.jsonl", b"{}".to_vec()),
    ];
    case.hub.commit("datasets/cais/mmlu", "main", &files);
    let eval = ["eval", "--json", "--checkpoint", "hf://org/tiny", "--tasks"];
    let scored = |data: &[&str]| -> Value {
        let mut command = case.command(&[eval.as_slice(), &["hellaswag,mmlu"], data].concat());
        let outcome = command.assert().success();
        serde_json::from_slice(&outcome.get_output().stdout).unwrap()
    };
    let from_hub = scored(&[]);
    assert_eq!(
        (&from_hub["hellaswag"]["n"], &from_hub["mmlu"]["n"]),
        (&13.into(), &14.into())
    );
    let [rows, folder] = ["hellaswag.jsonl", "mmlu"].map(|name| {
        crate::common::fixture("benchmarks")
            .join(name)
            .display()
            .to_string()
    });
    let [rows, folder] = [format!("hellaswag={rows}"), format!("mmlu={folder}")];
    assert_eq!(
        scored(&["--task-data", &rows, "--task-data", &folder]),
        from_hub
    );
    let named = ["--task-data", "hellaswag=hf://datasets/Rowan/hellaswag"];
    assert_eq!(scored(&named), from_hub);
    let other = [
        "--task-data",
        "hellaswag=hf://datasets/Rowan/hellaswag:default/test",
    ];
    let command = case.command(&[eval.as_slice(), &["hellaswag"], &other].concat());
    let said = case.said(command, 1);
    assert!(
        said.contains("has no split `test`; there are train, validation"),
        "{said}"
    );
}
