//! Text from a model.

mod decode;
mod rng;
mod sampling;

pub use decode::{Completion, EndedBy, generate};
pub use sampling::Sampling;
