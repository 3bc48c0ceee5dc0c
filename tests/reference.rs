//! Our logits against those that transformers and peft gave for what we wrote (`scripts/check_transformers.sh`).

use llama_train::model::{Layout, Pass, Tokens};
use llama_train::weights::Pretrained;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tch::{Device, Kind, Tensor};

#[test]
#[ignore = "scripts/check_transformers.sh runs it, with what Python made"]
fn logits_are_the_references() {
    let cases = std::env::var("LLAMA_TRAIN_REFERENCE").unwrap();
    let mut found = 0;
    for entry in fs::read_dir(cases).unwrap() {
        let case = entry.unwrap().path();
        let distance = distance(&case);
        println!(
            "{}: logits to {distance:.1e}",
            case.file_name().unwrap().display()
        );
        assert!(distance < 2e-4);
        found += 1;
    }
    assert!(found > 0);
}

/// The largest difference between our logits and theirs.
fn distance(case: &Path) -> f64 {
    let text = fs::read_to_string(case.join("case.json")).unwrap();
    let said: Value = serde_json::from_str(&text).unwrap();
    let path = |name: &str| said[name].as_str().map(Path::new);
    let pretrained = Pretrained::open(path("checkpoint").unwrap(), path("adapter"), 0.0).unwrap();
    let model = pretrained.model(Device::Cpu, Kind::Float).unwrap();
    let read = |name: &str| Tensor::read_npy(case.join(name)).unwrap();
    let tokens = Tokens {
        ids: read("input_ids.npy").to_kind(Kind::Int64),
        layout: Layout::Causal,
    };
    let _no_grad = tch::no_grad_guard();
    let logits = model.head().logits(&model.hidden(&tokens, Pass::Eval));
    (logits - read("logits.npy")).abs().max().double_value(&[])
}
