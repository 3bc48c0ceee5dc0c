//! Documents to shards, in the order of the input, whatever they are.

use super::{
    Job,
    batches::{Batch, Batches, Cutting, Passage},
    encoder::Encoder,
    folder::Claimed,
    input::{Document, Input, Mixture, Pass, Patience},
    job::unit,
    open_shard::ShardFormat,
    ordered::ordered_map,
    progress::Progress,
    sink::{EncodedBatch, EncodedPassage, Finished, Sink},
    val_split::ValSplit,
    worker_count,
};
use crate::{
    config::{Dedup, PrepareConfig},
    data::{
        Dtype, Manifest, Split,
        manifest::{ExampleCounts, FORMAT_VERSION, Kind},
    },
    tokenizer::Tokenizer,
};
use anyhow::{Context, Result};
use indicatif::MultiProgress;
use std::{collections::HashSet, ops::ControlFlow};

/// Encodes the documents of the input and writes the shards of both splits into the claimed folder.
///
/// # Errors
/// A bad request when nothing comes of it at all; otherwise when a row is malformed, or a file cannot be read or written.
pub(super) fn write_shards(
    claimed: &Claimed,
    job: &Job,
    input: &Input,
    encoder: &Encoder<'_>,
    bars: &MultiProgress,
) -> Result<Manifest> {
    let config = &job.config;
    let format = shard_format(claimed, job, encoder.tokenizer());
    let val_split = decide_val_split(claimed, config, input, encoder)?;
    let seen = seen_before(claimed, config, input)?;
    let mut sink = Sink::new(
        claimed,
        format,
        seen,
        val_split,
        patience(config, Pass::Last),
    )?;
    let mut progress = Progress::start(bars, "tokenizing", input.bytes());
    ordered_map(
        &mut batches(claimed, config, input, encoder.tokenizer())?,
        worker_count(config),
        |batch| encode(batch?, encoder, &val_split),
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
    let finished = sink.finish()?;
    check_splits(&finished, job, input)?;
    Ok(manifest(claimed, job, encoder, finished))
}

fn manifest(claimed: &Claimed, job: &Job, encoder: &Encoder<'_>, finished: Finished) -> Manifest {
    let tokenizer = encoder.tokenizer();
    Manifest {
        format_version: FORMAT_VERSION,
        kind: job.kind,
        tokenizer_fingerprint: tokenizer.fingerprint().to_owned(),
        vocab_size: tokenizer.vocab_size() as u64,
        dtype: Dtype::for_vocab(tokenizer.vocab_size()),
        separator: encoder.separator(),
        splits: finished.splits,
        bad_rows: finished.tally.bad_rows + finished.refused,
        empty_documents: finished.tally.empty_documents,
        duplicate_documents: finished.duplicates,
        examples: (job.kind != Kind::Pretrain).then_some(finished.examples),
        request: claimed.request.clone(),
    }
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
    let mut documents = Mixture::new(input, patience(config, Pass::Ahead));
    while documents.place() != reached.place {
        match documents.next().transpose()? {
            Some(document) => seen.insert(document.content.hash(config.seed)?),
            None => break,
        };
    }
    Ok(Some(seen))
}

fn patience(config: &PrepareConfig, pass: Pass) -> Patience {
    Patience {
        max_bad_rows: config.max_bad_rows,
        pass,
    }
}

/// The documents that are left to do.
fn batches<'a>(
    claimed: &Claimed,
    config: &PrepareConfig,
    input: &'a Input,
    tokenizer: &Tokenizer,
) -> Result<Batches<'a>> {
    let mut documents = Mixture::new(input, patience(config, Pass::Last));
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

fn shard_format(claimed: &Claimed, job: &Job, tokenizer: &Tokenizer) -> ShardFormat {
    ShardFormat {
        dir: claimed.dir.clone(),
        prefix: job.config.prefix.clone(),
        kind: job.kind,
        dtype: Dtype::for_vocab(tokenizer.vocab_size()),
        shard_tokens: job.config.shard_tokens,
    }
}

fn check_splits(finished: &Finished, job: &Job, input: &Input) -> Result<()> {
    let ExampleCounts {
        nothing_to_learn,
        too_long,
        ..
    } = finished.examples;
    if finished.splits.is_empty() && nothing_to_learn + too_long > 0 {
        return Err(crate::bad_request!(
            "nothing is left: {nothing_to_learn} {} have nothing to learn from, {too_long} are longer than train.seq_len \
             allows (prepare.on_too_long)",
            unit(job.kind)
        ));
    }
    if finished.splits.is_empty() {
        return Err(nothing_in(job, input));
    }
    if job.config.val_fraction > 0.0 && !finished.splits.contains_key(&Split::Val) {
        log::warn!(
            "there is no val split: it takes more than one of the {}",
            unit(job.kind)
        );
    }
    Ok(())
}

/// The error of an input that holds nothing of its kind.
pub(super) fn nothing_in(job: &Job, input: &Input) -> anyhow::Error {
    let (what, field) = match job.kind {
        Kind::Pretrain => ("text", "text-field (prepare.input, prepare.text_field)"),
        Kind::Instruct => (
            "conversations",
            "messages-field (prepare.input, prepare.messages_field)",
        ),
        Kind::Preference => (
            "pairs",
            "chosen-field (prepare.input, prepare.chosen_field)",
        ),
    };
    let config = &job.config;
    crate::bad_request!(
        "no {what} in {}: looked into {} files ({} bytes); check --input and --{field}",
        config
            .mix
            .as_ref()
            .map_or_else(|| config.input.join(", "), |mix| mix.display().to_string()),
        input.files().count(),
        input.bytes()
    )
}

/// Decided before, where a preparation goes on. Else a pass before the pass: over all documents where tokens are held out,
/// else over as many as it takes to see that both splits will have one.
fn decide_val_split(
    claimed: &Claimed,
    config: &PrepareConfig,
    input: &Input,
    encoder: &Encoder<'_>,
) -> Result<ValSplit> {
    if let Some(reached) = &claimed.reached {
        return Ok(reached.val_split);
    }
    let max_documents = match config.max_documents {
        0 => usize::MAX,
        most => most as usize,
    };
    let documents = Mixture::new(input, patience(config, Pass::Ahead)).take(max_documents);
    if config.val_tokens > 0 {
        let count = |document: Document| {
            let origin = document.origin.clone();
            encoder.count(document).context(origin)
        };
        return ValSplit::of_tokens(config.val_tokens, config.seed, documents, count);
    }
    // Only documents that are sure to come before `max_tokens`, and none that is left out.
    let mut tokens_left = match config.max_tokens {
        0 => u64::MAX,
        most => most,
    };
    let with_tokens = documents.map(|document| {
        let document = document?;
        Ok((encoder.most_tokens(&document)?, document))
    });
    let certain = with_tokens
        .filter(|document| !matches!(document, Ok((0, _))))
        .take_while(move |document| {
            let most_tokens = document.as_ref().map_or(0, |(most_tokens, _)| *most_tokens);
            let fits = most_tokens <= tokens_left;
            tokens_left = tokens_left.saturating_sub(most_tokens);
            fits
        })
        .map(|document| document.map(|(_, document)| document));
    ValSplit::decide(config.val_fraction, config.seed, certain)
}

fn encode(batch: Batch, encoder: &Encoder<'_>, val_split: &ValSplit) -> Result<EncodedBatch> {
    let encode = |passage: Passage| {
        Ok(EncodedPassage {
            split: val_split.of(passage.hash),
            hash: passage.hash,
            is_first: passage.is_first,
            text_bytes: passage.piece.text_bytes() as u64,
            encoded: encoder
                .encode(passage.piece, passage.is_first)
                .with_context(|| passage.origin.clone())?,
            origin: passage.origin,
        })
    };
    let passages = batch.passages.into_iter().map(encode);
    Ok(EncodedBatch {
        passages: passages.collect::<Result<_>>()?,
        place: batch.place,
        is_complete: batch.is_complete,
        source_bytes: batch.source_bytes,
        held: batch.held,
    })
}
