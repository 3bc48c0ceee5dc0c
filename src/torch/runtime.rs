//! Process-wide state of libtorch.

use super::{check, ffi};
use anyhow::{Context, Result};
use std::ffi::{CStr, c_int};
use tch::{Device, Tensor};

/// libtorch's version.
#[must_use]
pub fn version() -> String {
    // SAFETY: a string that lives as long as the process.
    let version = unsafe { CStr::from_ptr(ffi::lt_torch_version()) };
    version.to_string_lossy().into_owned()
}

/// The file that libtorch was loaded from, where the system tells.
#[must_use]
pub fn library_path() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps
        .lines()
        .find(|line| line.ends_with("libtorch_cpu.so"))?;
    Some(line[line.find('/')?..].to_owned())
}

/// From now on libtorch logs errors only, unless `TORCH_CPP_LOG_LEVEL` says otherwise. To be called before any thread is
/// started.
pub fn quiet_log() {
    // SAFETY: sets a variable of the environment, which no other thread reads yet.
    let _ = check(unsafe { ffi::lt_quiet_log() });
}

/// From now on this process keeps the CPU memory that tensors free, and the next ones of their size find it.
pub fn keep_freed_memory() {
    // SAFETY: sets parameters of the C library's allocator, which allows that at any time.
    unsafe { ffi::lt_keep_freed_memory() }
}

/// State of the device's default random generator: a uint8 tensor on the CPU.
///
/// # Errors
/// When the device has no generator.
pub fn rng_state(device: Device) -> Result<Tensor> {
    let mut out = std::ptr::null_mut();
    // SAFETY: on success `out` is a new tensor that we own.
    unsafe {
        check(ffi::lt_rng_state(cuda_index(device), &raw mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// Puts back what [`rng_state`] gave.
///
/// # Errors
/// When the state is not one of this kind of device.
pub fn set_rng_state(device: Device, state: &Tensor) -> Result<()> {
    // SAFETY: a live tensor, borrowed for the call.
    check(unsafe { ffi::lt_set_rng_state(cuda_index(device), state.as_ptr()) })
        .context("the saved random state does not fit this device")
}

/// From now on an operation without a deterministic implementation is an error.
///
/// # Errors
/// When libtorch refuses.
pub fn require_determinism() -> Result<()> {
    // SAFETY: no arguments.
    check(unsafe { ffi::lt_require_determinism() })
}

/// Most bytes that libtorch held on the GPU so far.
///
/// # Errors
/// When there is no such GPU.
pub fn cuda_peak_bytes(index: usize) -> Result<u64> {
    let mut bytes = 0;
    // SAFETY: `bytes` outlives the call.
    check(unsafe { ffi::lt_cuda_peak_bytes(cuda_index(Device::Cuda(index)), &raw mut bytes) })?;
    Ok(bytes.unsigned_abs())
}

/// Sets the CPU threads of libtorch. 0: `OMP_NUM_THREADS` if set (as torchrun does), else this process's part of the
/// cores, which it shares with `local_world_size` processes, itself included.
pub fn set_threads(threads: usize, local_world_size: usize) {
    let from_environment = || std::env::var("OMP_NUM_THREADS").ok()?.parse().ok();
    let cores = || {
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        (all / local_world_size.max(1)).max(1)
    };
    let threads = match threads {
        0 => from_environment()
            .filter(|&threads| threads > 0)
            .unwrap_or_else(cores),
        given => given,
    };
    tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
}

fn cuda_index(device: Device) -> c_int {
    match device {
        Device::Cuda(index) => c_int::try_from(index).unwrap_or(c_int::MAX),
        _ => -1,
    }
}

/// CPU time that the process has used so far, over all its threads.
#[must_use]
pub fn process_cpu_time() -> Option<std::time::Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` outlives the call.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).ok()?;
    (status == 0)
        .then(|| std::time::Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// Ends the process at once: nothing is flushed, and no thread of libtorch that still waits for another rank is waited
/// for.
pub fn end_process(exit_code: u8) -> ! {
    // SAFETY: does not return, and runs no code of ours.
    unsafe { libc::_exit(c_int::from(exit_code)) }
}

/// From now on a file that would grow beyond the process's limit (`ulimit -f`) is an error of the write, with a
/// message, instead of the end of the process.
pub fn report_file_size_limit() {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    /// Other tests' threads may take the place first, though not each time.
    #[test]
    fn the_next_tensor_of_a_size_takes_the_place_of_the_last() {
        keep_freed_memory();
        let tensor = || Tensor::zeros([1 << 18], (Kind::Float, Device::Cpu));
        let is_reused = || {
            let [_before, freed, _after] = [tensor(), tensor(), tensor()];
            let place = freed.data_ptr();
            assert_eq!(place as usize % 64, 0);
            drop(freed);
            tensor().data_ptr() == place
        };
        assert!((0..8).any(|_| is_reused()));
    }
}
