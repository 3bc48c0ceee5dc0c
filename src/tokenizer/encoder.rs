//! Faster ways to the ids that the stable `tokenizers` library gives. Where one gives up on a text, that library has
//! the word.

use super::files::TokenizerFiles;
use super::ranks::Ranks;
use crate::config::TokenizerBackend;
use anyhow::{Result, anyhow, ensure};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tiktoken_rs::CoreBPE;
use tokenizers_fast::pipeline::{EncodeOptions, Override, PipelineToken, PipelineTokenizer};

/// White space in a row, in bytes, on which tiktoken's regular expressions give up.
const LONGEST_BLANK: usize = 10_000;

/// Turns text into ids, the names of special tokens taken as text.
pub(super) trait Encoder: Send + Sync {
    /// The ids of a text, or why there are none.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;
}

/// What split patterns and merges differ on: The fastest is held against the stable library with it.
const PROBE: &str = "It's 12345 o'clock,\r\n\r\n  they'LL say: \u{e9}\u{301} \u{6771}\u{4eac}\u{1f600}\u{200d}\t\u{a0}x_y(z);  \n \n</s> <|eot_id|>   ";

/// The fastest encoder that these files allow and that gives the ids of `stable`, if there is one.
pub(super) fn quickest(
    backend: TokenizerBackend,
    files: &TokenizerFiles,
    stable: impl Fn(&str) -> Result<Vec<u32>>,
) -> Option<Box<dyn Encoder>> {
    let fast = || Ok(Box::new(Fast::new(files.json())?) as Box<dyn Encoder>);
    let tiktoken = |ranks| Ok(Box::new(Tiktoken::new(ranks)?) as Box<dyn Encoder>);
    let expected = stable(PROBE).ok()?;
    let agrees = |candidate: Result<Box<dyn Encoder>>| match candidate {
        Ok(encoder) if encoder.encode(PROBE).is_ok_and(|ids| ids == expected) => Some(encoder),
        Ok(_) => {
            log::debug!("a faster tokenizer gave other ids and is not used");
            None
        }
        Err(error) => {
            log::debug!("a faster tokenizer does not read this file: {error:#}");
            None
        }
    };
    let fast = (backend == TokenizerBackend::Auto).then(fast);
    fast.and_then(agrees)
        .or_else(|| files.ranks().map(tiktoken).and_then(agrees))
}

/// tiktoken over its own ranks. Threads that share one of its encoders wait for each other: what its regular expressions
/// work in is handed round among all. So each has one of its own.
pub(super) struct Tiktoken {
    ranks: Arc<Ranks>,
    idle: Mutex<Vec<CoreBPE>>,
}

impl Tiktoken {
    pub(super) fn new(ranks: Arc<Ranks>) -> Result<Self> {
        let first = ranks.encoder()?;
        Ok(Self {
            ranks,
            idle: Mutex::new(vec![first]),
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<CoreBPE>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Encoder for Tiktoken {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        ensure!(
            longest_blank(text) < LONGEST_BLANK,
            "too much white space in a row"
        );
        let idle = self.idle().pop(); // the lock is not held while another one is made
        let encoder = match idle {
            Some(encoder) => encoder,
            None => self.ranks.encoder()?,
        };
        let ids = encoder.encode_ordinary(text);
        self.idle().push(encoder);
        Ok(ids)
    }
}

fn longest_blank(text: &str) -> usize {
    let words = text.split(|character: char| !character.is_whitespace());
    words.map(str::len).max().unwrap_or(0)
}

/// The coming version of the `tokenizers` library: read-only and fast.
pub(super) struct Fast {
    tokenizer: PipelineTokenizer,
    options: EncodeOptions,
}

impl Fast {
    /// # Errors
    /// When the file uses something that the library does not read yet.
    pub(super) fn new(json: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(json)?;
        let canonical =
            tokenizers_fast::canonicalize_str(text).map_err(|error| anyhow!("{error}"))?;
        let tokenizer =
            tokenizers_fast::from_json(&canonical).map_err(|error| anyhow!("{error}"))?;
        let options = EncodeOptions {
            add_special_tokens: false,
            encode_special_tokens: true,
            padding: Override::Off,
            truncation: Override::Off,
        };
        Ok(Self { tokenizer, options })
    }
}

impl Encoder for Fast {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut tokens = Vec::with_capacity(text.len() / 4);
        self.tokenizer
            .encode_into(text, &self.options, &mut tokens)
            .map_err(|error| anyhow!("{error}"))?;
        Ok(PipelineToken::cast_slice(&tokens).to_vec())
    }
}
