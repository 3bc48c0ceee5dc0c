//! What several sources say together: env files, entries of tables, flags over keys; and the words for what is wrong.

use crate::common::{fixture, llama_train, stderr_of};
use llama_train::config::{Assignment, Config, RopeScaling, Sources};
use std::fs;
use std::path::Path;

/// The configuration of a TOML file, an env file and `--set`.
fn load(toml: &str, env: &str, settings: &[&str]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let (file, env_file) = (dir.path().join("c.toml"), dir.path().join("env"));
    fs::write(&file, toml).unwrap();
    fs::write(&env_file, env).unwrap();
    let assignment = |setting: &&str| {
        let (key, value) = setting.split_once('=').unwrap();
        Assignment {
            origin: format!("--set {setting}"),
            key: key.to_owned(),
            value: Some(value.to_owned()),
        }
    };
    let sources = Sources {
        file: Some(file),
        env_file: Some(env_file),
        assignments: settings.iter().map(assignment).collect(),
        ..Sources::default()
    };
    Config::load(&sources).map_err(|error| format!("{error:#}"))
}

/// Every mistake of an env file is told beside the others, by its line and name alone.
#[test]
fn a_secret_is_not_printed_where_its_line_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let env = "HF_TOKEN=\"hf_sesame\nNAME\nWANDB_API_KEY='it\\'s sesame'\nLLAMA_TRAIN__OPTIM__MAX_LR=fast\n";
    fs::write(dir.path().join(".env"), env).unwrap();
    let refused = llama_train(dir.path()).arg("pretrain").assert().code(2);
    let message = stderr_of(&refused);
    for part in [
        "3 mistakes",
        ".env:1: HF_TOKEN: cannot be read; close the quote",
        ".env:3: WANDB_API_KEY: cannot be read",
        ".env:4: optim.max_lr: ",
    ] {
        assert!(message.contains(part), "missing: {part}\n{message}");
    }
    assert!(!message.contains("sesame"), "{message}");
}

#[test]
fn entries_of_a_table_come_from_any_source_in_any_order() {
    let all = [
        "model.rope_scaling.original_max_position_embeddings=8192",
        "model.rope_scaling.high_freq_factor=4.0",
        "model.rope_scaling.low_freq_factor=1.0",
        "model.rope_scaling.factor=8",
    ];
    let scaling = |toml, env, settings: &[&str]| load(toml, env, settings).unwrap().model;
    let alone = scaling("", "", &all);
    assert_eq!(alone.rope_scaling, Some(RopeScaling::llama3(8.0)));
    let toml = "[model.rope_scaling]\nfactor = 32.0\n";
    let env = "LLAMA_TRAIN__MODEL__ROPE_SCALING__LOW_FREQ_FACTOR=1.0\n";
    let together = scaling(toml, env, &all[..2]);
    assert_eq!(together.rope_scaling, Some(RopeScaling::llama3(32.0)));
    let stronger = scaling(toml, env, &[all[3], all[1], all[0]]);
    assert_eq!(stronger.rope_scaling, Some(RopeScaling::llama3(8.0)));
    let whole = "model.rope_scaling={factor=2.0, low_freq_factor=1.0, high_freq_factor=4.0, \
                 original_max_position_embeddings=8192}";
    let replaced = scaling(toml, env, &[whole]);
    assert_eq!(replaced.rope_scaling, Some(RopeScaling::llama3(2.0)));
    let env = "LLAMA_TRAIN__EVAL__TASK_DATA__HELLASWAG=x\n";
    let data = load("", env, &["eval.task_data.piqa=y"]).unwrap();
    let data = data.eval.task_data;
    assert_eq!(data["hellaswag"], Path::new("x"));
    assert_eq!(data["piqa"], Path::new("y"));
}

#[test]
fn an_entry_that_is_missing_or_unknown_is_named() {
    let refused = |setting: &str| load("", "", &[setting]).unwrap_err();
    let missing = refused("model.rope_scaling.factor=8.0");
    let expected = "--set model.rope_scaling.factor=8.0: model.rope_scaling: `low_freq_factor` is missing; set \
                    model.rope_scaling.low_freq_factor as well";
    assert_eq!(missing, expected);
    let unknown = refused("model.rope_scaling.facto=8.0");
    assert!(
        unknown.contains("model.rope_scaling.facto: unknown field `facto`"),
        "{unknown}"
    );
}

#[test]
fn what_is_expected_is_said_in_words() {
    let largest = "whole numbers go up to 9223372036854775807";
    for (setting, words) in [
        (
            "lora.target_modules=wq",
            "string \"wq\" found, expected a list, as [\"wq\", \"wk\"]",
        ),
        (
            "optim.betas=[0.9, 0.95, 0.99]",
            "optim.betas: 3 values found, expected fewer",
        ),
        ("optim.betas=0.9", "expected 2 numbers, as [0.9, 0.95]"),
        (
            "model.rope_scaling=8",
            "integer `8` found, expected a table, as { factor = 8.0",
        ),
        ("eval.task_data=8", "integer `8` found, expected a table"),
        ("run.seed=18446744073709551615", largest),
        (
            "data.prefetch=100000",
            "data.prefetch: 100000 batches are too many to read ahead; set 1024 or less",
        ),
    ] {
        let message = load("", "", &[setting]).unwrap_err();
        assert!(message.contains(words), "{setting}: {message}");
    }
    let message = load("[run]\nseed = 18446744073709551615\n", "", &[]).unwrap_err();
    assert!(
        message.contains("c.toml:2: run.seed: ") && message.contains(largest),
        "{message}"
    );
}

/// What a flag takes the place of does not count, wherever it was set.
#[test]
fn flags_win_over_the_keys_that_they_replace() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    let rows: String = (0..40)
        .map(|row| format!("{{\"text\": \"row {row}\"}}\n"))
        .collect();
    write("a.jsonl", &rows);
    write(
        "mix.toml",
        "[[source]]\ninput = [\"a.jsonl\"]\nweight = 1.0\n",
    );
    let prepare = |out: &str, keys: &str, flags: &[&str]| {
        write("c.toml", &format!("[prepare]\n{keys}\n"));
        let run = llama_train(dir.path())
            .args(["prep-data", "pretrain", "--config", "c.toml", "--json"])
            .args(["--out", out, "--tokenizer"])
            .arg(fixture("tokenizer"))
            .args(flags)
            .assert()
            .success();
        let said: serde_json::Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
        assert_eq!(said["documents"], 40, "{said}");
        said["val"]["tokens"].as_u64().unwrap()
    };
    let input = "mix = \"none.toml\"\nval_tokens = 1000000";
    let by_fraction = ["--input", "a.jsonl", "--val-fraction", "0.5"];
    assert!(prepare("one", input, &by_fraction) > 30);
    let mix = "input = [\"none.txt\"]\nval_fraction = 0.5";
    let by_tokens = ["--mix", "mix.toml", "--val-tokens", "10"];
    assert!((10..20).contains(&prepare("two", mix, &by_tokens)));
}
