//! `config.json` of a Llama on the Hub, in the styles of transformers 4 and 5.

use crate::bad_request;
use crate::config::{ModelConfig, RopeScaling};
use crate::tokenizer::Tokenizer;
use anyhow::{Context, Error, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{fs, path::Path};
use tch::Kind;

#[derive(Deserialize)]
struct HfConfig {
    architectures: Option<Vec<String>>,
    model_type: Option<String>,
    hidden_size: i64,
    intermediate_size: i64,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    num_key_value_heads: Option<i64>,
    head_dim: Option<i64>,
    vocab_size: i64,
    #[serde(default = "default_eps")]
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<Map<String, Value>>,
    rope_parameters: Option<Map<String, Value>>,
    #[serde(default = "default_positions")]
    max_position_embeddings: i64,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default = "default_activation")]
    hidden_act: String,
}

// transformers' own defaults for LlamaConfig.
fn default_eps() -> f64 {
    1e-6
}
fn default_positions() -> i64 {
    2048
}
fn default_activation() -> String {
    "silu".to_owned()
}
const DEFAULT_THETA: f64 = 10_000.0;

/// Reads the shape of a Hugging Face model folder.
///
/// # Errors
/// A bad request when the folder or its `config.json` is missing; an error when it describes something else than a
/// Llama of this kind.
pub fn read_config(dir: &Path) -> Result<ModelConfig> {
    let path = dir.join("config.json");
    if !path.is_file() {
        return Err(no_model(dir));
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("{}: cannot read", path.display()))?;
    let parse = || -> Result<ModelConfig> { resolve(serde_json::from_str(&text)?) };
    parse().with_context(|| {
        format!(
            "{}: not the configuration of a Llama that can be trained here",
            path.display()
        )
    })
}

fn no_model(dir: &Path) -> Error {
    let path = dir.display();
    let checkpoints = dir.join("checkpoints");
    if !dir.exists() {
        bad_request!("{path}: there is no such folder or file")
    } else if checkpoints.is_dir() {
        bad_request!(
            "{path}: this is a run's folder; name one of its checkpoints, such as {}/latest",
            checkpoints.display()
        )
    } else {
        bad_request!(
            "{path}: no config.json here; a Hugging Face model folder (or a checkpoint of a run) is needed"
        )
    }
}

fn resolve(config: HfConfig) -> Result<ModelConfig> {
    let architecture = config
        .architectures
        .iter()
        .flatten()
        .next()
        .or(config.model_type.as_ref());
    let is_llama = architecture.is_none_or(|name| name == "LlamaForCausalLM" || name == "llama");
    ensure!(
        is_llama,
        "its architecture is {}, not LlamaForCausalLM",
        architecture.map_or("not said", String::as_str)
    );
    ensure!(
        !config.attention_bias && !config.mlp_bias,
        "attention_bias and mlp_bias must be false"
    );
    ensure!(
        config.hidden_act == "silu",
        "hidden_act is {:?}, not \"silu\"",
        config.hidden_act
    );
    let (rope_theta, rope_scaling) = rope(&config)?;
    Ok(ModelConfig {
        dim: config.hidden_size,
        n_layers: config.num_hidden_layers,
        n_heads: config.num_attention_heads,
        n_kv_heads: config
            .num_key_value_heads
            .unwrap_or(config.num_attention_heads),
        head_dim: config
            .head_dim
            .unwrap_or(config.hidden_size / config.num_attention_heads.max(1)),
        vocab_size: config.vocab_size,
        ffn_hidden_dim: config.intermediate_size,
        norm_eps: config.rms_norm_eps,
        rope_theta,
        rope_scaling,
        max_seq_len: config.max_position_embeddings,
        tie_embeddings: config.tie_word_embeddings,
    })
}

/// transformers 5 keeps everything in `rope_parameters`; before, there were `rope_theta` and `rope_scaling`.
fn rope(config: &HfConfig) -> Result<(f64, Option<RopeScaling>)> {
    let fields = config
        .rope_parameters
        .as_ref()
        .or(config.rope_scaling.as_ref());
    let theta = fields.and_then(|fields| fields.get("rope_theta")?.as_f64());
    let theta = theta.or(config.rope_theta).unwrap_or(DEFAULT_THETA);
    let Some(fields) = fields else {
        return Ok((theta, None));
    };
    let partial = fields
        .get("partial_rotary_factor")
        .and_then(Value::as_f64)
        .unwrap_or(1.0);
    ensure!(
        (partial - 1.0).abs() < f64::EPSILON,
        "partial_rotary_factor is {partial}, only 1 is supported"
    );
    let kind = fields
        .get("rope_type")
        .or(fields.get("type"))
        .and_then(Value::as_str)
        .unwrap_or("default");
    match kind {
        "default" => Ok((theta, None)),
        "llama3" => {
            let number = |name: &str| {
                fields
                    .get(name)
                    .and_then(Value::as_f64)
                    .with_context(|| format!("rope scaling: {name} is missing"))
            };
            let scaling = RopeScaling {
                factor: number("factor")?,
                low_freq_factor: number("low_freq_factor")?,
                high_freq_factor: number("high_freq_factor")?,
                original_max_position_embeddings: number("original_max_position_embeddings")?
                    as i64,
            };
            Ok((theta, Some(scaling)))
        }
        other => anyhow::bail!(
            "rope scaling of type {other:?} is not supported; \"default\" and \"llama3\" are"
        ),
    }
}

/// Ids that a server needs to begin and end a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Begins a text.
    pub bos: Option<u32>,
    /// Each of them ends one.
    pub eos: Vec<u32>,
}

impl SpecialTokens {
    /// The tokenizer's own.
    #[must_use]
    pub fn of(tokenizer: &Tokenizer) -> Self {
        Self {
            bos: tokenizer.bos(),
            eos: tokenizer.stop_tokens(),
        }
    }

    /// Those that a model folder's own `config.json` names; none where it names none.
    #[must_use]
    pub fn beside(dir: &Path) -> Self {
        let text = fs::read_to_string(dir.join("config.json")).unwrap_or_default();
        let config: Value = serde_json::from_str(&text).unwrap_or_default();
        let id = |value: &Value| u32::try_from(value.as_u64()?).ok();
        let eos = &config["eos_token_id"];
        let several = eos.as_array().into_iter().flatten();
        Self {
            bos: id(&config["bos_token_id"]),
            eos: id(eos).into_iter().chain(several.filter_map(id)).collect(),
        }
    }

    /// One id as a number, several as a list, none as null: transformers takes all three.
    fn eos_json(&self) -> Value {
        match self.eos.as_slice() {
            [] => Value::Null,
            [id] => json!(id),
            ids => json!(ids),
        }
    }
}

/// `config.json` in the style that every version of transformers with Llama 3 opens.
pub(super) fn config_json(config: &ModelConfig, special: &SpecialTokens, kind: Kind) -> Value {
    let dtype = match kind {
        Kind::BFloat16 => "bfloat16",
        Kind::Half => "float16",
        _ => "float32",
    };
    let rope_scaling = config.rope_scaling.as_ref().map(|scaling| {
        json!({
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_max_position_embeddings,
        })
    });
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": config.dim,
        "intermediate_size": config.ffn_hidden_dim,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocab_size,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": rope_scaling,
        "max_position_embeddings": config.max_seq_len,
        "tie_word_embeddings": config.tie_embeddings,
        "attention_bias": false,
        "attention_dropout": 0.0,
        "mlp_bias": false,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "use_cache": true,
        "bos_token_id": special.bos,
        "eos_token_id": special.eos_json(),
        "torch_dtype": dtype,
    })
}

/// `generation_config.json`.
pub(super) fn generation_config_json(special: &SpecialTokens) -> Value {
    json!({ "bos_token_id": special.bos, "eos_token_id": special.eos_json() })
}
