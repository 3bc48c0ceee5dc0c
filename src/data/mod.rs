//! Prepared data: shards of tokens, the datasets over them, and the order they come in.

mod batch;
mod dataset;
mod loader;
mod manifest;
mod prepared_folder;
mod random_tokens;
mod sampler;
mod shard;
mod token_dataset;

pub use batch::{Batch, Counts, TokenBatch};
pub use dataset::Dataset;
pub use loader::{DataLoader, LoaderState, Share};
pub use random_tokens::RandomTokens;
pub use sampler::Order;
pub use token_dataset::TokenDataset;
