//! Flags as settings of configuration keys.

use crate::bad_request;
use crate::config::Assignment;
use anyhow::Result;
use std::fmt::Display;

/// The keys that a verb's flags set.
#[derive(Debug, Default)]
pub(super) struct Assignments(Vec<Assignment>);

impl Assignments {
    /// A number.
    pub(super) fn value<T: Display>(&mut self, flag: &str, key: &str, value: Option<T>) {
        self.push(flag, key, value.map(|value| value.to_string()));
    }

    /// Text, taken as it is.
    pub(super) fn text(&mut self, flag: &str, key: &str, text: Option<&String>) {
        self.push(flag, key, text.map(|text| quoted(text)));
    }

    /// Several texts; none leaves the key alone.
    pub(super) fn list(&mut self, flag: &str, key: &str, texts: &[String]) {
        let list = texts
            .iter()
            .map(|text| quoted(text))
            .collect::<Vec<_>>()
            .join(", ");
        self.push(flag, key, (!texts.is_empty()).then(|| format!("[{list}]")));
    }

    /// Entries NAME=TEXT of a table.
    ///
    /// # Errors
    /// A bad request when one is of another form.
    pub(super) fn entries(&mut self, flag: &str, key: &str, entries: &[String]) -> Result<()> {
        for entry in entries {
            let (name, text) = entry.split_once('=').ok_or_else(|| {
                bad_request!(
                    "{flag} {entry}: expected NAME=PATH, for example hellaswag=items.jsonl"
                )
            })?;
            let key = format!("{key}.{}", name.trim());
            self.push(flag, &key, Some(quoted(text.trim())));
        }
        Ok(())
    }

    /// Back to its default: what a flag given beside it takes the place of, wherever that was set.
    pub(super) fn reset(&mut self, flag: &str, key: &str) {
        self.0.push(Assignment {
            origin: flag.to_owned(),
            key: key.to_owned(),
            value: None,
        });
    }

    fn push(&mut self, flag: &str, key: &str, value: Option<String>) {
        self.0.extend(value.map(|value| Assignment {
            origin: flag.to_owned(),
            key: key.to_owned(),
            value: Some(value),
        }));
    }

    pub(super) fn into_inner(self) -> Vec<Assignment> {
        self.0
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// `--set SECTION.KEY=VALUE`.
pub(super) fn from_set(settings: &[String]) -> Result<Vec<Assignment>> {
    let split = |setting: &String| {
        let (key, value) = setting.split_once('=').ok_or_else(|| {
            bad_request!(
                "--set {setting}: expected SECTION.KEY=VALUE, for example --set optim.max_lr=3e-4"
            )
        })?;
        Ok(Assignment {
            origin: format!("--set {setting}"),
            key: key.trim().to_owned(),
            value: Some(value.trim().to_owned()),
        })
    };
    settings.iter().map(split).collect()
}
