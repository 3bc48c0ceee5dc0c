//! Which files a repository has at a commit, with their sizes and what they are kept under.

use super::cache::{CachedRepo, is_commit, write_whole};
use super::client::{Client, Page};
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Pages of a thousand files: no repository may have as many.
const MOST_PAGES: usize = 1000;

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RepoFile {
    /// Within the repository; stays there.
    pub(super) path: String,
    pub(super) bytes: u64,
    /// What the content is kept under in the cache: a plain name.
    pub(super) etag: String,
    /// Of a large file.
    pub(super) sha256: Option<String>,
}

/// The repository at a commit.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) commit: String,
    /// In the order of their paths.
    pub(super) files: Vec<RepoFile>,
    /// Whether the Hub was asked; else it is what the cache knows.
    pub(super) is_current: bool,
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

#[derive(Deserialize)]
struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

/// The form in which Python keeps listings.
#[derive(Serialize, Deserialize)]
struct KeptTree {
    format_version: u64,
    files: BTreeMap<String, KeptFile>,
}

#[derive(Serialize, Deserialize)]
struct KeptFile {
    size: u64,
    blob_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lfs_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lfs_size: Option<u64>,
}

/// The commit that the revision points at now.
pub(super) fn current_commit(client: &Client, repo: &CachedRepo) -> Result<String> {
    if is_commit(repo.revision()) {
        return Ok(repo.revision().to_owned());
    }
    let asked = repo.asked(None);
    let answer: Page<Revision> = client.page(&repo.revision_url(), &asked)?;
    match is_commit(&answer.content.sha) {
        true => Ok(answer.content.sha),
        false => bail!("{asked}: the Hub names a commit that is none; is HF_ENDPOINT a Hub?"),
    }
}

/// All files at a commit; a commit never changes, so a listing that was kept is as good as a new one.
pub(super) fn files_at(client: &Client, repo: &CachedRepo, commit: String) -> Result<Listing> {
    if let Some(files) = kept(&repo.tree(&commit)) {
        let files = checked(files, repo)?;
        return Ok(Listing {
            commit,
            files,
            is_current: true,
        });
    }
    let asked = repo.asked(None);
    let mut files = Vec::new();
    let mut next = Some(format!("{}/tree/{commit}?recursive=true", repo.api_url()));
    let mut pages = 0;
    while let Some(url) = next {
        pages += 1;
        if pages > MOST_PAGES {
            bail!("{asked}: its listing does not end; is HF_ENDPOINT a Hub?");
        }
        let page: Page<Vec<TreeEntry>> = client.page(&url, &asked)?;
        let entries = page
            .content
            .into_iter()
            .filter(|entry| entry.kind == "file");
        files.extend(entries.map(RepoFile::from));
        // The token goes with every page: whatever host the link names, the page is asked of this one.
        next = page.next.and_then(|url| repo.api_page(&url));
    }
    let files = checked(files, repo)?;
    Ok(Listing {
        commit,
        files,
        is_current: true,
    })
}

/// Keeps the listing, so that what is missing is known without a network.
pub(super) fn keep(repo: &CachedRepo, listing: &Listing) -> Result<()> {
    let path = repo.tree(&listing.commit);
    if path.is_file() {
        return Ok(());
    }
    let entry = |file: &RepoFile| {
        let kept = KeptFile {
            size: file.bytes,
            blob_id: file.etag.clone(),
            lfs_sha256: file.sha256.clone(),
            lfs_size: file.sha256.as_ref().map(|_| file.bytes),
        };
        (file.path.clone(), kept)
    };
    let tree = KeptTree {
        format_version: 1,
        files: listing.files.iter().map(entry).collect(),
    };
    write_whole(&path, &serde_json::to_vec_pretty(&tree)?)
}

/// What is here of a commit, asked of nobody: the kept listing, else what lies in the snapshot.
pub(super) fn files_here(repo: &CachedRepo, commit: String) -> Result<Listing> {
    let mut files = match kept(&repo.tree(&commit)) {
        Some(files) => files,
        None => files_below(&repo.snapshot(&commit), ""),
    };
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Listing {
        commit,
        files: checked(files, repo)?,
        is_current: false,
    })
}

fn kept(path: &Path) -> Option<Vec<RepoFile>> {
    let tree: KeptTree = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let file = |(path, kept): (String, KeptFile)| RepoFile {
        path,
        bytes: kept.lfs_size.unwrap_or(kept.size),
        etag: kept.lfs_sha256.clone().unwrap_or(kept.blob_id),
        sha256: kept.lfs_sha256,
    };
    (tree.format_version == 1).then(|| tree.files.into_iter().map(file).collect())
}

fn files_below(dir: &Path, prefix: &str) -> Vec<RepoFile> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = format!("{prefix}{name}");
        match fs::metadata(entry.path()) {
            Ok(found) if found.is_dir() => {
                files.extend(files_below(&entry.path(), &format!("{path}/")));
            }
            Ok(found) => files.push(RepoFile {
                path,
                bytes: found.len(),
                etag: "unknown".to_owned(),
                sha256: None,
            }),
            Err(_) => {} // a link to what was deleted
        }
    }
    files
}

/// In order, and none that would be written elsewhere than into the cache.
fn checked(mut files: Vec<RepoFile>, repo: &CachedRepo) -> Result<Vec<RepoFile>> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
    for file in &files {
        if !stays_within(&file.path) || !is_name(&file.etag) {
            bail!(
                "{}: lists a file {:?} that would lie outside its folder; nothing of it was written",
                repo.asked(None),
                file.path
            );
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}

/// Whether a path leads to a file below the folder that it is put behind.
pub(super) fn stays_within(path: &str) -> bool {
    let is_plain = |part: &str| !["", ".", ".."].contains(&part);
    !path.contains(['\0', '\\']) && path.split('/').all(is_plain)
}

impl From<TreeEntry> for RepoFile {
    fn from(entry: TreeEntry) -> Self {
        let (bytes, etag, sha256) = match entry.lfs {
            Some(lfs) => (lfs.size, lfs.oid.clone(), Some(lfs.oid)),
            None => (entry.size, entry.oid, None),
        };
        Self {
            path: entry.path,
            bytes,
            etag,
            sha256,
        }
    }
}
