//! The cache that Python's libraries share: `blobs` by content, `snapshots` of links by commit, `refs` by branch or tag.

use super::listing::RepoFile;
use super::refusal::Asked;
use crate::config::{HubKind, HubPath};
use crate::storage::{self, AtomicFile};
use anyhow::{Context, Result};
use hf_hub::{Cache, Repo, RepoType};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const DEFAULT_REVISION: &str = "main";

/// A repository at a revision, and its place in the cache.
#[derive(Debug, Clone)]
pub(super) struct CachedRepo {
    repo: Repo,
    cache: PathBuf,
    endpoint: String,
}

impl CachedRepo {
    pub(super) fn new(path: &HubPath, cache: &Path, endpoint: &str) -> Self {
        let kind = match path.kind {
            HubKind::Model => RepoType::Model,
            HubKind::Dataset => RepoType::Dataset,
        };
        let revision = path.revision.as_deref().unwrap_or(DEFAULT_REVISION);
        Self {
            repo: Repo::with_revision(path.id.clone(), kind, revision.to_owned()),
            cache: cache.to_owned(),
            endpoint: endpoint.to_owned(),
        }
    }

    pub(super) fn revision(&self) -> &str {
        self.repo.revision()
    }

    /// `api/models/org/name`
    pub(super) fn api_url(&self) -> String {
        let url = self.repo.api_url();
        let repo = url
            .rsplit_once("/revision/")
            .map_or(url.as_str(), |(repo, _)| repo);
        format!("{}/api/{repo}", self.endpoint)
    }

    pub(super) fn revision_url(&self) -> String {
        format!("{}/api/{}", self.endpoint, self.repo.api_url())
    }

    /// The address at this Hub of what another address of it (a mirror passes on the original's) means.
    pub(super) fn api_page(&self, url: &str) -> Option<String> {
        let at = url.find("/api/")?;
        Some(format!("{}{}", self.endpoint, &url[at..]))
    }

    pub(super) fn file_url(&self, commit: &str, path: &str) -> String {
        let path: Vec<String> = path.split('/').map(percent_encoded).collect();
        format!(
            "{}/{}/resolve/{commit}/{}",
            self.endpoint,
            self.repo.url(),
            path.join("/")
        )
    }

    pub(super) fn asked(&self, file: Option<&str>) -> Asked {
        Asked {
            repo: format!("hf://{}", self.repo.url()),
            page: format!("{}/{}", self.endpoint, self.repo.url()),
            revision: self.revision().to_owned(),
            file: file.map(str::to_owned),
        }
    }

    fn folder(&self) -> PathBuf {
        self.cache.join(self.repo.folder_name())
    }

    /// The folder with the commit's files under their names.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        let cache = Cache::new(self.cache.clone()).repo(self.repo.clone());
        cache.pointer_path(commit)
    }

    pub(super) fn blob(&self, file: &RepoFile) -> PathBuf {
        let cache = Cache::new(self.cache.clone()).repo(self.repo.clone());
        cache.blob_path(&file.etag)
    }

    /// Where the commit's listing is kept.
    pub(super) fn tree(&self, commit: &str) -> PathBuf {
        self.folder().join("trees").join(format!("{commit}.json"))
    }

    /// The commit that the revision pointed at when it was last asked for.
    pub(super) fn known_commit(&self) -> Option<String> {
        if is_commit(self.revision()) {
            return Some(self.revision().to_owned());
        }
        let text = fs::read_to_string(self.folder().join("refs").join(self.revision())).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Notes down what the revision points at.
    pub(super) fn remember_commit(&self, commit: &str) -> Result<()> {
        if self.known_commit().as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.folder().join("refs").join(self.revision());
        write_whole(&path, commit.as_bytes())
    }

    /// The commit's file, if it is here in full length.
    pub(super) fn find(&self, commit: &str, file: &RepoFile) -> Option<PathBuf> {
        let path = self.snapshot(commit).join(&file.path);
        let is_whole = fs::metadata(&path).is_ok_and(|found| found.len() == file.bytes);
        is_whole.then_some(path)
    }

    /// Makes the blob visible under its name in the commit's snapshot.
    pub(super) fn link(&self, commit: &str, file: &RepoFile) -> Result<PathBuf> {
        let path = self.snapshot(commit).join(&file.path);
        let depth = file.path.split('/').count();
        let target = PathBuf::from("../".repeat(depth + 1))
            .join("blobs")
            .join(&file.etag);
        storage::create_dir_all(path.parent().unwrap_or(&path))?;
        let _ = fs::remove_file(&path); // a link to nothing, or to a damaged file
        match symlink(&target, &path) {
            // Another process was faster.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(path),
            made => made
                .map(|()| path.clone())
                .with_context(|| format!("{}: cannot make the link", path.display())),
        }
    }

    /// Waits until no other process fetches this file; Python's libraries wait for the same lock.
    pub(super) fn lock(&self, file: &RepoFile) -> Result<File> {
        let dir = self.cache.join(".locks").join(self.repo.folder_name());
        storage::create_dir_all(&dir)?;
        let path = dir.join(format!("{}.lock", file.etag));
        let lock = File::options().create(true).append(true).open(&path);
        let lock = lock.and_then(|file| file.lock().map(|()| file));
        lock.with_context(|| format!("{}: cannot lock; is HF_HOME writable?", path.display()))
    }
}

/// Writes a small file, whole or not at all, and its folders.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    storage::create_dir_all(path.parent().unwrap_or(path))?;
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)
        .with_context(|| format!("{}: cannot write", path.display()))?;
    file.commit()
}

/// Forty hexadecimal digits: what git names a commit by, and never a path.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit())
}

fn percent_encoded(part: &str) -> String {
    let mut encoded = String::new();
    for byte in part.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => encoded.push(char::from(byte)),
            false => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}
