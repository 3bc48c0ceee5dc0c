//! torch's DDP engine, `c10d::Reducer` (Li et al. 2020, "PyTorch Distributed").

use super::{Group, c_string, check, ffi, pointers};
use anyhow::Result;
use std::{ffi::CString, ptr, rc::Rc, time::Duration};
use tch::Tensor;

/// Averages gradients over the ranks during the backward pass.
#[derive(Debug)]
pub struct Reducer {
    handle: *mut ffi::ReducerHandle,
    _group: Rc<Group>,
}

/// What the engine measured, as means over the steps that it sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReducerTimes {
    /// Buckets of gradients.
    pub buckets: u64,
    /// The backward pass.
    pub backward: Duration,
    /// From the first all-reduce to the last one's end.
    pub communication: Duration,
    /// While both ran.
    pub overlap: Duration,
}

impl Reducer {
    /// For these parameters, given about in the order in which backward reaches them, the same on every rank. Their places
    /// in the buckets never change, so that every step adds the ranks' gradients in one order.
    ///
    /// # Errors
    /// When the ranks' parameters differ, or a rank is gone.
    pub fn new(
        group: Rc<Group>,
        params: &[Tensor],
        names: &[String],
        bucket_bytes: usize,
    ) -> Result<Self> {
        let params = pointers(params);
        let names: Vec<CString> = names.iter().map(|name| c_string(name)).collect();
        let names: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        let mut handle = ptr::null_mut();
        // SAFETY: live tensors and strings in lists of one length; on success `handle` is a new reducer that we own.
        check(unsafe {
            ffi::lt_reducer_new(
                group.as_ptr(),
                params.as_ptr(),
                names.as_ptr(),
                params.len().min(names.len()),
                bucket_bytes,
                &raw mut handle,
            )
        })?;
        Ok(Self {
            handle,
            _group: group,
        })
    }

    /// To be called before the forward pass of a micro-batch whose gradients stay on this rank for now.
    ///
    /// # Errors
    /// When a rank is gone.
    pub fn before_local_forward(&self) -> Result<()> {
        // SAFETY: a live reducer.
        check(unsafe { ffi::lt_reducer_before_forward(self.handle, false) })
    }

    /// To be called before the forward pass of the micro-batch whose backward pass reduces what has added up.
    ///
    /// # Errors
    /// When a rank is gone.
    pub fn before_reduced_forward(&self) -> Result<()> {
        // SAFETY: a live reducer.
        check(unsafe { ffi::lt_reducer_before_forward(self.handle, true) })
    }

    /// To be called before the backward pass that reduces.
    ///
    /// # Errors
    /// When the one before has not finished.
    pub fn before_reduced_backward(&self) -> Result<()> {
        // SAFETY: a live reducer.
        check(unsafe { ffi::lt_reducer_before_backward(self.handle) })
    }

    /// To be called after it.
    ///
    /// # Errors
    /// Names the parameters without a gradient, if there are any.
    pub fn check_reduced(&self) -> Result<()> {
        // SAFETY: a live reducer.
        check(unsafe { ffi::lt_reducer_check(self.handle) })
    }

    /// What the engine measured so far.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn times(&self) -> Result<ReducerTimes> {
        let mut times = ffi::ReducerTimes::default();
        // SAFETY: a live reducer; `times` outlives the call.
        check(unsafe { ffi::lt_reducer_times(self.handle, &raw mut times) })?;
        let duration = |ns: i64| Duration::from_nanos(ns.max(0).unsigned_abs());
        Ok(ReducerTimes {
            buckets: times.buckets.unsigned_abs(),
            backward: duration(times.backward_ns),
            communication: duration(times.communication_ns),
            overlap: duration(times.overlap_ns),
        })
    }
}

impl Drop for Reducer {
    fn drop(&mut self) {
        // SAFETY: made by `lt_reducer_new`, freed once.
        unsafe { ffi::lt_reducer_free(self.handle) }
    }
}
