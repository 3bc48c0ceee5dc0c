//! What torchrun tells each process through its environment.

use crate::bad_request;
use crate::config::DeviceChoice;
use crate::torch::StoreAddress;
use anyhow::Result;
use std::env;
use tch::{Cuda, Device};

/// Place of this process in the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchEnv {
    /// Number among all processes of the job.
    pub rank: u64,
    /// Number among the processes of this machine: the GPU to take.
    pub local_rank: usize,
    /// Processes in the job.
    pub world_size: u64,
    /// Processes on this machine.
    pub local_world_size: usize,
    /// Where they meet; none for a process that was started by itself.
    pub meeting: Option<Meeting>,
}

/// Where the processes of a job meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// The store.
    pub address: StoreAddress,
    /// Who serves it.
    pub served_by: ServedBy,
}

/// Who serves the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServedBy {
    /// torchrun's own process.
    Agent,
    /// Rank 0.
    RankZero,
}

impl LaunchEnv {
    /// Reads `RANK`, `LOCAL_RANK`, `WORLD_SIZE`, `LOCAL_WORLD_SIZE`, `MASTER_ADDR`, `MASTER_PORT` and torchrun's own
    /// `TORCHELASTIC_*`; absent, one process.
    ///
    /// # Errors
    /// A bad request that names the variable that is missing or wrong.
    pub fn read() -> Result<Self> {
        let world_size = read("WORLD_SIZE")?.unwrap_or(1);
        let rank: Option<u64> = read("RANK")?;
        let local_rank = read("LOCAL_RANK")?.unwrap_or(0);
        let local_world_size = read("LOCAL_WORLD_SIZE")?.unwrap_or(1).max(1);
        if rank.is_none() && world_size != 1 {
            return Err(missing("RANK", world_size));
        }
        if rank.is_some_and(|rank| rank >= world_size) {
            let rank = rank.unwrap_or(0);
            return Err(bad_request!(
                "RANK={rank}: must be below WORLD_SIZE={world_size}; start the job with torchrun, which sets both"
            ));
        }
        Ok(Self {
            rank: rank.unwrap_or(0),
            local_rank,
            world_size,
            local_world_size,
            meeting: rank.map(|_| Meeting::read(world_size)).transpose()?,
        })
    }

    /// A process that was started by itself.
    #[must_use]
    pub fn alone() -> Self {
        Self {
            rank: 0,
            local_rank: 0,
            world_size: 1,
            local_world_size: 1,
            meeting: None,
        }
    }

    /// The device to run on; each local rank has a GPU of its own.
    ///
    /// # Errors
    /// A bad request when a GPU is asked for that is not there.
    pub fn select_device(&self, choice: DeviceChoice) -> Result<Device> {
        let gpus = usize::try_from(Cuda::device_count()).unwrap_or(0);
        let index = match choice {
            DeviceChoice::Cpu => return Ok(Device::Cpu),
            DeviceChoice::Auto if gpus == 0 => return Ok(Device::Cpu),
            DeviceChoice::Auto | DeviceChoice::Cuda(None) => self.local_rank,
            DeviceChoice::Cuda(Some(index)) if self.local_world_size > 1 => {
                return Err(bad_request!(
                    "run.device = \"cuda:{index}\": the {} ranks of this machine would share one GPU; with \"cuda\" each takes \
                     its own",
                    self.local_world_size
                ));
            }
            DeviceChoice::Cuda(Some(index)) => index,
        };
        if index < gpus {
            return Ok(Device::Cuda(index));
        }
        Err(bad_request!(
            "run.device = \"{choice}\": GPU {index} is asked for, but libtorch sees {gpus}; \
             use run.device = \"auto\" or \"cpu\", or check the driver, CUDA_VISIBLE_DEVICES and --nproc-per-node"
        ))
    }
}

impl Meeting {
    fn read(world_size: u64) -> Result<Self> {
        let host = text("MASTER_ADDR").ok_or_else(|| missing("MASTER_ADDR", world_size))?;
        let port = read("MASTER_PORT")?.ok_or_else(|| missing("MASTER_PORT", world_size))?;
        // A restarted attempt must not find what the one before has left in the agent's store.
        let attempt = text("TORCHELASTIC_RESTART_COUNT").unwrap_or_default();
        let run = text("TORCHELASTIC_RUN_ID").unwrap_or_default();
        let prefix = format!("llama-train/{run}/{attempt}");
        let by_agent = text("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|text| text == "True");
        Ok(Self {
            address: StoreAddress { host, port, prefix },
            served_by: if by_agent {
                ServedBy::Agent
            } else {
                ServedBy::RankZero
            },
        })
    }
}

fn missing(name: &str, world_size: u64) -> anyhow::Error {
    bad_request!(
        "WORLD_SIZE={world_size}, but {name} is not set; start the job with torchrun --no-python --nproc-per-node N \
         llama-train …, which sets it"
    )
}

fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

fn read<T: std::str::FromStr>(name: &str) -> Result<Option<T>> {
    let parse = |text: String| {
        text.parse()
            .map_err(|_| bad_request!("environment variable {name}={text}: expected a number"))
    };
    text(name).map(parse).transpose()
}
