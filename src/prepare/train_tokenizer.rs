//! A byte-level BPE trained on raw text, in the shape of Llama 3's published `tokenizer.json`.
//!
//! The vocabulary is the 256 bytes, then merges by falling frequency, then Llama 3's special tokens that later work
//! needs. There is no BOS post-processor: pretraining data is without it, and a chat template adds its own.

use super::{
    Job,
    batches::{Batches, Cutting, Passage, Piece},
    input::{Input, Mixture, Pass, Patience},
    progress::Progress,
    shards::nothing_in,
    worker_count,
};
use crate::{
    config::PrepareConfig,
    tokenizer::{Tokenizer, llama3},
};
use anyhow::{Result, anyhow};
use indicatif::MultiProgress;
use std::vec;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerBuilder, TokenizerImpl,
    models::bpe::{BPE, BpeTrainer},
    pre_tokenizers::byte_level::ByteLevel,
};

/// Text the merges are counted on. Of a larger input so much is drawn, document by document, by a hash of the text:
/// frequencies settle long before, and counts stay within the trainer's 32 bits.
const SAMPLE_BYTES: u64 = 256 << 20;

type ByteLevelBpe = TokenizerImpl<
    BPE,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// Holds the size of a vocabulary against the least there can be.
///
/// # Errors
/// A bad request when the bytes and special tokens alone are more.
pub fn check_vocab_size(vocab_size: usize) -> Result<()> {
    let least = 256 + llama3::SPECIAL_TOKENS.len();
    if vocab_size == 0 {
        return Err(crate::bad_request!(
            "how large is the vocabulary to be? Say so with --vocab-size (prepare.vocab_size), {least} or more"
        ));
    }
    if vocab_size < least {
        return Err(crate::bad_request!(
            "a vocabulary of {vocab_size} is too small: the bytes and special tokens alone are {least} (--vocab-size, \
             prepare.vocab_size)"
        ));
    }
    Ok(())
}

/// Trains a tokenizer of `vocab_size` tokens, special tokens included, on the documents of the input. The same files give
/// the same bytes.
///
/// # Errors
/// A bad request when there is no text; otherwise when a row is malformed or a file cannot be read.
pub fn train(
    job: &Job,
    input: &Input,
    vocab_size: usize,
    bars: &MultiProgress,
) -> Result<Tokenizer> {
    check_vocab_size(vocab_size)?;
    let config = &job.config;
    let mut sample = Sample::new(
        config,
        input,
        Progress::start(bars, "training the tokenizer", input.bytes()),
    );
    let mut tokenizer = untrained()?;
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size - llama3::SPECIAL_TOKENS.len())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(worker_count(config))
        .build()?;
    threads
        .install(|| tokenizer.train(&mut trainer, &mut sample).map(|_| ()))
        .map_err(|error| anyhow!("cannot train the tokenizer: {error}"))?;
    sample.finish(job, input)?;
    let specials = llama3::SPECIAL_TOKENS.map(|name| AddedToken::from(name, true));
    tokenizer
        .add_special_tokens(specials)
        .map_err(|error| anyhow!(error))?;
    let json = tokenizer.to_string(true).map_err(|error| anyhow!(error))?;
    let tokenizer = Tokenizer::from_json(json)?;
    if tokenizer.vocab_size() < vocab_size {
        log::warn!(
            "the text is too small for a vocabulary of {vocab_size}: nothing is left to merge at {}",
            tokenizer.vocab_size()
        );
    }
    Ok(tokenizer)
}

/// The pipeline of the published file, but for its BOS template.
fn untrained() -> Result<ByteLevelBpe> {
    let failed = |error: tokenizers::Error| anyhow!("cannot set up the tokenizer: {error}");
    TokenizerBuilder::new()
        .with_model(BPE::builder().ignore_merges(true).build().map_err(failed)?)
        .with_normalizer(None)
        .with_pre_tokenizer(Some(serde_json::from_value(llama3::pre_tokenizer())?))
        .with_post_processor(Some(ByteLevel::new(true, false, true).into()))
        .with_decoder(Some(ByteLevel::new(true, true, true).into()))
        .build()
        .map_err(failed)
}

/// The text to count on; keeps the error it stopped at.
struct Sample<'a> {
    batches: Batches<'a>,
    pieces: vec::IntoIter<String>,
    /// Documents with a hash up to this are drawn.
    highest_hash: u64,
    progress: Progress,
    bytes: u64,
    failure: Option<anyhow::Error>,
}

impl<'a> Sample<'a> {
    fn new(config: &PrepareConfig, input: &'a Input, progress: Progress) -> Self {
        let patience = Patience {
            max_bad_rows: config.max_bad_rows,
            pass: Pass::Ahead,
        };
        let documents = Mixture::new(input, patience);
        let cutting = Cutting {
            max_documents: config.max_documents,
            taken: 0,
            // Not the seed of the val split: the sample would be drawn from val first.
            seed: !config.seed,
            next_cut: Some(llama3::next_cut),
        };
        let share = SAMPLE_BYTES as f64 / input.bytes().max(1) as f64;
        Self {
            batches: Batches::new(documents, cutting),
            pieces: Vec::new().into_iter(),
            highest_hash: (share * 2f64.powi(64)) as u64,
            progress,
            bytes: 0,
            failure: None,
        }
    }

    fn refill(&mut self) -> Result<bool> {
        let Some(batch) = self.batches.next().transpose()? else {
            return Ok(false);
        };
        self.progress.set(batch.source_bytes);
        let is_drawn = |passage: &Passage| passage.hash <= self.highest_hash;
        let drawn = batch.passages.into_iter().filter(is_drawn);
        let texts = drawn.filter_map(|passage| match passage.piece {
            Piece::Text(text) => Some(text),
            Piece::Ids(_) | Piece::Example(_) => None, // refused before: they have their tokenizer
        });
        self.pieces = texts.collect::<Vec<_>>().into_iter();
        Ok(true)
    }

    fn finish(self, job: &Job, input: &Input) -> Result<()> {
        match self.failure {
            Some(error) => Err(error),
            None if self.bytes == 0 => Err(nothing_in(job, input)),
            None => Ok(()),
        }
    }
}

impl Iterator for Sample<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        while self.bytes < SAMPLE_BYTES && self.failure.is_none() {
            if let Some(piece) = self.pieces.next() {
                self.bytes += piece.len() as u64;
                return Some(piece);
            }
            match self.refill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => self.failure = Some(error),
            }
        }
        None
    }
}
