//! LoRA adapters in and out, PEFT's and the original project's.

use crate::common::{fixture, llama_train, stderr_of};
use llama_train::weights::{Pretrained, hf, peft, safetensors};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tch::Kind;

fn export(dir: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    llama_train(dir).arg("export").args(arguments).assert()
}

fn paths() -> (String, String) {
    let path = |file| fixture(file).display().to_string();
    (path("1_checkpoints/b_gqa_tied"), path("5_lora"))
}

pub(crate) fn assert_same_tensors(ours: &Path, theirs: &Path) {
    let [ours, theirs] = [ours, theirs].map(|path| safetensors::read(path).unwrap());
    assert_eq!(ours.len(), theirs.len());
    for (name, tensor) in theirs {
        assert!(ours[&name].equal(&tensor), "{name}");
    }
}

#[test]
fn merged_weights_are_pefts() {
    let (base, adapter) = paths();
    let pretrained = Pretrained::open(Path::new(&base), Some(Path::new(&adapter)), 0.0).unwrap();
    let merged = hf::by_hub_name(&pretrained.merged_weights(Kind::Float).unwrap()).unwrap();
    let untouched = safetensors::read(&Path::new(&base).join("model.safetensors")).unwrap();
    let expected = safetensors::read(&fixture("5_lora/merged_q_v.safetensors")).unwrap();
    assert_eq!(expected.len(), 6);
    for (name, weight) in merged {
        let expected = expected.get(&name).unwrap_or_else(|| &untouched[&name]);
        let difference = (weight - expected).abs().max().double_value(&[]);
        assert!(difference < 1e-6, "{name}: {difference}");
    }
}

#[test]
fn an_adapter_comes_out_as_it_went_in() {
    let (base, adapter) = paths();
    let dir = tempfile::tempdir().unwrap();
    let over = ["--checkpoint", &base, "--adapter", &adapter];
    let outcome = export(dir.path(), &[&over[..], &["--out", "out"]].concat()).success();
    assert!(!stderr_of(&outcome).contains("PEFT"));
    let out = dir.path().join("out");
    let weights = |dir: &Path| dir.join("adapter_model.safetensors");
    assert_same_tensors(&weights(&out), &weights(Path::new(&adapter)));
    let [ours, theirs] = [&out, Path::new(&adapter)].map(|dir| {
        let text = fs::read_to_string(dir.join("adapter_config.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    });
    for (key, value) in ours.as_object().unwrap() {
        match key.as_str() {
            "base_model_name_or_path" => assert_eq!(value, &json!(base)),
            _ => assert_eq!(value, &theirs[key], "{key}"),
        }
    }
    // And it names its model, so that it can be used alone.
    let pretrained = Pretrained::open(&out, None, 0.0).unwrap();
    assert_eq!(pretrained.base_name(), base);
}

#[test]
fn names_with_the_adapters_own_within_are_understood() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(
        fixture("5_lora/adapter_config.json"),
        dir.path().join("adapter_config.json"),
    )
    .unwrap();
    let tensors = safetensors::read(&fixture("5_lora/adapter_model.safetensors")).unwrap();
    let named = |(name, tensor): (String, _)| (name.replace(".weight", ".default.weight"), tensor);
    let tensors: Vec<_> = tensors.into_iter().map(named).collect();
    let count = tensors.len();
    safetensors::write(&dir.path().join("adapter_model.safetensors"), &tensors).unwrap();
    let adapter = peft::read(dir.path()).unwrap();
    assert_eq!((adapter.options().rank, count), (4, 12));
    let base = fixture("1_checkpoints/b_gqa_tied");
    Pretrained::open(&base, Some(dir.path()), 0.0)
        .unwrap()
        .model(tch::Device::Cpu, Kind::Float)
        .unwrap();
}

#[test]
fn what_is_more_than_plain_lora_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let weights = "adapter_model.safetensors";
    fs::copy(fixture("5_lora").join(weights), dir.path().join(weights)).unwrap();
    let text = fs::read_to_string(fixture("5_lora/adapter_config.json")).unwrap();
    let error = |changes: &[(&str, Value)]| {
        let mut config: Value = serde_json::from_str(&text).unwrap();
        for (key, value) in changes {
            config[*key] = value.clone();
        }
        fs::write(dir.path().join("adapter_config.json"), config.to_string()).unwrap();
        format!("{:#}", peft::read(dir.path()).unwrap_err())
    };
    let message = error(&[
        ("use_dora", json!(true)),
        ("modules_to_save", json!(["lm_head"])),
    ]);
    assert!(
        message.contains("use_dora, modules_to_save not supported"),
        "{message}"
    );
    assert!(error(&[("bias", json!("all"))]).contains("bias not supported"));
    assert!(error(&[("peft_type", json!("IA3"))]).contains("peft_type is IA3"));
    assert!(error(&[("r", Value::Null)]).contains("r is missing"));
}

#[test]
fn an_adapter_of_another_model_is_named_tensor_by_tensor() {
    let (_, adapter) = paths();
    let other = fixture("1_checkpoints/a_mha_untied").display().to_string();
    let data = fixture("9_stream/data").display().to_string();
    let dir = tempfile::tempdir().unwrap();
    let outcome = llama_train(dir.path())
        .args([
            "eval",
            "--tasks",
            "loss",
            "--seq-len",
            "48",
            "--data",
            &data,
        ])
        .args(["--checkpoint", &other, "--adapter", &adapter])
        .assert()
        .code(1);
    let said = stderr_of(&outcome);
    assert!(
        said.contains("layers.2.attention.wq.lora_a is not part of this model"),
        "{said}"
    );
    assert!(
        said.contains("layers.0.attention.wv.lora_b has shape [16, 4], not [64, 4]"),
        "{said}"
    );
}

#[test]
fn requests_about_adapters_that_make_no_sense_are_refused() {
    let (base, adapter) = paths();
    let dir = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], message: &str| {
        let arguments = [arguments, &["--out", "out"]].concat();
        let said = stderr_of(&export(dir.path(), &arguments).code(2));
        assert!(said.contains(message), "{said}");
        assert!(!dir.path().join("out").exists());
    };
    refused(&["--checkpoint", &base, "--merge-lora"], "has no adapter");
    let over = ["--checkpoint", &base, "--adapter", &adapter];
    refused(
        &[&over[..], &["--format", "meta"]].concat(),
        "add --merge-lora",
    );
    refused(
        &["--checkpoint", &adapter, "--adapter", &adapter],
        "is another",
    );
}
