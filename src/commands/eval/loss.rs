//! The loss on prepared data.

use super::Request;
use crate::bad_request;
use crate::commands::fit::{self, Vocabulary};
use crate::config::{Config, ModelConfig};
use crate::data::manifest::Kind;
use crate::data::{Dataset, InstructDataset, PreparedFolder, RowLayout, TokenBatch, TokenDataset};
use crate::dist::ProcessGroup;
use crate::eval::{Estimate, LOSS, Loss, RowScore, Rows, loss_difference, score_rows};
use crate::model::Transformer;
use crate::weights::Pretrained;
use anyhow::Result;
use serde_json::{Value, json};
use std::f64::consts::LN_2;
use std::path::Path;
use tch::Device;

/// Rows are this long where nothing else is asked for, or as long as the model allows.
const SEQ_LEN: i64 = 1024;

/// Rows to score: windows or conversations.
pub(super) struct LossData {
    dataset: Box<dyn Dataset<Batch = TokenBatch>>,
    rows: Rows,
    bytes_per_token: Option<f64>,
}

/// What a model makes of them.
pub(super) struct LossScores {
    rows: Vec<RowScore>,
    bytes_per_token: Option<f64>,
}

impl LossData {
    /// What the split holds: windows of a text, or one conversation a row.
    ///
    /// # Errors
    /// A bad request when there is no such data, or not for this model.
    pub(super) fn open(request: &Request, pretrained: &Pretrained) -> Result<Self> {
        let config = &request.config;
        let dir = config.data.path.as_deref().ok_or_else(|| {
            bad_request!("--tasks loss: name a folder that prep-data wrote with --data (data.path)")
        })?;
        let (split, model) = (request.split, pretrained.config());
        let data = PreparedFolder::open(dir, split, Kind::Pretrain)?;
        let bytes_per_token = data.bytes_per_token(split);
        let given = config.tokenizer.path.as_deref().map(Path::new);
        let tokenizer = pretrained.tokenizer(given).ok();
        let kind = data.kind().unwrap_or(Kind::Pretrain);
        let vocabulary = Vocabulary::of(given.is_none().then_some(pretrained));
        fit::check(dir, &data, kind, (model, vocabulary), tokenizer.as_ref())?;
        let seq_len = seq_len(request, kind, model)?;
        let dataset: Box<dyn Dataset<Batch = TokenBatch>> = match kind {
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
        if dataset.is_empty() {
            return Err(bad_request!(
                "{}: the {split} split has no window of {seq_len} tokens; lower --seq-len, or name another --split",
                dir.display()
            ));
        }
        let limit = match config.eval.limit {
            0 => u64::MAX,
            limit => limit,
        };
        let rows = Rows {
            count: dataset.len().min(limit),
            batch_size: config.train.micro_batch_size,
        };
        Ok(Self {
            dataset,
            rows,
            bytes_per_token,
        })
    }

    /// # Errors
    /// When the data cannot be read or a rank is gone.
    pub(super) fn score(
        &self,
        model: &Transformer,
        device: Device,
        group: &dyn ProcessGroup,
    ) -> Result<LossScores> {
        Ok(LossScores {
            rows: score_rows(model, device, self.dataset.as_ref(), self.rows, group)?,
            bytes_per_token: self.bytes_per_token,
        })
    }
}

impl LossScores {
    pub(super) fn json(&self) -> Value {
        let loss = Loss::of(&self.rows);
        let (mean, num_targets) = (loss.mean, loss.num_targets);
        let mut json =
            json!({"loss": mean, "perplexity": loss.perplexity(), "num_targets": num_targets});
        if let Some(bits) = self.bits_per_byte() {
            json["bits_per_byte"] = json!(bits);
        }
        json
    }

    pub(super) fn text(&self) -> String {
        let loss = Loss::of(&self.rows);
        let bits = self.bits_per_byte();
        format!(
            "{LOSS} {:.5} nats a token, perplexity {:.3}, {}{} tokens in {} rows",
            loss.mean,
            loss.perplexity(),
            bits.map_or(String::new(), |bits| format!("{bits:.4} bits a byte, ")),
            loss.num_targets,
            self.rows.len()
        )
    }

    /// How much higher this loss is than another's on the same rows.
    pub(super) fn difference(&self, other: &Self) -> Estimate {
        loss_difference(&self.rows, &other.rows)
    }

    /// A line for each row.
    pub(super) fn details(&self) -> impl Iterator<Item = Value> {
        self.rows.iter().map(|row| {
            json!({"task": LOSS, "sum_logprob": row.sum_log_prob, "num_targets": row.num_targets})
        })
    }

    /// Where the data's manifest says how many bytes of text a token is.
    fn bits_per_byte(&self) -> Option<f64> {
        let mean = Loss::of(&self.rows).mean;
        self.bytes_per_token.map(|bytes| mean / LN_2 / bytes)
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
