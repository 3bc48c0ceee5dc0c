//! `runs/<run.name>/`.

use crate::bad_request;
use crate::checkpoint::ResumeFrom;
use crate::storage::{AtomicFile, create_dir_all};
use anyhow::Result;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// How a run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At step 0, or where `--start-step` says.
    Fresh,
    /// From a checkpoint of the run, if it has one.
    Resume(ResumeFrom),
}

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder `dir/name`, made or not.
    #[must_use]
    pub fn new(dir: &Path, name: &str) -> Self {
        Self {
            path: dir.join(name),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where checkpoints go.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Where metrics go.
    #[must_use]
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Where texts go that the model wrote.
    #[must_use]
    pub fn samples(&self) -> PathBuf {
        self.path.join("samples.jsonl")
    }

    /// Where log lines go.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    /// Whether a run has written here more than how it was to begin.
    #[must_use]
    pub fn holds_a_run(&self) -> bool {
        let has_metrics = fs::metadata(self.metrics()).is_ok_and(|file| file.len() > 0);
        let entries = fs::read_dir(self.checkpoints());
        has_metrics || entries.is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Checks that a start of this kind would not overwrite a run.
    ///
    /// # Errors
    /// A bad request when it would.
    pub fn check(&self, start: &Start) -> Result<()> {
        if *start == Start::Fresh && self.holds_a_run() {
            return Err(bad_request!(
                "{}: this folder holds a run already; continue it with --resume, or give this one another name with \
                 --set run.name=NAME",
                self.path.display()
            ));
        }
        Ok(())
    }

    /// Makes the folder.
    ///
    /// # Errors
    /// A bad request when it cannot be made.
    pub fn create(&self) -> Result<()> {
        create_dir_all(&self.checkpoints()).map_err(|error| bad_request!("run.dir: {error:#}"))
    }

    /// Writes the resolved configuration into it.
    ///
    /// # Errors
    /// A bad request when the folder cannot be written to.
    pub fn record(&self, config_toml: &str) -> Result<()> {
        let write = || -> Result<()> {
            let mut file = AtomicFile::create(&self.path.join("config.toml"))?;
            file.write_all(config_toml.as_bytes())?;
            file.commit()
        };
        write().map_err(|error| bad_request!("run.dir: {error:#}"))
    }
}
