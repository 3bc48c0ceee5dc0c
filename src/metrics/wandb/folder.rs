//! Where a run's `.wandb` file is: `wandb/offline-run-TIME-ID/run-ID.wandb` below the run folder, or `wandb/run-TIME-ID`
//! where the run was online when it began. The names carry the id, so a resume finds its run.

use crate::bad_request;
use crate::config::machine_variable;
use anyhow::Result;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use time::OffsetDateTime;
use time::macros::format_description;

/// A run's id and its file, there or not yet.
#[derive(Debug, PartialEq)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) file: PathBuf,
}

impl Place {
    /// The newest run below this folder (of `WANDB_RUN_ID`, where that is set), or one to be begun.
    ///
    /// # Errors
    /// A bad request when `WANDB_RUN_ID` can be no id.
    pub(super) fn find(dir: &Path, is_online: bool) -> Result<Self> {
        let wanted = machine_variable("WANDB_RUN_ID");
        let is_bad = |id: &String| id.contains(['/', '\\', '#', '?', '%', ':']) || id.len() > 128;
        if let Some(id) = wanted.as_ref().filter(|id| is_bad(id)) {
            return Err(bad_request!(
                "WANDB_RUN_ID={id}: a run's id has at most 128 characters and none of / \\ # ? % :"
            ));
        }
        let found = newest(dir, wanted.as_deref());
        Ok(found.unwrap_or_else(|| Self::new(dir, wanted.unwrap_or_else(random_id), is_online)))
    }

    fn new(dir: &Path, id: String, is_online: bool) -> Self {
        let format = format_description!("[year][month][day]_[hour][minute][second]");
        let time = OffsetDateTime::now_utc().format(&format);
        let time = time.unwrap_or_else(|_| "0".into());
        let kind = if is_online { "run" } else { "offline-run" };
        let file = dir.join(format!("{kind}-{time}-{id}/run-{id}.wandb"));
        Self { id, file }
    }
}

fn newest(dir: &Path, wanted: Option<&str>) -> Option<Place> {
    let folders = fs::read_dir(dir).ok()?.flatten();
    let places = folders.filter_map(|folder| {
        let name = folder.file_name().into_string().ok()?;
        let (time, id) = name.split_once("run-")?.1.split_once('-')?;
        let file = folder.path().join(format!("run-{id}.wandb"));
        let place = Place {
            id: id.to_owned(),
            file,
        };
        let is_it = place.file.is_file() && wanted.is_none_or(|wanted| wanted == id);
        is_it.then(|| (time.to_owned(), place))
    });
    let newest = places.max_by(|(a, _), (b, _)| a.cmp(b));
    newest.map(|(_, place)| place)
}

/// Eight lower-case letters and digits, as the official client's.
fn random_id() -> String {
    const DIGITS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut number = RandomState::new().build_hasher().finish(); // seeded by the operating system
    let mut id = String::new();
    for _ in 0..8 {
        id.push(char::from(DIGITS[(number % 36) as usize]));
        number /= 36;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_finds_its_run() {
        let dir = tempfile::tempdir().unwrap();
        let first = Place::find(dir.path(), false).unwrap();
        assert_eq!(first.id.len(), 8);
        assert_ne!(Place::find(dir.path(), false).unwrap().id, first.id);
        fs::create_dir_all(first.file.parent().unwrap()).unwrap();
        fs::write(&first.file, "").unwrap();
        assert_eq!(Place::find(dir.path(), true).unwrap(), first);
        let id = "my-own-id";
        let old = dir.path().join(format!("run-20200101_000000-{id}"));
        fs::create_dir_all(&old).unwrap();
        fs::write(old.join(format!("run-{id}.wandb")), "").unwrap();
        assert_eq!(newest(dir.path(), Some(id)).unwrap().id, id);
        assert_eq!(newest(dir.path(), None).unwrap(), first);
    }
}
