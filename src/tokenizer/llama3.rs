//! What is Llama 3's own: the split pattern and the names of the special tokens.

use anyhow::Result;
use serde_json::{Value, json};

/// Splits text into the pieces within which bytes are merged (Llama 3's `tokenizer.json` and `tokenizer.model` alike).
pub const SPLIT_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Begins a sequence.
pub const BEGIN_OF_TEXT: &str = "<|begin_of_text|>";
/// Stands between documents and ends a base model's text.
pub const END_OF_TEXT: &str = "<|end_of_text|>";
/// Opens the header of a chat message.
pub const START_HEADER_ID: &str = "<|start_header_id|>";
/// Closes the header of a chat message.
pub const END_HEADER_ID: &str = "<|end_header_id|>";
/// Ends a chat message.
pub const EOT_ID: &str = "<|eot_id|>";
/// Pads.
pub const PAD: &str = "<|reserved_special_token_0|>";

/// The special tokens that pretraining, chat and padding need: the end of a vocabulary trained here, in this order.
/// (Llama 3 reserves 256; a small vocabulary has no rows to waste on them.)
pub const SPECIAL_TOKENS: [&str; 6] = [
    BEGIN_OF_TEXT,
    END_OF_TEXT,
    START_HEADER_ID,
    END_HEADER_ID,
    EOT_ID,
    PAD,
];

/// Special tokens of a bare `tokenizer.model`, in the order of the first Llama 3.
const NAMED_PLACES: [(usize, &str); 5] = [
    (0, BEGIN_OF_TEXT),
    (1, END_OF_TEXT),
    (6, START_HEADER_ID),
    (7, END_HEADER_ID),
    (9, EOT_ID),
];

/// The 256 special tokens that follow the ranks of Llama 3's `tokenizer.model`; reserved ones are numbered on.
#[must_use]
pub fn published_special_tokens() -> Vec<String> {
    let mut reserved = 0..;
    let name = |place: usize| {
        let named = NAMED_PLACES.iter().find(|(at, _)| *at == place);
        named.map_or_else(
            || {
                format!(
                    "<|reserved_special_token_{}|>",
                    reserved.next().unwrap_or(0)
                )
            },
            |(_, name)| (*name).to_owned(),
        )
    };
    (0..256).map(name).collect()
}

/// The `pre_tokenizer` of Llama 3's `tokenizer.json`: the split pattern, then bytes.
#[must_use]
pub fn pre_tokenizer() -> Value {
    pre_tokenizer_of(SPLIT_PATTERN)
}

/// The same with another split pattern.
#[must_use]
pub fn pre_tokenizer_of(pattern: &str) -> Value {
    let split = json!({
        "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false,
    });
    let to_bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    json!({"type": "Sequence", "pretokenizers": [split, to_bytes]})
}

/// Whether text is split as by Llama 3's published file, and nothing is done to it before.
pub(super) fn splits_text(tokenizer: &tokenizers::Tokenizer) -> Result<bool> {
    let added = tokenizer.get_added_tokens_decoder();
    Ok(tokenizer.get_normalizer().is_none()
        && added.values().all(|token| token.special)
        && serde_json::to_value(tokenizer.get_pre_tokenizer())? == pre_tokenizer())
}

/// The first place from byte `from` on where the split pattern cuts a text anyway: between a line break and a visible
/// ASCII character (every match that takes in a line break takes in the white space behind it as well), and before a
/// single space or punctuation mark between two letters. No match looks back, so the parts, tokenized one by one, give
/// the ids of the whole.
#[must_use]
pub fn next_cut(text: &str, from: usize) -> Option<usize> {
    let start = (from.max(1)..text.len()).find(|&at| text.is_char_boundary(at))?;
    let mut before = text[..start].chars().next_back()?;
    let mut rest = text[start..].char_indices().peekable();
    while let Some((at, here)) = rest.next() {
        let after = rest.peek().map(|(_, after)| *after);
        let between_letters = is_letter(before) && after.is_some_and(is_letter);
        if before == '\n' && here.is_ascii_graphic() || between_letters && is_separator(here) {
            return Some(start + at);
        }
        before = here;
    }
    None
}

/// Some of `\p{L}`: Latin, kana, Han, Hangul.
fn is_letter(character: char) -> bool {
    matches!(character, 'a'..='z' | 'A'..='Z' | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '一'..='鿕' | '가'..='힣')
}

/// Some of what is neither letter, number nor line break.
fn is_separator(character: char) -> bool {
    character == ' '
        || character.is_ascii_punctuation()
        || matches!(character, '、' | '。' | '！' | '，' | '？')
}

/// Cuts a text into pieces of at least `piece_bytes`, which take a fraction of the memory to tokenize; see [`next_cut`].
pub fn pieces(text: &str, piece_bytes: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, later) = rest.split_at(next_cut(rest, piece_bytes).unwrap_or(rest.len()));
        rest = later;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_stand_where_llama_3_has_them() {
        let names = published_special_tokens();
        assert_eq!(names.len(), 256);
        assert_eq!(names[2], PAD);
        assert_eq!(
            (names[6].as_str(), names[9].as_str()),
            (START_HEADER_ID, EOT_ID)
        );
        assert_eq!(names[8], "<|reserved_special_token_4|>");
        assert_eq!(names[255], "<|reserved_special_token_250|>");
    }

    #[test]
    fn pieces_are_the_text_cut_after_line_breaks_and_between_words() {
        let cut = |text, bytes| pieces(text, bytes).collect::<Vec<_>>();
        assert_eq!(
            cut("ab\ncd\n\n\nef\n gh\nä\n", 1),
            ["ab\n", "cd\n\n\n", "ef\n gh\nä\n"]
        );
        assert_eq!(cut("ab\ncd\nef", 4), ["ab\ncd\n", "ef"]);
        assert_eq!(cut("ab\ncd\nef", 3), ["ab\n", "cd\n", "ef"]);
        assert_eq!(cut("ab cd  ef g1 ä b", 1), ["ab", " cd  ef", " g1 ä b"]);
        assert_eq!(cut("東京、I'm. ok。", 2), ["東京", "、I", "'m. ok。"]);
        assert!(cut("", 3).is_empty());
    }
}
