//! Speed and memory of the process.

use crate::config::Precision;
use std::fs;
use tch::Device;

/// Model FLOPs utilisation: `flops_per_token × tokens per second ÷ peak`, with
/// `flops_per_token = 6·N + 6·L·d·s` (causal attention; see `model::flops`).
#[must_use]
pub fn mfu(flops_per_token: f64, tokens_per_second: f64, peak_flops: f64) -> f64 {
    flops_per_token * tokens_per_second / peak_flops
}

/// Dense peak of the device in FLOP/s for matrix products of this precision, where it is known: only by the name of
/// the GPU's chip (NVIDIA's data sheets, without sparsity; fp32 without TF32). A CPU has none.
#[must_use]
pub fn peak_flops(device_name: &str, precision: Precision) -> Option<f64> {
    const BF16_AND_FP32_TFLOPS: [(&str, f64, f64); 6] = [
        ("H200", 989.0, 67.0),
        ("H100", 989.0, 67.0),
        ("A100", 312.0, 19.5),
        ("B200", 2250.0, 75.0),
        ("L40S", 362.0, 91.6),
        ("RTX 4090", 165.2, 82.6),
    ];
    let (_, bf16, fp32) = BF16_AND_FP32_TFLOPS
        .iter()
        .find(|(name, ..)| device_name.contains(name))?;
    let tflops = match precision {
        Precision::Fp32 => fp32,
        Precision::Bf16 | Precision::Auto => bf16, // auto is bf16 on a GPU
    };
    Some(tflops * 1e12)
}

/// Most memory held so far, in bytes: libtorch's on a GPU, the process's resident set on a CPU.
#[must_use]
pub fn peak_memory_bytes(device: Device) -> Option<u64> {
    match device {
        Device::Cuda(index) => crate::torch::cuda_peak_bytes(index).ok(),
        _ => {
            let status = fs::read_to_string("/proc/self/status").ok()?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))?;
            Some(
                line.trim()
                    .strip_suffix(" kB")?
                    .trim()
                    .parse::<u64>()
                    .ok()?
                    * 1024,
            )
        }
    }
}
