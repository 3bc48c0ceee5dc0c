//! `manifest.json`: what a prepared folder holds and what it was made from.

use super::{Split, npy::Dtype};
use crate::bad_request;
use crate::config::{Dedup, OnTooLong, TrainOn};
use crate::storage::AtomicFile;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

/// The format this version writes and reads.
pub const FORMAT_VERSION: u64 = 1;
/// Its name in the folder.
pub const FILE_NAME: &str = "manifest.json";

/// What the shards are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Documents one after the other, each led by the separator.
    Pretrain,
    /// Conversations with a mask of what is trained on.
    Instruct,
    /// Pairs: prompt, chosen, rejected of each in turn.
    Preference,
}

impl Kind {
    /// As manifests and `prep-data` have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pretrain => "pretrain",
            Self::Instruct => "instruct",
            Self::Preference => "preference",
        }
    }
}

/// A finished prepared folder. It is written last: a folder with a manifest is complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub format_version: u64,
    /// What the shards are for.
    pub kind: Kind,
    /// [`crate::tokenizer::Tokenizer::fingerprint`].
    pub tokenizer_fingerprint: String,
    /// The highest id plus one.
    pub vocab_size: u64,
    /// How ids are stored.
    pub dtype: Dtype,
    /// The id before each document; examples have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<u32>,
    /// The shards of each split.
    pub splits: BTreeMap<Split, SplitEntry>,
    /// Rows that were malformed and skipped.
    pub bad_rows: u64,
    /// Documents without any text, skipped.
    pub empty_documents: u64,
    /// Documents whose text had come before, left out.
    pub duplicate_documents: u64,
    /// What became of examples that are not as the others; documents have none of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<ExampleCounts>,
    /// What the folder was made from.
    pub request: PreparedFrom,
}

/// Examples (conversations or pairs) that are left out or cut, and the longest that is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExampleCounts {
    /// Left out: conversations without an answer; pairs whose sides are equal, or of which one is empty.
    pub nothing_to_learn: u64,
    /// Left out as too long.
    pub too_long: u64,
    /// Cut to the length that was asked for.
    pub truncated: u64,
    /// Tokens of the longest example in the shards; of a pair, with the longer of its sides.
    pub longest: u64,
}

/// One split.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitEntry {
    /// Tokens, separators included.
    pub tokens: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes of text (UTF-8) that became the tokens.
    pub text_bytes: u64,
    /// Tokens that a mask says are trained on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trained_tokens: u64,
    /// Its files, in order.
    pub shards: Vec<ShardEntry>,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// Name within the folder.
    pub file: String,
    /// Tokens in it.
    pub tokens: u64,
    /// Documents that begin in it; the last may go on in the next shard.
    pub documents: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The files beside it (mask, index) by their names, each with its SHA-256.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub companions: BTreeMap<String, String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Everything that decides the content of a prepared folder: the same again gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreparedFrom {
    /// `prepare.prefix`
    pub prefix: String,
    /// `prepare.text_field`
    pub text_field: String,
    /// `prepare.shard_tokens`
    pub shard_tokens: u64,
    /// `prepare.val_fraction`
    pub val_fraction: f64,
    /// `prepare.val_tokens`
    pub val_tokens: u64,
    /// `prepare.dedup`
    pub dedup: Dedup,
    /// `prepare.seed`
    pub seed: u64,
    /// `prepare.max_documents`
    pub max_documents: u64,
    /// `prepare.max_tokens`
    pub max_tokens: u64,
    /// Where the tokenizer came from.
    pub tokenizer: TokenizerOrigin,
    /// `prepare.pretokenized`
    pub pretokenized: bool,
    /// What decides about examples alone.
    #[serde(flatten)]
    pub examples: Option<ExamplesFrom>,
    /// What was read: one for `prepare.input`, several for `prepare.mix`.
    pub sources: Vec<PreparedSource>,
}

/// What decides how rows become examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExamplesFrom {
    /// Of what kind they are.
    pub kind: Kind,
    /// `prepare.messages_field`, or `prepare.prompt_field`, `chosen_field` and `rejected_field`; none where rows are
    /// tokenized already.
    pub fields: Vec<String>,
    /// `prepare.train_on`
    pub train_on: TrainOn,
    /// `sft.system_prompt`
    pub system_prompt: Option<String>,
    /// Most tokens of an example, and what becomes of longer ones (`train.seq_len` + 1, `prepare.on_too_long`).
    pub longest_allowed: Option<(u64, OnTooLong)>,
    /// Fingerprint of the chat template.
    pub chat_template: Option<String>,
}

/// Files with a share of the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreparedSource {
    /// Its share, in proportion to the others'.
    pub weight: f64,
    /// The files, in order.
    pub files: Vec<InputFile>,
}

/// Where the tokenizer of a prepared folder came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerOrigin {
    /// It was given; this is its fingerprint.
    Given(String),
    /// It was trained on the same files, for this vocabulary.
    Trained(u64),
}

/// A file that was read, recognised by its path and size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputFile {
    /// Path as it was found.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
}

impl Manifest {
    /// The manifest of a folder; `None` where there is none.
    ///
    /// # Errors
    /// A bad request when `dir` is a file; otherwise when it cannot be understood, or another version of this program
    /// wrote it.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                let place = if dir.exists() { "is" } else { "lies below" };
                return Err(bad_request!(
                    "{}: this {place} a file; name a folder",
                    dir.display()
                ));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("{}: cannot read", path.display()));
            }
        };
        Self::parse(&bytes)
            .with_context(|| path.display().to_string())
            .map(Some)
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u64,
            kind: Option<String>,
        }
        let remedy = "prepare the folder again";
        let Version {
            format_version,
            kind,
        } = serde_json::from_slice(bytes)
            .with_context(|| format!("no manifest of prepared data; {remedy}"))?;
        if kind.as_deref() == Some("eval") {
            return Err(bad_request!(
                "holds benchmarks; score them with llama-train eval --task-data NAME=FOLDER"
            ));
        }
        if format_version != FORMAT_VERSION {
            bail!(
                "format version {format_version}, this program reads {FORMAT_VERSION}; {remedy}, or use the version \
                 of llama-train that made it"
            );
        }
        serde_json::from_slice(bytes).with_context(|| format!("damaged; {remedy}"))
    }

    /// Writes the manifest into a folder, whole or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE_NAME);
        let mut file = AtomicFile::create(&path)?;
        serde_json::to_writer_pretty(&mut file, self)
            .map_err(std::io::Error::from)
            .and_then(|()| file.write_all(b"\n"))
            .with_context(|| format!("{}: cannot write", path.display()))?;
        file.commit()
    }

    /// The entry of a split; empty where the folder has no such split.
    #[must_use]
    pub fn split(&self, split: Split) -> SplitEntry {
        self.splits.get(&split).cloned().unwrap_or_default()
    }
}
