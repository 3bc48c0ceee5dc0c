//! What is Llama 3's own: the split pattern and the names of the special tokens.

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
