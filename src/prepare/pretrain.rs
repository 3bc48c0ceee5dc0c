//! Documents to shards: each is the separator and its tokens, in the order of the input.

use super::{
    batches::{Batch, Batches, Cutting, Passage, Piece},
    folder::Claimed,
    input::{Content, Document, Input, Mixture, Pass, Passages, Patience},
    ordered::ordered_map,
    progress::Progress,
    sink::{Finished, Sink, TokenizedBatch, TokenizedPassage},
    val_split::ValSplit,
    worker_count,
    writer::ShardFormat,
};
use crate::{
    config::{Dedup, PrepareConfig},
    data::{
        Dtype, Manifest, Split,
        manifest::{FORMAT_VERSION, Kind, SplitEntry},
    },
    tokenizer::Tokenizer,
};
use anyhow::{Context, Result, bail};
use indicatif::MultiProgress;
use std::{
    collections::{BTreeMap, HashSet},
    ops::ControlFlow,
    path::Path,
};

/// Tokenizes the documents of the input and writes the shards of both splits into the claimed folder.
///
/// # Errors
/// A bad request when there is no text at all; otherwise when a row is malformed, or a file cannot be read or written.
pub(super) fn write_shards(
    claimed: &Claimed,
    config: &PrepareConfig,
    input: &Input,
    tokenizer: &Tokenizer,
    bars: &MultiProgress,
) -> Result<Manifest> {
    let format = shard_format(config, tokenizer, &claimed.dir);
    let dtype = format.dtype;
    let separator = tokenizer.document_separator()?;
    let val_split = decide_val_split(claimed, config, input, tokenizer)?;
    let seen = seen_before(claimed, config, input)?;
    let mut sink = Sink::new(claimed, format, seen, val_split)?;
    let mut progress = Progress::start(bars, "tokenizing", input.bytes());
    ordered_map(
        &mut batches(claimed, config, input, tokenizer)?,
        worker_count(config),
        |batch| tokenize(batch?, tokenizer, separator, &val_split),
        |batch| {
            let taken = batch.and_then(|batch| {
                progress.set(batch.source_bytes);
                sink.take(batch)
            });
            if !matches!(taken, Ok(ControlFlow::Continue(()))) {
                input.stop_fetching(); // or the reader may wait for a file that nobody needs
            }
            taken
        },
    )?;
    let Finished {
        splits,
        tally,
        duplicates,
    } = sink.finish()?;
    check_splits(&splits, config, input)?;
    Ok(Manifest {
        format_version: FORMAT_VERSION,
        kind: Kind::Pretrain,
        tokenizer_fingerprint: tokenizer.fingerprint().to_owned(),
        vocab_size: tokenizer.vocab_size() as u64,
        dtype,
        separator,
        splits,
        bad_rows: tally.bad_rows,
        empty_documents: tally.empty_documents,
        duplicate_documents: duplicates,
        request: claimed.request.clone(),
    })
}

/// Where no document may come twice: the hashes of those before the place to go on.
fn seen_before(
    claimed: &Claimed,
    config: &PrepareConfig,
    input: &Input,
) -> Result<Option<HashSet<u64>>> {
    let mut seen = HashSet::new();
    if config.dedup == Dedup::None {
        return Ok(None);
    }
    let Some(reached) = &claimed.reached else {
        return Ok(Some(seen));
    };
    let mut documents = Mixture::new(input, config, silent(config));
    while documents.place() != reached.place {
        match documents.next().transpose()? {
            Some(document) => seen.insert(document.content.hash(config.seed)?),
            None => break,
        };
    }
    Ok(Some(seen))
}

/// For a pass before the pass.
fn silent(config: &PrepareConfig) -> Patience {
    Patience {
        max_bad_rows: config.max_bad_rows,
        pass: Pass::Ahead,
    }
}

/// The documents that are left to do.
fn batches<'a>(
    claimed: &Claimed,
    config: &PrepareConfig,
    input: &'a Input,
    tokenizer: &Tokenizer,
) -> Result<Batches<'a>> {
    let patience = Patience {
        max_bad_rows: config.max_bad_rows,
        pass: Pass::Last,
    };
    let mut documents = Mixture::new(input, config, patience);
    let mut taken = 0;
    if let Some(reached) = &claimed.reached {
        documents.skip_to(&reached.place)?;
        taken = reached.documents();
    }
    let cutting = Cutting {
        max_documents: config.max_documents,
        taken,
        seed: config.seed,
        next_cut: tokenizer.next_cut(),
    };
    Ok(Batches::new(documents, cutting))
}

fn shard_format(config: &PrepareConfig, tokenizer: &Tokenizer, out: &Path) -> ShardFormat {
    ShardFormat {
        dir: out.to_owned(),
        prefix: config.prefix.clone(),
        dtype: Dtype::for_vocab(tokenizer.vocab_size()),
        shard_tokens: config.shard_tokens,
    }
}

fn check_splits(
    splits: &BTreeMap<Split, SplitEntry>,
    config: &PrepareConfig,
    input: &Input,
) -> Result<()> {
    if splits.is_empty() {
        return Err(no_text(config, input));
    }
    if config.val_fraction > 0.0 && !splits.contains_key(&Split::Val) {
        log::warn!("there is no val split: it takes more than one document");
    }
    Ok(())
}

/// The error of an input that holds no text.
pub(super) fn no_text(config: &PrepareConfig, input: &Input) -> anyhow::Error {
    crate::bad_request!(
        "no text in {}: looked into {} files ({} bytes); check --input and --text-field (prepare.input, \
         prepare.text_field)",
        config
            .mix
            .as_ref()
            .map_or_else(|| config.input.join(", "), |mix| mix.display().to_string()),
        input.files().count(),
        input.bytes()
    )
}

/// Decided before, where a preparation goes on. Else a pass before the pass: over all documents where tokens are held out, else over as many as it takes to see that both
/// splits will have one.
fn decide_val_split(
    claimed: &Claimed,
    config: &PrepareConfig,
    input: &Input,
    tokenizer: &Tokenizer,
) -> Result<ValSplit> {
    if let Some(reached) = &claimed.reached {
        return Ok(reached.val_split);
    }
    let documents = Mixture::new(input, config, silent(config));
    let max_documents = if config.max_documents == 0 {
        usize::MAX
    } else {
        config.max_documents as usize
    };
    if config.val_tokens > 0 {
        let count = |document: Document| {
            let origin = document.origin.clone();
            count_tokens(document, tokenizer).context(origin)
        };
        let documents = documents.take(max_documents);
        return ValSplit::of_tokens(config.val_tokens, config.seed, documents, count);
    }
    // Only documents that are sure to come before `max_tokens`, as no token is shorter than a byte.
    let mut tokens_left = if config.max_tokens == 0 {
        u64::MAX
    } else {
        config.max_tokens
    };
    let certain = documents.take(max_documents).take_while(move |document| {
        let most_tokens = document
            .as_ref()
            .map_or(0, |document| document.content.len() as u64 + 1);
        let fits = most_tokens <= tokens_left;
        tokens_left = tokens_left.saturating_sub(most_tokens);
        fits
    });
    ValSplit::decide(config.val_fraction, config.seed, certain)
}

fn tokenize(
    batch: Batch,
    tokenizer: &Tokenizer,
    separator: u32,
    val_split: &ValSplit,
) -> Result<TokenizedBatch> {
    let tokenized = |passage: Passage| {
        Ok(TokenizedPassage {
            split: val_split.of(passage.hash),
            hash: passage.hash,
            is_first: passage.is_first,
            text_bytes: passage.piece.text_bytes() as u64,
            ids: ids_of(passage, tokenizer, separator)?,
        })
    };
    let passages = batch.passages.into_iter().map(tokenized);
    Ok(TokenizedBatch {
        passages: passages.collect::<Result<_>>()?,
        place: batch.place,
        is_complete: batch.is_complete,
        source_bytes: batch.source_bytes,
        held: batch.held,
    })
}

/// The separator where a document begins, and the tokens of a text; ids as they are.
fn ids_of(passage: Passage, tokenizer: &Tokenizer, separator: u32) -> Result<Vec<u32>> {
    let origin = passage.origin;
    match passage.piece {
        Piece::Text(text) => {
            let mut ids = tokenizer.encode(&text).context(origin)?;
            if passage.is_first {
                ids.insert(0, separator);
            }
            Ok(ids)
        }
        Piece::Ids(ids) => {
            let size = tokenizer.vocab_size();
            match ids.iter().find(|&&id| id as usize >= size) {
                Some(id) => bail!(
                    "{origin}: token {id} is outside the tokenizer's vocabulary of {size}; name the tokenizer that \
                     made these ids with --tokenizer"
                ),
                None => Ok(ids),
            }
        }
    }
}

/// Tokens that a document will be, its separator included.
fn count_tokens(document: Document, tokenizer: &Tokenizer) -> Result<u64> {
    let next_cut = tokenizer.next_cut();
    let mut passages = match document.content {
        Content::Text(text) => Passages::of_text(text, next_cut),
        Content::LongText(text) => text.passages(next_cut)?,
        Content::Ids(ids) => return Ok(ids.len() as u64),
    };
    let mut count = 1;
    while let Some(text) = passages.next_passage()? {
        count += tokenizer.encode(&text)?.len() as u64;
    }
    Ok(count)
}
