//! One verb, one file.

pub mod prep_data;

/// What a verb has to say, on stdout.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// With `--json`.
    pub json: serde_json::Value,
    /// Without.
    pub text: String,
    /// How the process exits.
    pub exit_code: u8,
}
