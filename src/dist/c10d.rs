//! Ranks under torchrun: torch's own process group.

use super::{
    GradReducer, ProcessGroup,
    roll::{Doing, Roll},
    watchdog::Watchdog,
};
use crate::torch::{self, Group};
use anyhow::{Context, Error, Result};
use std::rc::Rc;
use tch::Tensor;

/// What libtorch's errors say when another rank is the cause.
const SIGNS_OF_OTHERS: [&str; 6] = [
    "Connection ",
    "connection ",
    "Timed out",
    "timed out",
    "NCCL",
    "Broken pipe",
];

/// Gloo for tensors on the CPU, NCCL for those on a GPU.
#[derive(Debug)]
pub(super) struct C10dProcessGroup {
    group: Rc<Group>,
    roll: Roll,
    watchdog: Rc<Watchdog>,
    bucket_bytes: usize,
}

impl C10dProcessGroup {
    pub(super) fn new(group: Group, roll: Roll, watchdog: Watchdog, bucket_bytes: usize) -> Self {
        Self {
            group: Rc::new(group),
            roll,
            watchdog: Rc::new(watchdog),
            bucket_bytes,
        }
    }

    fn operation(&self, name: &'static str, run: impl FnOnce(&Group) -> Result<()>) -> Result<()> {
        self.watchdog.note(Doing::Waiting);
        run(&self.group).context(name)?; // after a failure it waits still
        self.watchdog.note(Doing::Working);
        Ok(())
    }
}

impl ProcessGroup for C10dProcessGroup {
    fn rank(&self) -> u64 {
        self.roll.rank
    }

    fn world_size(&self) -> u64 {
        self.roll.world_size
    }

    fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<()> {
        self.operation("all-reduce", |group| group.all_reduce_sum(tensor))
    }

    fn broadcast(&self, tensors: &[Tensor], root: u64) -> Result<()> {
        self.operation("broadcast", |group| group.broadcast(tensors, root))
    }

    fn all_gather(&self, tensor: &Tensor) -> Result<Tensor> {
        let mut size = tensor.size();
        size.insert(0, self.world_size() as i64);
        let out = Tensor::zeros(size, (tensor.kind(), tensor.device()));
        let tensor = tensor.contiguous();
        self.operation("all-gather", |group| group.all_gather(&tensor, &out))?;
        Ok(out)
    }

    fn grad_reducer(&self, params: &[Tensor], names: &[String]) -> Result<GradReducer> {
        let group = Rc::clone(&self.group);
        let reducer = torch::Reducer::new(group, params, names, self.bucket_bytes)?;
        Ok(GradReducer::over_ranks(reducer, Rc::clone(&self.watchdog)))
    }

    fn explain(&self, error: Error) -> Error {
        let text = format!("{error:#}");
        let rank = self.rank();
        if SIGNS_OF_OTHERS.iter().any(|sign| text.contains(sign)) {
            let report = self.watchdog.report().cloned();
            let report = report.unwrap_or_else(|| self.roll.call(&text));
            error.context(format!(
                "rank {rank}: {report}; start the job again with --resume latest"
            ))
        } else {
            error.context(format!("rank {rank}"))
        }
    }
}
