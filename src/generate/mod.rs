//! Text from a model.

mod decode;
mod dialogue;
mod rng;
mod sampling;

pub use decode::{Completion, EndedBy, generate, tokens_needed};
pub use dialogue::Dialogue;
pub use sampling::Sampling;
