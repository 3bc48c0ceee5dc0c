//! A model's variables as they are filled, and all that does not fit them.

use anyhow::{Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use tch::Tensor;

/// Takes tensors by name.
pub(super) struct Fill {
    variables: BTreeMap<String, Tensor>,
    missing: BTreeSet<String>,
    problems: Vec<String>,
}

impl Fill {
    /// For variables under the names of the format that is read.
    pub(super) fn new(variables: BTreeMap<String, Tensor>) -> Self {
        Self {
            missing: variables.keys().cloned().collect(),
            variables,
            problems: Vec::new(),
        }
    }

    /// Copies a tensor into its variable, or notes what is wrong with it.
    ///
    /// # Errors
    /// When libtorch cannot copy.
    pub(super) fn take(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        match self.variables.get(name) {
            Some(_) if !self.missing.contains(name) => {
                self.problems.push(format!("{name} is there twice"));
            }
            Some(variable) if variable.size() == tensor.size() => {
                tch::no_grad(|| variable.shallow_clone().f_copy_(tensor))?;
            }
            Some(variable) => self.problems.push(format!(
                "{name} has shape {:?}, not {:?}",
                tensor.size(),
                variable.size()
            )),
            None => self
                .problems
                .push(format!("{name} is not part of this model")),
        }
        self.missing.remove(name);
        Ok(())
    }

    /// Whether everything fitted.
    ///
    /// # Errors
    /// Lists all that did not.
    pub(super) fn finish(mut self, path: &Path) -> Result<()> {
        let missing = self.missing.iter();
        self.problems
            .extend(missing.map(|name| format!("{name} is missing")));
        if self.problems.is_empty() {
            return Ok(());
        }
        bail!(
            "{}: the weights do not fit the model:\n  {}",
            path.display(),
            self.problems.join("\n  ")
        )
    }
}
