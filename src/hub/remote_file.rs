//! A data set's file, fetched when it is needed.

use super::listing::RepoFile;
use super::meter::Meter;
use super::retry::Stop;
use super::snapshot::Source;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of a repository at a commit.
#[derive(Debug, Clone)]
pub struct RemoteFile {
    source: Arc<Source>,
    commit: String,
    file: RepoFile,
}

impl RemoteFile {
    pub(super) fn new(source: Arc<Source>, commit: &str, file: RepoFile) -> Self {
        Self {
            source,
            commit: commit.to_owned(),
            file,
        }
    }

    /// `hf://datasets/org/name@commit/path`: names the same bytes for ever.
    #[must_use]
    pub fn address(&self) -> String {
        let repo = self.source.repo.asked(None).repo;
        format!("{repo}@{}/{}", self.commit, self.file.path)
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.file.bytes
    }

    /// Where it lies in the cache, if it does.
    #[must_use]
    pub fn cached(&self) -> Option<PathBuf> {
        self.source.repo.find(&self.commit, &self.file)
    }

    /// Fetches it into the cache, where it stays.
    ///
    /// # Errors
    /// What the Hub, the network or the disk have to say; or that it was stopped.
    pub fn fetch_into_cache(&self, stop: &Stop) -> Result<PathBuf> {
        let meter = Meter::start(self.file.bytes, &self.file.path);
        self.source
            .fetch_into_cache(&self.commit, &self.file, &meter, stop)
    }

    /// Fetches it into a folder, or finds that an earlier process did; whoever asks removes it.
    ///
    /// # Errors
    /// What the Hub, the network or the disk have to say; or that it was stopped.
    pub fn fetch_into(&self, dir: &Path, stop: &Stop) -> Result<PathBuf> {
        // How a file is packed is told by the end of its name.
        let name = self.file.path.rsplit('/').next().unwrap_or_default();
        let path = dir.join(format!("{}-{name}", self.file.etag));
        if fs::metadata(&path).is_ok_and(|found| found.len() == self.file.bytes) {
            return Ok(path);
        }
        self.source.check_online(&self.file)?;
        let meter = Meter::start(self.file.bytes, &self.file.path);
        let download = self.source.download(&self.commit, &self.file, &meter, stop);
        let fetched = download.to(&path);
        fetched.map(|()| path)
    }
}
