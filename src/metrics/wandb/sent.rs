//! How much of the run's file the server has taken, kept beside it for a resume.

use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// A position in the file, and where it is noted.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) position: u64,
    path: PathBuf,
}

impl Sent {
    /// What was noted beside this file, which is `length` long now.
    pub(super) fn read(file: &Path, length: u64) -> Self {
        let path = file.with_extension("sent");
        let noted = fs::read_to_string(&path).ok();
        let noted = noted.and_then(|text| text.trim().parse().ok());
        Self {
            position: noted.unwrap_or(0).min(length),
            path,
        }
    }

    /// The server has the file up to there. A note that cannot be written costs lines sent twice, nothing more.
    pub(super) fn advance_to(&mut self, position: u64) {
        if self.position != position {
            self.position = position;
            if let Err(error) = self.note() {
                log::debug!("{}: {error:#}", self.path.display());
            }
        }
    }

    fn note(&self) -> Result<()> {
        let temporary = self.path.with_extension("sent.tmp");
        fs::write(&temporary, self.position.to_string())?;
        Ok(fs::rename(&temporary, &self.path)?)
    }
}
