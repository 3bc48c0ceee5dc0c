//! The processes of a job, and what they say to each other.
//!
//! A job begins with what the launcher says ([`LaunchEnv`]); its ranks meet at a store ([`Rendezvous`]) and form a
//! [`ProcessGroup`]: torch's own (`c10d`), or one process by itself. [`GradReducer`] is torch's DDP engine. The room
//! knows nothing of models or training, and stands on `torch` and `config` alone.

mod c10d;
mod grad_reducer;
mod launch_env;
mod partition;
mod rendezvous;
mod replicas;
mod roll;
mod watchdog;

pub use grad_reducer::{GradReducer, MicroBatch};
pub use launch_env::{LaunchEnv, Meeting, ServedBy};
pub use partition::{Partition, Piece};
pub use rendezvous::Rendezvous;
pub use replicas::check_replicas;

use anyhow::{Error, Result};
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// Collective operations; every rank must reach each of them, in the same order. One process is a group of its own, so
/// that no caller asks whether the run is distributed.
pub trait ProcessGroup {
    /// This process's number among all.
    fn rank(&self) -> u64;
    /// How many processes there are.
    fn world_size(&self) -> u64;
    /// Replaces the tensor by its sum over the ranks.
    ///
    /// # Errors
    /// When a rank is gone or late.
    fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<()>;
    /// Replaces the tensors by those of rank `root`, many at a time.
    ///
    /// # Errors
    /// When a rank is gone or late.
    fn broadcast(&self, tensors: &[Tensor], root: u64) -> Result<()>;
    /// The tensors of all ranks, which have one shape: [ranks, ...].
    ///
    /// # Errors
    /// When a rank is gone or late.
    fn all_gather(&self, tensor: &Tensor) -> Result<Tensor>;
    /// What averages the gradients of these parameters, given about in the order in which backward reaches
    /// them.
    ///
    /// # Errors
    /// When the ranks' parameters differ, or a rank is gone.
    fn grad_reducer(&self, params: &[Tensor], names: &[String]) -> Result<GradReducer>;
    /// The error of a collective operation, with the ranks that caused it.
    fn explain(&self, error: Error) -> Error;
}

/// Returns when every rank has come here.
///
/// # Errors
/// When a rank is gone or late.
pub fn barrier(group: &dyn ProcessGroup) -> Result<()> {
    group.all_reduce_sum(&mut Tensor::from_slice(&[0_i64]))
}

/// The ranks take turns at batches of consecutive rows: those of this one.
pub fn turns(
    rows: u64,
    batch_size: u64,
    group: &dyn ProcessGroup,
) -> impl Iterator<Item = Range<u64>> + use<> {
    let (own, all) = (group.rank() * batch_size, group.world_size() * batch_size);
    let firsts = (own..rows).step_by(all as usize);
    firsts.map(move |first| first..rows.min(first + batch_size))
}

/// Rank 0's text, on every rank.
///
/// # Errors
/// When a rank is gone or late.
pub fn broadcast_text(group: &dyn ProcessGroup, text: &str) -> Result<String> {
    let length = Tensor::from_slice(&[text.len() as i64]);
    group.broadcast(&[length.shallow_clone()], 0)?;
    let size = [length.int64_value(&[0])];
    let bytes = match group.rank() {
        0 => Tensor::from_slice(text.as_bytes()),
        _ => Tensor::zeros(size, (Kind::Uint8, Device::Cpu)),
    };
    if size != [0] {
        group.broadcast(&[bytes.shallow_clone()], 0)?;
    }
    Ok(String::from_utf8(Vec::try_from(&bytes)?)?)
}

/// A job of one process.
#[derive(Debug, Clone, Copy, Default)]
pub struct SingleProcess;

impl ProcessGroup for SingleProcess {
    fn rank(&self) -> u64 {
        0
    }

    fn world_size(&self) -> u64 {
        1
    }

    fn all_reduce_sum(&self, _tensor: &mut Tensor) -> Result<()> {
        Ok(())
    }

    fn broadcast(&self, _tensors: &[Tensor], _root: u64) -> Result<()> {
        Ok(())
    }

    fn all_gather(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(tensor.unsqueeze(0))
    }

    fn grad_reducer(&self, _params: &[Tensor], _names: &[String]) -> Result<GradReducer> {
        Ok(GradReducer::none())
    }

    fn explain(&self, error: Error) -> Error {
        error
    }
}
