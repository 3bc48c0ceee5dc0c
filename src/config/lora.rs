//! Which matrices get adapters.

use super::method_sections::LoraConfig;
use super::{Problem, did_you_mean};

/// The matrices of a block that can have an adapter, in Meta's names and the Hub's.
const MATRICES: [(&str, &str); 7] = [
    ("wq", "q_proj"),
    ("wk", "k_proj"),
    ("wv", "v_proj"),
    ("wo", "o_proj"),
    ("w1", "gate_proj"),
    ("w2", "down_proj"),
    ("w3", "up_proj"),
];

impl LoraConfig {
    /// `target_modules` in Meta's names, each once, as far as they are known. A longer name counts by its last part.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        let is_wanted = |(meta, hub): &&(&str, &str)| {
            let mut wanted = self.target_modules.iter().map(|name| last_part(name));
            wanted.any(|name| name == *meta || name == *hub)
        };
        let wanted = MATRICES.iter().filter(is_wanted);
        wanted.map(|(meta, _)| (*meta).to_owned()).collect()
    }

    /// Every value that cannot be, by key.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.rank < 1 {
            problems.push(("lora.rank", format!("{} must be at least 1", self.rank)));
        }
        if !(self.alpha > 0.0 && self.alpha.is_finite()) {
            problems.push(("lora.alpha", format!("{} must be above 0", self.alpha)));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let message = format!("{} must be at least 0 and below 1", self.dropout);
            problems.push(("lora.dropout", message));
        }
        let names = self.target_modules.iter().map(|name| last_part(name));
        let strange = names.filter(|name| MATRICES.iter().all(|(a, b)| name != a && name != b));
        problems.extend(strange.map(|name| ("lora.target_modules", unknown(name))));
        if self.target_modules.is_empty() {
            problems.push(("lora.target_modules", "names nothing to adapt".to_owned()));
        }
        problems
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn unknown(name: &str) -> String {
    let known = MATRICES.iter().flat_map(|(meta, hub)| [*meta, *hub]);
    let names: Vec<String> = MATRICES
        .iter()
        .map(|(meta, hub)| format!("{meta} ({hub})"))
        .collect();
    let names = names.join(", ");
    match name {
        "output" | "lm_head" | "tok_embeddings" | "embed_tokens" => format!(
            "{name}: the embedding and the head, which may be one matrix, take no adapter; these do: {names}"
        ),
        _ => format!(
            "{name}: no such matrix{}; there are {names}",
            did_you_mean(name, known)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(names: &[&str]) -> LoraConfig {
        LoraConfig {
            target_modules: names.iter().map(|name| (*name).to_owned()).collect(),
            ..LoraConfig::default()
        }
    }

    #[test]
    fn either_naming_means_the_same() {
        let metas = targets(&["wq", "w1", "wq"]);
        let hubs = targets(&["mlp.gate_proj", "self_attn.q_proj"]);
        assert_eq!(metas.targets(), ["wq", "w1"]);
        assert_eq!(hubs.targets(), metas.targets());
        assert!(metas.problems().is_empty() && hubs.problems().is_empty());
    }

    #[test]
    fn what_cannot_be_adapted_is_named() {
        let problems = targets(&["qproj", "lm_head"]).problems();
        let [(_, close), (_, head)] = problems.as_slice() else {
            panic!("{problems:?}");
        };
        assert!(
            close.contains("did you mean") && close.contains("q_proj"),
            "{close}"
        );
        assert!(head.contains("may be one matrix"), "{head}");
    }
}
