//! tiktoken's vocabularies: Llama 3's `tokenizer.model` and OpenAI's embedded encodings, and the `tokenizer.json` that
//! gives the same ids.

use super::llama3;
use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use tiktoken_rs::CoreBPE;

/// Byte sequences by rank: text is split by a pattern, and within each piece the pair whose bytes together have the
/// lowest rank is merged first.
pub(super) struct Ranks {
    tokens: Vec<(Vec<u8>, u32)>,
    specials: Vec<(String, u32)>,
    pattern: &'static str,
    bos: Option<&'static str>,
}

/// Names after `tiktoken:`, embedded in the program.
pub(super) const EMBEDDED: [&str; 4] = ["cl100k_base", "o200k_base", "r50k_base", "p50k_base"];

/// What begins and ends a text in OpenAI's encodings.
pub(super) const END_OF_TEXT: &str = "<|endoftext|>";

// From tiktoken's openai_public.py, without possessive quantifiers, which only bound backtracking. cl100k's cuts as
// Llama 3's does.
const R50K_PATTERN: &str =
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const O200K_PATTERN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Ranks {
    /// Llama 3's file: a base64 token and its rank on each line. The 256 special tokens follow the last rank.
    ///
    /// # Errors
    /// When a line is not of that form, or a byte has no token of its own.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).context("not a file of tiktoken ranks")?;
        let mut tokens = Vec::new();
        for (index, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            let entry = rank_line(line).ok_or_else(|| {
                anyhow!("line {}: expected a base64 token and its rank", index + 1)
            })?;
            tokens.push(entry);
        }
        let base = tokens.iter().map(|(_, rank)| rank + 1).max().unwrap_or(0);
        let specials = llama3::published_special_tokens();
        let ranks = Self {
            tokens,
            specials: specials.into_iter().zip(base..).collect(),
            pattern: llama3::SPLIT_PATTERN,
            bos: Some(llama3::BEGIN_OF_TEXT),
        };
        ranks.check().map(|()| ranks)
    }

    /// One of [`EMBEDDED`].
    ///
    /// # Errors
    /// When the program's own copy cannot be read.
    pub(super) fn embedded(name: &str) -> Result<Self> {
        let (encoding, pattern): (&CoreBPE, _) = match name {
            "cl100k_base" => (tiktoken_rs::cl100k_base_singleton(), llama3::SPLIT_PATTERN),
            "o200k_base" => (tiktoken_rs::o200k_base_singleton(), O200K_PATTERN),
            "r50k_base" => (tiktoken_rs::r50k_base_singleton(), R50K_PATTERN),
            "p50k_base" => (tiktoken_rs::p50k_base_singleton(), R50K_PATTERN),
            _ => bail!(
                "tiktoken:{name}: the known encodings are {}",
                EMBEDDED.join(", ")
            ),
        };
        let mut specials: Vec<(String, u32)> = Vec::new();
        for name in encoding.special_tokens() {
            let ids = encoding.encode_with_special_tokens(name);
            specials.extend(ids.first().map(|&id| (name.to_owned(), id)));
        }
        specials.sort_by_key(|(_, id)| *id);
        let end = specials.last().map_or(0, |(_, id)| id + 1);
        let is_special = |id: &u32| specials.iter().any(|(_, special)| special == id);
        let ids = (0..).take_while(|&id| id < end || encoding.decode_bytes(&[id]).is_ok());
        let plain = ids.filter(|id| !is_special(id));
        let tokens = plain.filter_map(|id| Some((encoding.decode_bytes(&[id]).ok()?, id)));
        Ok(Self {
            tokens: tokens.collect(),
            specials,
            pattern,
            bos: None,
        })
    }

    fn check(&self) -> Result<()> {
        let single = self
            .tokens
            .iter()
            .filter(|(bytes, _)| bytes.len() == 1)
            .count();
        if single != 256 {
            bail!(
                "{single} of the 256 single bytes have a rank: not a whole file of tiktoken ranks"
            );
        }
        Ok(())
    }

    /// tiktoken's own encoder over these ranks.
    ///
    /// # Errors
    /// When the library refuses the pattern.
    pub(super) fn encoder(&self) -> Result<CoreBPE> {
        let ranks: FxHashMap<_, _> = self.tokens.iter().cloned().collect();
        let specials: FxHashMap<_, _> = self.specials.iter().cloned().collect();
        CoreBPE::new(ranks, specials, self.pattern)
    }

    /// The same vocabulary as a `tokenizer.json`. Every pair of tokens that makes a token is a merge, in the order of
    /// the ranks (the conversion that the published Llama 3 files went through).
    pub(super) fn tokenizer_json(&self) -> Vec<u8> {
        let rank_of: HashMap<&[u8], u32> = self
            .tokens
            .iter()
            .map(|(bytes, rank)| (bytes.as_slice(), *rank))
            .collect();
        let mut vocab = Map::new();
        let mut merges: Vec<(u32, u32, u32, Value)> = Vec::new();
        for (bytes, rank) in &self.tokens {
            vocab.insert(in_unicode(bytes), json!(rank));
            for cut in 1..bytes.len() {
                let (left, right) = bytes.split_at(cut);
                if let (Some(&a), Some(&b)) = (rank_of.get(left), rank_of.get(right)) {
                    merges.push((*rank, a, b, json!([in_unicode(left), in_unicode(right)])));
                }
            }
        }
        if !self.specials_follow_the_ranks() {
            // Readers number added tokens on from the vocabulary, unless it has them.
            let specials = self.specials.iter();
            vocab.extend(specials.map(|(name, id)| (name.clone(), json!(id))));
        }
        merges.sort_by_key(|(rank, a, b, _)| (*rank, *a, *b));
        let merges: Vec<Value> = merges.into_iter().map(|(.., pair)| pair).collect();
        self.document(vocab, merges).to_string().into_bytes()
    }

    fn document(&self, vocab: Map<String, Value>, merges: Vec<Value>) -> Value {
        let added = self.specials.iter().map(|(name, id)| {
            json!({
                "id": id, "content": name, "special": true,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            })
        });
        let byte_level = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true});
        json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": added.collect::<Vec<_>>(),
            "normalizer": null,
            "pre_tokenizer": llama3::pre_tokenizer_of(self.pattern),
            "post_processor": self.post_processor(&byte_level),
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
                "vocab": vocab, "merges": merges,
            },
        })
    }

    fn specials_follow_the_ranks(&self) -> bool {
        let next = self.tokens.len() as u32..;
        self.specials
            .iter()
            .zip(next)
            .all(|((_, id), next)| *id == next)
    }

    /// Puts the token that begins a text before it, where there is one.
    fn post_processor(&self, byte_level: &Value) -> Value {
        let id = |name| {
            self.specials
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, id)| id)
        };
        let Some((bos, id)) = self.bos.and_then(|bos| Some((bos, id(bos)?))) else {
            return byte_level.clone();
        };
        let token = json!({"SpecialToken": {"id": bos, "type_id": 0}});
        let sequence =
            |name: &str, type_id: u32| json!({"Sequence": {"id": name, "type_id": type_id}});
        let template = json!({
            "type": "TemplateProcessing",
            "single": [token, sequence("A", 0)],
            "pair": [token, sequence("A", 0), {"SpecialToken": {"id": bos, "type_id": 1}}, sequence("B", 1)],
            "special_tokens": {bos: {"id": bos, "ids": [id], "tokens": [bos]}},
        });
        json!({"type": "Sequence", "processors": [byte_level, template]})
    }
}

fn rank_line(line: &str) -> Option<(Vec<u8>, u32)> {
    let (token, rank) = line.split_once(' ')?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(token)
        .ok()?;
    Some((bytes, rank.parse().ok()?))
}

/// Bytes as the visible characters that stand for them in a byte-level `tokenizer.json` (GPT-2's table): printable
/// Latin-1 as itself, the others from U+0100 on.
fn in_unicode(bytes: &[u8]) -> String {
    let is_visible = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let character = |&byte: &u8| {
        if is_visible(byte) {
            return char::from(byte);
        }
        let before = (0..byte).filter(|&other| !is_visible(other)).count() as u32;
        char::from_u32(0x100 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    bytes.iter().map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_characters_of_gpt_2() {
        assert_eq!(
            in_unicode(b" a\n\0\xff\xad"),
            "\u{120}a\u{10a}\u{100}\u{ff}\u{143}"
        );
    }

    #[test]
    fn what_is_no_rank_file_is_refused() {
        let problem = |text: &[u8]| Ranks::parse(text).err().unwrap().to_string();
        assert!(problem(b"IQ== 0\nIg==\n").starts_with("line 2: expected a base64 token"));
        assert!(problem(b"IQ== 0\n").contains("1 of the 256 single bytes"));
        assert!(problem(b"\xff\xfe").contains("not a file of tiktoken ranks"));
    }
}
