//! Panics of plain tch calls, turned into errors.

use super::without_stack;
use anyhow::{Result, anyhow};
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic inside [`catch`] prints nothing by itself.
pub fn install_panic_hook() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !CATCHING.get() {
            default(info);
        }
    }));
}

/// Runs `work`; a panic inside it (out of memory in a plain tch call, for example) becomes an error. What `work`
/// leaves behind must not be relied on after an error.
///
/// # Errors
/// Those of `work`, and its panics.
pub fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let outer = CATCHING.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(outer);
    outcome.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a message");
        Err(explain(text))
    })
}

/// Drops the C++ stack and Rust's wrapping, and adds the remedy where the cause is known.
fn explain(panic: &str) -> anyhow::Error {
    let text = without_stack(&panic.replace("\\n", "\n")).to_owned();
    let text = text
        .trim_start_matches("called `Result::unwrap()` on an `Err` value: Torch(\"")
        .to_owned();
    if text.contains("out of memory") || text.contains("can't allocate memory") {
        anyhow!(
            "{text}\nThe device is out of memory: lower train.micro_batch_size (total_batch_tokens may stay) or train.seq_len"
        )
    } else if panic.contains("Torch(\"") {
        anyhow!("libtorch: {text}")
    } else if text.starts_with("libtorch: ") {
        anyhow!(text)
    } else {
        anyhow!("a fault of llama-train's own: {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    #[test]
    fn a_tch_panic_becomes_an_error_without_a_stack() {
        install_panic_hook();
        let shapes = || Ok(Tensor::from_slice(&[1.0, 2.0]) + Tensor::from_slice(&[1.0, 2.0, 3.0]));
        let text = format!("{:#}", catch(shapes).unwrap_err());
        assert!(text.contains("size of tensor a (2) must match"), "{text}");
        assert!(!text.contains("Exception raised from"), "{text}");
    }
}
