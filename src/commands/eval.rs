//! `llama-train eval`: how good a checkpoint is.

use super::{Output, fit};
use crate::bad_request;
use crate::config::{Config, ModelConfig};
use crate::data::manifest::Kind;
use crate::data::{
    Dataset, InstructDataset, PreparedFolder, RowLayout, Split, TokenBatch, TokenDataset,
};
use crate::dist::{LaunchEnv, Rendezvous};
use crate::eval::{Loss, RowScore, Rows, score_rows};
use crate::storage::AtomicFile;
use crate::train::{compute_kind, prepare_device};
use crate::weights::Pretrained;
use anyhow::{Context, Result};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Rows are this long where nothing else is asked for, or as long as the model allows.
const SEQ_LEN: i64 = 1024;

/// What to score, and on what.
#[derive(Debug, Clone)]
pub struct Request {
    /// The checked configuration: tasks, limit, data, device.
    pub config: Config,
    /// A checkpoint, any Hugging Face Llama folder, Meta's, or a `.pt` file of the original project.
    pub checkpoint: PathBuf,
    /// An adapter over it.
    pub adapter: Option<PathBuf>,
    /// Part of the data.
    pub split: Split,
    /// Tokens per row.
    pub seq_len: Option<u64>,
    /// File to write a line per row to.
    pub details: Option<PathBuf>,
}

/// Windows or conversations.
type Scored = Box<dyn Dataset<Batch = TokenBatch>>;

/// Loads the model and scores it.
///
/// # Errors
/// A bad request before a device is touched; later what the files or the device do.
pub fn run(request: &Request) -> Result<Output> {
    let config = &request.config;
    let adapter = request.adapter.as_deref();
    let pretrained = Pretrained::open(&request.checkpoint, adapter, config.lora.alpha)?;
    let dataset = open_data(request, &pretrained)?;
    let rendezvous = Rendezvous::meet(LaunchEnv::read()?, config.dist.clone())?;
    let device = prepare_device(&config.run, rendezvous.launch())?;
    let group = rendezvous.group(device)?;
    let model = pretrained.model(device, compute_kind(config.train.precision, device))?;
    let limit = match config.eval.limit {
        0 => u64::MAX,
        limit => limit,
    };
    let rows = Rows {
        count: dataset.len().min(limit),
        batch_size: config.train.micro_batch_size,
    };
    let scores = score_rows(&model, device, dataset.as_ref(), rows, group.as_ref())?;
    let details = request.details.as_deref();
    if let Some(details) = details.filter(|_| group.rank() == 0) {
        write_details(details, &scores)?;
    }
    Ok(output(&scores))
}

/// What the split holds: windows of a text, or one conversation a row.
fn open_data(request: &Request, pretrained: &Pretrained) -> Result<Scored> {
    let config = &request.config;
    if config.eval.tasks.is_empty() {
        return Err(bad_request!(
            "nothing to do: name what to score with --tasks loss (eval.tasks)"
        ));
    }
    let dir = config.data.path.as_deref().ok_or_else(|| {
        bad_request!("--tasks loss: name a folder that prep-data wrote with --data (data.path)")
    })?;
    let (split, model) = (request.split, pretrained.config());
    let data = PreparedFolder::open(dir, split)?;
    let given = config.tokenizer.path.as_deref().map(Path::new);
    let tokenizer = pretrained.tokenizer(given).ok();
    let kind = data.kind().unwrap_or(Kind::Pretrain);
    fit::check(dir, &data, kind, model, tokenizer.as_ref())?;
    let seq_len = seq_len(request, kind, model)?;
    let dataset: Scored = match kind {
        Kind::Pretrain => Box::new(TokenDataset::new(
            data.into_shards(),
            seq_len,
            model.vocab_size,
        )),
        Kind::Instruct => Box::new(open_conversations(data, seq_len, model, config)?),
        Kind::Preference => {
            return Err(bad_request!(
                "{}: holds pairs of answers, whose loss is no model's alone: it is in the validations of `llama-train dpo`; \
                 name text or conversations with --data",
                dir.display()
            ));
        }
    };
    match dataset.is_empty() {
        true => Err(bad_request!(
            "{}: the {split} split has no window of {seq_len} tokens; lower --seq-len, or name another --split",
            dir.display()
        )),
        false => Ok(dataset),
    }
}

fn open_conversations(
    data: PreparedFolder,
    seq_len: u64,
    model: &ModelConfig,
    config: &Config,
) -> Result<InstructDataset> {
    let shards = data.into_instruct_shards()?;
    let too_long = config.sft.on_too_long;
    let dataset = InstructDataset::new(
        shards,
        seq_len,
        model.vocab_size,
        RowLayout::Padded,
        too_long,
    )?;
    if dataset.too_long() > 0 {
        log::warn!(
            "{} conversations are longer than {seq_len} tokens (sft.on_too_long)",
            dataset.too_long()
        );
    }
    Ok(dataset)
}

/// Conversations are taken whole, as far as the model can read them.
fn seq_len(request: &Request, kind: Kind, model: &ModelConfig) -> Result<u64> {
    let longest = model.max_seq_len.unsigned_abs();
    match request.seq_len {
        Some(seq_len) if seq_len > longest => Err(bad_request!(
            "--seq-len {seq_len} is longer than the model's max_seq_len of {longest}"
        )),
        Some(0) => Err(bad_request!("--seq-len 0: must be at least 1")),
        Some(seq_len) => Ok(seq_len),
        None if kind == Kind::Instruct => Ok(longest),
        None => Ok(longest.min(SEQ_LEN.unsigned_abs())),
    }
}

fn write_details(path: &Path, scores: &[RowScore]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    for row in scores {
        let line = json!({"sum_logprob": row.sum_log_prob, "num_targets": row.num_targets});
        writeln!(file, "{line}").with_context(|| path.display().to_string())?;
    }
    file.commit()
}

fn output(scores: &[RowScore]) -> Output {
    let loss = Loss::of(scores);
    let (mean, num_targets) = (loss.mean, loss.num_targets);
    let perplexity = loss.perplexity();
    Output {
        json: json!({"loss": {"loss": mean, "perplexity": perplexity, "num_targets": num_targets}}),
        text: format!(
            "loss {mean:.5} nats a token, perplexity {perplexity:.3}, {num_targets} tokens in {} rows",
            scores.len()
        ),
        exit_code: 0,
    }
}
