//! Weights in and out.

use crate::common::{fixture, load_weights};
use llama_train::weights::{hf, safetensors};
use std::fs;
use tch::Kind;

fn copy_of(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

#[test]
fn what_is_saved_is_what_was_loaded() {
    for name in ["a_mha_untied", "b_gqa_tied", "c_gqa_rope_llama3"] {
        let source = fixture("1_checkpoints").join(name);
        let (store, config) = load_weights(&source).unwrap();
        let dir = tempfile::tempdir().unwrap();
        hf::save(
            dir.path(),
            &store,
            &config,
            &hf::SpecialTokens::default(),
            Kind::Float,
        )
        .unwrap();
        assert_eq!(hf::read_config(dir.path()).unwrap(), config, "{name}");
        let theirs = safetensors::read(&source.join("model.safetensors")).unwrap();
        let ours = safetensors::read(&dir.path().join("model.safetensors")).unwrap();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (tensor, value) in theirs {
            assert!(ours[&tensor].equal(&value), "{name}: {tensor}");
        }
    }
}

#[test]
fn every_tensor_that_does_not_fit_is_named() {
    let dir = copy_of("1_checkpoints/a_mha_untied");
    let path = dir.path().join("model.safetensors");
    let mut tensors: Vec<_> = safetensors::read(&path).unwrap().into_iter().collect();
    tensors.retain(|(name, _)| name != "model.norm.weight");
    for (name, tensor) in &mut tensors {
        match name.as_str() {
            "lm_head.weight" => *tensor = tensor.narrow(0, 0, 7),
            "model.layers.0.mlp.up_proj.weight" => {
                "model.layers.0.mlp.other.weight".clone_into(name)
            }
            _ => {}
        }
    }
    safetensors::write(&path, &tensors).unwrap();
    let message = format!("{:#}", load_weights(dir.path()).unwrap_err());
    for part in [
        "lm_head.weight has shape [7, 64], not [640, 64]",
        "model.layers.0.mlp.other.weight is not part of this model",
        "model.layers.0.mlp.up_proj.weight is missing",
        "model.norm.weight is missing",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_cut_file_is_named() {
    let dir = copy_of("1_checkpoints/a_mha_untied");
    let path = dir.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let message = format!("{:#}", load_weights(dir.path()).unwrap_err());
    assert!(
        message.contains("model.safetensors: not a valid safetensors file"),
        "{message}"
    );
}

#[test]
fn other_architectures_are_refused_with_the_reason() {
    let dir = copy_of("1_checkpoints/a_mha_untied");
    let path = dir.path().join("config.json");
    let original = fs::read_to_string(&path).unwrap();
    let refuse = |from: &str, to: &str| {
        assert!(original.contains(from));
        fs::write(&path, original.replace(from, to)).unwrap();
        format!("{:#}", hf::read_config(dir.path()).unwrap_err())
    };
    assert!(refuse("\"silu\"", "\"gelu\"").contains("hidden_act is \"gelu\""));
    assert!(refuse("LlamaForCausalLM", "MistralForCausalLM").contains("MistralForCausalLM"));
    assert!(
        refuse("\"attention_bias\": false", "\"attention_bias\": true").contains("attention_bias")
    );
    let yarn = "\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 2.0}";
    assert!(refuse("\"rope_scaling\": null", yarn).contains("yarn"));
}
