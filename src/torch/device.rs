//! Devices: which there are, and libtorch's CUDA part, opened only where there is a GPU.

use std::ffi::{CStr, c_char, c_int, c_void};
use tch::Device;

/// Opens libtorch's CUDA part if the machine has an NVIDIA driver, so that one binary serves machines with and
/// without a GPU. To be called before anything asks libtorch for CUDA: it remembers the first answer.
pub fn load_accelerator() {
    if open_library(c"libcuda.so.1").is_some() && open_library(c"libtorch_cuda.so").is_none() {
        log::debug!("an NVIDIA driver is here, but this libtorch has no CUDA part");
    }
}

fn open_library(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: loading runs the library's constructors; these two are made to be loaded this way, and are never closed.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    (!handle.is_null()).then_some(handle)
}

/// The GPU's name as its driver gives it, for example "NVIDIA H200"; none for a CPU.
#[must_use]
pub fn device_name(device: Device) -> Option<String> {
    type GetName = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    let Device::Cuda(index) = device else {
        return None;
    };
    let driver = open_library(c"libcuda.so.1")?;
    // SAFETY: the driver's documented `cuDeviceGetName(char *name, int length, CUdevice device)`; libtorch has
    // initialised the driver before it gave out the device, and the buffer is as long as said.
    unsafe {
        let symbol = libc::dlsym(driver, c"cuDeviceGetName".as_ptr());
        if symbol.is_null() {
            return None;
        }
        let get_name = std::mem::transmute::<*mut c_void, GetName>(symbol);
        let mut name = [0; 128];
        let status = get_name(name.as_mut_ptr(), 128, c_int::try_from(index).ok()?);
        (status == 0).then(|| CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned())
    }
}
