//! Checkpoints: Hugging Face model folders with the rest of a run's state beside the weights.
//!
//! A folder is filled under another name, flushed to disk and renamed, so it is there whole or not at all; its state
//! file carries the size and SHA-256 of every other file, so that later damage is seen before it is trained on.

mod layout;
mod resume;
mod retention;
mod save;
mod side_by_side;

pub use resume::{newest_first, recorded_reference};
pub use retention::Retention;

use crate::config::ModelConfig;
use crate::dist::ProcessGroup;
use crate::model::LoraOptions;
use crate::tokenizer::Tokenizer;
use crate::weights::ModelRecord;
use crate::weights::hf::SpecialTokens;
use std::{
    fmt,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};
use tch::Device;

/// Whether a folder is a checkpoint of a run.
#[must_use]
pub fn is_in(dir: &Path) -> bool {
    layout::is_complete(dir)
}

/// Which checkpoint a run continues from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumeFrom {
    /// The newest complete one of the run.
    Latest,
    /// This folder.
    Path(PathBuf),
}

/// Whether a checkpoint has the lowest validation loss so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has; `checkpoints/best` will point to it.
    Best,
    /// It has not, or was not validated.
    Ordinary,
}

/// Whether the optimizer's moments are part of what is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moments {
    /// They are.
    Restore,
    /// They start afresh.
    Reset,
}

/// What is the same in all checkpoints of a run.
#[derive(Debug)]
pub struct RunIdentity {
    /// Shape of the model.
    pub model: ModelConfig,
    /// The tokenizer, whose files go into each checkpoint.
    pub tokenizer: Option<Arc<Tokenizer>>,
    /// The ids that begin and end a text, for those who open the folder.
    pub special: SpecialTokens,
    /// What is saved in place of the weights, where adapters are trained.
    pub adapter: Option<AdapterIdentity>,
    /// The model that the run is held against from its beginning, whatever is resumed.
    pub reference: Option<ModelRecord>,
    /// The resolved configuration.
    pub config_toml: String,
}

/// What is the same in all of a run's adapters.
#[derive(Debug)]
pub struct AdapterIdentity {
    /// Which matrices they belong to, and how they are scaled.
    pub options: LoraOptions,
    /// The model below them, as [`crate::weights::Pretrained::base_name`] has it.
    pub base: String,
}

/// Saves and restores a run. Every rank calls it; rank 0 writes.
pub struct Checkpointer {
    folder: PathBuf,
    retention: Retention,
    keep_best: Keep,
    identity: RunIdentity,
    group: Rc<dyn ProcessGroup>,
}

/// Whether the best checkpoint outlives its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is kept.
    Always,
    /// It goes when it is old.
    WhileRecent,
}

impl Checkpointer {
    /// For the checkpoints below `folder`.
    #[must_use]
    pub fn new(
        folder: PathBuf,
        retention: Retention,
        keep_best: Keep,
        identity: RunIdentity,
        group: Rc<dyn ProcessGroup>,
    ) -> Self {
        Self {
            group,
            folder,
            retention,
            keep_best,
            identity,
        }
    }
}

impl fmt::Debug for Checkpointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpointer({})", self.folder.display())
    }
}

/// The name of a rank's generator state; rank 0's is the one of a single process.
fn generator_key(name: &str, rank: u64) -> String {
    match rank {
        0 => name.to_owned(),
        rank => format!("{name}.{rank}"),
    }
}

/// The random generators whose state is part of a run on this device.
fn generators(device: Device) -> Vec<(&'static str, Device)> {
    let cuda = device.is_cuda().then_some(("cuda", device));
    [("cpu", Device::Cpu)].into_iter().chain(cuda).collect()
}
