//! The files a tokenizer comes in: `tokenizer.json`, and beside it those that name its special tokens.

use super::llama3;
use super::ranks::{EMBEDDED, END_OF_TEXT, Ranks};
use crate::storage::AtomicFile;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

const TOKENIZER: &str = "tokenizer.json";
const RANKS: &str = "tokenizer.model";
const CONFIG: &str = "tokenizer_config.json";
const TEMPLATE: &str = "chat_template.jinja";
/// Kept and passed on with the tokenizer. The first that names a role wins.
const COMPANIONS: [&str; 3] = [CONFIG, "special_tokens_map.json", TEMPLATE];

/// The names of all files that [`super::Tokenizer::write_to`] may write.
pub const FILE_NAMES: [&str; 4] = [TOKENIZER, COMPANIONS[0], COMPANIONS[1], COMPANIONS[2]];

/// Whether a folder holds a tokenizer.
#[must_use]
pub fn is_in(dir: &Path) -> bool {
    [TOKENIZER, RANKS]
        .iter()
        .any(|name| dir.join(name).exists())
}

/// The bytes of the files, and what they say about special tokens.
#[derive(Default)]
pub(super) struct TokenizerFiles {
    json: Vec<u8>,
    companions: Vec<(&'static str, Vec<u8>)>,
    roles: Map<String, Value>,
    generation_eos: Vec<u32>,
    /// Where the vocabulary was tiktoken's.
    ranks: Option<Arc<Ranks>>,
}

impl TokenizerFiles {
    /// A `tokenizer.json` with nothing beside it.
    pub(super) fn bare(json: Vec<u8>) -> Self {
        Self {
            json,
            ..Self::default()
        }
    }

    /// A vocabulary of tiktoken, and the `tokenizer.json` that means the same.
    fn of_ranks(ranks: Ranks) -> Self {
        Self {
            json: ranks.tokenizer_json(),
            ranks: Some(Arc::new(ranks)),
            ..Self::default()
        }
    }

    /// Reads `path`: `tiktoken:NAME`, a folder or a file, and what lies beside it; a file of another name than
    /// `tokenizer.json` is taken alone, since its neighbours may belong to another.
    pub(super) fn read(path: &Path) -> Result<Self> {
        if let Some(name) = path
            .to_str()
            .and_then(|path| path.strip_prefix("tiktoken:"))
        {
            return Self::embedded(name);
        }
        let file = match path.is_dir() {
            true if path.join(TOKENIZER).is_file() => path.join(TOKENIZER),
            true if path.join(RANKS).is_file() => path.join(RANKS),
            true => path.join(TOKENIZER),
            false => path.to_owned(),
        };
        if !file.is_file() {
            return Err(crate::bad_request!(
                "{}: no such tokenizer; give a tokenizer.json, a Llama 3 tokenizer.model, a folder that holds one, or \
                 one of tiktoken:{}",
                file.display(),
                EMBEDDED.join(", tiktoken:")
            ));
        }
        let bytes = read(&file)?;
        if file
            .extension()
            .is_some_and(|extension| extension == "model")
        {
            let ranks = Ranks::parse(&bytes).with_context(|| file.display().to_string())?;
            return Ok(Self::of_ranks(ranks));
        }
        let mut files = Self::bare(bytes);
        if file.file_name().is_some_and(|name| name == TOKENIZER) {
            files.read_companions(file.parent().unwrap_or(Path::new("")))?;
        }
        Ok(files)
    }

    fn embedded(name: &str) -> Result<Self> {
        if !EMBEDDED.contains(&name) {
            return Err(crate::bad_request!(
                "tiktoken:{name}: the known encodings are {}",
                EMBEDDED.join(", ")
            ));
        }
        let mut files = Self::of_ranks(Ranks::embedded(name)?);
        files.roles.insert("eos_token".into(), json!(END_OF_TEXT));
        Ok(files)
    }

    /// tiktoken's vocabulary, where it was read from one.
    pub(super) fn ranks(&self) -> Option<Arc<Ranks>> {
        self.ranks.clone()
    }

    fn read_companions(&mut self, dir: &Path) -> Result<()> {
        for name in COMPANIONS {
            let path = dir.join(name);
            if !path.is_file() {
                continue;
            }
            let bytes = read(&path)?;
            if name.ends_with(".json") {
                for (role, value) in parse(&path, &bytes)? {
                    self.roles.entry(role).or_insert(value);
                }
            }
            self.companions.push((name, bytes));
        }
        let generation: PathBuf = dir.join("generation_config.json");
        if generation.is_file() {
            let config = parse(&generation, &read(&generation)?)?;
            self.generation_eos = eos_token_ids(config.get("eos_token_id"));
        }
        Ok(())
    }

    /// The bytes of `tokenizer.json`.
    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }

    /// The token that plays a role such as `eos_token`: written as a string, or as an object with `content`.
    pub(super) fn role(&self, role: &str) -> Option<&str> {
        let value = self.roles.get(role)?;
        value.as_str().or_else(|| value.get("content")?.as_str())
    }

    /// The template of conversations, where the files have one; of several, the default.
    pub(super) fn chat_template(&self) -> Option<String> {
        let file = self.companions.iter().find(|(name, _)| *name == TEMPLATE);
        if let Some((_, bytes)) = file {
            return Some(String::from_utf8_lossy(bytes).into_owned());
        }
        let value = self.roles.get("chat_template")?;
        let named = value.as_array().into_iter().flatten();
        let mut default = named.filter(|entry| entry.get("name") == Some(&json!("default")));
        let text = value
            .as_str()
            .or_else(|| default.next()?.get("template")?.as_str());
        text.map(str::to_owned)
    }

    /// Adds a template where the files have none.
    pub(super) fn add_chat_template(&mut self, template: &str) {
        if self.chat_template().is_none() {
            self.companions
                .push((TEMPLATE, template.as_bytes().to_vec()));
        }
    }

    /// The ids that `generation_config.json` stops at.
    pub(super) fn generation_eos(&self) -> &[u32] {
        &self.generation_eos
    }

    /// Writes the files; `has` says whether the vocabulary has a token of that name.
    pub(super) fn write_to(&self, dir: &Path, has: impl Fn(&str) -> bool) -> Result<()> {
        write(&dir.join(TOKENIZER), &self.json)?;
        for (name, bytes) in &self.companions {
            write(&dir.join(name), bytes)?;
        }
        if self.companions.iter().all(|(name, _)| *name != CONFIG) {
            write(&dir.join(CONFIG), &self.made_config(has))?;
        }
        Ok(())
    }

    fn made_config(&self, has: impl Fn(&str) -> bool) -> Vec<u8> {
        let mut config = Map::new();
        config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
        config.insert("clean_up_tokenization_spaces".into(), json!(false));
        let defaults = [
            ("bos_token", llama3::BEGIN_OF_TEXT),
            ("eos_token", llama3::END_OF_TEXT),
            ("pad_token", llama3::PAD),
        ];
        for (role, name) in defaults {
            if let Some(token) = self.role(role).or_else(|| has(name).then_some(name)) {
                config.insert(role.into(), json!(token));
            }
        }
        format!("{:#}\n", Value::Object(config)).into_bytes()
    }
}

fn eos_token_ids(value: Option<&Value>) -> Vec<u32> {
    let ids = match value {
        Some(Value::Array(ids)) => ids.as_slice(),
        Some(id) => std::slice::from_ref(id),
        None => &[],
    };
    ids.iter()
        .filter_map(|id| u32::try_from(id.as_u64()?).ok())
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{}: cannot read", path.display()))
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes).with_context(|| format!("{}: not a JSON object", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)
        .with_context(|| format!("{}: cannot write", path.display()))?;
    file.commit()
}
