//! Activation checkpointing: the same gradients bit by bit, dropout included, whatever is trained.

use crate::common::{column, metrics, stream_run};
use crate::distributed::ranks;
use crate::{dpo, sft};
use llama_train::config::{ModelConfig, Recompute};
use llama_train::model::{Documents, Layout, LoraOptions, ModelOptions, Pass, Tokens, Transformer};
use llama_train::torch::{Randomness, catch, recompute};
use llama_train::weights;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tch::{Device, Kind, Tensor, nn};

fn shape() -> ModelConfig {
    let path = crate::common::fixture("1_checkpoints/b_gqa_tied");
    weights::read_config(&path).unwrap()
}

fn tokens(packed: bool) -> Tokens {
    let ids = Tensor::arange(24, (Kind::Int64, Device::Cpu)).view([2, 12]) * 7 + 3;
    let lengths: Vec<i64> = vec![5, 7, 12];
    let positions: Vec<i64> = lengths.iter().flat_map(|&length| 0..length).collect();
    let documents = Documents {
        positions: Tensor::from_slice(&positions).view([2, 12]),
        lengths,
    };
    Tokens {
        ids,
        layout: match packed {
            true => Layout::Packed(documents),
            false => Layout::Causal,
        },
    }
}

/// Hidden states and all gradients of a pass, in the order of the weights' names.
fn pass(recompute: Recompute, lora: Option<LoraOptions>, packed: bool) -> Vec<Tensor> {
    let store = nn::VarStore::new(Device::Cpu);
    let is_adapted = lora.is_some();
    let options = ModelOptions {
        compute: Kind::Float,
        lora,
    };
    let model = Transformer::new(&store.root(), &shape(), &options).unwrap();
    let model = model.with_recompute(recompute);
    model.initialize(1);
    model.initialize_adapters(2);
    if is_adapted {
        weights::freeze_base(&store);
        for (name, tensor) in store.variables() {
            if name.ends_with("lora_b") {
                let _ = tch::no_grad(|| tensor.shallow_clone().fill_(0.1));
            }
        }
    }
    tch::manual_seed(3);
    let hidden = model.hidden(&tokens(packed), Pass::Train);
    (hidden.square() * 0.5).sum(None).backward();
    let after = Tensor::rand([4], (Kind::Float, Device::Cpu)); // the generator stands where it would
    let mut variables: Vec<_> = store.variables().into_iter().collect();
    variables.sort_by(|a, b| a.0.cmp(&b.0));
    let gradients = variables.into_iter().map(|(_, tensor)| tensor.grad());
    let gradients = gradients.filter(Tensor::defined);
    [hidden.detach(), after]
        .into_iter()
        .chain(gradients)
        .collect()
}

#[test]
fn gradients_are_bit_equal() {
    let lora = LoraOptions {
        rank: 4,
        alpha: 8.0,
        dropout: 0.3,
        targets: ["wq", "wv", "w1", "w2"].map(str::to_owned).into(),
    };
    for lora in [None, Some(lora)] {
        for packed in [false, true] {
            let kept = pass(Recompute::None, lora.clone(), packed);
            assert!(kept.len() > 20);
            for recompute in [Recompute::Selective, Recompute::Full] {
                let again = pass(recompute, lora.clone(), packed);
                assert_eq!(kept.len(), again.len());
                assert!(
                    kept.iter().zip(&again).all(|(a, b)| a.equal(b)),
                    "{recompute:?}, packed {packed}, lora {}",
                    lora.is_some()
                );
            }
        }
    }
}

/// What a recomputed function keeps is its inputs; it is called twice where gradients are wanted, else once, and a panic
/// inside is an error.
#[test]
fn a_function_is_called_again_in_backward_only() {
    let calls = Arc::new(AtomicU32::new(0));
    let call = |requires_grad: bool| {
        let counted = Arc::clone(&calls);
        let x = Tensor::from_slice(&[1.0f32, 2.0]).set_requires_grad(requires_grad);
        let [y] = recompute(&[x.shallow_clone()], &[], Randomness::None, move |inputs| {
            counted.fetch_add(1, Ordering::Relaxed);
            [inputs[0].square()]
        });
        (x, y)
    };
    let (_, y) = call(false);
    assert!(!y.requires_grad());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let (x, y) = call(true);
    y.sum(None).backward();
    assert_eq!(Vec::<f32>::try_from(&x.grad()).unwrap(), [2.0, 4.0]);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let x = Tensor::from_slice(&[1.0f32]);
    let failing = || {
        Ok(recompute(&[x], &[], Randomness::None, |inputs| {
            [inputs[0].matmul(&inputs[0].ones_like().repeat([3, 5]))]
        }))
    };
    let error = catch(failing).unwrap_err().to_string();
    assert!(
        error.contains("size mismatch") || error.contains("shapes"),
        "{error}"
    );
}

/// Two runs of a command, whose settings end with what is given: the same losses and gradient norms, bit by bit.
fn assert_recomputed_runs_are_the_same(
    dir: &Path,
    (what, world_size): (&str, u64),
    command: impl Fn(&str, &str) -> Vec<String>,
) {
    let losses = |kind: &str| {
        let setting = format!("train.activation_checkpointing=\"{kind}\"");
        let name = format!("{what}-{kind}-{world_size}");
        ranks::run(dir, &command(&name, &setting), world_size);
        let records = metrics(&dir.join("runs").join(name), "train");
        [column(&records, "loss"), column(&records, "grad_norm")].concat()
    };
    let kept = losses("none");
    assert_eq!(kept.len(), 8);
    for kind in ["selective", "full"] {
        assert_eq!(losses(kind), kept, "{kind}");
    }
}

#[test]
fn a_run_is_the_same_also_over_ranks() {
    let dir = tempfile::tempdir().unwrap();
    for world_size in [1, 2] {
        assert_recomputed_runs_are_the_same(dir.path(), ("text", world_size), |name, setting| {
            let cut = "train.micro_batch_size=1"; // accumulated, too
            stream_run(name, &["train.max_steps=4", cut, setting])
        });
    }
}

#[test]
fn packed_conversations_and_preferences_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    sft::write_folder(&dir.path().join("conversations"), &["train"]);
    assert_recomputed_runs_are_the_same(dir.path(), ("sft", 1), |name, setting| {
        let settings = ["data.path=conversations", "train.max_steps=4", setting];
        sft::sft(name, &settings)
    });
    dpo::write_folder(&dir.path().join("data"), &["train"], 2);
    assert_recomputed_runs_are_the_same(dir.path(), ("dpo", 1), |name, setting| {
        dpo::references::learning(name, &dpo::model("policy"), 4, &[setting])
    });
}
