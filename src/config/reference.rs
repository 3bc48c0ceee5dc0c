//! The keys as a table, for people.

use super::Config;
use std::fmt::Write;
use toml::Table;

/// Every key with its default and what it does, as Markdown.
///
#[must_use]
pub fn reference() -> String {
    let mut config = Config::default();
    let defaults = Table::try_from(&config).unwrap_or_default();
    let mut text = String::from("| key | default | |\n| --- | --- | --- |\n");
    for section in config.sections_mut() {
        let table = section.table();
        for key in section.keys() {
            let value = defaults.get(table).and_then(|values| values.get(key.name));
            let value = value.map_or_else(String::new, |value| format!("`{value}`"));
            let doc = key.doc.trim().replace('|', "\\|");
            let _ = writeln!(text, "| `{table}.{}` | {value} | {doc} |", key.name); // a String takes everything
        }
    }
    text
}
