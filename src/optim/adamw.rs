//! AdamW (Loshchilov & Hutter 2019) through torch's fused kernel.

use super::ParamGroup;
use super::state::{Constants, State, StateTensor};
use crate::dist::{Partition, Piece, ProcessGroup};
use anyhow::{Result, bail, ensure};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use tch::Tensor;

/// The parameters and their moments. Everything that a step reads stays on the device.
pub struct AdamW {
    groups: Vec<Group>,
    spread: Spread,
    constants: Constants,
}

struct Group {
    params: ParamGroup,
    /// Of what this rank updates.
    state: State,
}

/// Who updates a parameter.
enum Spread {
    /// Every rank, all of them.
    Replicated,
    /// Each rank a part, which it then gives to the others: ZeRO's first stage (Rajbhandari et al. 2020).
    Sharded {
        ranks: Rc<dyn ProcessGroup>,
        /// The parts of all ranks, sharing memory with the parameters.
        parts: Vec<Vec<Tensor>>,
    },
}

impl AdamW {
    /// Fresh moments for the groups.
    #[must_use]
    pub fn new(groups: Vec<ParamGroup>, betas: (f64, f64), eps: f64) -> Self {
        let whole = Partition::new(&lengths(&groups), 1);
        let own = whole.of(0);
        Self {
            groups: with_state(groups, own),
            spread: Spread::Replicated,
            constants: Constants { betas, eps },
        }
    }

    /// Fresh moments for this rank's part of the groups: as many numbers on each rank.
    #[must_use]
    pub fn sharded(
        groups: Vec<ParamGroup>,
        betas: (f64, f64),
        eps: f64,
        ranks: Rc<dyn ProcessGroup>,
    ) -> Self {
        let partition = Partition::new(&lengths(&groups), ranks.world_size());
        let params: Vec<&Tensor> = groups.iter().flat_map(|group| &group.params).collect();
        let part = |rank| {
            let pieces = partition.of(rank).iter();
            pieces
                .map(|piece| part_of(params[piece.tensor], piece))
                .collect()
        };
        let parts = (0..ranks.world_size()).map(part).collect();
        Self {
            groups: with_state(groups, partition.of(ranks.rank())),
            spread: Spread::Sharded { ranks, parts },
            constants: Constants { betas, eps },
        }
    }

    /// Updates every parameter once, on all ranks. `lr` and `skip` are float32 scalars on the parameters' device; where
    /// `skip` is 1 nothing changes.
    ///
    /// # Errors
    /// When a parameter has no gradient, libtorch refuses, or a rank is gone.
    pub fn step(&mut self, lr: &Tensor, skip: &Tensor) -> Result<()> {
        for Group { params, state } in &mut self.groups {
            let grads = gradients(params)?;
            let parts: Vec<_> = state
                .pieces()
                .iter()
                .map(|piece| part_of(&grads[piece.tensor], piece))
                .collect();
            state.update(&parts, self.constants, params.weight_decay, lr, skip)?;
        }
        if let Spread::Sharded { ranks, parts } = &self.spread {
            let with_some = (0..).zip(parts).filter(|(_, tensors)| !tensors.is_empty());
            for (root, tensors) in with_some {
                ranks.broadcast(tensors, root)?;
            }
        }
        Ok(())
    }

    /// The gradients of all parameters.
    ///
    /// # Errors
    /// When a parameter has none.
    pub fn gradients(&self) -> Result<Vec<Tensor>> {
        let mut all = Vec::new();
        for group in &self.groups {
            all.extend(gradients(&group.params)?);
        }
        Ok(all)
    }

    /// Drops the gradients.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn reset_grads(&self) -> Result<()> {
        let mut groups = self.groups.iter();
        groups.try_for_each(|group| crate::torch::reset_grads(&group.params.params))
    }

    /// Fills the gradients with zeros where they are.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn zero_grads(&self) -> Result<()> {
        let mut groups = self.groups.iter();
        groups.try_for_each(|group| crate::torch::zero_grads(&group.params.params))
    }

    /// Whether each rank holds a part of the state, and not all of it.
    #[must_use]
    pub fn is_sharded(&self) -> bool {
        matches!(self.spread, Spread::Sharded { .. })
    }

    /// What this rank holds of the state, in bytes.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        let held = |tensor: StateTensor| {
            let held = tensor.held.map_or(0, |part| part.tensor.numel());
            held * tensor.kind.elt_size_in_bytes()
        };
        self.state_tensors().into_iter().map(held).sum()
    }

    /// The moments and step counts as `{parameter}.exp_avg`, `.exp_avg_sq`, `.step`, and `.remainder` where weights are
    /// bf16: the same list on every rank, with what each holds.
    #[must_use]
    pub fn state_tensors(&self) -> Vec<StateTensor> {
        let of = |group: &Group| group.state.tensors(&group.params);
        self.groups.iter().flat_map(of).collect()
    }

    /// Of what [`Self::state_tensors`] gave puts back what belongs to the weights and not to their moments: the
    /// remainders of those in bf16.
    ///
    /// # Errors
    /// When one cannot be read, or is of another shape.
    pub fn load_remainders(
        &mut self,
        state: impl IntoIterator<Item = Result<(String, Tensor)>>,
    ) -> Result<()> {
        let own = self.state_tensors().into_iter();
        let own = own.filter(|tensor| tensor.name.ends_with(".remainder"));
        let own: HashMap<_, _> = own.map(|tensor| (tensor.name.clone(), tensor)).collect();
        let entries = state.into_iter().take_while(|_| !own.is_empty());
        for entry in entries {
            let (name, saved) = entry?;
            own.get(&name)
                .map_or(Ok(()), |tensor| tensor.load(&saved))?;
        }
        Ok(())
    }

    /// Puts back what [`Self::state_tensors`] gave, from whole tensors.
    ///
    /// # Errors
    /// When one cannot be read, or is missing, extra or of another shape.
    pub fn load_state(
        &mut self,
        state: impl IntoIterator<Item = Result<(String, Tensor)>>,
    ) -> Result<()> {
        let own = self.state_tensors().into_iter();
        let mut own: HashMap<_, _> = own.map(|tensor| (tensor.name.clone(), tensor)).collect();
        let mut extra = Vec::new();
        for entry in state {
            let (name, saved) = entry?;
            match own.remove(&name) {
                Some(tensor) => tensor.load(&saved)?,
                None => extra.push(name),
            }
        }
        if let Some(name) = own.keys().min() {
            bail!(
                "optimizer state: {name} is missing ({} such); --reset-optimizer goes on without the saved moments",
                own.len()
            );
        }
        if let Some(name) = extra.iter().min() {
            bail!(
                "optimizer state: {name} belongs to no parameter of this model ({} such)",
                extra.len()
            );
        }
        Ok(())
    }
}

impl fmt::Debug for AdamW {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.groups.iter().map(|group| group.params.names.len());
        write!(f, "AdamW({} parameters)", names.sum::<usize>())
    }
}

/// How many numbers each parameter has.
fn lengths(groups: &[ParamGroup]) -> Vec<i64> {
    let params = groups.iter().flat_map(|group| &group.params);
    params.map(|param| param.numel() as i64).collect()
}

/// Gives each group the pieces that lie in it, with fresh moments.
fn with_state(groups: Vec<ParamGroup>, own: &[Piece]) -> Vec<Group> {
    let mut first = 0;
    let with_state = |params: ParamGroup| {
        let inside = first..first + params.params.len();
        first = inside.end;
        let pieces = own.iter().filter(|piece| inside.contains(&piece.tensor));
        let pieces = pieces.map(|piece| Piece {
            tensor: piece.tensor - inside.start,
            range: piece.range.clone(),
        });
        let pieces: Vec<Piece> = pieces.collect();
        let weights = pieces
            .iter()
            .map(|piece| part_of(&params.params[piece.tensor], piece))
            .collect();
        Group {
            state: State::zeros(pieces, weights),
            params,
        }
    };
    groups.into_iter().map(with_state).collect()
}

/// The piece of a tensor: itself where that is all of it, else a flat view (a copy if it does not lie in one run).
fn part_of(tensor: &Tensor, piece: &Piece) -> Tensor {
    let length = piece.range.end - piece.range.start;
    match length == tensor.numel() as i64 {
        true => tensor.detach(),
        false => {
            let flat = tensor.detach().reshape([-1]);
            flat.narrow(0, piece.range.start, length)
        }
    }
}

fn gradients(group: &ParamGroup) -> Result<Vec<Tensor>> {
    let of = |(name, param): (&String, &Tensor)| {
        let grad = param.grad();
        ensure!(
            grad.defined(),
            "{name} took no part in the loss: it has no gradient"
        );
        Ok(grad)
    };
    group.names.iter().zip(&group.params).map(of).collect()
}
