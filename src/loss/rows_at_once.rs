//! How many rows of logits are held at once.

use crate::model::Head;
use tch::Device;

/// Bytes of fp32 logits in one piece: on a CPU as much as its caches make quick, on a GPU enough to keep it busy.
pub(super) const CPU_BYTES: i64 = 32 << 20;
pub(super) const GPU_BYTES: i64 = 256 << 20;

/// Rows whose logits under this head fill one piece.
pub(super) fn rows_at_once(head: &Head) -> i64 {
    let bytes = match head.weight().device() {
        Device::Cpu => CPU_BYTES,
        _ => GPU_BYTES,
    };
    let row = head.weight().size()[0] * size_of::<f32>() as i64;
    (bytes / row).max(1)
}
