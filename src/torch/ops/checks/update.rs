//! The update of weights in two halves.

use super::Case;
use super::cases::{case, random};
use crate::torch::adamw::{AdamWStep, one_by_one, split_adamw};
use crate::torch::split_float;
use anyhow::Result;
use tch::{Device, Kind, Tensor};

const LR: f64 = 0.02;
const BETAS: (f64, f64) = (0.9, 0.95);
const EPS: f64 = 1e-8;
const WEIGHT_DECAY: f64 = 0.1;
/// Updates before it.
const BEFORE: f64 = 2.0;

/// Weights and moments, fp32.
struct Numbers {
    weights: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
}

/// Weights and moments after an update by the input, a gradient. What is timed on a GPU makes a copy of all of them first, in
/// either form.
pub(super) fn case_of_update(count: i64, device: Device) -> Case {
    let numbers = move || {
        let fp32 = |factor: f64| (random(&[count], device) * factor).to_kind(Kind::Float);
        Numbers {
            weights: fp32(0.7),
            exp_avg: fp32(0.1),
            exp_avg_sq: fp32(0.2).square(),
        }
    };
    let (of_fused, of_exact) = (numbers(), numbers());
    case(
        "split_adamw",
        vec![random(&[count], device).flip([0])],
        move |i| in_halves(&of_fused, &i[0], split_adamw),
        move |i| match i[0].kind() {
            Kind::Double => exactly(&of_exact, &i[0]),
            _ => in_halves(&of_exact, &i[0], one_by_one),
        },
    )
}

fn in_halves(
    of: &Numbers,
    grad: &Tensor,
    update: fn(&AdamWStep<'_>, &[Tensor]) -> Result<()>,
) -> Vec<Tensor> {
    let rounded = [of.weights.to_kind(Kind::BFloat16)];
    let remainders = [of.weights.zeros_like().to_kind(Kind::Int16)];
    split_float::split(&of.weights, &rounded[0], &remainders[0]);
    let (exp_avgs, exp_avg_sqs) = ([of.exp_avg.copy()], [of.exp_avg_sq.copy()]);
    let scalar = |value: f64| Tensor::full([0_i64; 0], value, (Kind::Float, grad.device()));
    let updated = update(
        &AdamWStep {
            params: &rounded,
            grads: &[grad.detach()],
            exp_avgs: &exp_avgs,
            exp_avg_sqs: &exp_avg_sqs,
            steps: &[scalar(BEFORE)],
            lr: &scalar(LR),
            betas: BETAS,
            eps: EPS,
            weight_decay: WEIGHT_DECAY,
            found_inf: &scalar(0.0),
        },
        &remainders,
    );
    if let Err(error) = updated {
        panic!("{error:#}");
    }
    let [exp_avg, exp_avg_sq] = [exp_avgs, exp_avg_sqs].map(|[tensor]| tensor);
    vec![
        split_float::join(&rounded[0], &remainders[0]),
        exp_avg,
        exp_avg_sq,
    ]
}

/// Algorithm 2 of Loshchilov & Hutter, in f64.
fn exactly(of: &Numbers, grad: &Tensor) -> Vec<Tensor> {
    let [weights, exp_avg, exp_avg_sq] =
        [&of.weights, &of.exp_avg, &of.exp_avg_sq].map(|tensor| tensor.to_kind(Kind::Double));
    let grad = grad.detach();
    let exp_avg = exp_avg * BETAS.0 + &grad * (1.0 - BETAS.0);
    let exp_avg_sq = exp_avg_sq * BETAS.1 + grad.square() * (1.0 - BETAS.1);
    let correction = |beta: f64| 1.0 - beta.powf(BEFORE + 1.0);
    let denominator = (&exp_avg_sq / correction(BETAS.1)).sqrt() + EPS;
    let moved = &exp_avg / correction(BETAS.0) / denominator * LR;
    vec![
        weights * (1.0 - LR * WEIGHT_DECAY) - moved,
        exp_avg,
        exp_avg_sq,
    ]
}
