//! The model's own names and the Hub's.

/// Meta's part of a block's name, and the Hub's.
const BLOCK: [(&str, &str); 9] = [
    ("attention.wq", "self_attn.q_proj"),
    ("attention.wk", "self_attn.k_proj"),
    ("attention.wv", "self_attn.v_proj"),
    ("attention.wo", "self_attn.o_proj"),
    ("feed_forward.w1", "mlp.gate_proj"),
    ("feed_forward.w2", "mlp.down_proj"),
    ("feed_forward.w3", "mlp.up_proj"),
    ("attention_norm", "input_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
];

/// The Hub's name of a variable: `layers.0.attention.wq.weight` is `model.layers.0.self_attn.q_proj.weight`.
pub(super) fn to_hf(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".weight")?;
    let renamed = match stem {
        "tok_embeddings" => "model.embed_tokens".to_owned(),
        "norm" => "model.norm".to_owned(),
        "output" => "lm_head".to_owned(),
        _ => {
            let (index, part) = stem.strip_prefix("layers.")?.split_once('.')?;
            let (_, hf) = BLOCK.iter().find(|(meta, _)| *meta == part)?;
            format!("model.layers.{index}.{hf}")
        }
    };
    Some(format!("{renamed}.weight"))
}
