//! The files of one source, or of several with their shares.

use super::{
    fetched::Downloads,
    hub_source::{self, Place},
    row_form::RowForm,
    source::{SourceFile, list},
};
use crate::{
    config::{HubKind, HubPath, PrepareConfig},
    prepare::{Job, folder},
};
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
        let place = place(&job.config, out)?;
        let source = |source: MixSource| -> Result<InputSource> {
            Ok(InputSource {
                files: list(&source.input, &place)?,
                weight: source.weight,
            })
        };
        let sources = named(&job.config)?.into_iter().map(source);
        Ok(Self {
            sources: sources.collect::<Result<_>>()?,
            form: RowForm::of(job.kind, &job.config),
            downloads: place.downloads.clone(),
        })
    }

    /// What [`Self::find`] refuses, as far as that can be told without the Hub.
    ///
    /// # Errors
    /// A bad request, as there.
    pub fn check(job: &Job, out: &Path) -> Result<()> {
        let place = place(&job.config, out)?;
        let is_here = |input: &String| {
            let on_hub = HubPath::parse_if_meant(input, HubKind::Dataset);
            !matches!(on_hub, Ok(Some(_)))
        };
        for source in named(&job.config)? {
            let (here, on_hub): (Vec<_>, Vec<_>) = source.input.into_iter().partition(is_here);
            if on_hub.is_empty() || !here.is_empty() {
                list(&here, &place)?;
            }
        }
        Ok(())
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

fn place<'a>(config: &PrepareConfig, out: &'a Path) -> Result<Place<'a>> {
    Ok(Place {
        out,
        downloads: Downloads::beside(out, config.keep_files),
        earlier: folder::earlier_request(out)?,
    })
}

/// What `prepare.input` or `prepare.mix` names.
fn named(config: &PrepareConfig) -> Result<Vec<MixSource>> {
    let sources = match &config.mix {
        None => vec![MixSource {
            input: config.input.clone(),
            weight: 1.0,
        }],
        Some(_) if !config.input.is_empty() => {
            return Err(crate::bad_request!(
                "prepare.input and prepare.mix: one of them says what is read; take the other away"
            ));
        }
        Some(mix) => read_mix(mix)?,
    };
    hub_source::check(sources.iter().flat_map(|source| &source.input))?;
    Ok(sources)
}

fn read_mix(mix: &Path) -> Result<Vec<MixSource>> {
    let read = || -> Result<MixFile> { Ok(toml::from_str(&fs::read_to_string(mix)?)?) };
    let sources = read().map_err(|error| {
        crate::bad_request!(
            "--mix {}: {error:#}; expected [[source]] tables with input = [\"…\"] and weight = 0.5",
            mix.display()
        )
    })?;
    let sources = sources.source;
    let mut weights = sources.iter().map(|source| source.weight);
    match weights.find(|weight| !(*weight > 0.0 && weight.is_finite())) {
        Some(weight) => Err(crate::bad_request!(
            "--mix {}: weight {weight} must be above 0",
            mix.display()
        )),
        None => Ok(sources),
    }
}
