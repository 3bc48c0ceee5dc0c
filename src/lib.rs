//! `llama-train`: the whole life of a Llama, from raw text to a trained model, over libtorch.
//!
//! The modules stand in layers. A file may use its own module and modules of lower layers, nothing else;
//! `tests/layers.rs` holds this list against the code.

// Layer 0: leaves.
pub mod config;
pub mod logging;
pub mod storage;
pub mod torch;
// Layer 1.
pub mod dist;
pub mod hub;
pub mod model;
pub mod tokenizer;
// Layer 2.
pub mod data;
pub mod loss;
pub mod metrics;
pub mod optim;
pub mod weights;
// Layer 3.
pub mod checkpoint;
pub mod generate;
pub mod objective;
pub mod prepare;
// Layer 4.
pub mod eval;
// Layer 5.
pub mod train;
// Layer 6.
pub mod commands;
// Layer 7.
pub mod cli;
