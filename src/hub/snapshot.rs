//! A repository's files in the cache, fetched where they are not there yet.

use super::cache::CachedRepo;
use super::client::Client;
use super::download::Download;
use super::listing::{self, Listing, RepoFile};
use super::meter::Meter;
use super::model_files::{self, Wanted};
use super::refusal::Unreachable;
use super::retry::Stop;
use super::settings::Settings;
use crate::config::{HubKind, HubPath};
use anyhow::{Result, anyhow, bail};
use indicatif::HumanBytes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Files that are fetched at once.
const CONNECTIONS: usize = 4;

/// The folder of the model that `path` names: for `hf://org/name[@revision]` one in the cache with all that a model
/// needs, fetched first where it is missing; any other path is itself.
///
/// # Errors
/// A bad request when the address is none; otherwise what the Hub, the network or the disk have to say.
pub fn model_dir(path: impl AsRef<Path>) -> Result<PathBuf> {
    fetch(path.as_ref(), Wanted::Model)
}

/// The same without the weights: what says which model it is.
///
/// # Errors
/// As [`model_dir`]'s.
pub fn model_description(path: impl AsRef<Path>) -> Result<PathBuf> {
    fetch(path.as_ref(), Wanted::Description)
}

/// The same with the tokenizer's files alone.
///
/// # Errors
/// As [`model_dir`]'s.
pub fn tokenizer_dir(path: impl AsRef<Path>) -> Result<PathBuf> {
    fetch(path.as_ref(), Wanted::Tokenizer)
}

/// What this process has found: a name means one commit as long as it runs.
static FOUND: Mutex<BTreeMap<(String, Wanted), PathBuf>> = Mutex::new(BTreeMap::new());

fn fetch(path: &Path, wanted: Wanted) -> Result<PathBuf> {
    let meant = path.to_str().unwrap_or_default();
    let Some(address) = HubPath::parse_if_meant(meant, HubKind::Model)? else {
        return Ok(path.to_owned());
    };
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (meant.to_owned(), wanted);
    if let Some(dir) = found.get(&key) {
        return Ok(dir.clone());
    }
    let dir = fetch_snapshot(&address, wanted)?;
    found.insert(key, dir.clone());
    Ok(dir)
}

fn fetch_snapshot(path: &HubPath, wanted: Wanted) -> Result<PathBuf> {
    let source = Source::open(path)?;
    let listing = source.listing()?;
    let needed = model_files::choose(&listing.files, wanted).map_err(|problem| {
        let looked = match listing.is_current {
            true => "",
            false => "; only the cache was looked into",
        };
        anyhow!("{}: {problem}{looked}", source.repo.asked(None))
    })?;
    source.fetch_all(&listing.commit, &needed)?;
    let dir = source.repo.snapshot(&listing.commit);
    model_files::check_index(&dir, &needed)?;
    Ok(dir)
}

/// A repository and who to ask for it.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) repo: CachedRepo,
    pub(super) client: Client,
}

impl Source {
    pub(super) fn open(path: &HubPath) -> Result<Self> {
        let settings = Settings::read()?;
        Ok(Self {
            repo: CachedRepo::new(path, &settings.cache, &settings.endpoint),
            client: Client::new(settings),
        })
    }

    /// The files at the revision, as it is now; as it was when it was last seen where nothing may be asked, or nobody
    /// answers.
    pub(super) fn listing(&self) -> Result<Listing> {
        if self.client.settings.offline {
            return self.listing_here("HF_HUB_OFFLINE is set");
        }
        let asked = listing::current_commit(&self.client, &self.repo)
            .and_then(|commit| listing::files_at(&self.client, &self.repo, commit));
        match asked {
            Ok(listing) => {
                self.repo.remember_commit(&listing.commit)?;
                Ok(listing)
            }
            Err(error) if error.is::<Unreachable>() && self.is_here() => {
                log::warn!("{error}; going on with what was fetched before");
                self.listing_here("the Hub cannot be reached")
            }
            Err(error) => Err(error),
        }
    }

    fn is_here(&self) -> bool {
        let is_here = |commit: String| {
            self.repo.snapshot(&commit).is_dir() || self.repo.tree(&commit).is_file()
        };
        self.repo.known_commit().is_some_and(is_here)
    }

    fn listing_here(&self, reason: &str) -> Result<Listing> {
        let commit = self.repo.known_commit().filter(|_| self.is_here());
        match commit {
            Some(commit) => listing::files_here(&self.repo, commit),
            None => bail!(
                "{}: {reason}, and `{}` of it is not in the cache ({}); fetch it once with a network, or copy the cache \
                 of a machine that has it",
                self.repo.asked(None),
                self.repo.revision(),
                self.client.settings.cache.display()
            ),
        }
    }

    /// Sees to it that the files are in the cache.
    pub(super) fn fetch_all(&self, commit: &str, files: &[RepoFile]) -> Result<()> {
        let is_missing = |file: &&RepoFile| self.repo.find(commit, file).is_none();
        let missing: Vec<&RepoFile> = files.iter().filter(is_missing).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let bytes = missing.iter().map(|file| file.bytes).sum();
        let what = self.repo.asked(None);
        log::info!(
            "{what}: fetching {} files, {}",
            missing.len(),
            HumanBytes(bytes)
        );
        let meter = Meter::start(bytes, &what.repo);
        let (next, stop, failure) = (AtomicUsize::new(0), Stop::default(), Mutex::new(None));
        let work = || {
            while let Some(file) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Err(error) = self.fetch_into_cache(commit, file, &meter, &stop) else {
                    continue;
                };
                stop.set();
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error); // the first is the cause of the others
                return;
            }
        };
        thread::scope(|scope| {
            for _ in 0..CONNECTIONS.min(missing.len()) {
                scope.spawn(work);
            }
        });
        drop(meter);
        let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), Err)
    }

    /// Sees to it that one file is in the cache.
    pub(super) fn fetch_into_cache(
        &self,
        commit: &str,
        file: &RepoFile,
        meter: &Meter,
        stop: &Stop,
    ) -> Result<PathBuf> {
        if let Some(path) = self.repo.find(commit, file) {
            return Ok(path);
        }
        self.check_online(file)?;
        let _lock = self.repo.lock(file)?;
        let blob = self.repo.blob(file);
        if !std::fs::metadata(&blob).is_ok_and(|found| found.len() == file.bytes) {
            self.download(commit, file, meter, stop).to(&blob)?;
        }
        self.repo.link(commit, file)
    }

    pub(super) fn download<'a>(
        &'a self,
        commit: &str,
        file: &'a RepoFile,
        meter: &'a Meter,
        stop: &'a Stop,
    ) -> Download<'a> {
        Download {
            client: &self.client,
            url: self.repo.file_url(commit, &file.path),
            file,
            asked: self.repo.asked(Some(&file.path)),
            meter,
            stop,
        }
    }

    /// # Errors
    /// When nothing may be asked for.
    pub(super) fn check_online(&self, file: &RepoFile) -> Result<()> {
        match self.client.settings.offline {
            false => Ok(()),
            true => bail!(
                "{}: HF_HUB_OFFLINE is set, and the file is not in the cache ({}); fetch it once with a network",
                self.repo.asked(Some(&file.path)),
                self.client.settings.cache.display()
            ),
        }
    }
}
