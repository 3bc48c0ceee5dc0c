//! `prep-data`: raw files to shards, and tokenizers from raw text.

use super::Output;
use crate::{
    bad_request,
    config::{PrepareConfig, TokenizerConfig},
    hub, logging,
    prepare::{self, Input, Prepared, TokenizerSource, train_tokenizer},
    storage::{self, AtomicFile},
    tokenizer::Tokenizer,
};
use anyhow::{Context, Result};
use serde_json::json;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// `prep-data pretrain`.
#[derive(Debug, Clone)]
pub struct PretrainRequest {
    /// `[prepare]`
    pub prepare: PrepareConfig,
    /// `[tokenizer]`; without a path, one of `prepare.vocab_size` tokens is trained.
    pub tokenizer: TokenizerConfig,
}

/// `prep-data tokenizer`.
#[derive(Debug, Clone)]
pub struct TokenizerRequest {
    /// `[prepare]`
    pub prepare: PrepareConfig,
    /// Tokens, special tokens included.
    pub vocab_size: usize,
    /// A folder, or a file that ends in `.json`.
    pub out: PathBuf,
}

/// Prepares shards for pretraining.
///
/// # Errors
/// See [`prepare::ensure`].
pub fn run_pretrain(request: &PretrainRequest) -> Result<Output> {
    let config = &request.prepare;
    let Some(out) = &config.out else {
        return Err(crate::bad_request!(
            "name the folder to write to with --out (prepare.out)"
        ));
    };
    let prepared = prepare_folder(config, &request.tokenizer, out)?;
    Ok(Output {
        json: prepared.json(),
        text: prepared.summary(),
        exit_code: 0,
    })
}

/// Prepares `out` with the tokenizer named, or with one trained on the input where `prepare.vocab_size` says so.
///
/// # Errors
/// See [`prepare::ensure`].
pub fn prepare_folder(
    config: &PrepareConfig,
    tokenizer: &TokenizerConfig,
    out: &Path,
) -> Result<Prepared> {
    let load = |path: &String| Tokenizer::load(&hub::tokenizer_dir(path)?);
    let given = tokenizer.path.as_ref().map(load).transpose()?;
    let given = given.map(|given| given.with_backend(tokenizer.backend));
    let source = match &given {
        Some(tokenizer) => TokenizerSource::Given(tokenizer),
        None if config.vocab_size > 0 => TokenizerSource::Train {
            vocab_size: config.vocab_size,
        },
        None => {
            return Err(bad_request!(
                "which tokenizer? Name a tokenizer.json with --tokenizer (tokenizer.path), or set prepare.vocab_size to \
                 train one on the input"
            ));
        }
    };
    prepare::ensure(config, source, out, logging::progress())
}

/// Trains a tokenizer and writes it: into a folder with all its files, or as the one `.json` file named.
///
/// # Errors
/// A bad request when the input or the size is wrong; otherwise when the input is damaged or `out` cannot be written.
pub fn run_tokenizer(request: &TokenizerRequest) -> Result<Output> {
    train_tokenizer::check_vocab_size(request.vocab_size)?;
    let target = Target::new(&request.out);
    let input = Input::find(&request.prepare, target.dir())?;
    let tokenizer = train_tokenizer::train(
        &request.prepare,
        &input,
        request.vocab_size,
        logging::progress(),
    )?;
    input.remove_fetched(target.dir());
    let path = target.write(&tokenizer)?;
    Ok(Output {
        json: json!({
            "tokenizer": path,
            "vocab_size": tokenizer.vocab_size(),
            "fingerprint": tokenizer.fingerprint(),
        }),
        text: format!(
            "{}: a vocabulary of {} tokens",
            path.display(),
            tokenizer.vocab_size()
        ),
        exit_code: 0,
    })
}

/// Where a tokenizer is written.
enum Target<'a> {
    /// With all its files.
    Dir(&'a Path),
    /// Alone, under a name of its own.
    File(&'a Path),
}

impl<'a> Target<'a> {
    fn new(out: &'a Path) -> Self {
        if out.ends_with("tokenizer.json") {
            Self::Dir(parent(out))
        } else if out.extension().is_some_and(|extension| extension == "json") {
            Self::File(out)
        } else {
            Self::Dir(out)
        }
    }

    fn dir(&self) -> &'a Path {
        match self {
            Self::Dir(dir) => dir,
            Self::File(file) => parent(file),
        }
    }

    fn write(&self, tokenizer: &Tokenizer) -> Result<PathBuf> {
        match self {
            Self::Dir(dir) => {
                tokenizer.write_to(dir)?;
                Ok(dir.join("tokenizer.json"))
            }
            Self::File(path) => {
                storage::create_dir_all(parent(path))?;
                let mut file = AtomicFile::create(path)?;
                file.write_all(tokenizer.json())
                    .with_context(|| format!("{}: cannot write", path.display()))?;
                file.commit()?;
                Ok(path.to_path_buf())
            }
        }
    }
}

/// The folder of a file; the current one for a bare name.
fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
