//! Declarations of `native/`: see the C++ files for what each function does.

use std::ffi::{c_char, c_int};
use torch_sys::C_tensor;

pub(super) type Message = *mut c_char;

unsafe extern "C" {
    pub(super) fn lt_free_message(message: Message);
    pub(super) fn lt_fused_adamw(
        params: *const *mut C_tensor,
        grads: *const *mut C_tensor,
        exp_avgs: *const *mut C_tensor,
        exp_avg_sqs: *const *mut C_tensor,
        steps: *const *mut C_tensor,
        count: usize,
        lr: *const C_tensor,
        beta1: f64,
        beta2: f64,
        eps: f64,
        weight_decay: f64,
        found_inf: *const C_tensor,
    ) -> Message;
    pub(super) fn lt_global_norm(
        tensors: *const *mut C_tensor,
        count: usize,
        out: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_scale(
        tensors: *const *mut C_tensor,
        count: usize,
        factor: *const C_tensor,
    ) -> Message;
    pub(super) fn lt_reset_grads(params: *const *mut C_tensor, count: usize) -> Message;
    pub(super) fn lt_rng_state(cuda_index: c_int, out: *mut *mut C_tensor) -> Message;
    pub(super) fn lt_set_rng_state(cuda_index: c_int, state: *const C_tensor) -> Message;
    pub(super) fn lt_require_determinism() -> Message;
    pub(super) fn lt_cuda_peak_bytes(cuda_index: c_int, out: *mut i64) -> Message;
}
