//! The processes of a job, and what they say to each other.

mod launch_env;

pub use launch_env::LaunchEnv;

use anyhow::Result;
use tch::Tensor;

/// Collective operations; every rank must reach each of them. One process is a group of its own, so that no caller
/// asks whether the run is distributed.
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
    /// Returns when every rank has come here.
    ///
    /// # Errors
    /// When a rank is gone or late.
    fn barrier(&self) -> Result<()>;
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

    fn barrier(&self) -> Result<()> {
        Ok(())
    }
}
