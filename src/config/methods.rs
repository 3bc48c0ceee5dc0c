//! What must hold in the sections of methods.

use super::method_sections::{DistillConfig, DpoConfig, EvalConfig};
use super::{DpoLoss, Problem, did_you_mean};

/// Margin of SimPO as a part of beta (Meng et al. 2024, section 4).
const SIMPO_GAMMA_TO_BETA: f64 = 0.5;

impl DpoConfig {
    /// The margin that "simpo" asks for.
    #[must_use]
    pub fn simpo_margin(&self) -> f64 {
        self.simpo_gamma.unwrap_or(SIMPO_GAMMA_TO_BETA * self.beta)
    }

    /// The reference that was named; none where there is to be none, or the run's own is meant.
    #[must_use]
    pub fn named_reference(&self) -> Option<&str> {
        self.reference.as_deref().filter(|name| *name != "none")
    }

    /// Whether answers are compared with what a reference makes of them.
    #[must_use]
    pub fn has_reference(&self) -> bool {
        self.loss.needs_reference() && self.reference.as_deref() != Some("none")
    }

    /// Every value that cannot be, by key.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(self.beta > 0.0 && self.beta.is_finite()) {
            problems.push(("dpo.beta", format!("{} must be above 0", self.beta)));
        }
        let smoothing = self.label_smoothing;
        if !(0.0..0.5).contains(&smoothing) {
            let message = format!("{smoothing} must be at least 0 and below 0.5");
            problems.push(("dpo.label_smoothing", message));
        } else if smoothing > 0.0 && !self.loss.takes_label_smoothing() {
            let message =
                "only the losses \"sigmoid\" and \"robust\" have a place for it".to_owned();
            problems.push(("dpo.label_smoothing", message));
        }
        let not_negative = [
            ("dpo.simpo_gamma", self.simpo_gamma.unwrap_or(0.0)),
            ("dpo.sft_weight", self.sft_weight),
        ];
        for (key, value) in not_negative {
            if !(value >= 0.0 && value.is_finite()) {
                problems.push((key, format!("{value} must be 0 or more")));
            }
        }
        if self.simpo_gamma.is_some() && self.loss != DpoLoss::Simpo {
            problems.push((
                "dpo.simpo_gamma",
                "only the loss \"simpo\" has it".to_owned(),
            ));
        }
        problems.extend(self.reference_problems());
        problems
    }

    fn reference_problems(&self) -> Vec<Problem> {
        let without = |key, problem: &str| vec![(key, problem.to_owned())];
        match (self.loss.needs_reference(), &self.reference) {
            (false, Some(_)) => without(
                "dpo.reference",
                "the losses \"simpo\" and \"orpo\" have no reference",
            ),
            _ if self.cache_reference && !self.has_reference() => {
                without("dpo.cache_reference", "there is no reference to keep")
            }
            _ => Vec::new(),
        }
    }
}

impl DistillConfig {
    /// Every value that cannot be, by key.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (temperature, alpha) = (self.temperature, self.alpha);
        if !(temperature > 0.0 && temperature.is_finite()) {
            let message = format!("{temperature} must be above 0");
            problems.push(("distill.temperature", message));
        }
        if !(0.0..=1.0).contains(&alpha) {
            let message = format!("{alpha} must be at least 0 and at most 1");
            problems.push(("distill.alpha", message));
        }
        if self.top_k == 0 {
            problems.push(("distill.top_k", "must be at least 1".to_owned()));
        }
        problems
    }
}

impl EvalConfig {
    /// Every value that cannot be, by key. The names of tasks are known to those who do them: without any, none is
    /// checked.
    pub(super) fn problems(&self, known: &[&str]) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.batch_tokens == 0 {
            problems.push(("eval.batch_tokens", "must be at least 1".to_owned()));
        }
        let tasks = self.tasks.iter().map(|name| ("eval.tasks", name));
        let data = self.task_data.keys().map(|name| ("eval.task_data", name));
        for (key, name) in tasks.chain(data) {
            if !known.is_empty() && !known.contains(&name.as_str()) {
                let hint = did_you_mean(name, known.iter().copied());
                let known = known.join(", ");
                let message = format!("there is no task {name:?}{hint} (known: {known})");
                problems.push((key, message));
            }
        }
        problems
    }
}
