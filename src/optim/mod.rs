//! The update of the weights.

mod adamw;
mod grad_clip;
mod param_groups;
mod schedule;
mod state;

pub use adamw::AdamW;
pub use grad_clip::{GradNorm, clip_grad_norm};
pub use param_groups::{ParamGroup, param_groups};
pub use schedule::Schedule;
pub use state::{HeldPart, StateTensor};
