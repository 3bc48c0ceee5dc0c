//! One file, from the Hub to the disk: what a cut connection left is gone on with, and the whole is held against its
//! size and, where the Hub tells it, its SHA-256.

use super::client::Client;
use super::listing::RepoFile;
use super::meter::Meter;
use super::refusal::Asked;
use super::retry::{Attempts, Stop};
use crate::storage::{self, cannot_write};
use anyhow::{Context, Result, anyhow, bail};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use ureq::Body;
use ureq::http::{Response, StatusCode};

const PIECE_BYTES: usize = 1 << 20;

/// Fetches one file.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client,
    pub(super) url: String,
    pub(super) file: &'a RepoFile,
    pub(super) asked: Asked,
    pub(super) meter: &'a Meter,
    pub(super) stop: &'a Stop,
}

/// How a connection ended.
enum Ended {
    Whole,
    Cut(io::Error),
}

impl Download<'_> {
    /// Writes the file to `target`, which appears whole or not at all; until then it is `<target>.incomplete`.
    ///
    /// # Errors
    /// When the Hub refuses or cannot be reached, what comes is not what was listed, or the disk is full.
    pub(super) fn to(&self, target: &Path) -> Result<()> {
        storage::create_dir_all(target.parent().unwrap_or(target))?;
        let part = incomplete(target);
        let was_begun = fs::metadata(&part).is_ok_and(|found| found.len() > 0);
        let mut outcome = self.fill(&part);
        if let (Err(error), true) = (&outcome, was_begun)
            && error.is::<WrongContent>()
        {
            log::info!("{error}; what an earlier download left of it was wrong: fetching it anew");
            outcome = self.fill(&part);
        }
        if fs::metadata(&part).is_ok_and(|found| found.len() == 0 && outcome.is_err()) {
            let _ = fs::remove_file(&part); // nothing in it to go on with
        }
        outcome?;
        fs::rename(&part, target).with_context(|| format!("{}: cannot write", target.display()))
    }

    fn fill(&self, part: &Path) -> Result<()> {
        let file = File::options().create(true).append(true).open(part);
        let mut file = file.with_context(|| cannot_write(part))?;
        let mut here = file.metadata()?.len();
        if here > self.file.bytes {
            here = 0;
            file.set_len(0)?;
        }
        self.meter.add(here);
        let mut attempts = Attempts::default();
        while here < self.file.bytes {
            let before = here;
            let Ended::Cut(error) = self.connect(&mut file, part, &mut here)? else {
                break;
            };
            if here > before {
                attempts.forget();
            }
            let unreachable = self
                .client
                .unreachable(&ureq::Error::Io(error), &self.asked);
            let wait = attempts.wait(None).ok_or(unreachable)?;
            log::info!(
                "{}: the connection was cut at {here} of {} bytes; going on in {} s",
                self.asked,
                self.file.bytes,
                wait.as_secs()
            );
            self.stop.sleep(wait, &self.asked)?;
        }
        file.sync_data().with_context(|| cannot_write(part))?;
        drop(file);
        self.check(part)
    }

    /// Reads until the file is whole or the connection ends.
    fn connect(&self, file: &mut File, part: &Path, here: &mut u64) -> Result<Ended> {
        let mut answer = self.client.get(&self.url, *here, &self.asked, self.stop)?;
        if *here > 0 && answer.status() != StatusCode::PARTIAL_CONTENT {
            // The whole file comes again.
            self.meter.take_back(*here);
            *here = 0;
            file.set_len(0)?;
        }
        self.check_announced(&answer, *here)?;
        let mut body = answer.body_mut().as_reader();
        let mut piece = vec![0; PIECE_BYTES];
        while *here < self.file.bytes {
            self.stop.check(&self.asked)?;
            let read = match body.read(&mut piece) {
                Ok(0) => return Ok(Ended::Cut(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => read,
                Err(error) => return Ok(Ended::Cut(error)),
            };
            let wanted = read.min((self.file.bytes - *here) as usize);
            file.write_all(&piece[..wanted])
                .with_context(|| cannot_write(part))?;
            *here += wanted as u64;
            self.meter.add(wanted as u64);
            if wanted < read {
                return Err(self.wrong_size(*here + (read - wanted) as u64));
            }
        }
        Ok(Ended::Whole)
    }

    /// Holds the length that the headers announce against the listing's.
    fn check_announced(&self, answer: &Response<Body>, start: u64) -> Result<()> {
        let text = |name| answer.headers().get(name)?.to_str().ok();
        let total = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = text("content-range").unwrap_or_default();
                let begins = range.starts_with(&format!("bytes {start}-"));
                if !begins {
                    bail!(
                        "{}: another part than the one asked for (from byte {start}) was sent: {range}",
                        self.asked
                    );
                }
                range
                    .rsplit('/')
                    .next()
                    .and_then(|total| total.parse().ok())
            }
            _ => text("content-length").and_then(|length| length.parse().ok()),
        };
        match total {
            Some(total) if total != self.file.bytes => Err(self.wrong_size(total)),
            _ => Ok(()),
        }
    }

    fn wrong_size(&self, found: u64) -> anyhow::Error {
        anyhow!(
            "{}: {} bytes are listed, and {found} or more were sent; try again later, or name another @revision",
            self.asked,
            self.file.bytes
        )
    }

    fn check(&self, part: &Path) -> Result<()> {
        let Some(expected) = &self.file.sha256 else {
            return Ok(());
        };
        let found = storage::sha256_file(part)
            .with_context(|| format!("{}: cannot read back", part.display()))?;
        if *expected == found {
            return Ok(());
        }
        self.meter.take_back(self.file.bytes);
        fs::remove_file(part).with_context(|| cannot_write(part))?;
        Err(WrongContent(self.asked.to_string()).into())
    }
}

/// The bytes are not those that the Hub has the checksum of.
#[derive(Debug, thiserror::Error)]
#[error("{0}: what was sent has another SHA-256 than the Hub lists; try again")]
struct WrongContent(String);

fn incomplete(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".incomplete");
    target.with_file_name(name)
}
