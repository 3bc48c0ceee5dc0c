//! What a data set's card, the YAML at the head of its README, says about its configurations.

use super::patterns::SplitPatterns;
use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A configuration: files, or a folder of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CardConfig {
    pub(super) name: String,
    /// Where the patterns begin; empty for the repository.
    pub(super) dir: String,
    /// `None` where the usual ones are tried.
    pub(super) splits: Option<Vec<SplitPatterns>>,
    pub(super) is_default: bool,
}

#[derive(Deserialize)]
struct Card {
    configs: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    config_name: Name,
    data_files: Option<DataFiles>,
    data_dir: Option<String>,
    #[serde(default)]
    default: bool,
}

/// YAML takes `2024` for a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Number(serde_yaml_ng::Number),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DataFiles {
    Patterns(OneOrMany),
    Splits(Vec<Split>),
}

#[derive(Deserialize)]
struct Split {
    split: String,
    path: OneOrMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The configurations that the README names; none where it has no such head.
///
/// # Errors
/// When the head cannot be understood.
pub(super) fn configs(readme: &str) -> Result<Vec<CardConfig>> {
    let Some(head) = front_matter(readme) else {
        return Ok(Vec::new());
    };
    let card: Option<Card> = serde_yaml_ng::from_str(&head)
        .context("the `configs` at the head of README.md cannot be understood")?;
    let entries = card.and_then(|card| card.configs).unwrap_or_default();
    entries.into_iter().map(Entry::into_config).collect()
}

fn front_matter(readme: &str) -> Option<String> {
    let mut lines = readme.lines();
    lines.next().filter(|line| *line == "---")?;
    let rest: Vec<&str> = lines.collect();
    let end = rest.iter().position(|line| *line == "---")?;
    Some(rest[..end].join("\n"))
}

impl Entry {
    fn into_config(self) -> Result<CardConfig> {
        let name = match self.config_name {
            Name::Text(name) => name,
            Name::Number(number) => number.to_string(),
        };
        let splits = match self.data_files {
            None => None,
            Some(DataFiles::Patterns(patterns)) => {
                Some(vec![("train".to_owned(), patterns.into_vec())])
            }
            Some(DataFiles::Splits(splits)) => {
                let splits = splits.into_iter();
                Some(
                    splits
                        .map(|split| (split.split, split.path.into_vec()))
                        .collect(),
                )
            }
        };
        let patterns = splits.iter().flatten().flat_map(|(_, patterns)| patterns);
        for pattern in patterns {
            if pattern.contains("://") || pattern.starts_with('/') {
                bail!(
                    "README.md: configuration `{name}` has files outside the repository: {pattern}"
                );
            }
        }
        Ok(CardConfig {
            name,
            dir: self.data_dir.unwrap_or_default(),
            splits,
            is_default: self.default,
        })
    }
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_data_files_is_taken() {
        let readme = "---\nlicense: mit\nconfigs:\n- config_name: a\n  data_files: x/*.json\n- config_name: b\n  \
                      default: true\n  data_files:\n  - p.json\n  - q.json\n- config_name: 2024\n  data_files:\n  - split: \
                      train\n    path: t/*\n  - split: dev\n    path:\n    - d/*\n    - e/*\n- config_name: c\n  data_dir: \
                      f\n---\n# Text\n";
        let configs = configs(readme).unwrap();
        let shown: Vec<String> = configs
            .iter()
            .map(|config| {
                format!(
                    "{} {} {} {:?}",
                    config.name, config.dir, config.is_default, config.splits
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"a  false Some([("train", ["x/*.json"])])"#,
                r#"b  true Some([("train", ["p.json", "q.json"])])"#,
                r#"2024  false Some([("train", ["t/*"]), ("dev", ["d/*", "e/*"])])"#,
                "c f false None",
            ]
        );
    }

    #[test]
    fn a_readme_without_a_head_says_nothing() {
        for readme in [
            "",
            "# Title\n---\n",
            "---\nno end",
            "---\n---\n",
            "---\ntags: [a]\n---\n",
        ] {
            assert!(configs(readme).unwrap().is_empty(), "{readme:?}");
        }
    }

    #[test]
    fn a_hostile_head_is_an_error() {
        let bomb = "---\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c \
                    [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e \
                    [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\nconfigs: *f\n---\n";
        for readme in [
            "---\nconfigs: 3\n---\n",
            "---\nconfigs: [\n---\n",
            "---\nconfigs:\n- data_files: x\n---\n",
            "---\nconfigs:\n- config_name: a\n  data_files: /etc/passwd\n---\n",
            "---\nconfigs:\n- config_name: a\n  data_files: https://elsewhere/x.json\n---\n",
            bomb,
        ] {
            assert!(configs(readme).is_err(), "{readme}");
        }
    }
}
