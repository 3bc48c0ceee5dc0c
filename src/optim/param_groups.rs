//! Which parameters decay.

use tch::{Tensor, nn};

/// Parameters with one weight decay.
#[derive(Debug)]
pub struct ParamGroup {
    /// Names in the variable store.
    pub names: Vec<String>,
    /// The parameters, sharing memory with the model's.
    pub params: Vec<Tensor>,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

/// Two groups, each sorted by name: tensors of two or more dimensions decay (the embedding and the head too), norms
/// do not.
#[must_use]
pub fn param_groups(store: &nn::VarStore, weight_decay: f64) -> Vec<ParamGroup> {
    let mut variables: Vec<_> = store
        .variables()
        .into_iter()
        .filter(|(_, tensor)| tensor.requires_grad())
        .collect();
    variables.sort_by(|a, b| a.0.cmp(&b.0));
    let (matrices, vectors): (Vec<_>, Vec<_>) = variables
        .into_iter()
        .partition(|(_, tensor)| tensor.dim() >= 2);
    [(matrices, weight_decay), (vectors, 0.0)]
        .into_iter()
        .filter(|(variables, _)| !variables.is_empty())
        .map(|(variables, weight_decay)| {
            let (names, params) = variables.into_iter().unzip();
            ParamGroup {
                names,
                params,
                weight_decay,
            }
        })
        .collect()
}
