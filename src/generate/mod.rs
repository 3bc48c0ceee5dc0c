//! Text from a model.

mod decode;
mod rng;
mod sampling;

pub use decode::{Completion, EndedBy, generate, tokens_needed};
pub use sampling::Sampling;
