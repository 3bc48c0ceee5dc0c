//! The published Llama 3 shapes (Meta's `params.json` of each release).

use super::model::{ModelConfig, RopeScaling};

const LLAMA3_VOCAB: i64 = 128_256;

/// Name, then dim, layers, heads, kv heads, feed-forward's hidden size.
type Shape = (&'static str, [i64; 5], Release);

/// What the releases differ in besides the shape.
#[derive(Clone, Copy, PartialEq)]
enum Release {
    V3,
    V31,
    V32,
}

const SHAPES: [Shape; 7] = [
    ("llama3-8b", [4096, 32, 32, 8, 14_336], Release::V3),
    ("llama3-70b", [8192, 80, 64, 8, 28_672], Release::V3),
    ("llama3.1-8b", [4096, 32, 32, 8, 14_336], Release::V31),
    ("llama3.1-70b", [8192, 80, 64, 8, 28_672], Release::V31),
    ("llama3.1-405b", [16_384, 126, 128, 8, 53_248], Release::V31),
    ("llama3.2-1b", [2048, 16, 32, 8, 8192], Release::V32),
    ("llama3.2-3b", [3072, 28, 24, 8, 8192], Release::V32),
];

/// Names that [`preset`] knows.
pub const PRESETS: [&str; 7] = {
    let mut names = [""; 7];
    let mut index = 0;
    while index < 7 {
        names[index] = SHAPES[index].0;
        index += 1;
    }
    names
};

/// A published shape by its name.
#[must_use]
pub fn preset(name: &str) -> Option<ModelConfig> {
    let (_, [dim, n_layers, n_heads, n_kv_heads, ffn_hidden_dim], release) =
        *SHAPES.iter().find(|(known, ..)| *known == name)?;
    Some(ModelConfig {
        dim,
        n_layers,
        n_heads,
        n_kv_heads,
        head_dim: dim / n_heads,
        vocab_size: LLAMA3_VOCAB,
        ffn_hidden_dim,
        norm_eps: 1e-5,
        rope_theta: 500_000.0,
        rope_scaling: release.rope_scaling(),
        max_seq_len: if release == Release::V3 {
            8192
        } else {
            131_072
        },
        tie_embeddings: release == Release::V32,
    })
}

impl Release {
    fn rope_scaling(self) -> Option<RopeScaling> {
        let factor = match self {
            Self::V3 => return None,
            Self::V31 => 8.0,
            Self::V32 => 32.0,
        };
        Some(RopeScaling::llama3(factor))
    }
}
