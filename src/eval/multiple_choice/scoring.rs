//! The log-probability of every branch, in batches that are the same for any number of ranks, which take turns at them.

use super::Scoring;
use super::trees::{Forest, Tree};
use crate::dist::ProcessGroup;
use crate::loss::token_log_probs;
use crate::model::{Branches, Layout, Pass, Tokens, Transformer};
use anyhow::Result;
use std::iter::repeat_n;
use tch::{Device, Tensor};

/// Trees as tensors.
struct Batch {
    tokens: Tokens,
    /// Which of the batch's B·S hidden states foretell the tokens of the branches, one after another.
    before: Vec<i64>,
    /// Those tokens.
    targets: Vec<i64>,
}

/// Sums of log-probabilities, by tree and branch, the same on every rank. `done` is told how many inputs were.
///
/// # Errors
/// When a rank is gone.
pub(super) fn sum_log_probs(
    model: &Transformer,
    scoring: Scoring,
    forest: &Forest,
    group: &dyn ProcessGroup,
    done: &mut dyn FnMut(u64),
) -> Result<Vec<Vec<f64>>> {
    let _no_grad = tch::no_grad_guard();
    let mut sums: Vec<Vec<f64>> = forest
        .trees
        .iter()
        .map(|tree| vec![0.0; tree.branches.len()])
        .collect();
    let batches = forest.batches(scoring.batch_tokens);
    for (number, batch) in (0..).zip(&batches) {
        if number % group.world_size() == group.rank() {
            let trees: Vec<&Tree> = batch.iter().map(|&tree| &forest.trees[tree]).collect();
            let scored = score(model, scoring.device, &trees)?;
            for (&tree, scored) in batch.iter().zip(scored) {
                sums[tree] = scored;
            }
        }
        let inputs = batch.iter().map(|&tree| forest.trees[tree].inputs());
        done(inputs.sum::<usize>() as u64);
    }
    gather(sums, group)
}

/// Each number is zero on all ranks but one, so that their sum is exact.
fn gather(sums: Vec<Vec<f64>>, group: &dyn ProcessGroup) -> Result<Vec<Vec<f64>>> {
    let mut all = Tensor::from_slice(&sums.concat());
    group.all_reduce_sum(&mut all)?;
    let mut all = Vec::<f64>::try_from(&all)?.into_iter();
    let regrouped = sums
        .iter()
        .map(|own| all.by_ref().take(own.len()).collect());
    Ok(regrouped.collect())
}

/// The sum of each branch of each tree.
fn score(model: &Transformer, device: Device, trees: &[&Tree]) -> Result<Vec<Vec<f64>>> {
    let batch = Batch::new(trees, device);
    let hidden = model.hidden(&batch.tokens, Pass::Eval); // [B, S, D]
    let before = Tensor::from_slice(&batch.before).to_device(device);
    let targets = Tensor::from_slice(&batch.targets).to_device(device);
    let hidden = hidden.flatten(0, 1).index_select(0, &before); // [N, D]
    let log_probs = token_log_probs(&hidden, model.head(), &targets); // [N]
    let mut log_probs = Vec::<f64>::try_from(&log_probs.to_kind(tch::Kind::Double))?.into_iter();
    let mut sum = |branch: &Vec<u32>| log_probs.by_ref().take(branch.len()).sum();
    let sums = trees
        .iter()
        .map(|tree| tree.branches.iter().map(&mut sum).collect());
    Ok(sums.collect())
}

impl Batch {
    /// Rows of the longest tree's length; what is beyond a tree is a branch that nobody sees.
    fn new(trees: &[&Tree], device: Device) -> Self {
        let width = trees.iter().map(|tree| tree.inputs()).max().unwrap_or(0);
        let is_bare = trees.iter().all(|tree| tree.is_bare());
        let (mut ids, mut positions, mut branch) = (Vec::new(), Vec::new(), Vec::new());
        let (mut before, mut targets) = (Vec::new(), Vec::new());
        for (row, tree) in trees.iter().enumerate() {
            let start = row * width;
            lay_out(tree, start, &mut before, &mut targets);
            ids.extend(tree.context.iter().map(|&id| i64::from(id)));
            positions.extend(0..tree.context.len() as i64);
            branch.extend(repeat_n(0, tree.context.len()));
            for (number, tokens) in (1..).zip(&tree.branches) {
                let inputs = &tokens[..tokens.len() - 1];
                let first = tree.context.len() as i64;
                ids.extend(inputs.iter().map(|&id| i64::from(id)));
                positions.extend((first..).take(inputs.len()));
                branch.extend(repeat_n(number, inputs.len()));
            }
            ids.resize(start + width, 0);
            positions.resize(start + width, 0);
            branch.resize(start + width, -1);
        }
        let tensor = |values: &[i64]| {
            let rows = Tensor::from_slice(values).view([-1, width as i64]);
            rows.to_device(device)
        };
        let layout = match is_bare {
            true => Layout::Causal, // what is beyond comes after
            false => Layout::Branched(Branches {
                positions: tensor(&positions),
                branch: tensor(&branch),
            }),
        };
        let tokens = Tokens {
            ids: tensor(&ids),
            layout,
        };
        Self {
            tokens,
            before,
            targets,
        }
    }
}

/// The first token of a branch is foretold by the context's last, each other by the one before it.
fn lay_out(tree: &Tree, start: usize, before: &mut Vec<i64>, targets: &mut Vec<i64>) {
    let last = (start + tree.context.len() - 1) as i64;
    let mut next = last + 1;
    for tokens in &tree.branches {
        let inputs = tokens.len() as i64 - 1;
        before.push(last);
        before.extend(next..next + inputs);
        targets.extend(tokens.iter().map(|&id| i64::from(id)));
        next += inputs;
    }
}
