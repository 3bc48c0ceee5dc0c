//! Files that appear whole or not at all, and survive a power cut once they have appeared.

use super::cannot_write;
use anyhow::{Context, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// A file written under a temporary name; [`AtomicFile::commit`] flushes it to disk and gives it its own.
/// Dropped without a commit, it leaves nothing behind, unless it was synced to be continued.
#[derive(Debug)]
pub struct AtomicFile {
    writer: Option<BufWriter<File>>,
    temporary: PathBuf,
    path: PathBuf,
    synced: bool,
}

impl AtomicFile {
    /// Starts the file, beside its final place.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn create(path: &Path) -> Result<Self> {
        let temporary = temporary(path);
        let file = File::create(&temporary).with_context(|| {
            format!(
                "{}: cannot create; check that the folder is writable",
                path.display()
            )
        })?;
        Ok(Self::over(file, path))
    }

    /// Goes on with a file that another process left after [`Self::sync`], at the length it had then, whether or not it
    /// was committed later.
    ///
    /// # Errors
    /// When it is not there, or shorter.
    pub fn resume(path: &Path, length: u64) -> Result<Self> {
        let temporary = temporary(path);
        let resume = || -> io::Result<File> {
            if !temporary.exists() {
                fs::rename(path, &temporary)?;
            }
            let mut file = File::options().write(true).open(&temporary)?;
            if file.metadata()?.len() < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.set_len(length)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = resume().with_context(|| format!("{}: cannot go on", temporary.display()))?;
        Ok(Self::over(file, path))
    }

    fn over(file: File, path: &Path) -> Self {
        Self {
            writer: Some(BufWriter::with_capacity(1 << 20, file)),
            temporary: temporary(path),
            path: path.to_owned(),
            synced: false,
        }
    }

    /// Flushes what was written so far to disk, where [`Self::resume`] finds it.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn sync(&mut self) -> io::Result<()> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        writer.flush()?;
        writer.get_ref().sync_data()?;
        self.synced = true;
        Ok(())
    }

    /// Flushes the file and its folder to disk and renames it into place.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn commit(mut self) -> Result<()> {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        let finish = || -> io::Result<()> {
            writer
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?
                .sync_all()?;
            fs::rename(&self.temporary, &self.path)
        };
        if let Err(error) = finish() {
            let _ = fs::remove_file(&self.temporary);
            return Err(error).with_context(|| cannot_write(&self.path));
        }
        sync_dir(self.path.parent().unwrap_or(Path::new(".")))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.writer {
            Some(writer) => writer.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        match &mut self.writer {
            Some(writer) => writer.seek(position),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            let _ = writer.into_parts(); // not flushed: what was not synced is thrown away
            if !self.synced {
                let _ = fs::remove_file(&self.temporary);
            }
        }
    }
}

/// Has a library write a file under another name, flushes it to disk and gives it its own.
///
/// # Errors
/// Those of the library, or when the disk is full or fails; nothing is left behind then.
pub fn write_atomically(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let temporary = temporary(path);
    let write = || -> Result<()> {
        let permissions = File::create(&temporary)?.metadata()?.permissions(); // those of any new file
        write(&temporary)?;
        let file = File::open(&temporary)?;
        file.set_permissions(permissions)?; // some libraries let nobody else read theirs
        Ok(file.sync_all()?)
    };
    let written = write().and_then(|()| Ok(fs::rename(&temporary, path)?));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| cannot_write(path))?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// The name of a file before it is whole.
fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

/// Makes a folder and its parents.
///
/// # Errors
/// When one of them cannot be made; the message names it.
pub fn create_dir_all(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| {
        format!(
            "{}: cannot create the folder; check that its parent is writable",
            path.display()
        )
    })
}

/// Gives `new` the place of `old`, and `old` that of `new`. At no moment is there none in the place, where the file system can
/// exchange two (NFS cannot: there it is for as long as two renames take).
///
/// # Errors
/// When the folder around them cannot be written to.
pub fn exchange(new: &Path, old: &Path) -> io::Result<()> {
    if renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE).is_ok() {
        return Ok(());
    }
    let aside = new.with_extension("old");
    fs::rename(old, &aside)?;
    if let Err(error) = fs::rename(new, old) {
        fs::rename(&aside, old)?;
        return Err(error);
    }
    fs::rename(&aside, new)
}

/// Flushes a folder's entries (new and renamed files) to disk.
///
/// # Errors
/// When the folder cannot be opened or flushed.
pub fn sync_dir(path: &Path) -> Result<()> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .with_context(|| format!("{}: cannot flush the folder to disk", path.display()))
}

/// Points the symbolic link `link` at `target`, replacing it in one step.
///
/// # Errors
/// When the folder cannot be written to.
pub fn replace_symlink(target: &Path, link: &Path) -> Result<()> {
    let temporary = link.with_extension("tmp");
    let _ = fs::remove_file(&temporary);
    symlink(target, &temporary)
        .and_then(|()| fs::rename(&temporary, link))
        .with_context(|| {
            format!(
                "{}: cannot point the link at {}",
                link.display(),
                target.display()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_folders_exchange_their_places() {
        let dir = tempfile::tempdir().unwrap();
        let [new, old] = [".saving-7", "step_7"].map(|name| dir.path().join(name));
        for (folder, file) in [(&new, "new"), (&old, "old")] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(file), "").unwrap();
        }
        exchange(&new, &old).unwrap();
        assert!(old.join("new").exists() && new.join("old").exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert!(exchange(&dir.path().join("none"), &old).is_err());
        assert!(old.join("new").exists(), "what was there stays");
    }
}
