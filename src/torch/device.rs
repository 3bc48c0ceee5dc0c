//! Devices: which there are, and libtorch's CUDA part, opened only where there is a GPU.

use super::library::Library;
use std::ffi::{CStr, c_char, c_int};
use tch::Device;

/// Opens libtorch's CUDA part if the machine has an NVIDIA driver, so that one binary serves machines with and
/// without a GPU. To be called before anything asks libtorch for CUDA: it remembers the first answer.
pub fn load_accelerator() {
    if Library::open(c"libcuda.so.1").is_ok() && Library::open(c"libtorch_cuda.so").is_err() {
        log::debug!("an NVIDIA driver is here, but this libtorch has no CUDA part");
    }
}

/// The GPU's name as its driver gives it, for example "NVIDIA H200"; none for a CPU.
#[must_use]
pub fn device_name(device: Device) -> Option<String> {
    type GetName = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    let Device::Cuda(index) = device else {
        return None;
    };
    let driver = Library::open(c"libcuda.so.1").ok()?;
    // SAFETY: the driver's documented `cuDeviceGetName(char *name, int length, CUdevice device)`; libtorch has
    // initialised the driver before it gave out the device, and the buffer is as long as said.
    unsafe {
        let get_name: GetName = driver.function(c"cuDeviceGetName").ok()?;
        let mut name = [0; 128];
        let status = get_name(name.as_mut_ptr(), 128, c_int::try_from(index).ok()?);
        (status == 0).then(|| CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned())
    }
}
