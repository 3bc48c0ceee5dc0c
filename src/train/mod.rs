//! The loop: one for every objective.

mod batch_plan;
mod early_stopping;
mod feed;
mod memory_plan;
mod memory_table;
mod model_parts;
mod outcome;
mod parts;
mod plan;
mod run_folder;
mod set_up;
mod signals;
mod state;
mod step;
mod step_graph;
mod step_io;
mod step_report;
mod totals;
mod trainer;
mod validation;

pub use batch_plan::BatchPlan;
pub use early_stopping::{EarlyStopping, Patience, Verdict};
pub use feed::Feed;
pub use memory_plan::{Accumulation, MemoryPlan, Workload, largest_micro_batch};
pub use memory_table::MemoryTable;
pub use outcome::{Limits, Stopped, Summary};
pub use parts::Parts;
pub use plan::RunPlan;
pub use run_folder::{RunFolder, Start};
pub use set_up::{choose_kernels, compute_kind, prepare_device};
pub use signals::{AtSignal, Signal, Signals};
pub use state::TrainState;
pub use step_graph::StepGraph;
pub use step_report::Speed;
pub use trainer::Trainer;
pub use validation::{Validation, ValidationLoss};
