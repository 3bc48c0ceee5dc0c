//! Meta's folders: `params.json` and `consolidated.NN.pth`, one file for each tensor-parallel rank.
//!
//! Names are the model's own. Queries and keys are in the paired rotary layout: the two numbers that turn together are
//! neighbours, where the Hub's layout (and the model's) has them half a head apart.

use super::fill::Fill;
use super::names::base_variables;
use super::torch_save::{self, TorchFile};
use crate::bad_request;
use crate::config::{ModelConfig, ModelSection, RopeScaling};
use crate::storage::AtomicFile;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor, nn};

/// The shape's file.
pub const PARAMS: &str = "params.json";
const HEAD: &str = "output.weight";
const EMBEDDING: &str = "tok_embeddings.weight";
/// Of Llama 3.1 and later: Meta's code has the numbers, its files only say that there is scaling.
const SCALING: RopeScaling = RopeScaling::llama3(8.0);
/// The models of Llama 3.2 with a head as the embedding stretch by more.
const TIED_FACTOR: f64 = 32.0;
const SCALED_CONTEXT: i64 = 131_072;
/// Of models without scaling; the format does not say.
pub(super) const CONTEXT: i64 = 8192;
const DEFAULT_THETA: f64 = 10_000.0;
/// A buffer that old files carry and that is computed here.
const COMPUTED: &str = "rope.freqs";

/// `params.json`.
#[derive(Deserialize)]
pub(super) struct Params {
    pub(super) dim: i64,
    pub(super) n_layers: i64,
    pub(super) n_heads: i64,
    pub(super) n_kv_heads: Option<i64>,
    pub(super) vocab_size: i64,
    pub(super) multiple_of: Option<i64>,
    pub(super) ffn_dim_multiplier: Option<f64>,
    pub(super) norm_eps: Option<f64>,
    pub(super) rope_theta: Option<f64>,
    #[serde(default)]
    pub(super) use_scaled_rope: bool,
    pub(super) rope_scaling_factor: Option<f64>,
}

/// Whether a folder is Meta's.
#[must_use]
pub fn is_meta(dir: &Path) -> bool {
    dir.join(PARAMS).is_file() && !dir.join("config.json").exists()
}

/// Reads the shape. Meta's files always carry a head: where it is the embedding, bit by bit, the two are tied.
///
/// # Errors
/// When the files are missing or cannot be understood.
pub fn read_config(dir: &Path) -> Result<ModelConfig> {
    let path = dir.join(PARAMS);
    let text =
        fs::read_to_string(&path).with_context(|| format!("{}: cannot read", path.display()))?;
    let params: Params = serde_json::from_str(&text)
        .with_context(|| format!("{}: not the shape of a Llama", path.display()))?;
    let tie_embeddings = has_tied_head(dir)?;
    let context = match params.use_scaled_rope {
        true => SCALED_CONTEXT,
        false => CONTEXT,
    };
    params
        .section(tie_embeddings)
        .resolve(None, context)
        .with_context(|| path.display().to_string())
}

impl Params {
    /// The same as our configuration has it.
    pub(super) fn section(&self, tie_embeddings: bool) -> ModelSection {
        let scaling = || RopeScaling {
            factor: self
                .rope_scaling_factor
                .unwrap_or_else(|| usual_factor(tie_embeddings)),
            ..SCALING
        };
        ModelSection {
            dim: Some(self.dim),
            n_layers: Some(self.n_layers),
            n_heads: Some(self.n_heads),
            n_kv_heads: self.n_kv_heads,
            vocab_size: Some(self.vocab_size),
            multiple_of: self.multiple_of,
            ffn_dim_multiplier: self.ffn_dim_multiplier,
            norm_eps: self.norm_eps,
            rope_theta: Some(self.rope_theta.unwrap_or(DEFAULT_THETA)),
            rope_scaling: self.use_scaled_rope.then(scaling),
            tie_embeddings: Some(tie_embeddings),
            ..ModelSection::default()
        }
    }
}

/// The kind of number that the weights are stored in.
///
/// # Errors
/// When there are none, or their file is damaged.
pub fn stored_kind(dir: &Path) -> Result<Kind> {
    let kind = TorchFile::open(&shard_files(dir)?[0])?.first_kind();
    kind.with_context(|| format!("{}: there are no weights in it", dir.display()))
}

/// How many numbers the folder's weights are at most.
pub(super) fn count_numbers(dir: &Path) -> Result<u64> {
    let files = shard_files(dir)?;
    files
        .iter()
        .map(|file| Ok(TorchFile::open(file)?.count_numbers()))
        .sum()
}

/// Fills the variables of `store` from the folder's files.
///
/// # Errors
/// When a tensor is missing, extra or of another shape (all of them are named), or a file is damaged.
pub fn load(dir: &Path, store: &nn::VarStore, config: &ModelConfig) -> Result<()> {
    let mut fill = Fill::new(base_variables(store));
    let ignored = |name: &str| name == COMPUTED || config.tie_embeddings && name == HEAD;
    let files = shard_files(dir)?;
    if let [only] = files.as_slice() {
        let take = |name: &str, tensor: Tensor| match ignored(name) {
            true => Ok(()),
            false => fill.take(name, &unpaired(name, tensor, config)),
        };
        TorchFile::open(only)?.for_each(take)?;
        return fill.finish(dir);
    }
    let mut parts: BTreeMap<String, Vec<Tensor>> = BTreeMap::new();
    for file in &files {
        TorchFile::open(file)?.for_each(|name, tensor| {
            parts.entry(name.to_owned()).or_default().push(tensor);
            Ok(())
        })?;
    }
    for (name, parts) in parts {
        if !ignored(&name) {
            fill.take(&name, &unpaired(&name, merged(&name, &parts), config))?;
        }
    }
    fill.finish(dir)
}

/// Writes `params.json` and one `consolidated.00.pth`, in the kind of number given; the folder must exist.
///
/// # Errors
/// When the shape has no place in `params.json`, or the disk is full.
pub fn save(dir: &Path, store: &nn::VarStore, config: &ModelConfig, kind: Kind) -> Result<()> {
    let params = params_json(config)?;
    let mut file = AtomicFile::create(&dir.join(PARAMS))?;
    file.write_all(&serde_json::to_vec_pretty(&params)?)?;
    file.commit()?;
    let mut tensors = Vec::new();
    for (name, tensor) in &base_variables(store) {
        let tensor = paired(name, tensor.detach(), config).to_kind(kind);
        tensors.push((name.clone(), tensor.contiguous()));
    }
    if config.tie_embeddings {
        let embedding = tensors.iter().find(|(name, _)| name == EMBEDDING);
        let head = embedding.map(|(_, tensor)| (HEAD.to_owned(), tensor.shallow_clone()));
        tensors.extend(head);
    }
    let path = dir.join("consolidated.00.pth");
    torch_save::write(&path, &tensors)
}

/// `consolidated.00.pth` and those that follow it, without a gap.
pub(super) fn shard_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let numbered = (0..).map(|number| dir.join(format!("consolidated.{number:02}.pth")));
    let files: Vec<PathBuf> = numbered.take_while(|path| path.is_file()).collect();
    if files.is_empty() {
        return Err(bad_request!(
            "{}: {PARAMS} is here, but no consolidated.00.pth",
            dir.display()
        ));
    }
    Ok(files)
}

fn has_tied_head(dir: &Path) -> Result<bool> {
    let file = TorchFile::open(&shard_files(dir)?[0])?;
    let (embedding, head) = (file.read(EMBEDDING)?, file.read(HEAD)?);
    Ok(head.is_none_or(|head| embedding.is_some_and(|embedding| head.equal(&embedding))))
}

/// Along which dimension Meta's ranks divide a matrix; norms are on each of them.
fn merged(name: &str, parts: &[Tensor]) -> Tensor {
    let along_columns = ["wo.weight", "w2.weight"];
    match parts[0].dim() {
        1 => parts[0].shallow_clone(),
        _ if along_columns.iter().any(|end| name.ends_with(end)) => Tensor::cat(parts, 1),
        _ => Tensor::cat(parts, 0),
    }
}

/// The heads of a query or key matrix; none for any other tensor.
fn rotated_heads(name: &str, config: &ModelConfig) -> Option<i64> {
    match name {
        _ if name.ends_with("attention.wq.weight") => Some(config.n_heads),
        _ if name.ends_with("attention.wk.weight") => Some(config.n_kv_heads),
        _ => None,
    }
}

/// From neighbours to halves.
pub(super) fn unpaired(name: &str, tensor: Tensor, config: &ModelConfig) -> Tensor {
    reordered(name, tensor, config, |head_dim| [head_dim / 2, 2])
}

/// From halves to neighbours.
fn paired(name: &str, tensor: Tensor, config: &ModelConfig) -> Tensor {
    reordered(name, tensor, config, |head_dim| [2, head_dim / 2])
}

/// Transposes the two halves of each head's rows; what is no query or key, or of another size, stays as it is.
fn reordered(
    name: &str,
    tensor: Tensor,
    config: &ModelConfig,
    split: impl Fn(i64) -> [i64; 2],
) -> Tensor {
    let size = tensor.size();
    match (rotated_heads(name, config), size.as_slice()) {
        (Some(heads), &[rows, columns]) if rows == heads * config.head_dim => {
            let [a, b] = split(config.head_dim);
            tensor
                .view([heads, a, b, columns])
                .transpose(1, 2)
                .reshape([rows, columns])
        }
        _ => tensor,
    }
}

fn usual_factor(tie_embeddings: bool) -> f64 {
    match tie_embeddings {
        true => TIED_FACTOR,
        false => SCALING.factor,
    }
}

/// Meta's rule for the feed-forward's size, turned round: any size is a multiple of itself.
fn params_json(config: &ModelConfig) -> Result<serde_json::Value> {
    ensure!(
        config.head_dim * config.n_heads == config.dim,
        "Meta's format has no place for a head_dim of {} beside dim {} and {} heads",
        config.head_dim,
        config.dim,
        config.n_heads
    );
    let scaling = config.rope_scaling.as_ref();
    let known = RopeScaling {
        factor: usual_factor(config.tie_embeddings),
        ..SCALING
    };
    ensure!(
        scaling.is_none_or(|scaling| *scaling == known),
        "Meta's code scales rotary frequencies in one way for this model, {known:?}; this one has {scaling:?}"
    );
    Ok(json!({
        "dim": config.dim,
        "n_layers": config.n_layers,
        "n_heads": config.n_heads,
        "n_kv_heads": config.n_kv_heads,
        "vocab_size": config.vocab_size,
        "multiple_of": config.ffn_hidden_dim,
        "ffn_dim_multiplier": config.ffn_hidden_dim as f64 / (2 * (4 * config.dim) / 3) as f64,
        "norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "use_scaled_rope": scaling.is_some(),
    }))
}
