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
        let base = match base {
            Some(base) => base,
            None => self.base_without_preset(vocab_size, seq_len)?,
        };
        let dim = self.dim.unwrap_or(base.dim);
        let n_heads = self.n_heads.unwrap_or(base.n_heads);
        let shape = ModelConfig {
            dim,
            n_layers: self.n_layers.unwrap_or(base.n_layers),
            n_heads,
            n_kv_heads: self.n_kv_heads.unwrap_or(base.n_kv_heads),
            head_dim: dim / n_heads.max(1),
            // The data's vocabulary wins over a preset's: a shape may be trained with any tokenizer.
            vocab_size: self.vocab_size.or(vocab_size).unwrap_or(base.vocab_size),
            ffn_hidden_dim: self.ffn_hidden_dim(dim, base.ffn_hidden_dim),
            norm_eps: self.norm_eps.unwrap_or(base.norm_eps),
            rope_theta: self.rope_theta.unwrap_or(base.rope_theta),
            rope_scaling: self.rope_scaling.clone().or(base.rope_scaling),
            max_seq_len: self.max_seq_len.unwrap_or(base.max_seq_len),
            tie_embeddings: self.tie_embeddings.unwrap_or(base.tie_embeddings),
        };
        match shape.problems().as_slice() {
            [] => Ok(shape),
            problems => Err(bad_request!("[model]: {}", problems.join("\n[model]: "))),
        }
    }

    /// Fills in every field from a shape.
    pub fn describe(&mut self, shape: &ModelConfig) {
        let shape = shape.clone();
        *self = Self {
            preset: self.preset.take(),
            init_from: self.init_from.take(),
            dim: Some(shape.dim),
            n_layers: Some(shape.n_layers),
            n_heads: Some(shape.n_heads),
            n_kv_heads: Some(shape.n_kv_heads),
            vocab_size: Some(shape.vocab_size),
            multiple_of: None,
            ffn_dim_multiplier: None,
            ffn_hidden_dim: Some(shape.ffn_hidden_dim),
            norm_eps: Some(shape.norm_eps),
            rope_theta: Some(shape.rope_theta),
            rope_scaling: shape.rope_scaling,
            max_seq_len: Some(shape.max_seq_len),
            tie_embeddings: Some(shape.tie_embeddings),
        };
    }

    /// Fields that a shape, which weights have, contradicts: each as `dim = 32` with the shape's value.
    #[must_use]
    pub fn passed_over(&self, shape: &ModelConfig) -> Vec<(String, String)> {
        let mut described = self.clone();
        described.describe(shape);
        let table = |section: &Self| toml::Table::try_from(section).unwrap_or_default();
        let (given, described) = (table(self), table(&described));
        let differs = |(key, value): (&String, &toml::Value)| {
            let of_shape = described.get(key).filter(|of_shape| *of_shape != value)?;
            Some((format!("{key} = {value}"), of_shape.to_string()))
        };
        given.iter().filter_map(differs).collect()
    }

    /// What fields default to where no preset says it; those without a default must be given.
    fn base_without_preset(&self, vocab_size: Option<i64>, seq_len: i64) -> Result<ModelConfig> {
        let required = [
            ("dim", self.dim),
            ("n_layers", self.n_layers),
            ("n_heads", self.n_heads),
            ("vocab_size", self.vocab_size.or(vocab_size)),
        ];
        let missing = required.iter().filter(|(_, value)| value.is_none());
        let missing: Vec<String> = missing.map(|(name, _)| format!("model.{name}")).collect();
        let [Some(dim), Some(n_layers), Some(n_heads), Some(vocab_size)] =
            required.map(|(_, value)| value)
        else {
            return Err(bad_request!(
                "the model's shape is not complete: set {}, or model.preset (one of {}), or start from a folder with \
                 --init-from",
                missing.join(", "),
                PRESETS.join(", ")
            ));
        };
        Ok(ModelConfig {
            dim,
            n_layers,
            n_heads,
            n_kv_heads: n_heads,
            head_dim: dim / n_heads.max(1),
            vocab_size,
            ffn_hidden_dim: self.ffn_rule(dim),
            norm_eps: 1e-5,
            rope_theta: 500_000.0,
            rope_scaling: None,
            max_seq_len: seq_len,
            tie_embeddings: false,
        })
    }

    /// The size given, or the rule's where one of its parts is given, or the base's.
    fn ffn_hidden_dim(&self, dim: i64, base: i64) -> i64 {
        let rule_applies =
            self.dim.is_some() || self.multiple_of.is_some() || self.ffn_dim_multiplier.is_some();
        match self.ffn_hidden_dim {
            Some(given) => given,
            None if rule_applies => self.ffn_rule(dim),
            None => base,
        }
    }

    /// Meta's rule: two thirds of four times the width, scaled, rounded up to a multiple.
    fn ffn_rule(&self, dim: i64) -> i64 {
        let multiple_of = self.multiple_of.unwrap_or(DEFAULT_MULTIPLE_OF).max(1);
        let hidden = (self.ffn_dim_multiplier.unwrap_or(1.0) * (2 * (4 * dim) / 3) as f64) as i64;
        (hidden + multiple_of - 1) / multiple_of * multiple_of
    }
}

impl ModelConfig {
    /// Everything that is impossible about this shape, in the configuration's own names.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let sizes = self.size_problems();
        if sizes.is_empty() {
            self.ratio_problems()
        } else {
            sizes
        }
    }

    fn size_problems(&self) -> Vec<String> {
        let sizes = [
            ("dim", self.dim, 1 << 18),
            ("n_layers", self.n_layers, 1 << 13),
            ("n_heads", self.n_heads, 1 << 11),
            ("n_kv_heads", self.n_kv_heads, 1 << 11),
            ("head_dim", self.head_dim, 1 << 13),
            ("vocab_size", self.vocab_size, 1 << 28),
            ("ffn_hidden_dim", self.ffn_hidden_dim, 1 << 21),
            ("max_seq_len", self.max_seq_len, 1 << 24),
        ];
        let problem = |(name, size, most)| match size {
            ..1 => Some(format!("{name} = {size}: must be at least 1")),
            // Beyond any Llama, and small enough to count its weights.
            _ if size > most => Some(format!("{name} = {size}: must be at most {most}")),
            _ => None,
        };
        sizes.into_iter().filter_map(problem).collect()
    }

    fn ratio_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
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
        if head_dim % 2 != 0 {
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
            assert_eq!(section.ffn_rule(dim), hidden, "dim {dim}");
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

    #[test]
    fn a_described_section_resolves_to_the_shape() {
        let shape = super::super::preset("llama3.1-8b").unwrap();
        let given = ModelSection {
            dim: Some(32),
            n_layers: Some(32),
            ..ModelSection::default()
        };
        let mut described = given.clone();
        described.describe(&shape);
        assert_eq!(described.resolve(None, 64).unwrap(), shape);
        assert!(described.passed_over(&shape).is_empty());
        let passed_over = [("dim = 32".to_owned(), "4096".to_owned())];
        assert_eq!(given.passed_over(&shape), passed_over);
    }
}
