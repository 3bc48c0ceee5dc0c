//! Text to token ids and back, with the tokenizer's own files.
//!
//! The names and the split pattern of Llama 3 live in [`llama3`]; what a folder says about its special tokens in
//! `files`; tiktoken's vocabularies in `ranks`; the identity of a vocabulary in `fingerprint`; faster ways to encode in
//! `encoder`; conversations in `chat`, over what `template` renders, part by part in `marked_run`.

mod chat;
mod encoder;
mod files;
mod fingerprint;
pub mod llama3;
mod marked_run;
mod prompt;
mod ranks;
mod template;

pub use chat::{ASSISTANT, ChatFormat, Conversation, Message};
pub use files::{FILE_NAMES, is_in};
pub use prompt::PromptStyle;

use crate::{config::TokenizerBackend, storage};
use anyhow::{Result, anyhow};
use encoder::Encoder;
use files::TokenizerFiles;
use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::OnceLock,
};

/// A tokenizer as the Hub publishes it (`tokenizer.json`), or tiktoken's. Cheap to share: every method takes `&self`,
/// and any number of threads may encode at once.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    files: TokenizerFiles,
    fingerprint: String,
    vocab_size: usize,
    /// Whether [`llama3::pieces`] may be tokenized one by one.
    splits_as_llama3: bool,
    backend: TokenizerBackend,
    /// Made when the first text is encoded.
    quick: OnceLock<Option<Box<dyn Encoder>>>,
}

/// Text tokenized at once where it may be cut; the library takes over a hundred times as much memory.
const PIECE_BYTES: usize = 1 << 16;

impl Tokenizer {
    /// Reads a `tokenizer.json`, or a folder that holds one; `tokenizer_config.json` and its like are read from beside it.
    ///
    /// # Errors
    /// A bad request when there is no such file; otherwise when the file cannot be understood.
    pub fn load(path: &Path) -> Result<Self> {
        let files = TokenizerFiles::read(path)?;
        Self::new(files).map_err(|error| error.context(path.display().to_string()))
    }

    /// The same tokenizer over other libraries.
    #[must_use]
    pub fn with_backend(self, backend: TokenizerBackend) -> Self {
        Self {
            backend,
            quick: OnceLock::new(),
            ..self
        }
    }

    /// A tokenizer from the text of a `tokenizer.json`; [`Tokenizer::write_to`] makes the other files.
    ///
    /// # Errors
    /// When the text cannot be understood.
    pub fn from_json(json: String) -> Result<Self> {
        Self::new(TokenizerFiles::bare(json.into_bytes()))
    }

    fn new(files: TokenizerFiles) -> Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(files.json())
            .map_err(|error| anyhow!("not a tokenizer.json that this program reads: {error}"))?;
        // Documents are taken whole, whatever the file was last saved with, and nobody writes a special token by
        // spelling its name.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|error| anyhow!(error))?;
        inner.set_encode_special_tokens(true);
        let vocabulary = fingerprint::sorted_vocabulary(&inner);
        Ok(Self {
            backend: TokenizerBackend::Auto,
            quick: OnceLock::new(),
            vocab_size: vocabulary.last().map_or(0, |(id, _)| *id as usize + 1),
            fingerprint: fingerprint::of(&vocabulary),
            splits_as_llama3: llama3::splits_text(&inner)?,
            inner,
            files,
        })
    }

    /// Where a text may be cut so that the ids of its parts are those of the whole; `None` if nowhere is known.
    #[must_use]
    pub fn next_cut(&self) -> Option<fn(&str, usize) -> Option<usize>> {
        self.splits_as_llama3.then_some(llama3::next_cut)
    }

    /// The ids of the text and nothing else; the names of special tokens inside it are text like any other.
    ///
    /// # Errors
    /// When the tokenizer cannot express the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        if !self.splits_as_llama3 {
            return self.encode_piece(text);
        }
        let mut ids = Vec::with_capacity(text.len() / 3);
        for piece in llama3::pieces(text, PIECE_BYTES) {
            ids.extend(self.encode_piece(piece)?);
        }
        Ok(ids)
    }

    fn encode_piece(&self, text: &str) -> Result<Vec<u32>> {
        let stable = |text: &str| self.encode_with(text, false);
        let quick = self
            .quick
            .get_or_init(|| encoder::quickest(self.backend, &self.files, stable));
        match quick.as_ref().map(|quick| quick.encode(text)) {
            Some(Ok(ids)) => Ok(ids),
            _ => self.encode_with(text, false),
        }
    }

    /// The ids of the text as the start of something to continue: with what the tokenizer's own files put around it
    /// (Llama 3's: `<|begin_of_text|>` before).
    ///
    /// # Errors
    /// When the tokenizer cannot express the text.
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_with(text, true)
    }

    fn encode_with(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        // The regular expressions of the library panic when they give up (ten million spaces in a row).
        let encoding = panic::catch_unwind(AssertUnwindSafe(|| {
            self.inner.encode_fast(text, add_special_tokens)
        }))
        .map_err(|_| {
            anyhow!("cannot tokenize: the tokenizer's split pattern gave up on this text")
        })?
        .map_err(|error| anyhow!("cannot tokenize: {error}"))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of the ids, special tokens by their names; bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// When the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner
            .decode(ids, false)
            .map_err(|error| anyhow!("cannot turn ids into text: {error}"))
    }

    /// The highest id plus one, special tokens included: rows that an embedding needs.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of a token by its name, for example `<|eot_id|>`.
    #[must_use]
    pub fn token_id(&self, name: &str) -> Option<u32> {
        self.inner.token_to_id(name)
    }

    /// The token before each document of pretraining data: `<|end_of_text|>` where the vocabulary has it (so that the
    /// instruct variants, whose `eos_token` is `<|eot_id|>`, see documents as their base model did), else `eos_token`.
    ///
    /// # Errors
    /// A bad request when the tokenizer names neither.
    pub fn document_separator(&self) -> Result<u32> {
        self.token_id(llama3::END_OF_TEXT)
            .or_else(|| self.role("eos_token"))
            .or_else(|| self.files.generation_eos().first().copied())
            .ok_or_else(|| {
                crate::bad_request!(
                    "the tokenizer has no `{}` and names no `eos_token`, so documents cannot be told apart; put a \
                     tokenizer_config.json with \"eos_token\" beside its tokenizer.json",
                    llama3::END_OF_TEXT
                )
            })
    }

    /// The token that begins a sequence, if the tokenizer has one.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.role("bos_token")
            .or_else(|| self.token_id(llama3::BEGIN_OF_TEXT))
    }

    /// The tokens that end a generated text, in ascending order: end of text, end of turn, `eos_token`, and what
    /// `generation_config.json` adds.
    #[must_use]
    pub fn stop_tokens(&self) -> Vec<u32> {
        let named = [llama3::END_OF_TEXT, llama3::EOT_ID].map(|name| self.token_id(name));
        let mut ids: Vec<u32> = named
            .into_iter()
            .chain([self.role("eos_token")])
            .flatten()
            .chain(self.files.generation_eos().iter().copied())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// SHA-256 of what every id means: the same for the same vocabulary, however its file is laid out.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The text of the `tokenizer.json`, byte for byte as it was read.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        self.files.json()
    }

    /// Writes the tokenizer's files as they were read, and makes a `tokenizer_config.json` where there was none, so
    /// that `transformers.AutoTokenizer.from_pretrained` opens the folder.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write_to(&self, dir: &Path) -> Result<()> {
        storage::create_dir_all(dir)?;
        self.files
            .write_to(dir, |name| self.token_id(name).is_some())
    }

    fn role(&self, role: &str) -> Option<u32> {
        self.token_id(self.files.role(role)?)
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer({} tokens)", self.vocab_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of everything the split pattern looks at, in an order that only the seed knows.
    fn tangled(mut seed: u64) -> String {
        let parts = "\n¦\n¦\r\n¦\n\n¦ ¦ ¦ ¦  ¦\t¦\u{a0}¦\u{2028}¦a¦It's¦'LL¦12345¦ünï¦東¦{¦);¦_¦、¦'m¦é¦가¦ß¦<|eot_id|>¦\0¦!¦word";
        let parts: Vec<&str> = parts.split('¦').collect();
        let mut next = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            parts[(seed >> 33) as usize % parts.len()]
        };
        (0..400).map(|_| next()).collect()
    }

    #[test]
    fn pieces_tokenized_one_by_one_give_the_ids_of_the_whole() {
        let tokenizer = Tokenizer::load(Path::new("tests/fixtures/tokenizer")).unwrap();
        assert!(tokenizer.splits_as_llama3);
        let mut cuts = 0;
        for seed in 0..200 {
            let text = tangled(seed);
            let pieces: Vec<&str> = llama3::pieces(&text, 1).collect();
            let encode = |text| tokenizer.encode_with(text, false).unwrap();
            let ids: Vec<u32> = pieces.iter().flat_map(|piece| encode(piece)).collect();
            assert_eq!(ids, encode(&text), "{text:?}");
            cuts += pieces.len() - 1;
        }
        assert!(cuts > 2000, "{cuts}");
    }

    #[test]
    fn another_split_pattern_is_not_cut() {
        let json = Tokenizer::load(Path::new("tests/fixtures/tokenizer")).unwrap();
        let json = String::from_utf8(json.json().to_vec()).unwrap();
        let other = json.replace("{1,3}", "{1,2}");
        assert_ne!(other, json);
        assert!(!Tokenizer::from_json(other).unwrap().splits_as_llama3);
    }

    #[test]
    fn a_text_that_the_pattern_gives_up_on_is_an_error() {
        let tokenizer = Tokenizer::load(Path::new("tests/fixtures/tokenizer")).unwrap();
        let blanks = " ".repeat(11_000_000);
        assert!(tokenizer.encode(&blanks).is_ok());
        let stable = tokenizer.with_backend(TokenizerBackend::Stable);
        let error = stable.encode(&blanks).unwrap_err();
        assert!(error.to_string().contains("gave up"), "{error}");
    }
}
