//! Devices: which there are, and libtorch's CUDA part, opened only where there is a GPU.

use crate::bad_request;
use crate::config::DeviceChoice;
use anyhow::Result;
use std::ffi::{CStr, c_void};
use tch::{Cuda, Device};

/// Opens libtorch's CUDA part if the machine has an NVIDIA driver, so that one binary serves machines with and
/// without a GPU. To be called before anything asks libtorch for CUDA: it remembers the first answer.
pub fn load_accelerator() {
    if open_library(c"libcuda.so.1").is_some() && open_library(c"libtorch_cuda.so").is_none() {
        log::debug!("an NVIDIA driver is here, but this libtorch has no CUDA part");
    }
}

/// The device to run on; under torchrun each local rank has its own GPU.
///
/// # Errors
/// A bad request when a GPU is asked for that is not there.
pub fn select_device(choice: DeviceChoice, local_rank: usize) -> Result<Device> {
    let gpus = usize::try_from(Cuda::device_count()).unwrap_or(0);
    let index = match choice {
        DeviceChoice::Cpu => return Ok(Device::Cpu),
        DeviceChoice::Auto if gpus == 0 => return Ok(Device::Cpu),
        DeviceChoice::Auto | DeviceChoice::Cuda(None) => local_rank,
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

fn open_library(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: loading runs the library's constructors; these two are made to be loaded this way, and are never closed.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    (!handle.is_null()).then_some(handle)
}
