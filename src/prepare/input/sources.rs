//! The files of one source, or of several with their shares.

use super::{
    fetched::Downloads,
    hub_source::{self, Place},
    row_form::RowForm,
    source::{SourceFile, list},
};
use crate::prepare::{Job, folder};
use anyhow::Result;
use serde::Deserialize;
use std::{fs, path::Path, sync::Arc};

/// What is read.
#[derive(Debug, Clone)]
pub struct Input {
    /// One for `prepare.input`, several for `prepare.mix`.
    pub(in crate::prepare) sources: Vec<InputSource>,
    /// What their rows are read as.
    pub(in crate::prepare) form: RowForm,
    downloads: Arc<Downloads>,
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
    /// A bad request when both or none are given, the mix cannot be understood, or an input has nothing to read; what the
    /// Hub and the network have to say where an input is on the Hub.
    pub fn find(job: &Job, out: &Path) -> Result<Self> {
        let config = &job.config;
        let form = RowForm::of(job.kind, config);
        let place = Place {
            out,
            downloads: Downloads::beside(out, config.keep_files),
            earlier: folder::earlier_request(out)?,
        };
        let Some(mix) = &config.mix else {
            hub_source::check(&config.input)?;
            let files = list(&config.input, &place)?;
            return Ok(Self {
                sources: vec![InputSource { files, weight: 1.0 }],
                form,
                downloads: place.downloads,
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
        hub_source::check(parsed.source.iter().flat_map(|source| &source.input))?;
        let source = |source: MixSource| {
            if !(source.weight > 0.0 && source.weight.is_finite()) {
                let (mix, weight) = (mix.display(), source.weight);
                return Err(crate::bad_request!(
                    "--mix {mix}: weight {weight} must be above 0"
                ));
            }
            Ok(InputSource {
                files: list(&source.input, &place)?,
                weight: source.weight,
            })
        };
        let sources = parsed.source.into_iter().map(source);
        Ok(Self {
            sources: sources.collect::<Result<_>>()?,
            form,
            downloads: place.downloads.clone(),
        })
    }

    /// Nothing will be read any more.
    pub(in crate::prepare) fn stop_fetching(&self) {
        self.downloads.stop();
    }

    /// Removes what was fetched for a preparation into `out`, this one's or one's before that was killed.
    pub fn remove_fetched(self, out: &Path) {
        drop(self);
        Downloads::remove(out);
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
