//! The one integration binary: a module per room.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that meets one has failed

mod adapters;
mod bad_input;
mod benchmarks;
mod chat;
mod cli;
mod common;
mod configs;
mod dialogue;
mod distill;
mod distributed;
mod dpo;
mod eval;
mod fused_operations;
mod host_reads;
mod hostile_files;
mod hub;
mod layers;
mod lora;
mod losses;
mod meta_folders;
mod model_parity;
mod optimizer;
mod original_checkpoints;
mod original_env;
mod prepare;
mod recomputation;
mod reference;
mod report;
mod runs;
mod sft;
mod tokenizer;
mod tokenizer_backends;
mod training;
mod wandb;
mod weights;
