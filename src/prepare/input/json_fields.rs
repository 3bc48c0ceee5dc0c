//! Values of a row, or what is wrong with them, in words.

use serde_json::Value;

/// A text.
///
/// # Errors
/// What it is instead.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Err(format!("`{name}` is null")),
        other => Err(wrong(name, "string", other)),
    }
}

/// Token ids.
///
/// # Errors
/// What it is instead.
pub(super) fn ids(value: &Value, name: &str) -> Result<Vec<u32>, String> {
    let id = |value: &Value| u32::try_from(value.as_u64()?).ok();
    let ids = value
        .as_array()
        .map(|values| values.iter().map(id).collect());
    ids.flatten()
        .ok_or_else(|| wrong(name, "list of token ids", value))
}

/// The value of a field is none of what it should be.
pub(super) fn wrong(name: &str, what: &str, found: &Value) -> String {
    format!("`{name}` is no {what} but {}", start_of(found))
}

fn start_of(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
