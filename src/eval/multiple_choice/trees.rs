//! What the model reads: each context once, and the endings behind it as branches; many of them at a time.

use super::tokenized::{TokenizedEnding, TokenizedItem};
use crate::bad_request;
use anyhow::Result;
use std::cmp::Reverse;

/// A context and what may follow it: one row of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) context: Vec<u32>,
    /// No two are the same, so that answers which are tie.
    pub(super) branches: Vec<Vec<u32>>,
}

/// A branch of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) tree: usize,
    pub(super) branch: usize,
}

/// All that has to be computed for some items.
#[derive(Debug)]
pub(super) struct Forest {
    pub(super) trees: Vec<Tree>,
    /// Where each item's endings are.
    pub(super) places: Vec<Vec<Place>>,
    /// Items whose beginning does not fit into the model.
    pub(super) cut: usize,
}

impl Tree {
    /// Tokens that go through the model: nothing follows the last of a branch.
    pub(super) fn inputs(&self) -> usize {
        let branches = self.branches.iter().map(|branch| branch.len() - 1);
        self.context.len() + branches.sum::<usize>()
    }

    /// Whether no branch has an input of its own, so that the row is a plain text.
    pub(super) fn is_bare(&self) -> bool {
        self.branches.iter().all(|branch| branch.len() == 1)
    }
}

impl Forest {
    /// The trees of items, for a model that reads `max_seq_len` tokens: what is longer loses its beginning, as in the
    /// harness. Endings of an item that follow the same tokens share a tree.
    ///
    /// # Errors
    /// A bad request when an ending alone is longer than that.
    pub(super) fn grow(items: &[TokenizedItem], max_seq_len: usize) -> Result<Self> {
        let mut forest = Self {
            trees: Vec::new(),
            places: Vec::with_capacity(items.len()),
            cut: 0,
        };
        for item in items {
            let own = forest.trees.len();
            let mut is_cut = false;
            let mut places = Vec::with_capacity(item.endings.len());
            for (index, ending) in item.endings.iter().enumerate() {
                let whole = &item.contexts[ending.context];
                let context = fitting(whole, ending, max_seq_len).ok_or_else(|| {
                    bad_request!(
                        "{}: answer {} has {} tokens, and the model reads at most {max_seq_len} (max_seq_len); take the \
                         item out, or score a model that reads more",
                        item.origin,
                        index + 1,
                        ending.tokens.len()
                    )
                })?;
                is_cut |= context.len() < whole.len();
                places.push(forest.place(own, context, &ending.tokens));
            }
            forest.cut += usize::from(is_cut);
            forest.places.push(places);
        }
        Ok(forest)
    }

    /// The branch of an ending among the trees from `own` on.
    fn place(&mut self, own: usize, context: &[u32], ending: &[u32]) -> Place {
        let same = self.trees[own..]
            .iter()
            .position(|tree| tree.context == context);
        let tree = same.map_or(self.trees.len(), |at| own + at);
        if same.is_none() {
            self.trees.push(Tree {
                context: context.to_vec(),
                branches: Vec::new(),
            });
        }
        let branches = &mut self.trees[tree].branches;
        let same = branches.iter().position(|branch| branch == ending);
        let branch = same.unwrap_or_else(|| {
            branches.push(ending.to_vec());
            branches.len() - 1
        });
        Place { tree, branch }
    }

    /// Trees to go through the model together, by their numbers: the longest first, and no more than `batch_tokens` with
    /// the padding, unless one alone is longer.
    pub(super) fn batches(&self, batch_tokens: usize) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.trees.len()).collect();
        let kind_and_length = |&tree: &usize| {
            let tree = &self.trees[tree];
            (tree.is_bare(), Reverse(tree.inputs()))
        };
        order.sort_by_key(kind_and_length);
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for tree in order {
            match batches.last_mut() {
                Some(batch) if self.fits(batch, tree, batch_tokens) => batch.push(tree),
                _ => batches.push(vec![tree]),
            }
        }
        batches
    }

    fn fits(&self, batch: &[usize], tree: usize, batch_tokens: usize) -> bool {
        let first = &self.trees[batch[0]];
        first.is_bare() == self.trees[tree].is_bare()
            && first.inputs() * (batch.len() + 1) <= batch_tokens
    }
}

/// As much of the context's end as the model can read with the ending, whose last token it does not read; at least one
/// token.
fn fitting<'a>(
    context: &'a [u32],
    ending: &TokenizedEnding,
    max_seq_len: usize,
) -> Option<&'a [u32]> {
    let room = (max_seq_len + 1).checked_sub(ending.tokens.len())?;
    (room > 0).then(|| &context[context.len().saturating_sub(room)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(context: &[u32], endings: &[&[u32]]) -> TokenizedItem {
        let ending = |tokens: &&[u32]| TokenizedEnding {
            context: 0,
            tokens: tokens.to_vec(),
            num_chars: 1,
            num_bytes: 1,
        };
        TokenizedItem {
            origin: "items.jsonl:7".into(),
            group: String::new(),
            label: 0,
            contexts: vec![context.to_vec()],
            endings: endings.iter().map(ending).collect(),
        }
    }

    #[test]
    fn endings_share_what_fits_of_their_context() {
        let items = [item(&[1, 2, 3, 4], &[&[5, 6], &[7], &[5, 6], &[8, 9, 10]])];
        let whole = Forest::grow(&items, 8).unwrap();
        assert_eq!((whole.trees.len(), whole.cut), (1, 0));
        assert_eq!(whole.trees[0].branches.len(), 3);
        assert_eq!(whole.places[0][0], whole.places[0][2]);
        assert_eq!(whole.trees[0].inputs(), 4 + 1 + 2);
        // Four inputs: behind one token fit all four, behind two the last three, behind three the last two.
        let cut = Forest::grow(&items, 4).unwrap();
        let contexts: Vec<_> = cut.trees.iter().map(|tree| tree.context.clone()).collect();
        assert_eq!(contexts, [vec![2, 3, 4], vec![1, 2, 3, 4], vec![3, 4]]);
        assert_eq!(cut.cut, 1);
        let error = Forest::grow(&items, 2).unwrap_err().to_string();
        assert!(
            error.starts_with("items.jsonl:7: answer 4 has 3 tokens"),
            "{error}"
        );
    }

    #[test]
    fn batches_hold_the_longest_first_and_no_more_than_they_may() {
        let items: Vec<_> = [3, 9, 5, 4, 8, 2]
            .map(|length| item(&vec![1; length], &[&[5, 6], &[7, 8]]))
            .into();
        let forest = Forest::grow(&items, 100).unwrap();
        assert_eq!(forest.batches(22), [vec![1, 4], vec![2, 3, 0], vec![5]]);
        assert_eq!(forest.batches(1).len(), 6);
        assert_eq!(forest.batches(1000), [vec![1, 4, 2, 3, 0, 5]]);
    }
}
