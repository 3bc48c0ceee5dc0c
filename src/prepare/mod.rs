//! From raw files to shards of token ids: reading, splitting, encoding on all cores, writing.
//!
//! One document goes [`input`] → [`batches`] (a long text in passages, no more than [`in_flight`] allows) → [`encoder`] (in
//! parallel by [`ordered`]: a text, a conversation or a pair, by the verb; its split chosen by [`val_split`]) → [`sink`] →
//! [`writer`], and [`shards`] is the whole way. Nothing in between depends on the number of workers, and [`reached`] is what
//! a killed preparation goes on from. [`inspect`] shows the first examples in place of writing them.

mod batches;
mod encoded;
mod encoder;
mod folder;
mod in_flight;
mod input;
mod inspect;
mod instruct;
mod job;
mod npy_file;
mod open_shard;
mod ordered;
mod preference;
mod pretrain;
mod progress;
mod reached;
mod shards;
mod sink;
mod summary;
pub mod train_tokenizer;
mod val_split;
mod writer;

use crate::{
    config::PrepareConfig,
    data::{
        Manifest,
        manifest::{ExamplesFrom, InputFile, Kind, PreparedFrom, PreparedSource, TokenizerOrigin},
    },
    tokenizer::Tokenizer,
};
use anyhow::Result;
use encoder::Encoder;
use folder::Claim;
use indicatif::MultiProgress;
use input::{InputSource, RowForm, SourceFile};
use job::unit;
use std::{
    num::NonZero,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

pub use folder::create_out;
pub use input::{Input, ObjectRow, read_objects};
pub use inspect::{Inspection, Marks, inspect};
pub use job::Job;
pub use progress::{Progress, Unit};

/// In a folder whose preparation has not finished.
const MARKER: &str = "preparing.json";

/// Where the tokenizer comes from.
#[derive(Debug, Clone, Copy)]
pub enum TokenizerSource<'a> {
    /// It exists.
    Given(&'a Tokenizer),
    /// It is trained on the same input.
    Train {
        /// Its size, special tokens included.
        vocab_size: usize,
    },
}

/// A prepared folder.
#[derive(Debug)]
pub struct Prepared {
    /// Where it is.
    pub dir: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
    /// How it came about.
    pub outcome: Outcome,
}

/// How a prepared folder came about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// It was made now.
    Made {
        /// Time to read, tokenize and write, without the tokenizer's training.
        seconds: f64,
    },
    /// The same request had made it before.
    AlreadyThere,
}

/// Makes sure that `out` holds the shards of this request and the tokenizer's files: prepares them, or finds that it
/// was done before. May be started again after being killed. One process at a time may do it.
///
/// # Errors
/// A bad request when the input, a value or the tokenizer is wrong, or when `out` holds something else; otherwise when
/// the input is damaged or `out` cannot be written to.
pub fn ensure(
    job: &Job,
    tokenizer: TokenizerSource<'_>,
    out: &Path,
    bars: &MultiProgress,
) -> Result<Prepared> {
    check(&job.config)?;
    let input = Input::find(job, out)?;
    let request = request(job, tokenizer, &input)?;
    let dir = out.to_owned();
    let claimed = match folder::claim(out, request)? {
        Claim::Ours(claimed) => claimed,
        Claim::Finished(manifest) => {
            let outcome = Outcome::AlreadyThere;
            return Ok(Prepared {
                dir,
                manifest,
                outcome,
            });
        }
    };
    let made;
    let tokenizer = match tokenizer {
        TokenizerSource::Given(tokenizer) => tokenizer,
        TokenizerSource::Train { .. } if claimed.reached.is_some() => {
            made = Tokenizer::load(out)?; // written before the first shard
            &made
        }
        TokenizerSource::Train { vocab_size } => {
            made = train_tokenizer::train(job, &input, vocab_size, bars)?;
            &made
        }
    };
    let started = Instant::now();
    tokenizer.write_to(out)?;
    let encoder = Encoder::new(job, &input.form, tokenizer)?;
    let manifest = shards::write_shards(&claimed, job, &input, &encoder, bars)?;
    manifest.write(out)?;
    folder::release(out)?;
    input.remove_fetched(out);
    let outcome = Outcome::Made {
        seconds: started.elapsed().as_secs_f64(),
    };
    Ok(Prepared {
        dir,
        manifest,
        outcome,
    })
}

/// What [`ensure`] refuses, as far as that can be told without the network and without reading the input. Where a tokenizer is
/// to be trained, `trained` is its size.
///
/// # Errors
/// A bad request, as there.
pub fn check_ahead(job: &Job, trained: Option<usize>, out: &Path) -> Result<()> {
    check(&job.config)?;
    Input::check(job, out)?;
    if let Some(vocab_size) = trained {
        tokenizer_origin(job, TokenizerSource::Train { vocab_size })?;
    }
    Ok(())
}

/// Holds the values of `[prepare]` against what they mean.
pub(crate) fn check(config: &PrepareConfig) -> Result<()> {
    match config.problems().first() {
        None => Ok(()),
        Some((key, problem)) => Err(crate::bad_request!("{key}: {problem}")),
    }
}

fn request(job: &Job, tokenizer: TokenizerSource<'_>, input: &Input) -> Result<PreparedFrom> {
    let config = &job.config;
    Ok(PreparedFrom {
        prefix: config.prefix.clone(),
        text_field: config.text_field.clone(),
        shard_tokens: config.shard_tokens,
        val_fraction: config.val_fraction,
        val_tokens: config.val_tokens,
        dedup: config.dedup,
        seed: config.seed,
        max_documents: config.max_documents,
        max_tokens: config.max_tokens,
        tokenizer: tokenizer_origin(job, tokenizer)?,
        pretokenized: config.pretokenized,
        examples: examples_from(job, tokenizer, &input.form)?,
        sources: input.sources.iter().map(prepared_source).collect(),
    })
}

fn tokenizer_origin(job: &Job, tokenizer: TokenizerSource<'_>) -> Result<TokenizerOrigin> {
    match tokenizer {
        TokenizerSource::Given(tokenizer) => {
            Ok(TokenizerOrigin::Given(tokenizer.fingerprint().to_owned()))
        }
        TokenizerSource::Train { .. } if job.config.pretokenized => Err(crate::bad_request!(
            "prepare.pretokenized: name the tokenizer that made the ids with --tokenizer (tokenizer.path)"
        )),
        TokenizerSource::Train { .. } if job.kind != Kind::Pretrain => Err(crate::bad_request!(
            "prepare.vocab_size: a tokenizer is trained on plain text, not on {}; name the model's with --tokenizer \
             (tokenizer.path)",
            unit(job.kind)
        )),
        TokenizerSource::Train { vocab_size } => {
            train_tokenizer::check_vocab_size(vocab_size)?;
            Ok(TokenizerOrigin::Trained(vocab_size as u64))
        }
    }
}

/// What decides about examples; nothing about plain text.
fn examples_from(
    job: &Job,
    tokenizer: TokenizerSource<'_>,
    form: &RowForm,
) -> Result<Option<ExamplesFrom>> {
    let TokenizerSource::Given(tokenizer) = tokenizer else {
        return Ok(None);
    };
    let encoder = Encoder::new(job, form, tokenizer)?; // what it lacks is told before anything is made
    let RowForm::Example(form) = form else {
        return Ok(None);
    };
    Ok(Some(ExamplesFrom {
        kind: job.kind,
        fields: form.fields(),
        train_on: job.config.train_on,
        system_prompt: job.system_prompt.clone(),
        longest_allowed: job.limit().map(|limit| (limit.tokens as u64, limit.rule)),
        chat_template: encoder.chat_template(),
    }))
}

fn prepared_source(source: &InputSource) -> PreparedSource {
    let file = |file: &SourceFile| InputFile {
        path: file.path.clone(),
        bytes: file.bytes,
    };
    PreparedSource {
        weight: source.weight,
        files: source.files.iter().map(file).collect(),
    }
}

/// `prepare.workers`, with 0 for all cores.
fn worker_count(config: &PrepareConfig) -> usize {
    match config.workers {
        0 => thread::available_parallelism().map_or(1, NonZero::get),
        workers => workers,
    }
}
