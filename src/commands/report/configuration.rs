//! A run's configuration beside the defaults.

use crate::config::Config;
use toml::{Table, Value};

/// One key of `config.toml`.
#[derive(Debug, PartialEq)]
pub(super) struct Setting {
    /// `section.key`
    pub(super) key: String,
    /// As TOML; empty where the run left it out.
    pub(super) value: String,
    /// The same of the default.
    pub(super) default: String,
}

impl Setting {
    pub(super) fn is_changed(&self) -> bool {
        self.value != self.default
    }
}

/// All keys in the order of the file.
pub(super) fn settings(config: &Table) -> Vec<Setting> {
    let defaults: Table = Config::default().to_toml().parse().unwrap_or_default();
    let mut settings = Vec::new();
    for (section, keys) in config {
        let Value::Table(keys) = keys else {
            continue;
        };
        settings.extend(keys.iter().map(|(key, value)| Setting {
            key: format!("{section}.{key}"),
            value: value.to_string(),
            default: default(&defaults, section, key),
        }));
    }
    settings
}

fn default(defaults: &Table, section: &str, key: &str) -> String {
    let value = defaults.get(section).and_then(|keys| keys.get(key));
    value.map_or_else(String::new, Value::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_known() {
        let mut config = Config::default();
        config.optim.max_lr = 2e-3;
        config.model.dim = Some(64);
        let settings = settings(&config.to_toml().parse().unwrap());
        let changed: Vec<&Setting> = settings
            .iter()
            .filter(|setting| setting.is_changed())
            .collect();
        let said = |at: usize| {
            let Setting {
                key,
                value,
                default,
            } = changed[at];
            [key.as_str(), value.as_str(), default.as_str()]
        };
        assert_eq!(changed.len(), 2);
        assert_eq!(
            [said(0), said(1)],
            [["model.dim", "64", ""], ["optim.max_lr", "0.002", "0.0003"]]
        );
        assert!(settings.len() > 60);
    }
}
