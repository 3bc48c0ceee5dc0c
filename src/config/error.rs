//! The error of a request that is itself wrong.

/// The request (a flag, a key, a value, a missing local file) is wrong: found before any device or network is
/// touched, and the process exits with 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(pub String);

/// Makes an [`anyhow::Error`] that ends the process with exit code 2.
#[macro_export]
macro_rules! bad_request {
    ($($arg:tt)*) => { anyhow::Error::new($crate::config::BadRequest(format!($($arg)*))) };
}
