//! Variables of the environment, and the settings that they mean.

use super::origin::Origin;

/// Our own names: `LLAMA_TRAIN__SECTION__KEY`, and `LLAMA_TRAIN__SECTION__KEY__ENTRY` of a table.
const PREFIX: &str = "LLAMA_TRAIN__";

/// A variable as it was found.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) origin: Origin,
}

impl Named {
    /// The setting that it means.
    pub(super) fn sets(&self, key: &str, value: Result<String, String>) -> Variable {
        Variable {
            key: key.to_owned(),
            value,
            origin: self.origin.clone(),
        }
    }

    /// The setting, where the name is one of our own.
    pub(super) fn own(&self) -> Option<Variable> {
        let key = self.name.strip_prefix(PREFIX)?.to_lowercase();
        Some(self.sets(&key.replace("__", "."), Ok(self.value.clone())))
    }
}

/// One setting from the environment.
pub(super) struct Variable {
    pub(super) key: String,
    /// TOML or plain text; or why it is neither.
    pub(super) value: Result<String, String>,
    pub(super) origin: Origin,
}
