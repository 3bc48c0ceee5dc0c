//! From raw text to shards of token ids: reading, splitting, tokenizing on all cores, writing.
//!
//! One document goes [`input`] → [`batches`] (a long text in passages, no more than [`in_flight`] allows) → [`pretrain`] (tokenized in parallel by [`ordered`], its split chosen by [`val_split`]) →
//! [`sink`] → [`writer`]. Nothing in between depends on the number of workers, and [`reached`] is what a killed
//! preparation goes on from.

mod batches;
mod folder;
mod in_flight;
mod input;
mod ordered;
mod pretrain;
mod progress;
mod reached;
mod sink;
mod summary;
pub mod train_tokenizer;
mod val_split;
mod writer;

use crate::{
    config::PrepareConfig,
    data::{
        Manifest,
        manifest::{InputFile, PreparedFrom, PreparedSource, TokenizerOrigin},
    },
    tokenizer::Tokenizer,
};
use anyhow::Result;
use folder::Claim;
use indicatif::MultiProgress;
use input::{InputSource, SourceFile};
use std::{
    num::NonZero,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

pub use input::{Input, ObjectRow, read_objects};
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
    config: &PrepareConfig,
    tokenizer: TokenizerSource<'_>,
    out: &Path,
    bars: &MultiProgress,
) -> Result<Prepared> {
    check(config)?;
    let input = Input::find(config, out)?;
    let request = request(config, tokenizer, &input)?;
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
            made = train_tokenizer::train(config, &input, vocab_size, bars)?;
            &made
        }
    };
    let started = Instant::now();
    tokenizer.write_to(out)?;
    let manifest = pretrain::write_shards(&claimed, config, &input, tokenizer, bars)?;
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

/// Holds the values of `[prepare]` against what they mean.
pub(crate) fn check(config: &PrepareConfig) -> Result<()> {
    match config.problems().first() {
        None => Ok(()),
        Some((key, problem)) => Err(crate::bad_request!("{key}: {problem}")),
    }
}

fn request(
    config: &PrepareConfig,
    tokenizer: TokenizerSource<'_>,
    input: &Input,
) -> Result<PreparedFrom> {
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
        tokenizer: match tokenizer {
            TokenizerSource::Given(tokenizer) => {
                tokenizer.document_separator()?;
                TokenizerOrigin::Given(tokenizer.fingerprint().to_owned())
            }
            TokenizerSource::Train { .. } if config.pretokenized => {
                return Err(crate::bad_request!(
                    "prepare.pretokenized: name the tokenizer that made the ids with --tokenizer (tokenizer.path)"
                ));
            }
            TokenizerSource::Train { vocab_size } => {
                train_tokenizer::check_vocab_size(vocab_size)?;
                TokenizerOrigin::Trained(vocab_size as u64)
            }
        },
        pretokenized: config.pretokenized,
        sources: input.sources.iter().map(prepared_source).collect(),
    })
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
