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
    let state: HashMap<String, Tensor> = optimizer.state_tensors().into_iter().collect();
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
    for (name, tensor) in optimizer.state_tensors() {
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
    let mut state: HashMap<_, _> = optimizer.state_tensors().into_iter().collect();
    state.insert("2.exp_avg".to_owned(), scalar(0.0));
    let message = optimizer.load_state(state).unwrap_err().to_string();
    assert!(
        message.contains("2.exp_avg belongs to no parameter"),
        "{message}"
    );
}
