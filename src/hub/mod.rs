//! The Hub: the one room that knows its addresses, its answers and its cache.
//!
//! The cache is the one that Python's libraries use (`HF_HOME`): what either has fetched, the other finds. `hf-hub` knows
//! its layout and the Hub's addresses; what it cannot do (words for refusals, retries, resuming, sizes, working offline)
//! is here, over the same `ureq`.
//!
//! A model goes [`snapshot`] → [`listing`] (which files there are) → [`model_files`] (which are needed) → [`download`];
//! a data set [`dataset`] → [`card`] and [`patterns`] (which files are a split's) → [`remote_file`].

mod cache;
mod card;
mod client;
mod dataset;
mod download;
mod listing;
mod meter;
mod model_files;
mod patterns;
mod refusal;
mod remote_file;
mod retry;
mod settings;
mod snapshot;
mod status;

pub use dataset::dataset_files;
pub use remote_file::RemoteFile;
pub use retry::Stop;
pub use snapshot::{model_description, model_dir, tokenizer_dir};
pub use status::{Status, status};
