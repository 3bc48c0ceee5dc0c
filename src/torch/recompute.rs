//! Activation checkpointing: functions whose intermediate results are computed again in backward.

use super::{catch, check, ffi, pointers};
use std::ffi::{CString, c_char, c_void};
use std::ptr;
use tch::Tensor;
use torch_sys::C_tensor;

/// A function of some tensors, of which backward may need another call.
type Function<const N: usize> = Box<dyn Fn(&[Tensor]) -> [Tensor; N] + Send>;

/// What a function takes from the random generators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Randomness {
    /// Nothing.
    None,
    /// Numbers, of its device or of the CPU.
    Drawn,
}

/// `function(inputs)`, of which only the inputs are kept for backward, which calls it again: with the random generators
/// as they were, so that dropout falls alike. `weights` are the trainable tensors that it reads besides its inputs; their
/// gradients are bit-equal to those without recomputation. Without gradients it is a plain call.
///
/// # Panics
/// Where the function does.
pub fn recompute<const N: usize>(
    inputs: &[Tensor],
    weights: &[Tensor],
    randomness: Randomness,
    function: impl Fn(&[Tensor]) -> [Tensor; N] + Send + 'static,
) -> [Tensor; N] {
    let function: Box<Function<N>> = Box::new(Box::new(function));
    let (inputs, weights) = (pointers(inputs), pointers(weights));
    let mut out = [ptr::null_mut(); N];
    // SAFETY: all tensors live through the call; the function is handed over, to be called and dropped by the two
    // functions made for its type; on success `out` holds new tensors that we own.
    unsafe {
        let outcome = check(ffi::lt_recompute(
            Box::into_raw(function).cast(),
            call::<N>,
            drop_function::<N>,
            inputs.as_ptr(),
            inputs.len(),
            weights.as_ptr(),
            weights.len(),
            out.as_mut_ptr(),
            N,
            randomness == Randomness::Drawn,
        ));
        if let Err(error) = outcome {
            panic!("{error}");
        }
        out.map(|tensor| Tensor::from_ptr(tensor))
    }
}

/// Called by libtorch's thread that walks the graph.
unsafe extern "C" fn call<const N: usize>(
    function: *mut c_void,
    inputs: *const *mut C_tensor,
    input_count: usize,
    outputs: *mut *mut C_tensor,
) -> ffi::Message {
    let called = catch(|| {
        // SAFETY: `function` is what `recompute` handed over; the inputs live through the call, and each copy below is a
        // handle of its own.
        let (function, inputs) = unsafe {
            let function = &*function.cast::<Function<N>>();
            let inputs = std::slice::from_raw_parts(inputs, input_count);
            let handle = |&tensor| Tensor::clone_from_ptr(tensor);
            (function, inputs.iter().map(handle).collect::<Vec<_>>())
        };
        Ok(function(&inputs))
    });
    match called {
        Ok(tensors) => {
            for (index, tensor) in tensors.iter().enumerate() {
                // SAFETY: `outputs` has N places, each to be filled with a handle that the caller owns.
                unsafe {
                    *outputs.add(index) = torch_sys::at_shallow_clone(tensor.as_ptr().cast_mut())
                };
            }
            ptr::null_mut()
        }
        Err(error) => message(&format!("{error:#}")),
    }
}

/// A text that the caller frees.
fn message(text: &str) -> *mut c_char {
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    // SAFETY: a NUL-terminated string, copied.
    unsafe { libc::strdup(text.as_ptr()) }
}

unsafe extern "C" fn drop_function<const N: usize>(function: *mut c_void) {
    // SAFETY: made by `Box::into_raw` in `recompute`, dropped once.
    drop(unsafe { Box::from_raw(function.cast::<Function<N>>()) });
}
