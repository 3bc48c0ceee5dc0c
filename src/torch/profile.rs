//! Where time goes.

use super::{check, ffi, take_text};
use anyhow::Result;
use std::ptr;
use tch::Device;

/// What a kernel of a GPU took, or an operation on a CPU without those that it calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// As the device's compiler, or libtorch, names it.
    pub name: String,
    /// How often it ran.
    pub calls: u64,
    /// In all of them.
    pub nanoseconds: u64,
}

/// Runs `work` and tells what took how long, the longest first. On a CPU only the calling thread is seen.
///
/// # Errors
/// When libtorch refuses, or was built without its profiler.
pub fn profile<T>(device: Device, work: impl FnOnce() -> T) -> Result<(T, Vec<Spent>)> {
    let on_gpu = device.is_cuda();
    let mut lines = ptr::null_mut();
    // SAFETY: on success `lines` is a string made by `strdup` that we own.
    let (result, text) = unsafe {
        check(ffi::lt_profile_begin(on_gpu))?;
        let result = work();
        check(ffi::lt_profile_end(on_gpu, &raw mut lines))?;
        (result, take_text(lines))
    };
    let mut all: Vec<Spent> = text.lines().filter_map(spent).collect();
    all.sort_by_key(|spent| std::cmp::Reverse(spent.nanoseconds));
    Ok((result, all))
}

fn spent(line: &str) -> Option<Spent> {
    let mut parts = line.splitn(3, '\t');
    let mut number = || parts.next()?.parse::<i64>().ok();
    let (nanoseconds, calls) = (number()?, number()?);
    Some(Spent {
        name: parts.next()?.to_owned(),
        calls: calls.unsigned_abs(),
        nanoseconds: nanoseconds.max(0).unsigned_abs(), // the clock may be coarser than a call
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    #[test]
    fn an_operations_own_time_is_told() {
        let matrix = Tensor::ones([300, 300], (Kind::Float, Device::Cpu));
        let multiply = || (0..5).fold(matrix.copy(), |product, _| product.matmul(&matrix));
        let (_, spent) = profile(Device::Cpu, multiply).unwrap();
        let of = |name: &str| spent.iter().find(|spent| spent.name == name).unwrap();
        assert_eq!((of("aten::mm").calls, of("aten::matmul").calls), (5, 5));
        assert!(of("aten::mm").nanoseconds > of("aten::matmul").nanoseconds); // which only calls it
        let order = spent
            .windows(2)
            .all(|two| two[0].nanoseconds >= two[1].nanoseconds);
        assert!(order);
    }
}
