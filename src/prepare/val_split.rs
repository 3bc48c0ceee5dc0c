//! Which documents are held out: decided by a hash of the text, so that neither their order, nor the number of
//! workers, nor documents added later move one from a split to the other.

use super::input::Document;
use crate::data::Split;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BinaryHeap;

/// The rule. A document is in val when its hash is below `fraction · 2^64`. Where that would leave a split without any
/// of several documents, the one document with the lowest (or highest) hash is moved there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ValSplit {
    seed: u64,
    threshold: u64,
    moved: Option<(u64, Split)>,
}

impl ValSplit {
    /// Reads documents until both splits are known to have one; with the usual fractions that is a handful.
    ///
    /// # Errors
    /// When a document cannot be read.
    pub(super) fn decide(
        fraction: f64,
        seed: u64,
        documents: impl Iterator<Item = Result<Document>>,
    ) -> Result<Self> {
        let threshold = (fraction * 2f64.powi(64)) as u64;
        let rule = Self {
            seed,
            threshold,
            moved: None,
        };
        if threshold == 0 {
            return Ok(rule);
        }
        let (mut lowest, mut highest) = (u64::MAX, 0);
        for document in documents {
            let hash = document?.content.hash(seed)?;
            lowest = lowest.min(hash);
            highest = highest.max(hash);
            if lowest < threshold && threshold <= highest {
                return Ok(rule);
            }
        }
        let moved = if lowest < highest && threshold <= lowest {
            (lowest, Split::Val)
        } else {
            (highest, Split::Train)
        };
        Ok(Self {
            moved: Some(moved),
            ..rule
        })
    }

    /// Holds out the documents with the lowest hashes, as many as it takes to come to `tokens`.
    ///
    /// # Errors
    /// A bad request when nothing would be left to train on; otherwise when a document cannot be read or counted.
    pub(super) fn of_tokens(
        tokens: u64,
        seed: u64,
        documents: impl Iterator<Item = Result<Document>>,
        count: impl Fn(Document) -> Result<u64>,
    ) -> Result<Self> {
        let mut lowest = BinaryHeap::new(); // (hash, tokens), the highest hash on top
        let (mut total, mut threshold) = (0, u64::MAX);
        for document in documents {
            let document = document?;
            let hash = document.content.hash(seed)?;
            if hash >= threshold {
                continue;
            }
            let counted = count(document)?;
            lowest.push((hash, counted));
            total += counted;
            while let Some((highest, counted)) = lowest.peek().copied()
                && total - counted >= tokens
            {
                lowest.pop();
                total -= counted;
                threshold = highest;
            }
        }
        if threshold == u64::MAX {
            return Err(crate::bad_request!(
                "prepare.val_tokens = {tokens}: all {total} tokens of the input would be held out; ask for fewer"
            ));
        }
        let held_out = lowest.peek().map_or(0, |(highest, _)| highest + 1);
        Ok(Self {
            seed,
            threshold: held_out,
            moved: None,
        })
    }

    /// The split of a document with this hash.
    #[must_use]
    pub(super) fn of(&self, hash: u64) -> Split {
        match self.moved {
            Some((moved, split)) if moved == hash => split,
            _ if hash < self.threshold => Split::Val,
            _ => Split::Train,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::input::Content;

    fn hash(text: &str) -> u64 {
        Content::Text(text.into()).hash(42).unwrap()
    }

    fn decide(fraction: f64, texts: &[String]) -> ValSplit {
        let documents = texts.iter().map(|text| {
            Ok(Document {
                content: Content::Text(text.clone()),
                origin: String::new(),
            })
        });
        ValSplit::decide(fraction, 42, documents).unwrap()
    }

    fn texts(count: usize) -> Vec<String> {
        (0..count)
            .map(|index| format!("document {index}"))
            .collect()
    }

    fn val<'a>(rule: &ValSplit, texts: &'a [String]) -> Vec<&'a str> {
        let mut val: Vec<&str> = texts
            .iter()
            .map(String::as_str)
            .filter(|text| rule.of(hash(text)) == Split::Val)
            .collect();
        val.sort_unstable();
        val
    }

    #[test]
    fn the_fraction_is_about_kept_and_order_does_not_matter() {
        let mut texts = texts(10_000);
        let rule = decide(0.1, &texts);
        let before: Vec<String> = val(&rule, &texts).into_iter().map(str::to_owned).collect();
        assert!((900..1100).contains(&before.len()), "{}", before.len());
        texts.reverse();
        assert_eq!(val(&decide(0.1, &texts), &texts), before);
        texts.push("one more".into());
        let after = val(&decide(0.1, &texts), &texts).len();
        assert!(after - before.len() <= 1);
    }

    #[test]
    fn few_documents_still_have_both_splits() {
        for count in 2..6 {
            let mut texts = texts(count);
            let rule = decide(1e-9, &texts);
            assert_eq!(val(&rule, &texts).len(), 1);
            let almost_all = decide(1.0 - 1e-9, &texts);
            assert_eq!(val(&almost_all, &texts).len(), count - 1);
            texts.reverse();
            assert_eq!(decide(1e-9, &texts), rule);
        }
    }

    #[test]
    fn tokens_are_held_out_by_the_lowest_hashes_whatever_the_order() {
        let mut texts = texts(2000);
        let decide = |texts: &[String], tokens| {
            let documents = texts.iter().map(|text| {
                Ok(Document {
                    content: Content::Text(text.clone()),
                    origin: String::new(),
                })
            });
            ValSplit::of_tokens(tokens, 42, documents, |_| Ok(10))
        };
        let rule = decide(&texts, 995).unwrap();
        assert_eq!(val(&rule, &texts).len(), 100);
        texts.reverse();
        assert_eq!(decide(&texts, 995).unwrap(), rule);
        let mut by_hash: Vec<u64> = texts.iter().map(|text| hash(text)).collect();
        by_hash.sort_unstable();
        assert_eq!(rule.threshold, by_hash[99] + 1);
        let refused = decide(&texts, 20_000).unwrap_err().to_string();
        assert!(refused.contains("all 20000 tokens"), "{refused}");
    }

    #[test]
    fn one_document_is_trained_on() {
        let texts = texts(1);
        assert!(val(&decide(0.999_999, &texts), &texts).is_empty());
        assert!(val(&decide(0.0, &texts), &texts).is_empty());
    }
}
