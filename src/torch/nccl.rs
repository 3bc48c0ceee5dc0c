//! NCCL, which is in the CUDA part.

use super::cuda_part::from_cuda_part;
use super::ffi::NewNccl;
use anyhow::Result;

/// What makes torch's NCCL backend.
///
/// # Errors
/// When the binary was built without a CUDA part, or this libtorch is not the one it was built for.
pub(super) fn constructor() -> Result<NewNccl> {
    // SAFETY: `nccl.cpp` defines it with this type.
    from_cuda_part("NCCL", |part| unsafe { part.function(c"lt_new_nccl") })
}
