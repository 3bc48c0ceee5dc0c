//! The one integration binary: a module per room.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that meets one has failed

mod layers;
mod prepare;
mod tokenizer;
