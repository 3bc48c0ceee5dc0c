//! Files that are fetched when their turn comes, and removed when they were read.

use super::documents::Pass;
use crate::hub::{RemoteFile, Stop};
use anyhow::{Result, anyhow};
use indicatif::HumanBytes;
use std::{
    fs, mem,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Below the folder that a preparation writes to.
const DIR: &str = ".llama-train-fetched";
/// What may stay on disk between two passes over the input; of a larger input the rest is fetched again.
const KEPT_BETWEEN_PASSES: u64 = 4 << 30;

/// Where files are fetched to.
#[derive(Debug)]
pub(in crate::prepare) struct Downloads {
    /// `None` for the cache that is shared with other programs, where they stay.
    dir: Option<PathBuf>,
    /// Bytes that stay for the next pass.
    kept: AtomicU64,
    /// That others do not.
    told: Once,
    stop: Stop,
}

impl Downloads {
    /// Beside what is prepared in `out`; or in the cache, where files are to be kept.
    pub(super) fn beside(out: &Path, keep_files: bool) -> Arc<Self> {
        Arc::new(Self {
            dir: (!keep_files).then(|| out.join(DIR)),
            kept: AtomicU64::new(0),
            told: Once::new(),
            stop: Stop::default(),
        })
    }

    /// Removes what this preparation, or one before that was killed, has left.
    pub(in crate::prepare) fn remove(out: &Path) {
        let _ = fs::remove_dir_all(out.join(DIR)); // mostly it is not there
    }

    /// No file will be read any more: whoever waits for one waits no longer.
    pub(super) fn stop(&self) {
        self.stop.set();
    }

    fn fetch(&self, file: &RemoteFile) -> Result<LocalFile> {
        let kept = |path| LocalFile { path, goes: false };
        match (file.cached(), &self.dir) {
            (Some(path), _) => Ok(kept(path)),
            (None, None) => file.fetch_into_cache(&self.stop).map(kept),
            (None, Some(dir)) => {
                let path = file.fetch_into(dir, &self.stop)?;
                Ok(LocalFile { path, goes: true })
            }
        }
    }

    /// Whether a file that another pass will need again may stay.
    fn make_room(&self, bytes: u64) -> bool {
        let with = |kept: u64| Some(kept + bytes).filter(|sum| *sum <= KEPT_BETWEEN_PASSES);
        let made = self
            .kept
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, with);
        if made.is_err() {
            self.told.call_once(|| {
                log::info!(
                    "the input is read more than once: {} of it stay on disk, the rest is fetched again (--keep-files keeps \
                     all)",
                    HumanBytes(self.kept.load(Ordering::Relaxed))
                );
            });
        }
        made.is_ok()
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            let _ = fs::remove_dir(dir); // stays where a download was cut, to be gone on with
        }
    }
}

/// A file on this disk.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::prepare) struct LocalFile {
    path: PathBuf,
    /// Whether it goes with the last that reads it.
    goes: bool,
}

impl LocalFile {
    /// One that is not ours to remove.
    pub(super) fn stays(path: PathBuf) -> Self {
        Self { path, goes: false }
    }
}

impl Deref for LocalFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        if self.goes {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file that is elsewhere until it is needed.
#[derive(Debug)]
pub(in crate::prepare) struct Fetched {
    file: RemoteFile,
    state: Mutex<State>,
    /// Whether room was made for it.
    stays: AtomicBool,
    downloads: Arc<Downloads>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    NotHere,
    Coming(Coming),
    Here(Arc<LocalFile>),
}

/// A download in another thread.
#[derive(Debug)]
struct Coming(JoinHandle<Result<LocalFile>>);

impl Fetched {
    pub(super) fn new(file: RemoteFile, downloads: Arc<Downloads>) -> Self {
        Self {
            file,
            state: Mutex::default(),
            stays: AtomicBool::new(false),
            downloads,
        }
    }

    /// Starts to fetch it, while another is read.
    pub(super) fn begin(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::NotHere) {
            *state = State::Coming(Coming::start(&self.file, &self.downloads));
        }
    }

    /// The file, fetched now if it was not before.
    ///
    /// # Errors
    /// What the Hub, the network or the disk have to say.
    pub(super) fn local(&self) -> Result<Arc<LocalFile>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fetched = match mem::take(&mut *state) {
            State::Here(file) => file,
            State::NotHere => Arc::new(self.downloads.fetch(&self.file)?),
            // What failed a while ago may work now.
            State::Coming(coming) => Arc::new(coming.wait().or_else(|error| {
                log::info!("{error:#}; asking again");
                self.downloads.fetch(&self.file)
            })?),
        };
        *state = State::Here(fetched.clone());
        Ok(fetched)
    }

    /// It was read to its end.
    pub(super) fn let_go(&self, pass: Pass) {
        let may_stay = || {
            let stays = self.stays.load(Ordering::Relaxed);
            stays || self.downloads.make_room(self.file.bytes())
        };
        if pass == Pass::Ahead && may_stay() {
            return self.stays.store(true, Ordering::Relaxed);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(mem::take(&mut *state));
    }
}

impl Coming {
    fn start(file: &RemoteFile, downloads: &Arc<Downloads>) -> Self {
        let (file, downloads) = (file.clone(), downloads.clone());
        Self(thread::spawn(move || downloads.fetch(&file)))
    }

    fn wait(self) -> Result<LocalFile> {
        let ended = self.0.join();
        ended.unwrap_or_else(|_| Err(anyhow!("the download has died")))
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Coming(coming) = mem::take(state) {
            self.downloads.stop(); // nobody reads on
            let _ = coming.wait(); // what had come is removed with it
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_between_passes_ends() {
        let downloads = Downloads::beside(Path::new("out"), false);
        let gibibyte = 1 << 30;
        assert!(!downloads.make_room(5 * gibibyte));
        let made = (0..6).filter(|_| downloads.make_room(gibibyte)).count();
        assert_eq!(made, 4);
        assert!(downloads.make_room(0));
    }

    #[test]
    fn a_file_goes_with_the_last_that_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "a").unwrap();
        let read = Arc::new(LocalFile {
            path: path.clone(),
            goes: true,
        });
        let again = read.clone();
        drop(read);
        assert!(again.exists());
        drop(again);
        assert!(!path.exists());
    }
}
