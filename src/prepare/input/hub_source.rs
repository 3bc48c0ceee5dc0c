//! The files of a data set on the Hub.

use super::{
    fetched::{Downloads, Fetched},
    source::SourceFile,
};
use crate::{
    config::{HubKind, HubPath},
    data::manifest::PreparedFrom,
    hub,
};
use anyhow::Result;
use indicatif::HumanBytes;
use std::{path::Path, sync::Arc};

/// What listing the files takes besides their names.
pub(super) struct Place<'a> {
    /// Where is written to.
    pub(super) out: &'a Path,
    /// Where files of the Hub go.
    pub(super) downloads: Arc<Downloads>,
    /// What an earlier preparation into `out` has read: of a data set without a revision it goes on with that commit.
    pub(super) earlier: Option<PreparedFrom>,
}

/// # Errors
/// A bad request when one of the inputs is meant as an address on the Hub and is none.
pub(super) fn check<'a>(inputs: impl IntoIterator<Item = &'a String>) -> Result<()> {
    for input in inputs {
        HubPath::parse_if_meant(input, HubKind::Dataset)?;
    }
    Ok(())
}

/// The files behind an address, in the order they are read.
///
/// # Errors
/// What the Hub and the network have to say.
pub(super) fn list(path: &HubPath, place: &Place<'_>) -> Result<Vec<SourceFile>> {
    let commit = place
        .earlier
        .as_ref()
        .and_then(|earlier| commit_read_before(earlier, path));
    let files = hub::dataset_files(path, commit)?;
    let bytes = files.iter().map(hub::RemoteFile::bytes).sum();
    log::info!("{path}: {} files, {}", files.len(), HumanBytes(bytes));
    let source = |file: hub::RemoteFile| {
        let (address, bytes) = (file.address(), file.bytes());
        SourceFile::on_hub(address, bytes, Fetched::new(file, place.downloads.clone()))
    };
    Ok(files.into_iter().map(source).collect())
}

fn commit_read_before<'a>(earlier: &'a PreparedFrom, path: &HubPath) -> Option<&'a str> {
    let mut files = earlier.sources.iter().flat_map(|source| &source.files);
    let start = format!("{path}@");
    files.find_map(|file| file.path.to_str()?.strip_prefix(&start)?.split('/').next())
}
