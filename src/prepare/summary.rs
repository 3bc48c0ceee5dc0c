//! What was prepared, in words and as JSON.

use super::{Outcome, Prepared, job::unit};
use crate::data::{
    Split,
    manifest::{Kind, SplitEntry},
};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};
use std::fmt::Write;

impl Prepared {
    /// Tokens of both splits.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.sum(|split| split.tokens)
    }

    fn sum(&self, number: impl Fn(&SplitEntry) -> u64) -> u64 {
        self.manifest.splits.values().map(number).sum()
    }

    fn bytes_per_token(&self) -> f64 {
        self.sum(|split| split.text_bytes) as f64 / self.tokens().max(1) as f64
    }

    fn tokens_per_second(&self) -> Option<f64> {
        match self.outcome {
            Outcome::Made { seconds } => Some(self.tokens() as f64 / seconds.max(1e-9)),
            Outcome::AlreadyThere => None,
        }
    }

    /// A few lines for a person.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let dir = self.dir.display();
        let head = match self.outcome {
            Outcome::Made { seconds } => format!("{dir}: prepared in {seconds:.1} s"),
            Outcome::AlreadyThere => format!("{dir}: already prepared, nothing to do"),
        };
        let rate = self.tokens_per_second().map_or(String::new(), |rate| {
            format!(", {} tokens/s", HumanCount(rate as u64))
        });
        let _ = writeln!(text, "{head}");
        let unit = unit(self.manifest.kind);
        let _ = writeln!(
            text,
            "  {} {unit}, {} of text, {} tokens ({:.2} bytes per token{rate})",
            HumanCount(self.sum(|split| split.documents)),
            HumanBytes(self.sum(|split| split.text_bytes)),
            HumanCount(self.tokens()),
            self.bytes_per_token(),
        );
        text += &self.examples();
        for split in [Split::Train, Split::Val] {
            let entry = self.manifest.split(split);
            let share = 100.0 * entry.tokens as f64 / self.tokens().max(1) as f64;
            let _ = writeln!(
                text,
                "  {split:5}  {} tokens ({share:.1} %) of {} {unit}, {} shard(s)",
                HumanCount(entry.tokens),
                HumanCount(entry.documents),
                entry.shards.len()
            );
        }
        let _ = write!(
            text,
            "  vocabulary of {}, {} bytes a token; left out {} malformed rows, {} empty and {} repeated {unit}",
            HumanCount(self.manifest.vocab_size),
            self.manifest.dtype.size(),
            self.manifest.bad_rows,
            self.manifest.empty_documents,
            self.manifest.duplicate_documents
        );
        text
    }

    /// What there is to say of examples alone.
    fn examples(&self) -> String {
        let Some(counts) = self.manifest.examples else {
            return String::new();
        };
        let trained = self.sum(|split| split.trained_tokens);
        let share = 100.0 * trained as f64 / self.tokens().max(1) as f64;
        let trained = match self.manifest.kind {
            Kind::Instruct => format!(
                "{} tokens ({share:.1} %) are trained on; ",
                HumanCount(trained)
            ),
            Kind::Pretrain | Kind::Preference => String::new(),
        };
        format!(
            "  {trained}the longest has {} tokens, {} were cut; left out {} with nothing to learn and {} too long\n",
            HumanCount(counts.longest),
            HumanCount(counts.truncated),
            HumanCount(counts.nothing_to_learn),
            HumanCount(counts.too_long)
        )
    }

    /// The same for a program.
    #[must_use]
    pub fn json(&self) -> Value {
        let split = |split| {
            let entry = self.manifest.split(split);
            json!({"tokens": entry.tokens, "documents": entry.documents, "shards": entry.shards.len()})
        };
        let seconds = match self.outcome {
            Outcome::Made { seconds } => Some(seconds),
            Outcome::AlreadyThere => None,
        };
        let mut json = json!({
            "out": self.dir,
            "already_prepared": self.outcome == Outcome::AlreadyThere,
            "documents": self.sum(|split| split.documents),
            "tokens": self.tokens(),
            "text_bytes": self.sum(|split| split.text_bytes),
            "bytes_per_token": self.bytes_per_token(),
            "train": split(Split::Train),
            "val": split(Split::Val),
            "bad_rows": self.manifest.bad_rows,
            "empty_documents": self.manifest.empty_documents,
            "duplicate_documents": self.manifest.duplicate_documents,
            "vocab_size": self.manifest.vocab_size,
            "dtype": self.manifest.dtype,
            "tokenizer_fingerprint": self.manifest.tokenizer_fingerprint,
            "seconds": seconds,
            "tokens_per_second": self.tokens_per_second(),
        });
        if let Some(counts) = self.manifest.examples {
            json["trained_tokens"] = json!(self.sum(|split| split.trained_tokens));
            json["nothing_to_learn"] = json!(counts.nothing_to_learn);
            json["too_long"] = json!(counts.too_long);
            json["truncated"] = json!(counts.truncated);
            json["longest"] = json!(counts.longest);
        }
        json
    }
}
