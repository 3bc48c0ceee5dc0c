//! Weights & Biases, without its client: the run as a `.wandb` file in the run folder, sent to the server as it grows
//! where `wandb.mode` is "online". The training thread only puts records into a queue:
//!
//! ```text
//! WandbSink --bounded queue--> Recorder --> run-ID.wandb --> Uploader --> server
//! ```
//!
//! Each arrow is a thread's. Whatever the server does, the file is whole: `wandb sync` and a resume go on from it.
//! Metrics are named `split/name` (`train/loss`, `val/perplexity`), and a step is one row of the history.

mod account;
mod batch;
mod client;
mod folder;
mod log_format;
mod netrc;
mod protobuf;
mod record;
mod recorder;
mod run_file;
mod sent;
mod sink;
mod system;
mod uploader;

pub use account::Account;
pub use record::Run;
pub use sink::WandbSink;
