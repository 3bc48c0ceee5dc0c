//! The model's own names, the Hub's and PEFT's.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use tch::{Tensor, nn};

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

/// An adapter's two matrices, and PEFT's names for them.
const ADAPTER: [(&str, &str); 2] = [(".lora_a", ".lora_A.weight"), (".lora_b", ".lora_B.weight")];
/// What PEFT puts before the Hub's names.
const PEFT_PREFIX: &str = "base_model.model.";

/// The Hub's name of a weight: `layers.0.attention.wq.weight` is `model.layers.0.self_attn.q_proj.weight`.
pub(super) fn to_hf(name: &str) -> Option<String> {
    Some(format!(
        "{}.weight",
        module_to_hf(name.strip_suffix(".weight")?)?
    ))
}

fn module_to_hf(module: &str) -> Option<String> {
    Some(match module {
        "tok_embeddings" => "model.embed_tokens".to_owned(),
        "norm" => "model.norm".to_owned(),
        "output" => "lm_head".to_owned(),
        _ => {
            let (index, part) = module.strip_prefix("layers.")?.split_once('.')?;
            let (_, hf) = BLOCK.iter().find(|(meta, _)| *meta == part)?;
            format!("model.layers.{index}.{hf}")
        }
    })
}

/// PEFT's name of an adapter's matrix: `layers.0.attention.wq.lora_a` is
/// `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`.
pub(super) fn to_peft(name: &str) -> Option<String> {
    ADAPTER.iter().find_map(|(ours, theirs)| {
        let module = module_to_hf(name.strip_suffix(ours)?)?;
        Some(format!("{PEFT_PREFIX}{module}{theirs}"))
    })
}

/// The other way round; PEFT's name of the adapter may stand within (`lora_A.default.weight`).
pub(super) fn from_peft(name: &str) -> Option<String> {
    let name = name.replace(".default.weight", ".weight");
    let name = name
        .strip_prefix(PEFT_PREFIX)?
        .strip_prefix("model.layers.")?;
    ADAPTER.iter().find_map(|(ours, theirs)| {
        let (index, part) = name.strip_suffix(theirs)?.split_once('.')?;
        let (meta, _) = BLOCK.iter().find(|(_, hf)| *hf == part)?;
        Some(format!("layers.{index}.{meta}{ours}"))
    })
}

/// The Hub's name of a matrix that can have an adapter: `wq` is `q_proj`.
pub(super) fn target_to_hf(target: &str) -> Option<&'static str> {
    let last = |name: &'static str| name.rsplit('.').next();
    let (_, hf) = BLOCK.iter().find(|(meta, _)| last(meta) == Some(target))?;
    last(hf)
}

fn is_adapter(name: &str) -> bool {
    ADAPTER.iter().any(|(ours, _)| name.ends_with(ours))
}

/// Leaves a model's adapters alone to be trained.
pub fn freeze_base(store: &nn::VarStore) {
    for weight in base_variables(store).into_values() {
        let _ = weight.set_requires_grad(false);
    }
}

/// The weights of a model without its adapters.
pub(super) fn base_variables(store: &nn::VarStore) -> BTreeMap<String, Tensor> {
    let mut variables: BTreeMap<_, _> = store.variables().into_iter().collect();
    variables.retain(|name, _| !is_adapter(name));
    variables
}

/// Whether a model has adapters.
pub(super) fn has_adapters(store: &nn::VarStore) -> bool {
    store.variables().keys().any(|name| is_adapter(name))
}

/// The adapters of a model.
pub(super) fn adapter_variables(store: &nn::VarStore) -> BTreeMap<String, Tensor> {
    let mut variables: BTreeMap<_, _> = store.variables().into_iter().collect();
    variables.retain(|name, _| is_adapter(name));
    variables
}

/// The weights of a model under the names of the Hub.
///
/// # Errors
/// When the store holds something that is not part of a Llama.
pub fn by_hub_name(store: &nn::VarStore) -> Result<BTreeMap<String, Tensor>> {
    let renamed = base_variables(store).into_iter().map(|(name, tensor)| {
        let hf = to_hf(&name).with_context(|| format!("{name} has no name on the Hub"))?;
        Ok((hf, tensor))
    });
    renamed.collect()
}
