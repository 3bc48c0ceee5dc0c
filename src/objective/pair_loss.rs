//! Losses over pairs of answers, as their papers have them. For a prompt x with a chosen answer w and a rejected one l:
//! `Δ(y) = log π(y|x) − log π_ref(y|x)` is an answer's log-ratio to the reference (without one, `log π(y|x)` itself),
//! `|y|` its length in tokens, β `dpo.beta`, ε `dpo.label_smoothing`, σ the logistic function.

use crate::config::{DpoConfig, DpoLoss};
use tch::Tensor;

/// The answers of one side [B]: all chosen or all rejected.
pub(super) struct Side {
    /// `log π(y|x)`
    pub(super) log_prob: Tensor,
    /// `Δ(y)`
    pub(super) log_ratio: Tensor,
    /// `|y|`
    pub(super) length: Tensor,
}

impl Side {
    /// `log π(y|x) / |y|`
    fn mean_log_prob(&self) -> Tensor {
        &self.log_prob / &self.length
    }

    /// `Δ(y) / |y|`
    fn mean_log_ratio(&self) -> Tensor {
        &self.log_ratio / &self.length
    }

    /// Negative log-likelihood per token.
    pub(super) fn nll(&self) -> Tensor {
        -self.mean_log_prob()
    }
}

/// What the loss takes as an answer's reward: `β Δ(y)`; where there is never a reference, `β/|y| log π(y|x)`.
pub(super) fn reward(config: &DpoConfig, side: &Side) -> Tensor {
    let reward = match config.loss.needs_reference() {
        true => side.log_ratio.shallow_clone(),
        false => side.mean_log_prob(),
    };
    reward * config.beta
}

/// The loss of each pair [B].
pub(super) fn pair_loss(config: &DpoConfig, chosen: &Side, rejected: &Side) -> Tensor {
    let (beta, smoothing) = (config.beta, config.label_smoothing);
    let difference = || &chosen.log_ratio - &rejected.log_ratio;
    let margin = || reward(config, chosen) - reward(config, rejected);
    match config.loss {
        // Rafailov et al. 2023: −log σ(β(Δw − Δl)). With ε > 0 Mitchell 2023, "cDPO": that weighted by 1 − ε, and
        // −log σ(−β(Δw − Δl)) by ε.
        DpoLoss::Sigmoid => {
            let margin = margin();
            -margin.log_sigmoid() * (1.0 - smoothing) - (-&margin).log_sigmoid() * smoothing
        }
        // Chowdhury et al. 2024: the estimate of DPO's loss that labels wrong with probability ε do not bias,
        // ((1 − ε)(−log σ(β(Δw − Δl))) − ε(−log σ(−β(Δw − Δl)))) / (1 − 2ε).
        DpoLoss::Robust => {
            let margin = margin();
            let sum =
                -margin.log_sigmoid() * (1.0 - smoothing) + (-&margin).log_sigmoid() * smoothing;
            sum / (1.0 - 2.0 * smoothing)
        }
        // Azar et al. 2023, with each log-ratio divided by its length as in TRL: (Δw/|w| − Δl/|l| − 1/(2β))².
        DpoLoss::Ipo => {
            let difference = chosen.mean_log_ratio() - rejected.mean_log_ratio();
            (difference - 1.0 / (2.0 * beta)).square()
        }
        // Azar et al. 2023: (Δw − Δl − 1/(2β))².
        DpoLoss::IpoPaper => (difference() - 1.0 / (2.0 * beta)).square(),
        // Zhao et al. 2023, "SLiC-HF", over DPO's rewards (Liu et al. 2023, "RSO"): max(0, 1 − β(Δw − Δl)).
        DpoLoss::Hinge => (-margin() + 1.0).relu(),
        // D'Oosterlinck et al. 2024: −σ(βΔw) + σ(βΔl), and 1 as in TRL, so that it is never negative.
        DpoLoss::ApoZero => {
            let [chosen, rejected] = [chosen, rejected].map(|side| reward(config, side).sigmoid());
            rejected - chosen + 1.0
        }
        // Meng et al. 2024: −log σ(β/|w| log π(w|x) − β/|l| log π(l|x) − γ).
        DpoLoss::Simpo => -(margin() - config.simpo_margin()).log_sigmoid(),
        // Hong et al. 2024: −log π(w|x)/|w| − β log σ(log(odds(w)/odds(l))), where odds(y) = p/(1 − p) with
        // p = π(y|x)^(1/|y|) and β is the paper's λ.
        DpoLoss::Orpo => {
            let [better, worse] = [chosen, rejected].map(|side| log_odds(&side.mean_log_prob()));
            chosen.nll() - (better - worse).log_sigmoid() * beta
        }
    }
}

/// The log-probability of an answer that is as good as certain; at 0 the odds, and their gradient, have no number.
const CERTAIN: f64 = -1e-6;

/// `log(p / (1 − p))` of a log-probability.
fn log_odds(log_prob: &Tensor) -> Tensor {
    let log_prob = log_prob.clamp_max(CERTAIN);
    &log_prob - (-log_prob.expm1()).log()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    /// A log-probability rounds to 0 in fp32 where the model is sure enough.
    #[test]
    fn a_certain_answer_has_finite_odds() {
        let certain = Tensor::from_slice(&[0.0_f32, -1e-9, -0.7]).set_requires_grad(true);
        let odds = log_odds(&certain);
        let slopes = Tensor::run_backward(&[odds.sum(Kind::Float)], &[&certain], false, false);
        for found in slopes.iter().chain([&odds]) {
            assert_eq!(found.isfinite().all().int64_value(&[]), 1, "{found}");
        }
    }
}
