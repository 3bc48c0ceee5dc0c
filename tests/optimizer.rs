//! The update against torch's own (`scripts/make_fixtures.py`, `adamw`).

use crate::common::fixture;
use llama_train::optim::{AdamW, clip_grad_norm, param_groups};
use llama_train::weights::safetensors;
use std::collections::HashMap;
use tch::{Device, Kind, Tensor, nn};

const BETAS: (f64, f64) = (0.9, 0.95);

fn recorded() -> HashMap<String, Tensor> {
    safetensors::read(&fixture("adamw.safetensors")).unwrap()
}

fn store(tensors: &HashMap<String, Tensor>) -> nn::VarStore {
    let store = nn::VarStore::new(Device::Cpu);
    for index in 0..2 {
        let _ = store
            .root()
            .var_copy(&index.to_string(), &tensors[&format!("start.{index}")]);
    }
    store
}

/// Gives each parameter a gradient, as a backward pass does.
fn backward(store: &nn::VarStore, gradient: impl Fn(usize) -> Tensor) {
    for index in 0..2 {
        (&store.variables()[&index.to_string()] * gradient(index))
            .sum(None)
            .backward();
    }
}

fn scalar(value: f64) -> Tensor {
    Tensor::from_slice(&[value as f32]).squeeze()
}

fn assert_close(name: &str, ours: &Tensor, theirs: &Tensor) {
    let off = (ours - theirs).abs().max().double_value(&[]);
    assert!(off < 2e-6, "{name} is off by {off}");
}

/// What one process, which holds everything, has.
fn whole_state(optimizer: &AdamW) -> HashMap<String, Tensor> {
    let state = optimizer.state_tensors().into_iter();
    let held = state.map(|tensor| (tensor.name, tensor.held.unwrap().tensor));
    held.collect()
}

#[test]
fn ten_clipped_steps_follow_torch() {
    let tensors = recorded();
    let store = store(&tensors);
    let mut optimizer = AdamW::new(param_groups(&store, 0.1), BETAS, 1e-8);
    for step in 0..10 {
        optimizer.reset_grads().unwrap();
        backward(&store, |index| {
            tensors[&format!("grad.{step}.{index}")].shallow_clone()
        });
        let clipped = clip_grad_norm(&optimizer.gradients().unwrap(), 1.0).unwrap();
        assert_close(
            "norm",
            &(&clipped.norm / tensors["norms"].get(step)),
            &scalar(1.0),
        );
        optimizer
            .step(&scalar(1e-2 * (step + 1) as f64), &clipped.non_finite)
            .unwrap();
    }
    let state = whole_state(&optimizer);
    for index in 0..2 {
        assert_close(
            "weight",
            &store.variables()[&index.to_string()],
            &tensors[&format!("end.{index}")],
        );
        for moment in ["exp_avg", "exp_avg_sq"] {
            assert_close(
                moment,
                &state[&format!("{index}.{moment}")],
                &tensors[&format!("{moment}.{index}")],
            );
        }
        assert_eq!(state[&format!("{index}.step")].double_value(&[]), 10.0);
    }
}

#[test]
fn a_step_without_a_finite_gradient_changes_nothing() {
    let tensors = recorded();
    let store = store(&tensors);
    let mut optimizer = AdamW::new(param_groups(&store, 0.1), BETAS, 1e-8);
    backward(&store, |index| {
        &tensors[&format!("start.{index}")] * f64::INFINITY
    });
    let clipped = clip_grad_norm(&optimizer.gradients().unwrap(), 1.0).unwrap();
    assert_eq!(clipped.non_finite.double_value(&[]), 1.0);
    optimizer.step(&scalar(0.1), &clipped.non_finite).unwrap();
    for index in 0..2 {
        assert!(store.variables()[&index.to_string()].equal(&tensors[&format!("start.{index}")]));
    }
    for (name, tensor) in whole_state(&optimizer) {
        assert_eq!(
            tensor.abs().sum(Kind::Double).double_value(&[]),
            0.0,
            "{name}"
        );
    }
}

#[test]
fn state_of_another_model_is_refused_by_name() {
    let tensors = recorded();
    let mut optimizer = AdamW::new(param_groups(&store(&tensors), 0.1), BETAS, 1e-8);
    let mut state = whole_state(&optimizer);
    state.insert("2.exp_avg".to_owned(), scalar(0.0));
    let message = optimizer.load_state(state.into_iter().map(Ok)).unwrap_err();
    let message = message.to_string();
    assert!(
        message.contains("2.exp_avg belongs to no parameter"),
        "{message}"
    );
}

/// The same gradients to weights in fp32 and to weights in bf16 with their remainders.
#[test]
fn weights_in_bf16_are_those_in_fp32_rounded() {
    let mut tensors = recorded();
    for tensor in tensors.values_mut() {
        *tensor = tensor.to_kind(Kind::BFloat16).to_kind(Kind::Float);
    }
    let full = store(&tensors);
    for tensor in tensors.values_mut() {
        *tensor = tensor.to_kind(Kind::BFloat16);
    }
    let mut half = nn::VarStore::new(Device::Cpu);
    half.set_kind(Kind::BFloat16);
    for index in 0..2 {
        let start = &tensors[&format!("start.{index}")];
        let _ = half.root().var_copy(&index.to_string(), start);
    }
    let new = |store: &nn::VarStore| AdamW::new(param_groups(store, 0.1), BETAS, 1e-8);
    let mut optimizers = [new(&full), new(&half)];
    for step in 0..10 {
        for (optimizer, store) in optimizers.iter_mut().zip([&full, &half]) {
            optimizer.reset_grads().unwrap();
            backward(store, |index| {
                tensors[&format!("grad.{step}.{index}")].shallow_clone()
            });
            optimizer.step(&scalar(1e-3), &scalar(0.0)).unwrap();
        }
        for index in ["0", "1"] {
            let (full, half) = (&full.variables()[index], &half.variables()[index]);
            assert_eq!(half.kind(), Kind::BFloat16);
            assert!(half.equal(&full.to_kind(Kind::BFloat16)), "step {step}");
        }
    }
    let states = optimizers.each_ref().map(whole_state);
    assert_eq!(states[1]["0.remainder"].kind(), Kind::Int16);
    for (name, tensor) in &states[0] {
        assert!(states[1][name].equal(tensor), "{name}");
    }
    // Fresh moments are not fresh weights: what is missing to the fp32 numbers is theirs.
    let mut fresh = new(&half);
    let saved = states[1].iter();
    let saved = saved.map(|(name, tensor)| Ok((name.clone(), tensor.shallow_clone())));
    fresh.load_remainders(saved).unwrap();
    for (name, tensor) in whole_state(&fresh) {
        match name.ends_with(".remainder") {
            true => assert!(tensor.equal(&states[1][&name]), "{name}"),
            false => assert_eq!(tensor.abs().max().double_value(&[]), 0.0, "{name}"),
        }
    }
}
