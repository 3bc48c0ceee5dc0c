//! AdamW (Loshchilov & Hutter 2019) through torch's fused kernel.

use super::ParamGroup;
use crate::torch::{self, AdamWStep};
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use tch::{Kind, Tensor};

/// The parameters and their moments. Everything that a step reads stays on the device.
#[derive(Debug)]
pub struct AdamW {
    groups: Vec<(ParamGroup, Moments)>,
    betas: (f64, f64),
    eps: f64,
}

/// State of one group, in its parameters' order.
#[derive(Debug)]
struct Moments {
    exp_avgs: Vec<Tensor>,
    exp_avg_sqs: Vec<Tensor>,
    /// Updates made, per parameter: float32 scalars, as the kernel wants them.
    steps: Vec<Tensor>,
}

impl Moments {
    fn zeros(params: &[Tensor]) -> Self {
        let scalar = |param: &Tensor| Tensor::zeros([], (Kind::Float, param.device()));
        Self {
            exp_avgs: params.iter().map(Tensor::zeros_like).collect(),
            exp_avg_sqs: params.iter().map(Tensor::zeros_like).collect(),
            steps: params.iter().map(scalar).collect(),
        }
    }

    /// The three tensors of parameter `index` under their names in torch's state dictionary.
    fn of(&self, index: usize) -> [(&'static str, &Tensor); 3] {
        [
            ("exp_avg", &self.exp_avgs[index]),
            ("exp_avg_sq", &self.exp_avg_sqs[index]),
            ("step", &self.steps[index]),
        ]
    }
}

impl AdamW {
    /// Fresh moments for the groups.
    #[must_use]
    pub fn new(groups: Vec<ParamGroup>, betas: (f64, f64), eps: f64) -> Self {
        let with_moments = |group: ParamGroup| {
            let moments = Moments::zeros(&group.params);
            (group, moments)
        };
        Self {
            groups: groups.into_iter().map(with_moments).collect(),
            betas,
            eps,
        }
    }

    /// Updates every parameter once. `lr` and `skip` are float32 scalars on the parameters' device; where `skip` is
    /// 1 nothing changes.
    ///
    /// # Errors
    /// When a parameter has no gradient or libtorch refuses.
    pub fn step(&mut self, lr: &Tensor, skip: &Tensor) -> Result<()> {
        for (group, moments) in &self.groups {
            torch::fused_adamw(&AdamWStep {
                params: &group.params,
                grads: &gradients(group)?,
                exp_avgs: &moments.exp_avgs,
                exp_avg_sqs: &moments.exp_avg_sqs,
                steps: &moments.steps,
                lr,
                betas: self.betas,
                eps: self.eps,
                weight_decay: group.weight_decay,
                found_inf: skip,
            })?;
        }
        Ok(())
    }

    /// The gradients of all parameters.
    ///
    /// # Errors
    /// When a parameter has none.
    pub fn gradients(&self) -> Result<Vec<Tensor>> {
        let mut all = Vec::new();
        for (group, _) in &self.groups {
            all.extend(gradients(group)?);
        }
        Ok(all)
    }

    /// Drops the gradients.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn reset_grads(&self) -> Result<()> {
        self.groups
            .iter()
            .try_for_each(|(group, _)| torch::reset_grads(&group.params))
    }

    /// The moments and step counts as `{parameter}.exp_avg`, `.exp_avg_sq`, `.step`.
    #[must_use]
    pub fn state_tensors(&self) -> Vec<(String, Tensor)> {
        let mut state = Vec::new();
        for (group, moments) in &self.groups {
            for (index, name) in group.names.iter().enumerate() {
                state.extend(
                    moments
                        .of(index)
                        .map(|(part, tensor)| (format!("{name}.{part}"), tensor.shallow_clone())),
                );
            }
        }
        state
    }

    /// Puts back what [`Self::state_tensors`] gave.
    ///
    /// # Errors
    /// When a tensor is missing, extra or of another shape.
    pub fn load_state(&mut self, mut state: HashMap<String, Tensor>) -> Result<()> {
        for (name, tensor) in self.state_tensors() {
            let saved = state
                .remove(&name)
                .with_context(|| format!("optimizer state: {name} is missing"))?;
            ensure!(
                saved.size() == tensor.size(),
                "optimizer state: {name} has shape {:?}, the model needs {:?}",
                saved.size(),
                tensor.size()
            );
            tch::no_grad(|| tensor.shallow_clone().f_copy_(&saved))?;
        }
        if let Some(name) = state.keys().min() {
            bail!(
                "optimizer state: {name} belongs to no parameter of this model ({} such)",
                state.len()
            );
        }
        Ok(())
    }
}

fn gradients(group: &ParamGroup) -> Result<Vec<Tensor>> {
    let of = |(name, param): (&String, &Tensor)| {
        let grad = param.grad();
        ensure!(
            grad.defined(),
            "{name} took no part in the loss: it has no gradient"
        );
        Ok(grad)
    };
    group.names.iter().zip(&group.params).map(of).collect()
}
