//! `prep-data`: raw files to shards (or to a look at the first of them), and tokenizers from raw text.

use super::Output;
use crate::{
    bad_request,
    config::{PrepareConfig, TokenizerConfig},
    hub, logging,
    prepare::{self, Input, Job, Marks, Prepared, TokenizerSource, train_tokenizer},
    storage::{self, AtomicFile},
    tokenizer::Tokenizer,
};
use anyhow::{Context, Result};
use serde_json::json;
use std::{
    env,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

/// `prep-data pretrain`, `instruct` or `preference`.
#[derive(Debug, Clone)]
pub struct ShardsRequest {
    /// What to prepare.
    pub job: Job,
    /// `[tokenizer]`; without a path, one of `prepare.vocab_size` tokens is trained on plain text.
    pub tokenizer: TokenizerConfig,
    /// Examples to show in place of writing shards.
    pub inspect: Option<usize>,
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

/// Prepares shards, or shows what they would hold.
///
/// # Errors
/// See [`prepare::ensure`].
pub fn run_shards(request: &ShardsRequest) -> Result<Output> {
    if let Some(count) = request.inspect {
        return inspect(request, count);
    }
    let Some(out) = &request.job.config.out else {
        return Err(bad_request!(
            "name the folder to write to with --out (prepare.out)"
        ));
    };
    let prepared = prepare_folder(&request.job, &request.tokenizer, out)?;
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
pub fn prepare_folder(job: &Job, tokenizer: &TokenizerConfig, out: &Path) -> Result<Prepared> {
    let given = load(tokenizer)?;
    let source = match &given {
        Some(tokenizer) => TokenizerSource::Given(tokenizer),
        None if job.config.vocab_size > 0 => TokenizerSource::Train {
            vocab_size: job.config.vocab_size,
        },
        None => return Err(no_tokenizer()),
    };
    prepare::ensure(job, source, out, logging::progress())
}

/// What [`prepare_folder`] refuses, as far as that can be told without the network and without reading the input.
///
/// # Errors
/// A bad request, as there.
pub fn check_folder(job: &Job, tokenizer: &TokenizerConfig, out: &Path) -> Result<()> {
    let trained = match (&tokenizer.path, job.config.vocab_size) {
        (Some(_), _) => None,
        (None, 0) => return Err(no_tokenizer()),
        (None, vocab_size) => Some(vocab_size),
    };
    prepare::check_ahead(job, trained, out)
}

/// The first examples, on stdout.
fn inspect(request: &ShardsRequest, count: usize) -> Result<Output> {
    let tokenizer = load(&request.tokenizer)?.ok_or_else(no_tokenizer)?;
    let out = request.job.config.out.as_deref();
    let examples = prepare::inspect(
        &request.job,
        &tokenizer,
        out.unwrap_or(Path::new(".")),
        count,
    )?;
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let marks = match io::stdout().is_terminal() && !plain {
        true => Marks::Colours,
        false => Marks::Brackets,
    };
    let text: String = examples
        .iter()
        .map(|example| example.text(marks) + "\n")
        .collect();
    let json: Vec<_> = examples.iter().map(prepare::Inspection::json).collect();
    Ok(Output {
        json: json!({ "examples": json }),
        text: text.trim_end().to_owned(),
        exit_code: 0,
    })
}

fn load(config: &TokenizerConfig) -> Result<Option<Tokenizer>> {
    let load = |path: &String| Tokenizer::load(&hub::tokenizer_dir(path)?);
    let given = config.path.as_ref().map(load).transpose()?;
    Ok(given.map(|given| given.with_backend(config.backend)))
}

fn no_tokenizer() -> anyhow::Error {
    bad_request!(
        "which tokenizer? Name a tokenizer.json with --tokenizer (tokenizer.path); for plain text, prepare.vocab_size trains \
         one on the input"
    )
}

/// Trains a tokenizer and writes it: into a folder with all its files, or as the one `.json` file named.
///
/// # Errors
/// A bad request when the input or the size is wrong; otherwise when the input is damaged or `out` cannot be written.
pub fn run_tokenizer(request: &TokenizerRequest) -> Result<Output> {
    train_tokenizer::check_vocab_size(request.vocab_size)?;
    let target = Target::new(&request.out);
    let job = Job::pretrain(request.prepare.clone());
    Input::check(&job, target.dir())?;
    prepare::create_out(target.dir())?;
    let input = Input::find(&job, target.dir())?;
    let tokenizer = train_tokenizer::train(&job, &input, request.vocab_size, logging::progress())?;
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
