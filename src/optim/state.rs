//! What the optimizer remembers of the parameters, or of the parts of them, that a rank updates.

use super::ParamGroup;
use crate::dist::Piece;
use crate::torch::{self, AdamWStep};
use anyhow::{Result, ensure};
use tch::{Kind, Tensor};

/// What is the same for all parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Constants {
    /// Decay rates of the moments.
    pub(super) betas: (f64, f64),
    /// Added to the denominator.
    pub(super) eps: f64,
}

/// State of some pieces of one group, in their order.
#[derive(Debug)]
pub(super) struct State {
    pieces: Vec<Piece>,
    /// The pieces themselves, sharing memory with the parameters.
    weights: Vec<Tensor>,
    exp_avgs: Vec<Tensor>,
    exp_avg_sqs: Vec<Tensor>,
    /// Updates made, per piece: float32 scalars, as the kernel wants them.
    steps: Vec<Tensor>,
    /// Of weights in bf16, what is missing to the fp32 number that is updated: see [`torch::split_adamw`]. Empty for fp32.
    remainders: Vec<Tensor>,
}

/// A tensor of the whole state, and what this rank holds of it.
#[derive(Debug)]
pub struct StateTensor {
    /// The parameter's name and the part's in torch's state dictionary.
    pub name: String,
    /// Of the whole tensor.
    pub size: Vec<i64>,
    /// Of its numbers.
    pub kind: Kind,
    /// None where it is another rank's.
    pub held: Option<HeldPart>,
}

/// A run of a tensor's numbers.
#[derive(Debug)]
pub struct HeldPart {
    /// Its first number's place in the tensor.
    pub first: i64,
    /// The numbers, sharing memory with the optimizer's.
    pub tensor: Tensor,
}

impl State {
    /// Nothing remembered yet.
    pub(super) fn zeros(pieces: Vec<Piece>, weights: Vec<Tensor>) -> Self {
        let like = |kind: Kind| -> Vec<Tensor> {
            let zeros = |weight: &Tensor| weight.zeros_like().to_kind(kind);
            weights.iter().map(zeros).collect()
        };
        let scalar = |weight: &Tensor| Tensor::zeros([], (Kind::Float, weight.device()));
        let split = weights.iter().any(|weight| weight.kind() == Kind::BFloat16);
        Self {
            exp_avgs: like(Kind::Float),
            exp_avg_sqs: like(Kind::Float),
            steps: weights.iter().map(scalar).collect(),
            remainders: if split { like(Kind::Int16) } else { Vec::new() },
            pieces,
            weights,
        }
    }

    /// What it is the state of.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// One update of the pieces by their gradients.
    pub(super) fn update(
        &mut self,
        grads: &[Tensor],
        constants: Constants,
        weight_decay: f64,
        lr: &Tensor,
        skip: &Tensor,
    ) -> Result<()> {
        if grads.is_empty() {
            return Ok(()); // all of the group is other ranks'
        }
        let step = AdamWStep {
            params: &self.weights,
            grads,
            exp_avgs: &self.exp_avgs,
            exp_avg_sqs: &self.exp_avg_sqs,
            steps: &self.steps,
            lr,
            betas: constants.betas,
            eps: constants.eps,
            weight_decay,
            found_inf: skip,
        };
        match self.remainders.is_empty() {
            true => torch::fused_adamw(&step),
            false => torch::split_adamw(&step, &self.remainders),
        }
    }

    /// All tensors of the group's state.
    pub(super) fn tensors(&self, params: &ParamGroup) -> Vec<StateTensor> {
        let mut all = Vec::new();
        for (index, (name, param)) in params.names.iter().zip(&params.params).enumerate() {
            let held = self.pieces.iter().position(|piece| piece.tensor == index);
            let mut part = |part: &str, of_pieces: &[Tensor], size: Vec<i64>, kind| {
                all.push(StateTensor {
                    name: format!("{name}.{part}"),
                    held: held.map(|held| HeldPart {
                        first: if size.is_empty() {
                            0
                        } else {
                            self.pieces[held].range.start
                        },
                        tensor: of_pieces[held].shallow_clone(),
                    }),
                    size,
                    kind,
                });
            };
            part("exp_avg", &self.exp_avgs, param.size(), Kind::Float);
            part("exp_avg_sq", &self.exp_avg_sqs, param.size(), Kind::Float);
            part("step", &self.steps, Vec::new(), Kind::Float);
            if param.kind() == Kind::BFloat16 {
                part("remainder", &self.remainders, param.size(), Kind::Int16);
            }
        }
        all
    }
}

impl StateTensor {
    /// Takes what this rank holds from the whole tensor.
    pub(super) fn load(&self, whole: &Tensor) -> Result<()> {
        ensure!(
            whole.size() == self.size,
            "optimizer state: {} has shape {:?}, the model needs {:?}",
            self.name,
            whole.size(),
            self.size
        );
        let Some(HeldPart { first, tensor }) = &self.held else {
            return Ok(());
        };
        let part = whole.reshape([-1]).narrow(0, *first, tensor.numel() as i64);
        tch::no_grad(|| tensor.shallow_clone().f_copy_(&part.view_as(tensor)))?;
        Ok(())
    }
}
