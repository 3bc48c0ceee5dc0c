//! Where the examples of a token shard begin.

use super::npy::Dtype;
use super::{Shard, ShardError};
use std::path::{Path, PathBuf};

/// Where the offsets of a token shard's examples are.
#[must_use]
pub fn index_path(tokens: &Path) -> PathBuf {
    tokens.with_extension("index.npy")
}

/// The offsets in `NAME.index.npy` beside the token shard `NAME.npy`: they rise from 0 to its length, `parts` to an
/// example and one more.
///
/// # Errors
/// See [`ShardError`]; also when the two do not belong together.
pub(super) fn read_offsets(tokens: &Shard, parts: usize) -> Result<Vec<u64>, ShardError> {
    let index = Shard::open_as(&index_path(tokens.path()), &[Dtype::Uint64])?;
    let offsets = index.read(0, index.len() as usize);
    let offsets: Vec<u64> = offsets.into_iter().map(i64::cast_unsigned).collect();
    let rises =
        offsets.first() == Some(&0) && offsets.last() == Some(&tokens.len()) && offsets.is_sorted();
    let foreign = |reason| ShardError::Foreign {
        path: index.path().to_owned(),
        reason,
    };
    if !rises {
        let reason = format!("its offsets do not rise from 0 to {}", tokens.len());
        return Err(foreign(reason));
    }
    if !(offsets.len() - 1).is_multiple_of(parts) {
        let reason = format!(
            "{} offsets are not {parts} for each example and one more",
            offsets.len()
        );
        return Err(foreign(reason));
    }
    Ok(offsets)
}
