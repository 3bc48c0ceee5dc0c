//! Training adapters, against PEFT and against itself when cut.

use crate::common::{fixture, llama_train, stderr_of, stream_run};
use crate::runs::{cut_run_is_the_straight_one, run_to_the_end};
use llama_train::data::{Counts, TokenBatch};
use llama_train::model::{Layout, ModelOptions, Pass, Tokens, Transformer};
use llama_train::objective::{CausalLm, Objective};
use llama_train::weights::{self, Pretrained, safetensors};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tch::{Device, Kind, Tensor, nn};

/// A run on the reference stream that adapts checkpoint b.
fn adapting(name: &str, settings: &[&str]) -> Vec<String> {
    let init = format!(
        "model.init_from=\"{}\"",
        fixture("1_checkpoints/b_gqa_tied").display()
    );
    let fixed = ["lora.enabled=true", "lora.rank=4", "lora.dropout=0.2"];
    let settings: Vec<&str> = [init.as_str()]
        .into_iter()
        .chain(fixed)
        .chain(settings.iter().copied())
        .collect();
    stream_run(name, &settings)
}

/// `vectors/5_lora`: the mean cross-entropy over the shifted ids, and the norm of every gradient.
#[test]
fn logits_and_gradients_are_pefts() {
    let dir = fixture("5_lora");
    let expected = fs::read_to_string(dir.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let pretrained = Pretrained::open(&dir, None, 0.0);
    let pretrained = pretrained.unwrap_or_else(|_| {
        Pretrained::open(&fixture("1_checkpoints/b_gqa_tied"), Some(&dir), 0.0).unwrap()
    });
    let store = nn::VarStore::new(Device::Cpu);
    let options = ModelOptions {
        compute: Kind::Float,
        lora: Some(pretrained.adapter().unwrap().options().clone()),
    };
    let model = Transformer::new(&store.root(), pretrained.config(), &options).unwrap();
    weights::freeze_base(&store);
    pretrained.fill(&store).unwrap();
    let ids = Tensor::read_npy(dir.join("input_ids.npy"))
        .unwrap()
        .to_kind(Kind::Int64);
    let tokens = |ids: Tensor| Tokens {
        ids,
        layout: Layout::Causal,
    };
    let logits = tch::no_grad(|| {
        let hidden = model.hidden(&tokens(ids.shallow_clone()), Pass::Eval);
        model.head().logits(&hidden)
    });
    let theirs = Tensor::read_npy(dir.join("logits_adapter.npy")).unwrap();
    assert!((logits - theirs).abs().max().double_value(&[]) < 2e-4);

    let length = ids.size()[1] - 1;
    let batch = TokenBatch {
        tokens: tokens(ids.narrow(1, 0, length)),
        targets: ids.narrow(1, 1, length),
        counts: Counts::default(),
    };
    let loss = &CausalLm.loss_sum(&model, &batch, Pass::Train).loss[0].value / (2 * length) as f64;
    let mean = expected["mean_ce_adapter"].as_f64().unwrap();
    assert!((loss.double_value(&[]) / mean - 1.0).abs() < 1e-5);
    loss.backward();
    let mut trained = 0;
    for (name, weight) in store.variables() {
        let Some(peft) = peft_name(&name) else {
            assert!(!weight.grad().defined(), "{name} is frozen");
            continue;
        };
        let norm = weight.grad().norm().double_value(&[]);
        let theirs = expected["per_tensor_grad_norm"][&peft]
            .as_f64()
            .expect(&peft);
        assert!(
            (norm / theirs - 1.0).abs() < 1e-4,
            "{peft}: {norm} {theirs}"
        );
        trained += weight.numel();
    }
    assert_eq!(Some(trained as u64), expected["trainable_params"].as_u64());
}

fn peft_name(name: &str) -> Option<String> {
    let (module, part) = name.split_once(".lora_")?;
    let module = module.replace("attention.wq", "self_attn.q_proj");
    let module = module.replace("attention.wv", "self_attn.v_proj");
    let part = part.to_uppercase();
    Some(format!(
        "base_model.model.model.{module}.lora_{part}.default.weight"
    ))
}

#[test]
fn a_checkpoint_holds_the_adapter_alone_and_learns() {
    let dir = tempfile::tempdir().unwrap();
    run_to_the_end(dir.path(), &adapting("lora", &[]));
    let run = dir.path().join("runs/lora");
    let checkpoint = run.join("checkpoints/latest");
    assert!(!checkpoint.join("model.safetensors").exists());
    let adapter = safetensors::read(&checkpoint.join("adapter_model.safetensors")).unwrap();
    let optimizer = safetensors::read(&checkpoint.join("optimizer.safetensors")).unwrap();
    assert_eq!(adapter.len(), 2 * 6 * 3); // A and B, six matrices by default, three blocks
    assert!(
        optimizer
            .keys()
            .all(|name| !name.contains("norm") && !name.contains("embed")),
        "{:?}",
        optimizer.keys()
    );
    // It is scored as it is: the base is found through it.
    let data = fixture("9_stream/data").display().to_string();
    let score = |checkpoint: &Path| {
        let outcome = llama_train(dir.path())
            .args(["eval", "--json", "--tasks", "loss", "--seq-len", "48"])
            .args(["--data", &data, "--checkpoint"])
            .arg(checkpoint)
            .assert()
            .success();
        let said: Value = serde_json::from_slice(&outcome.get_output().stdout).unwrap();
        said["loss"]["loss"].as_f64().unwrap()
    };
    let (tuned, base) = (
        score(&checkpoint),
        score(&fixture("1_checkpoints/b_gqa_tied")),
    );
    assert!(tuned < base - 0.05, "{tuned} {base}");
}

#[test]
fn a_killed_adaptation_resumes_bit_for_bit() {
    let settings = [
        "train.max_steps=40",
        "checkpoint.every=5",
        "train.total_batch_tokens=512",
    ];
    let arguments = |name: &str| adapting(name, &settings);
    cut_run_is_the_straight_one(arguments, "adapter_model.safetensors", 40);
}

#[test]
fn wrong_requests_are_named_together() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        "lora.enabled=true",
        "lora.rank=0",
        "lora.dropout=1.0",
        "lora.target_modules=[\"wx\", \"output\"]",
    ];
    let outcome = llama_train(dir.path())
        .arg("pretrain")
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .assert()
        .code(2);
    let said = stderr_of(&outcome);
    for part in [
        "lora.rank: 0 must be at least 1",
        "lora.dropout: 1 must be at least 0 and below 1",
        "wx: no such matrix",
        "output: the embedding and the head",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let nothing = [
        "pretrain",
        "--set",
        "lora.enabled=true",
        "--set",
        "data.path=x",
    ];
    let said = stderr_of(&llama_train(dir.path()).args(nothing).assert().code(2));
    assert!(
        said.contains("name the model to adapt with --init-from"),
        "{said}"
    );
}
