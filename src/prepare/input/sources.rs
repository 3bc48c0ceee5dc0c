//! The files of one source, or of several with their shares.

use super::source::{SourceFile, list};
use crate::config::PrepareConfig;
use anyhow::Result;
use serde::Deserialize;
use std::{fs, path::Path};

/// What is read.
#[derive(Debug, Clone)]
pub struct Input {
    /// One for `prepare.input`, several for `prepare.mix`.
    pub(in crate::prepare) sources: Vec<InputSource>,
}

/// Files with a share of the text.
#[derive(Debug, Clone)]
pub(in crate::prepare) struct InputSource {
    /// In the order they are read.
    pub(in crate::prepare) files: Vec<SourceFile>,
    /// Its share, in proportion to the others'.
    pub(in crate::prepare) weight: f64,
}

/// `prepare.mix`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MixFile {
    source: Vec<MixSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MixSource {
    input: Vec<String>,
    weight: f64,
}

impl Input {
    /// The files behind `prepare.input` or `prepare.mix`.
    ///
    /// # Errors
    /// A bad request when both or none are given, the mix cannot be understood, or an input has nothing to read.
    pub fn find(config: &PrepareConfig, out: &Path) -> Result<Self> {
        let Some(mix) = &config.mix else {
            let files = list(&config.input, out)?;
            return Ok(Self {
                sources: vec![InputSource { files, weight: 1.0 }],
            });
        };
        if !config.input.is_empty() {
            return Err(crate::bad_request!(
                "prepare.input and prepare.mix: one of them says what is read; take the other away"
            ));
        }
        let read = || -> Result<MixFile> { Ok(toml::from_str(&fs::read_to_string(mix)?)?) };
        let parsed = read().map_err(|error| {
            crate::bad_request!(
                "--mix {}: {error:#}; expected [[source]] tables with input = [\"…\"] and weight = 0.5",
                mix.display()
            )
        })?;
        let source = |source: MixSource| {
            if !(source.weight > 0.0 && source.weight.is_finite()) {
                let (mix, weight) = (mix.display(), source.weight);
                return Err(crate::bad_request!(
                    "--mix {mix}: weight {weight} must be above 0"
                ));
            }
            Ok(InputSource {
                files: list(&source.input, out)?,
                weight: source.weight,
            })
        };
        let sources = parsed.source.into_iter().map(source);
        Ok(Self {
            sources: sources.collect::<Result<_>>()?,
        })
    }

    /// All files.
    pub(in crate::prepare) fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.sources.iter().flat_map(|source| &source.files)
    }

    /// The bytes of all files.
    #[must_use]
    pub(in crate::prepare) fn bytes(&self) -> u64 {
        self.files().map(|file| file.bytes).sum()
    }
}
