//! What there is of GPUs, and what of the program has not been proven on one.

use super::Finding;
use crate::torch::kernels::{self, ON_GPU, OnGpu};
use crate::torch::{self, Feature};
use tch::{Cuda, Device};

pub(super) fn gpus() -> Finding {
    let count = usize::try_from(Cuda::device_count()).unwrap_or(0);
    let names: Vec<String> = (0..count)
        .map(|index| torch::device_name(Device::Cuda(index)).unwrap_or_else(|| "a GPU".into()))
        .collect();
    let text = match count {
        0 => {
            "none that libtorch sees, so training is on the CPU; with an NVIDIA card, install its driver and a torch with CUDA"
                .into()
        }
        _ => names.join(", "),
    };
    Finding {
        name: "gpu",
        works: count > 0,
        text,
    }
}

/// What the program does on a GPU, and what it leaves alone as nobody has seen it work.
pub(super) fn cuda() -> Finding {
    Finding {
        name: "cuda",
        works: Cuda::is_available(),
        text: format!(
            "trains with torch's own operations, forward and backward: built, proven on no GPU yet; scripts/gpu_check.sh \
             checks a machine. {}",
            Feature::ALL.map(feature).join(". ")
        ),
    }
}

/// Whether it is done unasked.
fn feature(feature: Feature) -> String {
    let key = feature.key();
    match feature.proven_on() {
        Some(gpu) => format!("{key}: proven on {gpu}, and on"),
        None => format!("{key}: built, but no GPU has run it, so off; \"on\" takes it"),
    }
}

/// What of it has been run, and where, is part of the answer.
pub(super) fn nccl() -> Finding {
    let opened = torch::open_cuda_part();
    let text = match (&opened, torch::HAS_CUDA_PART) {
        (Ok(()), _) => "ranks on GPUs: the CUDA part opens with this libtorch. No GPU has run it yet: built, not run".into(),
        (Err(error), true) => format!("{error:#}"),
        (Err(_), false) => "this binary has no CUDA part: CUDA's and NCCL's headers were not beside libtorch when it was \
                            built; pip install nvidia-cuda-crt==13.0.88 nvidia-cuda-cccl==13.0.85 beside torch, and build \
                            again (scripts/setup.sh does both)"
            .into(),
    };
    Finding {
        name: "nccl",
        works: opened.is_ok(),
        text,
    }
}

/// Which kernels are taken unasked, and which no GPU has run.
pub(super) fn kernels() -> Finding {
    let (proven, unproven): (Vec<_>, Vec<_>) =
        ON_GPU.iter().partition(|kernel| kernel.proven_on.is_some());
    let names = |kernels: Vec<&OnGpu>| {
        let names: Vec<_> = kernels.iter().map(|kernel| kernel.name).collect();
        match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        }
    };
    let compiler = kernels::compiler();
    let compiled = compiler.as_ref().map_or_else(
        |error| format!("{error:#}"),
        |name| format!("{name} compiles them"),
    );
    Finding {
        name: "kernels",
        works: compiler.is_ok(),
        text: format!(
            "on a CPU for all operations but attention and fp8. On a GPU proven: {}; built, but no GPU has run them: {} (train.kernels = \"fused\" \
             takes them, `doctor --kernels` checks them); {compiled}",
            names(proven),
            names(unproven)
        ),
    }
}
