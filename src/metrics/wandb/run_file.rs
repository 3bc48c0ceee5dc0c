//! The run's `.wandb` file, which `wandb sync` reads: every record is on disk once it is written, and a resume cuts the
//! file back to the step that the run goes on from.

use super::log_format::{LogReader, MAGIC, frame};
use super::record::{Body, Record};
use crate::storage::{cannot_write, create_dir_all};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file that is appended to. Its last records may still change: the row of the step that is being measured.
#[derive(Debug)]
pub(super) struct RunFile {
    file: File,
    path: PathBuf,
    /// Where the records end that change no more.
    settled: u64,
    /// How many they are.
    count: i64,
    /// What stands behind them for now.
    tail: Vec<Body>,
}

/// What a file says about its run so far.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// The last step.
    pub(super) step: Option<u64>,
    /// Seconds the run has taken.
    pub(super) runtime_seconds: f64,
}

impl RunFile {
    /// Whether there is a file to go on with.
    pub(super) fn is_begun(path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|file| file.len() >= MAGIC.len() as u64)
    }

    /// Makes the file and its folder.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn create(path: &Path, records: &[Body]) -> Result<Self> {
        create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let file = File::create(path);
        let file = file.with_context(|| format!("{}: cannot create", path.display()))?;
        file.write_all_at(&MAGIC, 0)?;
        let mut created = Self {
            file,
            path: path.to_owned(),
            settled: MAGIC.len() as u64,
            count: 0,
            tail: Vec::new(),
        };
        created.append(records)?;
        Ok(created)
    }

    /// Goes on with a file for a run that stands at `step`: what follows the last row up to it (rows of a run that was
    /// cut after its last checkpoint, the exit, a torn record) is dropped.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(super) fn reopen(path: &Path, step: u64) -> Result<(Self, Found)> {
        let mut reader = LogReader::open(path, 0)?;
        let mut found = Found::default();
        let (mut count, mut settled, mut kept) = (0, reader.position(), 0);
        while let Some(bytes) = reader.next(u64::MAX)? {
            count += 1;
            match Record::parse(&bytes) {
                Record::History { step: at, items } if at <= step => {
                    let runtime = items.iter().find(|(path, _)| *path == ["_runtime"]);
                    let runtime = runtime.and_then(|(_, value)| value.as_f64());
                    found = Found {
                        step: Some(at),
                        runtime_seconds: runtime.unwrap_or(found.runtime_seconds),
                    };
                    (settled, kept) = (reader.position(), count);
                }
                Record::History { .. } | Record::Exit { .. } => break,
                // The header, the run and what came before the first row.
                _ if found.step.is_none() => (settled, kept) = (reader.position(), count),
                _ => {}
            }
        }
        for marker in ["synced", "syncstate"] {
            let _ = fs::remove_file(format!("{}.{marker}", path.display())); // wandb sync's: it will have to look again
        }
        let file = File::options().write(true).open(path);
        let file = file.with_context(|| format!("{}: cannot open for writing", path.display()))?;
        file.set_len(settled)?;
        let reopened = Self {
            file,
            path: path.to_owned(),
            settled,
            count: kept,
            tail: Vec::new(),
        };
        Ok((reopened, found))
    }

    /// Adds records before those that may still change.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub(super) fn append(&mut self, records: &[Body]) -> Result<()> {
        let mut bytes = Vec::new();
        let put = |number: i64, body: &Body, bytes: &mut Vec<u8>| {
            let at = self.settled + bytes.len() as u64;
            bytes.extend(frame(at, &body.numbered(number)));
        };
        for (number, body) in (self.count + 1..).zip(records) {
            put(number, body, &mut bytes);
        }
        let appended = bytes.len() as u64;
        let first = self.count + 1 + records.len() as i64;
        for (number, body) in (first..).zip(&self.tail) {
            put(number, body, &mut bytes);
        }
        let end = self.settled + bytes.len() as u64;
        // In one call, over what was there: whenever the process is killed, the file holds the old tail or the new one.
        self.file
            .write_all_at(&bytes, self.settled)
            .and_then(|()| self.file.set_len(end))
            .with_context(|| cannot_write(&self.path))?;
        self.settled += appended;
        self.count += records.len() as i64;
        Ok(())
    }

    /// Writes what may still change, in place of what was there.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub(super) fn set_tail(&mut self, tail: Vec<Body>) -> Result<()> {
        self.tail = tail;
        self.append(&[])
    }

    /// What was written last changes no more.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub(super) fn settle(&mut self) -> Result<()> {
        let tail = std::mem::take(&mut self.tail);
        self.append(&tail)
    }

    /// Where the records end that change no more.
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(step: u64, loss: f64) -> Body {
        let items = vec![
            (vec!["loss".to_owned()], json!(loss)),
            (vec!["_runtime".to_owned()], json!(step as f64)),
        ];
        Record::History { step, items }.body()
    }

    fn steps_and_losses(path: &Path) -> Vec<(u64, f64)> {
        let mut reader = LogReader::open(path, 0).unwrap();
        let mut rows = Vec::new();
        while let Some(bytes) = reader.next(u64::MAX).unwrap() {
            if let Record::History { step, items } = Record::parse(&bytes) {
                rows.push((step, items[0].1.as_f64().unwrap()));
            }
        }
        rows
    }

    #[test]
    fn the_tail_is_on_disk_and_can_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/x.wandb");
        let mut file = RunFile::create(&path, &[Body::header()]).unwrap();
        file.set_tail(vec![row(1, 0.5)]).unwrap();
        assert_eq!(steps_and_losses(&path), [(1, 0.5)]);
        file.append(&[Record::Summary(Vec::new()).body()]).unwrap();
        file.set_tail(vec![row(1, 0.25)]).unwrap();
        assert_eq!(steps_and_losses(&path), [(1, 0.25)]);
        file.settle().unwrap();
        file.set_tail(vec![row(2, 0.125)]).unwrap();
        assert_eq!(steps_and_losses(&path), [(1, 0.25), (2, 0.125)]);
    }

    #[test]
    fn a_resume_cuts_the_file_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.wandb");
        let mut file = RunFile::create(&path, &[Body::header()]).unwrap();
        for step in 1..=5 {
            file.append(&[row(step, 1.0)]).unwrap();
        }
        let exit = Record::Exit {
            code: 1,
            runtime_seconds: 5,
        };
        file.append(&[exit.body()]).unwrap();
        drop(file);
        fs::write(dir.path().join("x.wandb.synced"), "").unwrap();
        let (mut file, found) = RunFile::reopen(&path, 3).unwrap();
        assert_eq!((found.step, found.runtime_seconds), (Some(3), 3.0));
        assert!(!dir.path().join("x.wandb.synced").exists());
        file.append(&[row(4, 2.0)]).unwrap();
        let expected = [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0)];
        assert_eq!(steps_and_losses(&path), expected);
        let (_, found) = RunFile::reopen(&path, 0).unwrap();
        assert_eq!(found, Found::default());
        assert!(steps_and_losses(&path).is_empty());
    }
}
