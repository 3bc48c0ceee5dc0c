//! Prepared data: shards of token ids, their manifest, and what is read from them.

pub mod manifest;
pub mod npy;
pub mod prepared_folder;
pub mod shard;

pub use manifest::{Manifest, ShardEntry};
pub use npy::Dtype;
pub use prepared_folder::PreparedFolder;
pub use shard::{Shard, ShardError};

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
