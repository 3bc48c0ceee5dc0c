//! What a run leaves in its folder, and what it takes for a run.

use crate::common::{fixture, llama_train, stderr_of, stream_run};
use crate::runs::run_to_the_end;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn table(path: &Path) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// The shape of the weights, and the learning rate it ends with, stand in config.toml; what was asked for beside it is
/// said not to count.
#[test]
fn the_configuration_is_what_ran() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = stream_run(
        "run",
        &["train.max_steps=4", "model.dim=40", "train.seq_len=32"],
    );
    let first = llama_train(dir.path()).args(&arguments).assert().success();
    let said = stderr_of(&first);
    assert!(said.contains("model.dim = 40 is passed over"), "{said}");
    let run = dir.path().join("runs/run");
    let shape = llama_train::weights::read_config(&fixture("2_train_trace/init")).unwrap();
    for file in ["config.toml", "checkpoints/latest/config.toml"] {
        let config = table(&run.join(file));
        assert_eq!(
            config["model"]["dim"].as_integer(),
            Some(shape.dim),
            "{file}"
        );
        assert_eq!(
            config["model"]["vocab_size"].as_integer(),
            Some(shape.vocab_size)
        );
        assert_eq!(
            config["model"]["max_seq_len"].as_integer(),
            Some(shape.max_seq_len)
        );
    }
    let recorded = fs::read(run.join("checkpoints/latest/config.toml")).unwrap();
    let state = fs::read(run.join("checkpoints/latest/llama_train_state.json")).unwrap();
    let state: Value = serde_json::from_slice(&state).unwrap();
    let hash: String = Sha256::digest(&recorded)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(state["config_hash"], hash.as_str());
    let log = fs::read_to_string(run.join("log.txt")).unwrap();
    assert!(
        log.contains("model.dim = 40 is passed over"),
        "said before there was a folder: {log}"
    );
}

/// Everyone may read what everyone may read elsewhere.
#[test]
fn files_have_the_modes_of_any_new_file() {
    let dir = tempfile::tempdir().unwrap();
    run_to_the_end(dir.path(), &stream_run("run", &["train.max_steps=2"]));
    let usual = dir.path().join("usual");
    fs::write(&usual, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    for entry in fs::read_dir(dir.path().join("runs/run/checkpoints/latest/")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), mode(&usual), "{}", path.display());
    }
}

/// A folder without what makes it complete is no checkpoint.
#[test]
fn an_incomplete_checkpoint_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join("runs/run/checkpoints/step_00000004");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("config.json"), "{}").unwrap();
    let mut arguments = stream_run("run", &["train.max_steps=4"]);
    arguments.extend(["--resume", "latest"].map(str::to_owned));
    let resumed = llama_train(dir.path()).args(&arguments).assert().success();
    let said = stderr_of(&resumed);
    assert!(
        said.contains("no checkpoint yet; starting afresh"),
        "{said}"
    );
    assert!(left.join("model.safetensors").exists());
}

/// A start that failed before its first step may be corrected and given again.
#[test]
fn a_failed_start_is_no_run() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("runs/run/checkpoints")).unwrap();
    fs::write(dir.path().join("runs/run/metrics.jsonl"), "").unwrap();
    run_to_the_end(dir.path(), &stream_run("run", &["train.max_steps=2"]));
}

#[test]
fn a_step_past_the_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut arguments = stream_run("run", &[]);
    arguments.extend(["--start-step", "20"].map(str::to_owned));
    let said = stderr_of(&llama_train(dir.path()).args(&arguments).assert().code(2));
    assert!(
        said.contains("nothing is left to train; raise train.max_steps"),
        "{said}"
    );
    assert!(!dir.path().join("runs").exists());
}

/// Told before it begins: a text that is read too often, and more than the machine holds.
#[test]
fn a_run_that_makes_no_sense_is_told_about() {
    let dir = tempfile::tempdir().unwrap();
    let mut often = stream_run("run", &["train.max_steps=2000"]);
    often.push("--dry-run".to_owned());
    let said = stderr_of(&llama_train(dir.path()).args(&often).assert().success());
    assert!(said.contains("the text is read 100 times over"), "{said}");
    assert!(!said.contains("of this machine's"), "{said}");
    let data = format!("data.path={}", fixture("9_stream/data").display());
    let settings = [
        "model.dim=16384",
        "model.n_layers=200",
        "model.n_heads=128",
        "model.vocab_size=640",
        "train.seq_len=32",
        &data,
    ];
    let settings = settings.into_iter();
    let settings = settings.flat_map(|setting| ["--set", setting]);
    let large = llama_train(dir.path())
        .args(["pretrain", "--dry-run"])
        .args(settings)
        .assert()
        .success();
    let said = stderr_of(&large);
    assert!(said.contains("of this machine's"), "{said}");
}

/// A weights folder without a tokenizer says its special tokens itself; so does what becomes of it.
#[test]
fn special_tokens_outlive_a_missing_tokenizer() {
    let dir = tempfile::tempdir().unwrap();
    let init = dir.path().join("init");
    crate::common::copy_folder(&fixture("2_train_trace/init"), &init);
    let path = init.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["bos_token_id"] = 7.into();
    config["eos_token_id"] = vec![8, 9].into();
    fs::write(&path, config.to_string()).unwrap();
    let setting = format!("model.init_from={}", init.display());
    run_to_the_end(
        dir.path(),
        &stream_run("run", &["train.max_steps=2", &setting]),
    );
    let latest = dir.path().join("runs/run/checkpoints/latest");
    llama_train(dir.path())
        .args(["export", "--out", "exported", "--checkpoint"])
        .arg(&latest)
        .assert()
        .success();
    for folder in [latest, dir.path().join("exported")] {
        let config = fs::read(folder.join("config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["bos_token_id"], 7);
        assert_eq!(config["eos_token_id"], Value::from(vec![8, 9]));
    }
}
