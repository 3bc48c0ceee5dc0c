//! Documents to shards: each is the separator and its tokens, in the order of the input.

use super::{
    batches::{Batch, Batches},
    documents::{Documents, Patience},
    folder::Claimed,
    ordered::ordered_map,
    progress::Progress,
    sink::{Sink, TokenizedBatch, TokenizedDocument},
    source::SourceFile,
    val_split::ValSplit,
    worker_count,
    writer::ShardFormat,
};
use crate::{
    config::PrepareConfig,
    data::{
        Dtype, Manifest, Split,
        manifest::{FORMAT_VERSION, Kind, SplitEntry},
    },
    tokenizer::Tokenizer,
};
use anyhow::{Context, Result};
use indicatif::MultiProgress;
use std::{collections::BTreeMap, path::Path};

/// Tokenizes the documents of `files` and writes the shards of both splits into the claimed folder.
///
/// # Errors
/// A bad request when there is no text at all; otherwise when a row is malformed, or a file cannot be read or written.
pub(super) fn write_shards(
    claimed: &Claimed,
    config: &PrepareConfig,
    files: &[SourceFile],
    tokenizer: &Tokenizer,
    bars: &MultiProgress,
) -> Result<Manifest> {
    let format = shard_format(config, tokenizer, &claimed.dir);
    let dtype = format.dtype;
    let separator = tokenizer.document_separator()?;
    let val_split = decide_val_split(config, files)?;
    let mut sink = Sink::new(claimed, format, config.max_tokens).with_context(|| {
        let dir = claimed.dir.display();
        format!(
            "{dir}: what an earlier preparation left is damaged; delete the folder and start again"
        )
    })?;
    let mut batches = batches(claimed, config, files)?;
    let mut progress = Progress::start(bars, "tokenizing", source_bytes(files));
    ordered_map(
        &mut batches,
        worker_count(config),
        |batch| tokenize(batch?, tokenizer, separator, &val_split),
        |batch| {
            let batch = batch?;
            progress.set(batch.tally.source_bytes);
            sink.take(batch)
        },
    )?;
    let (splits, tally) = sink.finish()?;
    check_splits(&splits, config, files)?;
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
        request: claimed.request.clone(),
    })
}

/// The documents that are left to do.
fn batches<'a>(
    claimed: &Claimed,
    config: &PrepareConfig,
    files: &'a [SourceFile],
) -> Result<Batches<'a>> {
    let patience = Patience {
        max_bad_rows: config.max_bad_rows,
        log: true,
    };
    let mut documents = Documents::new(files, &config.text_field, patience);
    let mut taken = 0;
    if let Some(reached) = &claimed.reached {
        documents.skip_to(reached.tally)?;
        taken = reached.documents();
    }
    Ok(Batches::new(documents, config.max_documents, taken))
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
    files: &[SourceFile],
) -> Result<()> {
    if splits.is_empty() {
        return Err(no_text(config, files));
    }
    if config.val_fraction > 0.0 && !splits.contains_key(&Split::Val) {
        log::warn!("there is no val split: it takes more than one document");
    }
    Ok(())
}

/// The bytes of all files.
pub(super) fn source_bytes(files: &[SourceFile]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
}

/// The error of an input that holds no text.
pub(super) fn no_text(config: &PrepareConfig, files: &[SourceFile]) -> anyhow::Error {
    crate::bad_request!(
        "no text in {}: looked into {} files ({} bytes); check --input and --text-field (prepare.input, \
         prepare.text_field)",
        config.input.join(", "),
        files.len(),
        source_bytes(files)
    )
}

/// A pass before the pass, over as many documents as it takes to see that both splits will have one.
fn decide_val_split(config: &PrepareConfig, files: &[SourceFile]) -> Result<ValSplit> {
    let patience = Patience {
        max_bad_rows: config.max_bad_rows,
        log: false,
    };
    let documents = Documents::new(files, &config.text_field, patience);
    let max_documents = if config.max_documents == 0 {
        usize::MAX
    } else {
        config.max_documents as usize
    };
    // Only documents that are sure to come before `max_tokens`, as no token is shorter than a byte.
    let mut tokens_left = if config.max_tokens == 0 {
        u64::MAX
    } else {
        config.max_tokens
    };
    let certain = documents.take(max_documents).take_while(move |document| {
        let most_tokens = document
            .as_ref()
            .map_or(0, |document| document.text.len() as u64 + 1);
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
    let mut documents = Vec::with_capacity(batch.documents.len());
    for document in batch.documents {
        let mut ids = vec![separator];
        ids.extend(tokenizer.encode(&document.text).context(document.origin)?);
        documents.push(TokenizedDocument {
            split: val_split.of(&document.text),
            ids,
            text_bytes: document.text.len() as u64,
        });
    }
    Ok(TokenizedBatch {
        documents,
        tally: batch.tally,
    })
}
