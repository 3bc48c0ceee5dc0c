//! The original project's way to name what a run starts from: a flag for each stage, and a file in that stage's folder.

use crate::bad_request;
use crate::config::Config;
use crate::weights::original;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// A stage of the original project, and of the verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `--pretrain-checkpoint`
    Pretrain,
    /// `--instruct-checkpoint`
    Instruct,
    /// `--dpo-checkpoint`
    Dpo,
}

/// A checkpoint of one stage.
#[derive(Debug, Clone)]
pub struct OriginalCheckpoint {
    /// Which one.
    pub stage: Stage,
    /// Its file, as the flag has it.
    pub file: PathBuf,
}

impl OriginalCheckpoint {
    /// Makes the run start from its weights, in the folder of `checkpoint.load_dir` where that is set. The step to begin
    /// with is the one given, or that of the file where the verb is of the same stage: another stage begins at 0.
    ///
    /// # Errors
    /// A bad request when there is no such file; an error when it is damaged.
    pub fn start(
        &self,
        config: &mut Config,
        verb: Stage,
        start_step: Option<u64>,
    ) -> Result<Option<u64>> {
        let dir = config.checkpoint.load_dir.as_deref();
        let path = dir.unwrap_or(Path::new("")).join(&self.file);
        if !path.is_file() {
            return Err(bad_request!(
                "{}: there is no such file; --pretrain-checkpoint and its like name a file in checkpoint.load_dir",
                path.display()
            ));
        }
        config.model.init_from = Some(path.to_string_lossy().into_owned());
        match start_step {
            None if self.stage == verb => Ok(Some(original::step(&path)?)),
            given => Ok(given),
        }
    }
}
