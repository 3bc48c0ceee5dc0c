//! Which operations a kernel of ours computes, and which torch's own: on the CPU all but attention and fp8 have kernels that
//! tests hold to torch; on a GPU only those are taken unasked that a GPU has been seen to compute right.

mod cubin;
mod nvrtc;

pub use cubin::{compile, compiler};

use super::cuda_part::from_cuda_part;
use super::ffi::{Launch, Message};
use super::library::Library;
use super::{check, ffi};
use anyhow::{Result, anyhow};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use tch::{Device, Kind, Tensor};

/// What has a kernel; see [`super::ops`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the functions that compute them")]
pub enum Operation {
    Linear,
    AddRmsNorm,
    Rotate,
    Swiglu,
    SumLogProbs,
    CausalAttention,
    PackedAttention,
    SplitAdamW,
    ToFp8,
}

/// An operation's kernel for GPUs.
#[derive(Debug, Clone, Copy)]
pub struct OnGpu {
    /// What it computes.
    pub operation: Operation,
    /// As the user meets it.
    pub name: &'static str,
    /// The GPU on which `scripts/gpu_check.sh check` found it right (its table is in `scripts/bench/RESULTS.md`); none
    /// where no GPU has run it, and then it is not taken unasked.
    pub proven_on: Option<&'static str>,
}

/// Which kernels are proven on a GPU and which are not; [`super::Feature`] says it of what else a GPU does.
pub const ON_GPU: [OnGpu; 9] = [
    unproven(Operation::Linear, "linear"),
    unproven(Operation::AddRmsNorm, "add_rms_norm"),
    unproven(Operation::Rotate, "rotate"),
    unproven(Operation::Swiglu, "swiglu"),
    unproven(Operation::SumLogProbs, "sum_log_probs"),
    unproven(Operation::CausalAttention, "causal_attention"),
    unproven(Operation::PackedAttention, "packed_attention"),
    unproven(Operation::SplitAdamW, "split_adamw"),
    unproven(Operation::ToFp8, "to_fp8"),
];

const fn unproven(operation: Operation, name: &'static str) -> OnGpu {
    OnGpu {
        operation,
        name,
        proven_on: None,
    }
}

/// Which kernels to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Those that are proven on the device.
    Proven,
    /// All there are.
    All,
    /// None: torch's own operations.
    None,
}

/// A set of operations, a bit each.
struct Set(AtomicU16);

impl Set {
    fn put(&self, operations: impl Iterator<Item = Operation>) {
        let bits = operations.fold(0, |bits, operation| bits | 1 << operation as u8);
        self.0.store(bits, Relaxed);
    }

    fn has(&self, operation: Operation) -> bool {
        self.0.load(Relaxed) & (1 << operation as u8) != 0
    }
}

static TAKEN_ON_CPU: Set = Set(AtomicU16::new(u16::MAX));
static TAKEN_ON_GPU: Set = Set(AtomicU16::new(0));

thread_local! {
    static EMULATES: Cell<bool> = const { Cell::new(false) };
}

/// Whether a kernel takes a tensor. There are none but for fp32 and bf16; on the CPU attention is torch's, and so is fp8.
#[must_use]
pub fn has_kernel(operation: Operation, x: &Tensor) -> bool {
    let of_kind = matches!(x.kind(), Kind::Float | Kind::BFloat16);
    of_kind
        && match x.device() {
            Device::Cpu => match operation {
                Operation::CausalAttention | Operation::PackedAttention => false,
                Operation::ToFp8 => EMULATES.get(),
                _ => EMULATES.get() || TAKEN_ON_CPU.has(operation),
            },
            Device::Cuda(_) => TAKEN_ON_GPU.has(operation),
            _ => false,
        }
}

/// From now on this process computes by these kernels. On a GPU they are compiled, or read where they have been, and
/// loaded.
///
/// # Errors
/// When they cannot be compiled or loaded.
pub fn choose(choice: Choice, device: Device) -> Result<()> {
    let all = || ON_GPU.iter().map(|kernel| kernel.operation);
    let of_gpu: Vec<_> = match choice {
        Choice::All => all().collect(),
        Choice::None => Vec::new(),
        Choice::Proven => {
            let proven = ON_GPU.iter().filter(|kernel| kernel.proven_on.is_some());
            proven.map(|kernel| kernel.operation).collect()
        }
    };
    if let (Device::Cuda(index), false) = (device, of_gpu.is_empty()) {
        load(index)?;
    }
    TAKEN_ON_GPU.put(of_gpu.into_iter());
    match choice {
        Choice::None => TAKEN_ON_CPU.put(std::iter::empty()),
        _ => TAKEN_ON_CPU.put(all()),
    }
    Ok(())
}

/// What the CUDA part offers for kernels.
pub(super) struct EntryPoints {
    generation: unsafe extern "C" fn(c_int, *mut c_int) -> Message,
    load: unsafe extern "C" fn(*const c_void) -> Message,
    launch: Launch,
}

pub(super) fn entry_points() -> Result<EntryPoints> {
    from_cuda_part("the CUDA kernels", |part| {
        // SAFETY: `native/cuda/kernels.cpp` defines them with these types.
        unsafe {
            Ok(EntryPoints {
                generation: part.function(c"lt_cuda_generation")?,
                load: part.function(c"lt_load_kernels")?,
                launch: part.function(c"lt_launch_kernel")?,
            })
        }
    })
}

fn load(index: usize) -> Result<()> {
    let part = entry_points()?;
    let mut generation = 0;
    // SAFETY: the number outlives the first call; the code is whole and is copied by the second; the CUDA part is never
    // closed, so that its function may be kept.
    unsafe {
        check((part.generation)(
            c_int::try_from(index)?,
            &raw mut generation,
        ))?;
        let code = cubin::cubin(&architecture(generation))?;
        check((part.load)(code.as_ptr().cast()))?;
        ffi::lt_set_kernels(Some(part.launch));
    }
    Ok(())
}

/// The compiler's name for a generation (90): the one of that very chip, where there is one.
fn architecture(generation: c_int) -> String {
    let own = if generation >= 90 { "a" } else { "" };
    format!("sm_{generation}{own}")
}

/// While it lives, its thread's tensors go through the sources of the GPU's kernels, on the CPU: how tests see their
/// arithmetic.
#[derive(Debug)]
pub struct Emulation(PhantomData<*const ()>); // bound to its thread

impl Emulation {
    /// By a library that defines `lt_launch_kernel`.
    ///
    /// # Errors
    /// When it cannot be opened, or does not.
    pub fn begin(library: &Path) -> Result<Self> {
        let opened = Library::open_file(library);
        // SAFETY: the library is the tests' own, which defines it with this type; it is never closed.
        unsafe {
            let launch = opened.and_then(|library| library.function(c"lt_launch_kernel"));
            ffi::lt_emulate_kernels(Some(launch.map_err(|reason| anyhow!(reason))?));
        }
        EMULATES.set(true);
        Ok(Self(PhantomData))
    }
}

impl Drop for Emulation {
    fn drop(&mut self) {
        EMULATES.set(false);
        // SAFETY: null ends it.
        unsafe { ffi::lt_emulate_kernels(None) }
    }
}
