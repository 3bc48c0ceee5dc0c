//! Models below adapters, by the names that others find them by.

use super::models::fetched;
use super::{Case, read};
use crate::common::fixture;
use serde_json::Value;
use std::fs;

fn with_base() -> Case {
    let case = Case::new();
    let model = ["config.json", "model.safetensors"];
    let model = model.map(|file| (file, read(format!("1_checkpoints/b_gqa_tied/{file}"))));
    case.hub.commit("models/org/base", "main", &model);
    case.hub.commit("models/org/base", "v1", &model);
    case
}

/// Arguments of a short run that adapts the model of the Hub.
fn adapt(more: &[&str]) -> Vec<String> {
    let data = format!("data.path=\"{}\"", fixture("9_stream/data").display());
    let settings = [
        data.as_str(),
        "train.seq_len=32",
        "train.max_steps=1",
        "lora.enabled=true",
        "run.device=cpu",
    ];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let start = ["pretrain", "--init-from", "hf://org/base@v1"];
    let all = start
        .into_iter()
        .chain(settings)
        .chain(more.iter().copied());
    all.map(str::to_owned).collect()
}

#[test]
fn an_adapter_names_its_model_on_the_hub_and_finds_it_there() {
    let case = with_base();
    let arguments = adapt(&[]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    case.command(&arguments).assert().success();
    let checkpoint = case.dir.path().join("runs/llama/checkpoints/latest");
    let config = fs::read(checkpoint.join("adapter_config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["base_model_name_or_path"], "org/base");
    assert_eq!(config["revision"], "v1");
    // On a machine that has never seen the model, it is fetched.
    fs::remove_dir_all(case.home()).unwrap();
    let checkpoint = checkpoint.display().to_string();
    case.export(&checkpoint).assert().success();
    let merged = case.export(&checkpoint).arg("--merge-lora").assert();
    merged.success();
    // And a resumed run goes on naming it.
    let more = adapt(&["--resume", "--set", "train.max_steps=2"]);
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    case.command(&more).assert().success();
    let resumed = case
        .dir
        .path()
        .join("runs/llama/checkpoints/latest/adapter_config.json");
    assert_eq!(
        serde_json::from_slice::<Value>(&fs::read(resumed).unwrap()).unwrap(),
        config
    );
}

#[test]
fn an_adapter_whose_model_is_nowhere_says_so() {
    let case = Case::new();
    let dir = case.dir.path().join("adapter");
    fs::create_dir(&dir).unwrap();
    let weights = "adapter_model.safetensors";
    fs::copy(fixture("5_lora").join(weights), dir.join(weights)).unwrap();
    let config = fs::read_to_string(fixture("5_lora/adapter_config.json")).unwrap();
    let path = dir.join("adapter_config.json");
    let with_base = |name: &str| {
        fs::write(&path, config.replace("../1_checkpoints/b_gqa_tied", name)).unwrap();
    };
    with_base("../nowhere/at/all");
    let said = case.said(case.export("adapter"), 2);
    assert!(
        said.contains("it belongs to ../nowhere/at/all, which is not here"),
        "{said}"
    );
    with_base("org/missing");
    let said = case.said(case.export("adapter"), 1);
    assert!(
        said.contains("it belongs to org/missing; give that model with --checkpoint"),
        "{said}"
    );
    assert!(said.contains("there is no such repository"), "{said}");
}

#[test]
fn a_dry_run_fetches_no_weights() {
    let case = with_base();
    let arguments = adapt(&["--dry-run"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    case.command(&arguments).assert().success();
    let fetched = fetched(&case);
    assert!(
        fetched.iter().any(|line| line.contains("config.json")),
        "{fetched:?}"
    );
    assert!(
        fetched
            .iter()
            .all(|line| !line.contains("model.safetensors")),
        "{fetched:?}"
    );
}
