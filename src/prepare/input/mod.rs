//! What a preparation reads.
//!
//! A document comes [`sources`] (their files listed by [`source`], those on the Hub [`fetched`] when their turn comes) → [`rows`] (through [`compression`], as [`json_rows`] or [`parquet_rows`]) →
//! [`documents`] → [`mixture`].

mod compression;
mod content;
mod content_hash;
mod documents;
mod fetched;
mod hub_source;
mod json_rows;
mod long_text;
mod mixture;
mod objects;
mod parquet_rows;
mod row;
mod rows;
mod source;
mod sources;

pub(super) use content::Content;
pub(super) use documents::{Document, Pass, Patience, Tally};
pub(super) use long_text::{NextCut, Passages};
pub(super) use mixture::{Mixture, Place};
pub use objects::{ObjectRow, read_objects};
pub(super) use source::SourceFile;
pub use sources::Input;
pub(super) use sources::InputSource;
