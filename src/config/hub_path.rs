//! Addresses on the Hub: `hf://org/name`, `hf://datasets/org/name`. Understanding one takes no network.

use crate::bad_request;
use anyhow::Result;
use std::fmt;

/// What every such address begins with.
const SCHEME: &str = "hf://";
const DATASETS: &str = "datasets/";
/// The longest name that the Hub gives to a user or a repository.
const NAME_CHARACTERS: usize = 96;

/// `hf://org/name[@rev]`, or `hf://datasets/org/name[@rev][:config/split]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubPath {
    /// What kind of repository.
    pub kind: HubKind,
    /// `org/name`, or `name` alone for the oldest ones.
    pub id: String,
    /// A branch, a tag or a commit; the default branch where none is named.
    pub revision: Option<String>,
    /// Which of a data set's files; all that a model needs otherwise.
    pub part: HubPart,
}

/// The kinds of repository that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubKind {
    /// Weights, and the tokenizer beside them.
    Model,
    /// Rows of text.
    Dataset,
}

/// Which files of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubPart {
    /// Those of a configuration's split, each the default one where it is not named.
    Split {
        /// The configuration.
        config: Option<String>,
        /// The split.
        split: Option<String>,
    },
    /// Those that this path or glob within the repository matches.
    Files(String),
}

impl HubPath {
    /// Understands the address of a repository of this kind; `None` where the text is meant as a local path.
    ///
    /// # Errors
    /// A bad request when it is no such address, or one of the other kind.
    pub fn parse_if_meant(text: &str, kind: HubKind) -> Result<Option<Self>> {
        if !text.starts_with(SCHEME) {
            return Ok(None);
        }
        let path = Self::parse(text)?;
        match (path.kind == kind, kind) {
            (true, _) => Ok(Some(path)),
            (false, HubKind::Model) => Err(bad_request!(
                "{text}: is a data set, and a model is needed here: hf://org/name[@revision]"
            )),
            (false, HubKind::Dataset) => Err(bad_request!(
                "{text}: is a model, and a data set is needed here: \
                 hf://datasets/org/name[@revision][:config/split]"
            )),
        }
    }

    /// Understands the address.
    ///
    /// # Errors
    /// A bad request that says what such an address looks like.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |problem: &str| {
            bad_request!(
                "{text}: {problem}; a model is hf://org/name[@revision], a data set \
                 hf://datasets/org/name[@revision][:config/split]"
            )
        };
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| wrong("is no address on the Hub"))?;
        let parsed = match rest.strip_prefix(DATASETS) {
            Some(rest) => Self::dataset(rest),
            None => Ok(Self::model(rest)),
        };
        let path = parsed.map_err(wrong)?;
        path.check().map_err(wrong)?;
        Ok(path)
    }

    fn model(rest: &str) -> Self {
        let (id, revision) = match rest.split_once('@') {
            Some((id, revision)) => (id, Some(revision.to_owned())),
            None => (rest, None),
        };
        Self {
            kind: HubKind::Model,
            id: id.to_owned(),
            revision,
            part: HubPart::default(),
        }
    }

    fn dataset(rest: &str) -> Result<Self, &'static str> {
        let (rest, selection) = match rest.split_once(':') {
            Some((rest, selection)) => (rest, Some(selection)),
            None => (rest, None),
        };
        let (id, revision, files) = match rest.split_once('@') {
            Some((id, rest)) => {
                let (revision, files) = split_revision(rest);
                (id, Some(revision.to_owned()), files)
            }
            None => match rest.match_indices('/').nth(1) {
                Some((at, _)) => (&rest[..at], None, Some(&rest[at + 1..])),
                None => (rest, None, None),
            },
        };
        let part = match (selection, files) {
            (Some(_), Some(_)) => return Err("names files and a split; name one of them"),
            (None, Some(files)) => HubPart::Files(files.to_owned()),
            (Some(selection), None) => HubPart::selected(selection)?,
            (None, None) => HubPart::default(),
        };
        Ok(Self {
            kind: HubKind::Dataset,
            id: id.to_owned(),
            revision,
            part,
        })
    }

    fn check(&self) -> Result<(), &'static str> {
        let names: Vec<&str> = self.id.split('/').collect();
        if names.len() > 2 || !names.iter().all(|name| is_name(name)) {
            return Err("is not a name on the Hub");
        }
        let is_revision =
            |text: &String| is_safe(text) && !text.contains(['?', '#', ' ', '\\', '%']);
        if self
            .revision
            .as_ref()
            .is_some_and(|text| !is_revision(text))
        {
            return Err("has no revision that can be behind its @");
        }
        match &self.part {
            HubPart::Files(files) if !is_safe(files) => Err("names no file within the repository"),
            _ => Ok(()),
        }
    }
}

impl Default for HubPart {
    fn default() -> Self {
        Self::Split {
            config: None,
            split: None,
        }
    }
}

impl HubPart {
    fn selected(text: &str) -> Result<Self, &'static str> {
        let (config, split) = match text.rsplit_once('/') {
            Some((config, split)) => (config, Some(split)),
            None => (text, None),
        };
        let is_split = |split: &str| !split.is_empty() && !split.contains(['[', '%', '+', ':']);
        if config.is_empty() || !split.is_none_or(is_split) {
            return Err("has no config/split behind its colon");
        }
        Ok(Self::Split {
            config: Some(config.to_owned()),
            split: split.map(str::to_owned),
        })
    }
}

/// The revision and the path within the repository; pull requests and conversions have a slash in their revision.
fn split_revision(rest: &str) -> (&str, Option<&str>) {
    let parts = if rest.starts_with("refs/") { 3 } else { 1 };
    match rest.match_indices('/').nth(parts - 1) {
        Some((at, _)) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=NAME_CHARACTERS).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.'])
        && !name.contains("..")
        && !name.contains("--")
}

/// A relative path that stays where it is put.
fn is_safe(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\0', '\\'])
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

impl fmt::Display for HubPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            HubKind::Model => "",
            HubKind::Dataset => DATASETS,
        };
        write!(f, "{SCHEME}{kind}{}", self.id)?;
        match &self.revision {
            Some(revision) => write!(f, "@{revision}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, name, revision and part in words.
    fn parsed(text: &str) -> String {
        let path = HubPath::parse(text).unwrap();
        let part = match &path.part {
            HubPart::Files(files) => files.clone(),
            HubPart::Split { config, split } => format!("{config:?} {split:?}"),
        };
        let revision = path.revision.as_deref().unwrap_or("-");
        format!("{:?} {} {revision} {part}", path.kind, path.id)
    }

    #[test]
    fn addresses_are_understood() {
        for (text, expected) in [
            ("hf://gpt2", "Model gpt2 - None None"),
            ("hf://org/name", "Model org/name - None None"),
            ("hf://o/n@a/branch", "Model o/n a/branch None None"),
            ("hf://datasets/squad", "Dataset squad - None None"),
            ("hf://datasets/o/n:c", r#"Dataset o/n - Some("c") None"#),
            (
                "hf://datasets/o/n@v1:c/s",
                r#"Dataset o/n v1 Some("c") Some("s")"#,
            ),
            ("hf://datasets/o/n/d/*.parquet", "Dataset o/n - d/*.parquet"),
            ("hf://datasets/o/n@v1/x.json", "Dataset o/n v1 x.json"),
            (
                "hf://datasets/o/n@refs/convert/parquet/a/b",
                "Dataset o/n refs/convert/parquet a/b",
            ),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "hf://",
            "hf://org/",
            "hf://org/name/file",
            "hf://../name",
            "hf://org/na me",
            "hf://org/name@",
            "hf://org/name@../../x",
            "hf://org/name@a?b",
            "hf://datasets/o/n:",
            "hf://datasets/o/n:c/",
            "hf://datasets/o/n:c/train[:10%]",
            "hf://datasets/o/n/../x",
            "hf://datasets/o/n/a:c/s",
            "hf://spaces/org/name",
        ] {
            let error = HubPath::parse(text).unwrap_err();
            assert!(error.is::<crate::config::BadRequest>());
            let message = error.to_string();
            assert!(
                message.starts_with(text) && message.contains("hf://org/name"),
                "{message}"
            );
        }
    }
}
