//! What torchrun tells each process through its environment.

use crate::bad_request;
use crate::config::DeviceChoice;
use anyhow::Result;
use tch::{Cuda, Device};

/// Place of this process in the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchEnv {
    /// Number among the processes of this machine: the GPU to take.
    pub local_rank: usize,
    /// Processes in the job.
    pub world_size: u64,
}

impl LaunchEnv {
    /// Reads `LOCAL_RANK` and `WORLD_SIZE`; absent, one process.
    ///
    /// # Errors
    /// A bad request when one of them is not a number, or asks for more than one process.
    pub fn read() -> Result<Self> {
        let env = Self {
            local_rank: read("LOCAL_RANK", 0)?,
            world_size: read("WORLD_SIZE", 1)?,
        };
        if env.world_size != 1 {
            return Err(bad_request!(
                "WORLD_SIZE={}: this version trains in one process; start it without torchrun, or with --nproc-per-node 1",
                env.world_size
            ));
        }
        Ok(env)
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
            DeviceChoice::Cuda(Some(index)) => index,
        };
        if index < gpus {
            return Ok(Device::Cuda(index));
        }
        Err(bad_request!(
            "run.device = \"{choice}\": GPU {index} is asked for, but libtorch sees {gpus}; \
             use run.device = \"auto\" or \"cpu\", or check the driver and CUDA_VISIBLE_DEVICES"
        ))
    }
}

fn read<T: std::str::FromStr>(name: &str, default: T) -> Result<T> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .map_err(|_| bad_request!("environment variable {name}={text}: expected a number")),
        _ => Ok(default),
    }
}
