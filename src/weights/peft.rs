//! Adapters as PEFT keeps them: `adapter_config.json` and `adapter_model.safetensors` (or, of old, `.bin`).

use super::adapter::{self, Adapter};
use super::names::{from_peft, target_to_hf, to_peft};
use super::safetensors;
use super::torch_save::TorchFile;
use crate::bad_request;
use crate::model::LoraOptions;
use crate::storage::AtomicFile;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use tch::Tensor;

const CONFIG: &str = "adapter_config.json";
const HUB: &str = "hf://";
const WEIGHTS: &str = "adapter_model.safetensors";
const OLD_WEIGHTS: &str = "adapter_model.bin";
/// Variants of LoRA that change what the adapter computes; each must be off.
const VARIANTS: [&str; 17] = [
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "fan_in_fan_out",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "velora_config",
    "layer_replication",
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "layers_to_transform",
    "target_parameters",
    "trainable_token_indices",
];

/// Whether a folder holds an adapter.
#[must_use]
pub fn is_adapter(dir: &Path) -> bool {
    dir.join(CONFIG).is_file()
}

/// The file with an adapter's matrices, if the folder has one.
pub(super) fn weight_file(dir: &Path) -> Option<PathBuf> {
    let files = [WEIGHTS, OLD_WEIGHTS].map(|name| dir.join(name));
    files.into_iter().find(|path| path.is_file())
}

/// The model that an adapter was trained over, as its configuration names it; with a revision it is on the Hub.
///
/// # Errors
/// When its configuration cannot be read.
pub fn base_name(dir: &Path) -> Result<Option<String>> {
    let config = read_json(dir)?;
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    let name = text("base_model_name_or_path").filter(|name| !name.is_empty());
    Ok(match (name, text("revision")) {
        (Some(name), Some(revision)) => Some(format!("{HUB}{name}@{revision}")),
        (name, _) => name.map(str::to_owned),
    })
}

/// Reads an adapter.
///
/// # Errors
/// A bad request when the folder holds none; an error that lists what about it is not supported, or names what is
/// damaged.
pub fn read(dir: &Path) -> Result<Adapter> {
    if !is_adapter(dir) {
        return Err(bad_request!(
            "{}: no {CONFIG} here; --adapter takes a folder that PEFT or a LoRA run has written",
            dir.display()
        ));
    }
    let config = read_json(dir)?;
    let path = dir.join(CONFIG);
    refuse_variants(&config).with_context(|| path.display().to_string())?;
    let number = |key: &str| config.get(key).and_then(Value::as_f64);
    let rank = number("r").filter(|&rank| rank >= 1.0);
    let rank = rank.with_context(|| format!("{}: r is missing", path.display()))?;
    let alpha = number("lora_alpha");
    let alpha = alpha.with_context(|| format!("{}: lora_alpha is missing", path.display()))?;
    let is_stabilised = config.get("use_rslora").and_then(Value::as_bool) == Some(true);
    let tensors = read_tensors(dir)?;
    Ok(Adapter {
        path: dir.to_owned(),
        options: LoraOptions {
            rank: rank as i64,
            // Rank-stabilised LoRA (Kalajdzievski 2023) divides by the root of the rank.
            alpha: if is_stabilised {
                alpha * rank.sqrt()
            } else {
                alpha
            },
            dropout: number("lora_dropout").unwrap_or(0.0),
            targets: adapter::targets(tensors.keys()),
        },
        tensors,
    })
}

/// Writes an adapter, its numbers as they are; the folder must exist. `base` is the model it belongs to: a folder, or a
/// name on the Hub.
///
/// # Errors
/// When the disk is full or not writable.
pub fn save(dir: &Path, adapter: &Adapter, base: &str) -> Result<()> {
    let renamed = adapter.tensors.iter().map(|(name, tensor)| {
        let peft = to_peft(name).with_context(|| format!("{name} has no name in PEFT"))?;
        Ok((peft, tensor.detach()))
    });
    let tensors = renamed.collect::<Result<Vec<_>>>()?;
    safetensors::write(&dir.join(WEIGHTS), &tensors)?;
    let mut file = AtomicFile::create(&dir.join(CONFIG))?;
    file.write_all(&serde_json::to_vec_pretty(&config_json(
        &adapter.options,
        base,
    ))?)?;
    file.commit()
}

/// An address on the Hub is PEFT's name and revision.
fn config_json(options: &LoraOptions, base: &str) -> Value {
    let (name, revision) = match base.strip_prefix(HUB) {
        Some(id) => id
            .split_once('@')
            .map_or((id, None), |(id, at)| (id, Some(at))),
        None => (base, None),
    };
    let targets = options.targets.iter();
    let targets: Vec<_> = targets.filter_map(|target| target_to_hf(target)).collect();
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": name,
        "revision": revision,
        "r": options.rank,
        "lora_alpha": whole(options.alpha),
        "lora_dropout": options.dropout,
        "target_modules": targets,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "modules_to_save": null,
        "use_dora": false,
        "use_rslora": false,
    })
}

/// PEFT writes whole numbers without a point.
fn whole(number: f64) -> Value {
    match number.fract() == 0.0 {
        true => json!(number as i64),
        false => json!(number),
    }
}

fn read_json(dir: &Path) -> Result<Map<String, Value>> {
    let path = dir.join(CONFIG);
    let read = || Ok(serde_json::from_str(&fs::read_to_string(&path)?)?);
    read().map_err(|error: anyhow::Error| {
        error.context(format!(
            "{}: not an adapter's configuration",
            path.display()
        ))
    })
}

fn refuse_variants(config: &Map<String, Value>) -> Result<()> {
    let kind = config.get("peft_type").and_then(Value::as_str);
    ensure!(
        kind == Some("LORA"),
        "peft_type is {}, and only LORA is supported",
        kind.unwrap_or("missing")
    );
    let is_off = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    let variant = |key: &&&str| config.get(**key).is_some_and(|value| !is_off(value));
    let mut on: Vec<&str> = VARIANTS.iter().filter(variant).copied().collect();
    let bias = config.get("bias").and_then(Value::as_str);
    if bias.is_some_and(|bias| bias != "none") {
        on.push("bias");
    }
    match on.as_slice() {
        [] => Ok(()),
        on => bail!(
            "{} not supported: this is more than plain LoRA over whole blocks; merge it into its model with PEFT \
             (merge_and_unload) and take that",
            on.join(", ")
        ),
    }
}

fn read_tensors(dir: &Path) -> Result<BTreeMap<String, Tensor>> {
    let (path, old) = (dir.join(WEIGHTS), dir.join(OLD_WEIGHTS));
    let mut tensors = BTreeMap::new();
    let mut strange = Vec::new();
    let mut take = |name: &str, tensor: Tensor| {
        match from_peft(name) {
            Some(ours) => drop(tensors.insert(ours, tensor)),
            None => strange.push(name.to_owned()),
        }
        Ok(())
    };
    match (path.is_file(), old.is_file()) {
        (true, _) => safetensors::for_each(&path, &mut take)?,
        (false, true) => TorchFile::open(&old)?.for_each(&mut take)?,
        (false, false) => {
            return Err(bad_request!(
                "{}: {CONFIG} is here, but no {WEIGHTS}",
                dir.display()
            ));
        }
    }
    ensure!(
        strange.is_empty(),
        "{}: not adapters of a block's matrices: {}",
        dir.display(),
        strange.join(", ")
    );
    Ok(tensors)
}
