//! From the `[model]` section to a shape.

use super::model::ModelConfig;
use super::presets::{PRESETS, preset};
use super::sections::ModelSection;
use crate::bad_request;
use anyhow::Result;

const DEFAULT_MULTIPLE_OF: i64 = 256;

impl ModelSection {
    /// The shape: a preset with the fields given beside it, or the fields alone. `vocab_size` is the data's, used
    /// where the section names none; `seq_len` is the default of `max_seq_len`.
    ///
    /// # Errors
    /// A bad request that names what is missing or impossible.
    pub fn resolve(&self, vocab_size: Option<i64>, seq_len: i64) -> Result<ModelConfig> {
        let base = self.preset.as_deref().and_then(preset);
        let mut missing = Vec::new();
        let mut required = |name: &str, given: Option<i64>, of_preset: Option<i64>| {
            given.or(of_preset).unwrap_or_else(|| {
                missing.push(format!("model.{name}"));
                1
            })
        };
        let of = |field: fn(&ModelConfig) -> i64| base.as_ref().map(field);
        let dim = required("dim", self.dim, of(|base| base.dim));
        let n_layers = required("n_layers", self.n_layers, of(|base| base.n_layers));
        let n_heads = required("n_heads", self.n_heads, of(|base| base.n_heads));
        // The data's vocabulary wins over a preset's: a shape may be trained with any tokenizer.
        let vocab_size = required(
            "vocab_size",
            self.vocab_size.or(vocab_size),
            of(|base| base.vocab_size),
        );
        if !missing.is_empty() {
            return Err(bad_request!(
                "the model's shape is not complete: set {}, or model.preset (one of {}), or start from a folder with \
                 --init-from",
                missing.join(", "),
                PRESETS.join(", ")
            ));
        }
        let shape = ModelConfig {
            dim,
            n_layers,
            n_heads,
            n_kv_heads: self
                .n_kv_heads
                .or(of(|base| base.n_kv_heads))
                .unwrap_or(n_heads),
            head_dim: dim / n_heads.max(1),
            vocab_size,
            ffn_hidden_dim: self.ffn_hidden_dim(dim, of(|base| base.ffn_hidden_dim)),
            norm_eps: self
                .norm_eps
                .or(base.as_ref().map(|base| base.norm_eps))
                .unwrap_or(1e-5),
            rope_theta: self
                .rope_theta
                .or(base.as_ref().map(|base| base.rope_theta))
                .unwrap_or(500_000.0),
            rope_scaling: self
                .rope_scaling
                .clone()
                .or(base.as_ref().and_then(|base| base.rope_scaling.clone())),
            max_seq_len: self
                .max_seq_len
                .or(of(|base| base.max_seq_len))
                .unwrap_or(seq_len),
            tie_embeddings: self
                .tie_embeddings
                .unwrap_or(base.is_some_and(|base| base.tie_embeddings)),
        };
        match shape.problems().as_slice() {
            [] => Ok(shape),
            problems => Err(bad_request!("[model]: {}", problems.join("\n[model]: "))),
        }
    }

    /// Meta's rule: two thirds of four times the width, scaled, rounded up to a multiple.
    fn ffn_hidden_dim(&self, dim: i64, of_preset: Option<i64>) -> i64 {
        if let Some(given) = self.ffn_hidden_dim {
            return given;
        }
        match (
            of_preset,
            self.multiple_of,
            self.ffn_dim_multiplier,
            self.dim,
        ) {
            (Some(hidden), None, None, None) => return hidden,
            _ => {}
        }
        let multiple_of = self.multiple_of.unwrap_or(DEFAULT_MULTIPLE_OF).max(1);
        let hidden = (self.ffn_dim_multiplier.unwrap_or(1.0) * (2 * (4 * dim) / 3) as f64) as i64;
        (hidden + multiple_of - 1) / multiple_of * multiple_of
    }
}

impl ModelConfig {
    /// Everything that is impossible about this shape, in the configuration's own names.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let sizes = [
            ("dim", self.dim),
            ("n_layers", self.n_layers),
            ("n_heads", self.n_heads),
            ("n_kv_heads", self.n_kv_heads),
            ("vocab_size", self.vocab_size),
            ("ffn_hidden_dim", self.ffn_hidden_dim),
            ("max_seq_len", self.max_seq_len),
        ];
        let small = sizes.iter().filter(|(_, size)| *size < 1);
        let mut problems: Vec<String> = small
            .map(|(name, size)| format!("{name} = {size}: must be at least 1"))
            .collect();
        if !problems.is_empty() {
            return problems;
        }
        let Self {
            dim,
            n_heads,
            n_kv_heads,
            head_dim,
            ..
        } = *self;
        if dim % n_heads != 0 && head_dim == dim / n_heads {
            problems.push(format!(
                "dim = {dim} is not a multiple of n_heads = {n_heads}"
            ));
        }
        if n_heads % n_kv_heads != 0 {
            problems.push(format!(
                "n_heads = {n_heads} is not a multiple of n_kv_heads = {n_kv_heads}"
            ));
        }
        if head_dim < 2 || head_dim % 2 != 0 {
            problems.push(format!(
                "the width of a head, {head_dim}, must be even: rotary embeddings turn pairs"
            ));
        }
        if self.norm_eps <= 0.0 || self.rope_theta <= 0.0 {
            problems.push("norm_eps and rope_theta must be above 0".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from the original project and Meta's releases.
    #[test]
    fn hidden_sizes_of_the_feed_forward() {
        let recorded = [
            (768, 1.0, 1024, 2048),
            (4096, 1.3, 1024, 14_336),
            (2048, 1.5, 256, 8192),
            (3072, 1.0, 256, 8192),
            (8192, 1.3, 4096, 28_672),
        ];
        for (dim, multiplier, multiple_of, hidden) in recorded {
            let section = ModelSection {
                ffn_dim_multiplier: Some(multiplier),
                multiple_of: Some(multiple_of),
                ..ModelSection::default()
            };
            assert_eq!(section.ffn_hidden_dim(dim, None), hidden, "dim {dim}");
        }
    }

    #[test]
    fn a_field_beside_a_preset_wins() {
        let section = ModelSection {
            preset: Some("llama3.2-1b".into()),
            n_layers: Some(2),
            ..ModelSection::default()
        };
        let shape = section.resolve(Some(512), 64).unwrap();
        assert_eq!(
            (shape.dim, shape.n_layers, shape.vocab_size),
            (2048, 2, 512)
        );
        assert_eq!(shape.ffn_hidden_dim, 8192);
        assert!(shape.tie_embeddings);
    }
}
