//! Which files a data set's configuration and split are.

use super::card::{self, CardConfig};
use super::listing::{self, Listing, RepoFile};
use super::meter::Meter;
use super::patterns;
use super::remote_file::RemoteFile;
use super::retry::Stop;
use super::snapshot::Source;
use crate::config::{HubPart, HubPath};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

const CARD: &str = "README.md";
const USUAL_SPLIT: &str = "train";

/// The files behind `hf://datasets/org/name[@revision][:config/split]`, as Python's `datasets` would take them, pinned to a
/// commit. Nothing but the listing and the card is fetched.
///
/// `commit` is the one to take where the address names no revision: what was begun with it goes on with it.
///
/// # Errors
/// When there is no such configuration or split (those that there are are listed), or what the Hub and the network have to
/// say.
pub fn dataset_files(path: &HubPath, commit: Option<&str>) -> Result<Vec<RemoteFile>> {
    let revision = path.revision.clone().or_else(|| commit.map(str::to_owned));
    let source = Source::open(&HubPath {
        revision,
        ..path.clone()
    })?;
    let listing = source.listing()?;
    let asked = source.repo.asked(None);
    let files = match &path.part {
        HubPart::Files(pattern) => {
            let files = patterns::resolve(&listing.files, "", pattern);
            match files.is_empty() {
                false => files,
                true => bail!(
                    "{asked}: no file matches {pattern}; its page lists them: {}/tree/main",
                    asked.page
                ),
            }
        }
        HubPart::Split { config, split } => {
            let configs = configs(&source, &listing).with_context(|| asked.to_string())?;
            files_of_split(
                &listing.files,
                &configs,
                config.as_deref(),
                split.as_deref(),
            )
            .map_err(|problem| anyhow!("{asked}: {problem}"))?
        }
    };
    listing::keep(&source.repo, &listing)?;
    let source = Arc::new(source);
    let remote = |file: &RepoFile| RemoteFile::new(source.clone(), &listing.commit, file.clone());
    Ok(files.into_iter().map(remote).collect())
}

/// The configurations of the card; `default` over the whole repository where it names none.
fn configs(source: &Source, listing: &Listing) -> Result<Vec<CardConfig>> {
    let card = listing.files.iter().find(|file| file.path == CARD);
    let named = match card {
        Some(card) => {
            let meter = Meter::start(card.bytes, CARD);
            let path = source.fetch_into_cache(&listing.commit, card, &meter, &Stop::default())?;
            let text =
                fs::read(&path).with_context(|| format!("{}: cannot read", path.display()))?;
            card::configs(&String::from_utf8_lossy(&text))?
        }
        None => Vec::new(),
    };
    Ok(match named.is_empty() {
        false => named,
        true => vec![CardConfig {
            name: "default".to_owned(),
            dir: String::new(),
            splits: None,
            is_default: true,
        }],
    })
}

fn files_of_split<'a>(
    files: &'a [RepoFile],
    configs: &[CardConfig],
    config: Option<&str>,
    split: Option<&str>,
) -> Result<Vec<&'a RepoFile>, String> {
    let config = chosen_config(configs, config)?;
    let splits = match &config.splits {
        Some(splits) => splits.clone(),
        None => patterns::default_splits(files, &config.dir),
    };
    let names: Vec<&str> = splits.iter().map(|(name, _)| name.as_str()).collect();
    let wanted = match (split, names.as_slice()) {
        (Some(split), _) => split,
        (None, [only]) => only,
        (None, _) => USUAL_SPLIT,
    };
    let Some((_, of_split)) = splits.iter().find(|(name, _)| name == wanted) else {
        return Err(format!(
            "configuration `{}` has no split `{wanted}`; there are {}",
            config.name,
            names.join(", ")
        ));
    };
    let mut seen = HashSet::new();
    let patterns = of_split.iter();
    let found = patterns.flat_map(|pattern| patterns::resolve(files, &config.dir, pattern));
    let found = found
        .filter(|file| seen.insert(file.path.as_str()))
        .collect();
    let (found, reader) = patterns::of_one_reader(found);
    match reader {
        Some(reader) if patterns::is_read_here(reader) => Ok(found),
        Some(reader) => Err(format!(
            "its files are {reader}, which is not read here (parquet, json, jsonl and txt are); the Hub keeps most sets \
             as parquet too: @refs/convert/parquet/{}/{wanted}/*.parquet behind the name",
            config.name
        )),
        None => Err(format!(
            "configuration `{}`, split `{wanted}`: holds no file that can be read ({})",
            config.name,
            of_split.join(", ")
        )),
    }
}

fn chosen_config<'a>(
    configs: &'a [CardConfig],
    wanted: Option<&str>,
) -> Result<&'a CardConfig, String> {
    let listed = || {
        let names: Vec<&str> = configs.iter().map(|config| config.name.as_str()).collect();
        names.join(", ")
    };
    if let Some(wanted) = wanted {
        let found = configs.iter().find(|config| config.name == wanted);
        return found.ok_or_else(|| {
            format!(
                "has no configuration `{wanted}`; there are {} (:config/split behind the name)",
                listed()
            )
        });
    }
    let is_default = |config: &&CardConfig| config.is_default || config.name == "default";
    match configs {
        [only] => Ok(only),
        several => several.iter().find(is_default).ok_or_else(|| {
            format!("has several configurations, and none is the default; name one with :config behind the name: {}", listed())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> RepoFile {
        RepoFile {
            path: path.to_owned(),
            bytes: 1,
            etag: "0".to_owned(),
            sha256: None,
        }
    }

    fn config(name: &str, dir: &str) -> CardConfig {
        CardConfig {
            name: name.to_owned(),
            dir: dir.to_owned(),
            splits: None,
            is_default: false,
        }
    }

    #[test]
    fn a_split_is_found_or_the_others_are_told() {
        let files = ["a/train.jsonl", "a/test.jsonl", "b/x.csv"].map(file);
        let configs = [config("a", "a"), config("b", "b")];
        let found = |config, split| -> Result<String, String> {
            let found = files_of_split(&files, &configs, config, split)?;
            Ok(found
                .iter()
                .map(|file| file.path.clone())
                .collect::<Vec<_>>()
                .join(" "))
        };
        assert_eq!(found(Some("a"), None).unwrap(), "a/train.jsonl");
        assert_eq!(found(Some("a"), Some("test")).unwrap(), "a/test.jsonl");
        for (config, split, message) in [
            (
                None,
                None,
                "none is the default; name one with :config behind the name: a, b",
            ),
            (Some("c"), None, "no configuration `c`; there are a, b"),
            (
                Some("a"),
                Some("dev"),
                "no split `dev`; there are train, test",
            ),
            (Some("b"), None, "its files are csv, which is not read here"),
        ] {
            let error = found(config, split).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
