//! What a preparation reads.
//!
//! A document comes [`sources`] (their files listed by [`source`], those on the Hub [`fetched`] when their turn comes) →
//! [`rows`] (through [`compression`], as [`json_rows`] or [`parquet_rows`], in the form that [`row_form`] says:
//! [`conversation_rows`], [`preference_rows`]) → [`documents`] → [`mixture`].

mod compression;
mod content;
mod content_hash;
mod conversation_rows;
mod documents;
mod example;
mod fetched;
mod hub_source;
mod json_fields;
mod json_rows;
mod long_text;
mod mixture;
mod parquet_rows;
mod parquet_values;
mod preference_rows;
mod row;
mod row_form;
mod rows;
mod source;
mod sources;

pub(super) use content::Content;
pub(super) use documents::{Document, Pass, Patience, Tally};
pub(super) use example::{Example, Preference};
pub(super) use long_text::{NextCut, Passages};
pub(super) use mixture::{Mixture, Place};
pub(super) use row_form::{ExampleForm, RowForm};
pub(super) use source::SourceFile;
pub use sources::Input;
pub(super) use sources::InputSource;
