//! Hugging Face model folders: what a run starts from, and what every checkpoint is.

pub use super::hf_config::{SpecialTokens, read_config};
pub use super::names::by_hub_name;

use super::fill::Fill;
use super::hf_config::{config_json, generation_config_json};
use super::safetensors;
use crate::bad_request;
use crate::config::ModelConfig;
use crate::storage::AtomicFile;
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor, nn};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Larger models are written in several files.
const SHARD_BYTES: usize = 5 << 30;
/// Buffers that old checkpoints carry and that are computed here.
const COMPUTED: &str = ".rotary_emb.inv_freq";

/// Fills the variables of `store` from the folder's safetensors, one file or many, in fp32, bf16 or fp16.
///
/// # Errors
/// When a tensor is missing, extra or of another shape (all of them are named), or a file is damaged.
pub fn load(dir: &Path, store: &nn::VarStore, config: &ModelConfig) -> Result<()> {
    let variables = by_hub_name(store)?;
    let mut fill = Fill::new(variables);
    for file in weight_files(dir)? {
        safetensors::for_each(&file, |name, tensor| {
            // A tied checkpoint may carry its head as well.
            let ignored =
                name.ends_with(COMPUTED) || config.tie_embeddings && name == "lm_head.weight";
            match ignored {
                true => Ok(()),
                false => fill.take(name, &tensor),
            }
        })?;
    }
    fill.finish(dir)
}

/// A file of weights that is to be written.
#[derive(Debug)]
pub struct WeightFile {
    /// Its name in the folder.
    pub name: String,
    /// What goes into it, under the Hub's names.
    pub tensors: Vec<(String, Tensor)>,
}

/// The files of a model's folder: one, or several of a few gigabytes.
///
/// # Errors
/// When a variable has no name on the Hub.
pub fn into_files(store: &nn::VarStore, kind: Kind) -> Result<Vec<WeightFile>> {
    Ok(cut_into_files(by_hub_name(store)?, kind, SHARD_BYTES))
}

/// Writes `config.json`, `generation_config.json` and the weights in the kind of number given; the folder must exist.
///
/// # Errors
/// When the disk is full or not writable.
pub fn save(
    dir: &Path,
    store: &nn::VarStore,
    config: &ModelConfig,
    special: &SpecialTokens,
    kind: Kind,
) -> Result<()> {
    let files = into_files(store, kind)?;
    describe(dir, config, special, kind, &files)?;
    write_files(dir, &files, kind)
}

/// Writes what says how the files of weights are to be read.
///
/// # Errors
/// When the disk is full or not writable.
pub fn describe(
    dir: &Path,
    config: &ModelConfig,
    special: &SpecialTokens,
    kind: Kind,
    files: &[WeightFile],
) -> Result<()> {
    let write = |name: &str, value: &Value| write_json(&dir.join(name), value);
    write("config.json", &config_json(config, special, kind))?;
    write("generation_config.json", &generation_config_json(special))?;
    match files {
        [_only] => Ok(()),
        files => write(INDEX, &index(files, kind)),
    }
}

fn write_files(dir: &Path, files: &[WeightFile], kind: Kind) -> Result<()> {
    let write =
        |file: &WeightFile| safetensors::write_as(&dir.join(&file.name), &file.tensors, kind);
    files.iter().try_for_each(write)
}

/// How many numbers the folder's weights are.
pub(super) fn count_numbers(dir: &Path) -> Result<u64> {
    let files = weight_files(dir)?;
    files
        .iter()
        .map(|file| safetensors::count_numbers(file))
        .sum()
}

/// The kind of number that the folder's first weight is stored in.
///
/// # Errors
/// When there are no weights, or their file is damaged.
pub fn stored_kind(dir: &Path) -> Result<Kind> {
    let file = weight_files(dir)?.into_iter().next();
    let kind = file
        .map(|file| safetensors::first_kind(&file))
        .transpose()?;
    kind.flatten()
        .with_context(|| format!("{}: there are no weights in it", dir.display()))
}

/// The one file, or those that the index lists.
pub(super) fn weight_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let (single, index) = (dir.join(SINGLE), dir.join(INDEX));
    if single.is_file() {
        return Ok(vec![single]);
    }
    if !index.is_file() {
        return Err(bad_request!(
            "{}: neither {SINGLE} nor {INDEX} is here",
            dir.display()
        ));
    }
    let text =
        fs::read_to_string(&index).with_context(|| format!("{}: cannot read", index.display()))?;
    let parsed: Value = serde_json::from_str(&text)
        .with_context(|| format!("{}: not valid JSON", index.display()))?;
    let map = parsed.get("weight_map").and_then(Value::as_object);
    let map = map.with_context(|| format!("{}: weight_map is missing", index.display()))?;
    let files: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
    let beside = |file: &str| match Path::new(file).file_name() {
        Some(name) if name == file => Ok(dir.join(file)),
        _ => bail!(
            "{}: it names {file:?}, which is not a file of this folder",
            index.display()
        ),
    };
    files.into_iter().map(beside).collect()
}

fn cut_into_files(
    variables: BTreeMap<String, Tensor>,
    kind: Kind,
    shard_bytes: usize,
) -> Vec<WeightFile> {
    let shards = into_shards(variables, shard_bytes / kind.elt_size_in_bytes());
    let count = shards.len();
    let name = |number: usize| match count {
        1 => SINGLE.to_owned(),
        _ => format!("model-{number:05}-of-{count:05}.safetensors"),
    };
    let file = |(number, tensors)| WeightFile {
        name: name(number),
        tensors,
    };
    (1..).zip(shards).map(file).collect()
}

/// Cuts the tensors, in name order, into groups of at most `limit` numbers (a larger tensor is alone).
fn into_shards(variables: BTreeMap<String, Tensor>, limit: usize) -> Vec<Vec<(String, Tensor)>> {
    let mut shards = vec![Vec::new()];
    let mut filled = 0;
    for (name, tensor) in variables {
        let numbers = tensor.numel();
        if filled > 0 && filled + numbers > limit {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += numbers;
        if let Some(last) = shards.last_mut() {
            last.push((name, tensor));
        }
    }
    shards
}

/// Which file holds which tensor.
fn index(files: &[WeightFile], kind: Kind) -> Value {
    let mut weight_map = Map::new();
    let mut total_size = 0;
    for file in files {
        for (name, tensor) in &file.tensors {
            weight_map.insert(name.clone(), json!(file.name));
            total_size += tensor.numel() * kind.elt_size_in_bytes();
        }
    }
    json!({ "metadata": { "total_size": total_size }, "weight_map": weight_map })
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(&serde_json::to_vec_pretty(value)?)?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn shards_hold_at_most_the_limit() {
        let tensor = |rows| Tensor::zeros([rows, 4], (Kind::Float, Device::Cpu));
        let variables = [("a", 1), ("b", 1), ("c", 9), ("d", 1)];
        let variables = variables
            .map(|(name, rows)| (name.to_owned(), tensor(rows)))
            .into();
        let shards = into_shards(variables, 10);
        let names: Vec<Vec<_>> = shards
            .iter()
            .map(|shard| shard.iter().map(|(name, _)| name.as_str()).collect())
            .collect();
        assert_eq!(names, [vec!["a", "b"], vec!["c"], vec!["d"]]);
    }

    #[test]
    fn what_is_written_in_shards_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let random = |rows| Tensor::randn([rows, 3], (Kind::Float, Device::Cpu));
        let weights =
            [("a", 2), ("b", 5), ("c", 1)].map(|(name, rows)| (name.to_owned(), random(rows)));
        let copy = weights
            .each_ref()
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        let files = cut_into_files(copy.into(), Kind::BFloat16, 44);
        write_files(dir.path(), &files, Kind::BFloat16).unwrap();
        write_json(&dir.path().join(INDEX), &index(&files, Kind::BFloat16)).unwrap();
        let files = weight_files(dir.path()).unwrap();
        assert_eq!(files.len(), 2);
        assert!(!dir.path().join(SINGLE).exists());
        let read = files.iter().map(|file| safetensors::read(file).unwrap());
        let read: BTreeMap<_, _> = read.flatten().collect();
        assert_eq!(read.len(), 3);
        for (name, tensor) in weights {
            assert!(read[&name].equal(&tensor.to_kind(Kind::BFloat16)), "{name}");
        }
        let index: Value =
            serde_json::from_slice(&fs::read(dir.path().join(INDEX)).unwrap()).unwrap();
        assert_eq!(index["metadata"]["total_size"], 48);
    }
}
