//! Declarations of `native/`: see the C++ files for what each function does.

use std::ffi::{c_char, c_int, c_uint, c_void};
use torch_sys::C_tensor;

pub(super) type Message = *mut c_char;
/// `TensorList` of `abi.h`.
pub(super) type TensorList = *const *mut C_tensor;

/// Opaque C++ objects, each freed by its own function.
#[repr(C)]
pub(super) struct StoreHandle([u8; 0]);
#[repr(C)]
pub(super) struct GroupHandle([u8; 0]);
#[repr(C)]
pub(super) struct ReducerHandle([u8; 0]);

/// `NewNccl` of `c10d.h`, found in the CUDA part's library.
pub(super) type NewNccl = unsafe extern "C" fn(
    store: *const c_void,
    rank: c_int,
    size: c_int,
    timeout_ms: i64,
    cuda_index: c_int,
    out: *mut c_void,
) -> Message;

/// `Launch` of `kernels.h`.
pub(super) type Launch = unsafe extern "C" fn(
    name: *const c_char,
    device: c_int,
    blocks: c_uint,
    threads: c_uint,
    shared_bytes: usize,
    arguments: *const c_void,
) -> Message;

/// `Call` and `Drop` of `recompute.cpp`.
pub(super) type Call = unsafe extern "C" fn(
    function: *mut c_void,
    inputs: TensorList,
    input_count: usize,
    outputs: *mut *mut C_tensor,
) -> Message;
pub(super) type DropFunction = unsafe extern "C" fn(function: *mut c_void);

/// `ReducerTimes` of `reducer.cpp`.
#[repr(C)]
#[derive(Default)]
pub(super) struct ReducerTimes {
    pub(super) buckets: i64,
    pub(super) backward_ns: i64,
    pub(super) communication_ns: i64,
    pub(super) overlap_ns: i64,
}

/// `AdamWStep` of `adamw.h`.
#[repr(C)]
pub(super) struct AdamWStep {
    pub(super) params: TensorList,
    pub(super) grads: TensorList,
    pub(super) exp_avgs: TensorList,
    pub(super) exp_avg_sqs: TensorList,
    pub(super) steps: TensorList,
    pub(super) count: usize,
    pub(super) lr: *const C_tensor,
    pub(super) found_inf: *const C_tensor,
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) eps: f64,
    pub(super) weight_decay: f64,
}

/// `DivergenceTeacher` of `divergence.cpp`.
#[repr(C)]
pub(super) struct DivergenceTeacher {
    pub(super) hidden: *const C_tensor,
    pub(super) weight: *const C_tensor,
    pub(super) log_probs: *const C_tensor,
    pub(super) ids: *const C_tensor,
}

unsafe extern "C" {
    pub(super) fn lt_torch_version() -> *const c_char;
    pub(super) fn lt_quiet_log() -> Message;
    pub(super) fn lt_free_message(message: Message);
    pub(super) fn lt_fused_adamw(step: *const AdamWStep) -> Message;
    pub(super) fn lt_split_adamw(step: *const AdamWStep, remainders: TensorList) -> Message;
    pub(super) fn lt_global_norm(
        tensors: TensorList,
        count: usize,
        out: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_scale(tensors: TensorList, count: usize, factor: *const C_tensor) -> Message;
    pub(super) fn lt_reset_grads(params: TensorList, count: usize) -> Message;
    pub(super) fn lt_zero_grads(params: TensorList, count: usize) -> Message;
    pub(super) fn lt_linear_log_probs(
        hidden: *const C_tensor,
        weight: *const C_tensor,
        targets: *const C_tensor,
        rows_at_once: i64,
        out: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_linear_divergence(
        hidden: *const C_tensor,
        weight: *const C_tensor,
        targets: *const C_tensor,
        teacher: *const DivergenceTeacher,
        kind: c_int,
        temperature: f64,
        rows_at_once: i64,
        log_probs: *mut *mut C_tensor,
        divergence: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_rng_state(cuda_index: c_int, out: *mut *mut C_tensor) -> Message;
    pub(super) fn lt_set_rng_state(cuda_index: c_int, state: *const C_tensor) -> Message;
    pub(super) fn lt_require_determinism() -> Message;
    pub(super) fn lt_cuda_peak_bytes(cuda_index: c_int, out: *mut i64) -> Message;
    pub(super) fn lt_store_open(
        host: *const c_char,
        port: u16,
        serve: bool,
        world_size: usize,
        prefix: *const c_char,
        timeout_ms: i64,
        out: *mut *mut StoreHandle,
    ) -> Message;
    pub(super) fn lt_store_free(store: *mut StoreHandle);
    pub(super) fn lt_store_set(
        store: *mut StoreHandle,
        key: *const c_char,
        value: *const c_char,
    ) -> Message;
    pub(super) fn lt_store_get(
        store: *mut StoreHandle,
        key: *const c_char,
        out: *mut *mut c_char,
    ) -> Message;
    pub(super) fn lt_group_join(
        store: *const StoreHandle,
        rank: c_int,
        size: c_int,
        timeout_ms: i64,
        interface: *const c_char,
        new_nccl: Option<NewNccl>,
        cuda_index: c_int,
        out: *mut *mut GroupHandle,
    ) -> Message;
    pub(super) fn lt_group_free(group: *mut GroupHandle);
    pub(super) fn lt_all_reduce_sum(group: *mut GroupHandle, tensor: *const C_tensor) -> Message;
    pub(super) fn lt_profile_begin(on_gpu: bool) -> Message;
    pub(super) fn lt_profile_end(on_gpu: bool, lines: *mut *mut c_char) -> Message;
    pub(super) fn lt_trace_begin(handle: *mut u64) -> Message;
    pub(super) fn lt_trace_end(handle: u64, names: *mut *mut c_char) -> Message;
    pub(super) fn lt_broadcast(
        group: *const GroupHandle,
        tensors: TensorList,
        count: usize,
        root: c_int,
    ) -> Message;
    pub(super) fn lt_all_gather(
        group: *mut GroupHandle,
        tensor: *const C_tensor,
        out: *const C_tensor,
    ) -> Message;
    pub(super) fn lt_reducer_new(
        group: *const GroupHandle,
        params: TensorList,
        names: *const *const c_char,
        count: usize,
        bucket_bytes: usize,
        out: *mut *mut ReducerHandle,
    ) -> Message;
    pub(super) fn lt_reducer_free(reducer: *mut ReducerHandle);
    pub(super) fn lt_reducer_before_forward(reducer: *mut ReducerHandle, reduce: bool) -> Message;
    pub(super) fn lt_reducer_before_backward(reducer: *mut ReducerHandle) -> Message;
    pub(super) fn lt_reducer_check(reducer: *mut ReducerHandle) -> Message;
    pub(super) fn lt_reducer_times(reducer: *mut ReducerHandle, out: *mut ReducerTimes) -> Message;
    pub(super) fn lt_pickle_write(
        path: *const c_char,
        names: *const *const c_char,
        tensors: TensorList,
        count: usize,
    ) -> Message;
    pub(super) fn lt_linear(
        x: *const C_tensor,
        weights: TensorList,
        count: usize,
        out: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_adapted_linear(
        x: *const C_tensor,
        weights: TensorList,
        a: TensorList,
        b: TensorList,
        count: usize,
        scale: f64,
        dropout: f64,
        out: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_make_adjacent(weights: TensorList, count: usize) -> Message;
    pub(super) fn lt_add_rms_norm(
        x: *const C_tensor,
        branch: *const C_tensor,
        weight: *const C_tensor,
        eps: f64,
        normed: *mut *mut C_tensor,
        sum: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_recompute(
        function: *mut c_void,
        call: Call,
        drop: DropFunction,
        inputs: TensorList,
        input_count: usize,
        weights: TensorList,
        weight_count: usize,
        outputs: *mut *mut C_tensor,
        output_count: usize,
        draws: bool,
    ) -> Message;
    pub(super) fn lt_gated_linear(
        both: *const C_tensor,
        weight: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_keep_freed_memory();
    pub(super) fn lt_set_kernels(launch: Option<Launch>);
    pub(super) fn lt_emulate_kernels(launch: Option<Launch>);
    pub(super) fn lt_to_fp8(
        x: *const C_tensor,
        wide: bool,
        by_kernels: bool,
        out: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_linear_fp8(
        x: *const C_tensor,
        weights: TensorList,
        count: usize,
        by_kernels: bool,
        out: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_swiglu(both: *const C_tensor, out: *mut *mut C_tensor) -> Message;
    pub(super) fn lt_rotate(
        both: *const C_tensor,
        cos: *const C_tensor,
        sin: *const C_tensor,
        queries: i64,
        keys: i64,
        out: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_causal_attention(
        q: *const C_tensor,
        k: *const C_tensor,
        v: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_packed_attention(
        q: *const C_tensor,
        k: *const C_tensor,
        v: *const C_tensor,
        starts: *const C_tensor,
        longest: i64,
        out: *mut *mut C_tensor,
    ) -> Message;
    pub(super) fn lt_sum_log_probs(
        hidden: *const C_tensor,
        weight: *const C_tensor,
        targets: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> Message;
}
