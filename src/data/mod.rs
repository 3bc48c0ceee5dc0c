//! Prepared data: shards of tokens, the datasets over them, and the order they come in.

mod batch;
mod dataset;
mod distill_dataset;
mod example_index;
mod instruct_dataset;
mod instruct_shard;
mod loader;
pub mod manifest;
pub mod npy;
mod packing;
mod pair_lengths;
mod preference_batch;
mod preference_dataset;
mod preference_shard;
mod prepared_folder;
mod random_tokens;
mod sampler;
mod scored;
mod shard;
mod teacher_file;
mod token_dataset;

pub use batch::{Batch, Counts, TokenBatch};
pub use dataset::Dataset;
pub use distill_dataset::{DistillBatch, DistillDataset};
pub use example_index::index_path;
pub use instruct_dataset::{InstructDataset, RowLayout};
pub use instruct_shard::{InstructShard, mask_path};
pub use loader::{DataLoader, LoaderState, Share};
pub use manifest::{Manifest, ShardEntry};
pub use npy::Dtype;
pub use pair_lengths::{KeptTokens, PairLengths};
pub use preference_batch::PreferenceBatch;
pub use preference_dataset::PreferenceDataset;
pub use preference_shard::{Pair, PreferenceShard};
pub use prepared_folder::PreparedFolder;
pub use random_tokens::RandomTokens;
pub use sampler::{Order, SPLIT_MIX_STEP, split_mix};
pub use scored::Scored;
pub use shard::{Shard, ShardError};
pub use teacher_file::{KeptTeacher, TeacherFiles, TeacherTokens};
pub use token_dataset::TokenDataset;

use serde::{Deserialize, Serialize};

/// What a part of the data is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Learned from.
    Train,
    /// Measured on.
    Val,
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Val => "val",
        })
    }
}
