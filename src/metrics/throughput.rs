//! Speed and memory of the process.

use std::fs;
use tch::Device;

/// Model FLOPs utilisation: `flops_per_token × tokens per second ÷ peak`, with
/// `flops_per_token = 6·N + 6·L·d·s` (causal attention; see `model::flops`).
#[must_use]
pub fn mfu(flops_per_token: f64, tokens_per_second: f64, peak_flops: f64) -> f64 {
    flops_per_token * tokens_per_second / peak_flops
}

/// Most memory held so far, in bytes: libtorch's on a GPU, the process's resident set on a CPU.
#[must_use]
pub fn peak_memory_bytes(device: Device) -> Option<u64> {
    match device {
        Device::Cuda(index) => crate::torch::cuda_peak_bytes(index).ok(),
        _ => kilobytes("/proc/self/status", "VmHWM:"),
    }
}

/// Memory of the machine, in bytes, where it says so.
#[must_use]
pub fn machine_memory_bytes() -> Option<u64> {
    kilobytes("/proc/meminfo", "MemTotal:")
}

/// The value of a line `name 123 kB`, in bytes.
fn kilobytes(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let value = value.trim().strip_suffix("kB")?;
    Some(value.trim().parse::<u64>().ok()? * 1024)
}
