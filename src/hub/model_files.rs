//! Which files of a model's repository are needed: what describes it, its tokenizer, and its weights in one form.

use super::listing::{RepoFile, stays_within};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::Path;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const META_SHAPE: &str = "params.json";
const DESCRIPTION: [&str; 4] = [
    "config.json",
    "generation_config.json",
    META_SHAPE,
    "adapter_config.json",
];
const TOKENIZER: [&str; 7] = [
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// How much of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// All that it takes to run it.
    Model,
    /// All but the weights.
    Description,
    /// What turns text into ids.
    Tokenizer,
}

/// The files to fetch, of those at the top of the repository: folders below it hold other forms of the same.
///
/// # Errors
/// What is missing, in words.
pub(super) fn choose(files: &[RepoFile], wanted: Wanted) -> Result<Vec<RepoFile>, String> {
    let of = |is_wanted: &dyn Fn(&str) -> bool| -> Vec<RepoFile> {
        let chosen = files.iter().filter(|file| is_wanted(&file.path));
        chosen.cloned().collect()
    };
    let tokenizer = of(&|name| TOKENIZER.contains(&name));
    if wanted == Wanted::Tokenizer {
        let vocabulary = tokenizer
            .iter()
            .any(|file| TOKENIZER[..2].contains(&file.path.as_str()));
        return match vocabulary {
            true => Ok(tokenizer),
            false => Err("holds no tokenizer that can be read (tokenizer.json, or Llama 3's tokenizer.model)".into()),
        };
    }
    let mut needed = of(&|name| DESCRIPTION.contains(&name) || TOKENIZER.contains(&name));
    if wanted == Wanted::Model {
        let has = |name: &str| files.iter().any(|file| file.path == name);
        let weights = match (has(SINGLE), has(INDEX)) {
            (true, _) => of(&|name| name == SINGLE),
            (false, true) => of(&|name| name == INDEX || is_shard(name)),
            (false, false) if has("adapter_model.safetensors") => {
                of(&|name| name == "adapter_model.safetensors")
            }
            (false, false) if has(META_SHAPE) => of(&is_meta_weights),
            (false, false) => Vec::new(),
        };
        if weights.is_empty() {
            return Err(format!(
                "holds no weights that can be read ({SINGLE}, {INDEX} with its files, or Meta's {META_SHAPE} with \
                 consolidated.*.pth)"
            ));
        }
        needed.extend(weights);
    }
    Ok(needed)
}

fn is_shard(name: &str) -> bool {
    name.starts_with("model-") && name.ends_with(".safetensors") && !name.contains('/')
}

fn is_meta_weights(name: &str) -> bool {
    name.starts_with("consolidated.") && name.ends_with(".pth") && !name.contains('/')
}

/// Holds the index of a sharded model against the files that were fetched.
///
/// # Errors
/// When it names a file that is not there, or that would lie outside the folder.
pub(super) fn check_index(dir: &Path, fetched: &[RepoFile]) -> Result<()> {
    if !fetched.iter().any(|file| file.path == INDEX) {
        return Ok(());
    }
    let path = dir.join(INDEX);
    let text = fs::read(&path).with_context(|| format!("{}: cannot read", path.display()))?;
    let index: Value = serde_json::from_slice(&text)
        .with_context(|| format!("{}: not valid JSON", path.display()))?;
    let names = index.get("weight_map").and_then(Value::as_object);
    let names = names.into_iter().flat_map(|map| map.values());
    for name in names.filter_map(Value::as_str) {
        if !stays_within(name) {
            bail!(
                "{}: names {name:?}, which lies outside the model's folder",
                path.display()
            );
        }
        if !fetched.iter().any(|file| file.path == name) {
            bail!(
                "{}: names {name}, which the repository does not have",
                path.display()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str], wanted: Wanted) -> Result<Vec<String>, String> {
        let file = |name: &&str| RepoFile {
            path: (*name).to_owned(),
            bytes: 1,
            etag: "0".to_owned(),
            sha256: None,
        };
        let files: Vec<RepoFile> = names.iter().map(file).collect();
        let chosen = choose(&files, wanted)?;
        Ok(chosen.into_iter().map(|file| file.path).collect())
    }

    #[test]
    fn weights_come_in_one_form() {
        let sharded = [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            INDEX,
            "original/consolidated.00.pth",
            "original/params.json",
            "consolidated.safetensors",
            "pytorch_model.bin",
            "README.md",
            "tokenizer.json",
        ];
        let needed = chosen(&sharded, Wanted::Model).unwrap();
        assert_eq!(
            needed,
            [
                "config.json",
                "tokenizer.json",
                sharded[1],
                sharded[2],
                INDEX
            ]
        );
        let single = [
            "config.json",
            SINGLE,
            "fp16/model.safetensors",
            "model-x.safetensors",
        ];
        assert_eq!(
            chosen(&single, Wanted::Model).unwrap(),
            [single[0], single[1]]
        );
        let meta = [
            "consolidated.00.pth",
            "consolidated.01.pth",
            "params.json",
            "tokenizer.model",
        ];
        assert_eq!(chosen(&meta, Wanted::Model).unwrap().len(), 4);
        assert_eq!(
            chosen(&meta, Wanted::Tokenizer).unwrap(),
            ["tokenizer.model"]
        );
        assert_eq!(
            chosen(&sharded, Wanted::Description).unwrap(),
            ["config.json", "tokenizer.json"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let error = chosen(&["config.json", "pytorch_model.bin"], Wanted::Model).unwrap_err();
        assert!(error.contains("no weights that can be read"), "{error}");
        let error = chosen(&["vocab.json"], Wanted::Tokenizer).unwrap_err();
        assert!(error.contains("no tokenizer that can be read"), "{error}");
    }
}
