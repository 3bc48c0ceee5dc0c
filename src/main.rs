//! The `llama-train` binary.
fn main() {}
