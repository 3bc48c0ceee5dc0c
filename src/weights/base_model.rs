//! The model below adapters, and the name by which it is found again.

use super::peft;
use crate::bad_request;
use crate::config::HubPath;
use crate::hub;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A model's folder or file.
#[derive(Debug)]
pub(super) struct BaseModel {
    /// Where it is on this machine.
    pub(super) path: PathBuf,
    /// `hf://org/name[@revision]` where it came from the Hub, else the path that is good from anywhere.
    pub(super) name: String,
}

impl BaseModel {
    /// A model by its path, or its address on the Hub; it is fetched then.
    ///
    /// # Errors
    /// What the Hub, the network or the disk have to say.
    pub(super) fn find(given: &Path) -> Result<Self> {
        let path = hub::model_dir(given)?;
        let name = match path == given {
            true => fs::canonicalize(given).unwrap_or_else(|_| given.to_owned()),
            false => given.to_owned(),
        };
        Ok(Self {
            path,
            name: name.to_string_lossy().into_owned(),
        })
    }

    /// The model that an adapter's configuration names: a path from here or from the adapter's folder, or a name on the
    /// Hub.
    ///
    /// # Errors
    /// A bad request when it names none, or one that is not here and cannot be on the Hub.
    pub(super) fn of_adapter(adapter: &Path) -> Result<Self> {
        let remedy = "give that model with --checkpoint, and this folder with --adapter";
        let Some(name) = peft::base_name(adapter)? else {
            return Err(bad_request!(
                "{}: it does not name the model it belongs to; {remedy}",
                adapter.display()
            ));
        };
        let beside = [PathBuf::from(&name), adapter.join(&name)];
        if let Some(path) = beside.iter().find(|path| path.exists()) {
            return Self::find(path);
        }
        let address = match name.starts_with("hf://") {
            true => name.clone(),
            false => format!("hf://{name}"),
        };
        let belongs = || format!("{}: it belongs to {name}", adapter.display());
        match HubPath::parse(&address) {
            Ok(_) => {
                Self::find(Path::new(&address)).with_context(|| format!("{}; {remedy}", belongs()))
            }
            Err(_) => Err(bad_request!("{}, which is not here; {remedy}", belongs())),
        }
    }
}
