//! From logits to the next token: the rules of transformers' logits processors, in their order.

use super::rng::RowRng;
use crate::config::GenerateConfig;
use std::cmp::Ordering;
use std::collections::HashSet;

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0: always the most likely token.
    pub temperature: f64,
    /// Sample from the smallest set of tokens with this much probability (1: off).
    pub top_p: f64,
    /// Sample from this many most likely tokens (0: off).
    pub top_k: usize,
    /// Divides positive and multiplies negative logits of tokens already present (1: off).
    pub repetition_penalty: f64,
    /// No n-gram of this many tokens comes twice (0 or 1: off).
    pub no_repeat_ngram_size: usize,
}

impl From<&GenerateConfig> for Sampling {
    fn from(config: &GenerateConfig) -> Self {
        Self {
            temperature: config.temperature,
            top_p: config.top_p,
            top_k: config.top_k,
            repetition_penalty: config.repetition_penalty,
            no_repeat_ngram_size: config.no_repeat_ngram_size,
        }
    }
}

impl Sampling {
    /// The next token of a row: `logits` [V], `seen` all its tokens so far, the prompt included.
    pub(super) fn next_token(&self, mut logits: Vec<f32>, seen: &[u32], rng: &mut RowRng) -> u32 {
        self.penalize(&mut logits, seen);
        self.ban_ngrams(&mut logits, seen);
        if self.temperature == 0.0 {
            return most_likely(&logits);
        }
        self.draw(&logits, rng.uniform())
    }

    /// Keskar et al. 2019 (CTRL), as in transformers: the sign decides between dividing and multiplying.
    fn penalize(&self, logits: &mut [f32], seen: &[u32]) {
        let penalty = self.repetition_penalty as f32;
        let present: HashSet<u32> = seen.iter().copied().collect();
        for id in present {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = if *logit > 0.0 {
                    *logit / penalty
                } else {
                    *logit * penalty
                };
            }
        }
    }

    fn ban_ngrams(&self, logits: &mut [f32], seen: &[u32]) {
        let size = self.no_repeat_ngram_size;
        if size < 2 || seen.len() < size {
            return;
        }
        let tail = &seen[seen.len() - (size - 1)..];
        for ngram in seen
            .windows(size)
            .filter(|ngram| &ngram[..size - 1] == tail)
        {
            if let Some(logit) = logits.get_mut(ngram[size - 1] as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    /// Inverts the cumulative probability at `uniform`, over the candidates that top-k and top-p leave.
    fn draw(&self, logits: &[f32], uniform: f64) -> u32 {
        let mut candidates: Vec<(u32, f64)> = logits
            .iter()
            .enumerate()
            .map(|(id, &logit)| (id as u32, f64::from(logit) / self.temperature))
            .collect();
        candidates.sort_unstable_by(by_rank);
        if self.top_k > 0 {
            candidates.truncate(self.top_k);
        }
        softmax(&mut candidates);
        truncate_to_mass(&mut candidates, self.top_p);
        let total: f64 = candidates.iter().map(|(_, probability)| probability).sum();
        let mut left = uniform * total;
        for (id, probability) in &candidates {
            left -= probability;
            if left < 0.0 {
                return *id;
            }
        }
        candidates.last().map_or(0, |(id, _)| *id)
    }
}

/// The most likely first; equal ones by id, so that the result is the same everywhere.
fn by_rank(a: &(u32, f64), b: &(u32, f64)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

fn most_likely(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

fn softmax(candidates: &mut [(u32, f64)]) {
    let highest = candidates.first().map_or(0.0, |(_, logit)| *logit);
    candidates
        .iter_mut()
        .for_each(|(_, value)| *value = (*value - highest).exp());
    let total: f64 = candidates.iter().map(|(_, value)| value).sum();
    candidates.iter_mut().for_each(|(_, value)| *value /= total);
}

/// Nucleus sampling (Holtzman et al. 2020): a candidate stays while those before it have less than `mass`.
fn truncate_to_mass(candidates: &mut Vec<(u32, f64)>, mass: f64) {
    if mass >= 1.0 {
        return;
    }
    let mut before = 0.0;
    let kept = candidates.iter().take_while(|(_, probability)| {
        let keep = before < mass;
        before += probability;
        keep
    });
    let kept = kept.count().max(1);
    candidates.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Sampling = Sampling {
        temperature: 1.0,
        top_p: 1.0,
        top_k: 0,
        repetition_penalty: 1.0,
        no_repeat_ngram_size: 0,
    };

    /// Which tokens can be drawn at all.
    fn support(sampling: Sampling, logits: &[f32]) -> Vec<u32> {
        let drawn: HashSet<u32> = (0..10_000)
            .map(|i| sampling.draw(logits, f64::from(i) / 10_000.0))
            .collect();
        let mut drawn: Vec<u32> = drawn.into_iter().collect();
        drawn.sort_unstable();
        drawn
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let logits = [0.0, f32::ln(2.0), f32::ln(5.0)];
        let count = |id| {
            (0..8000)
                .filter(|&i| PLAIN.draw(&logits, f64::from(i) / 8000.0) == id)
                .count()
        };
        for (id, expected) in [(0, 1000), (1, 2000), (2, 5000)] {
            assert!(
                count(id).abs_diff(expected) <= 1,
                "token {id}: {}",
                count(id)
            );
        }
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        let logits = [0.5_f32, 0.15, 0.05, 0.3].map(f32::ln);
        assert_eq!(support(Sampling { top_k: 2, ..PLAIN }, &logits), [0, 3]);
        assert_eq!(
            support(
                Sampling {
                    top_p: 0.7,
                    ..PLAIN
                },
                &logits
            ),
            [0, 3]
        );
        assert_eq!(
            support(
                Sampling {
                    top_p: 0.9,
                    ..PLAIN
                },
                &logits
            ),
            [0, 1, 3]
        );
        assert_eq!(
            support(
                Sampling {
                    top_p: 0.01,
                    ..PLAIN
                },
                &logits
            ),
            [0]
        );
    }

    #[test]
    fn the_penalty_pushes_down_on_both_sides_of_zero() {
        let mut logits = [2.0, -2.0, 1.0];
        Sampling {
            repetition_penalty: 2.0,
            ..PLAIN
        }
        .penalize(&mut logits, &[0, 1, 1]);
        assert_eq!(logits, [1.0, -4.0, 1.0]);
    }

    #[test]
    fn an_ngram_is_not_completed_twice() {
        let mut logits = [0.0; 4];
        Sampling {
            no_repeat_ngram_size: 3,
            ..PLAIN
        }
        .ban_ngrams(&mut logits, &[1, 2, 3, 0, 1, 2]);
        assert_eq!(logits, [0.0, 0.0, 0.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_most_likely() {
        let greedy = Sampling {
            temperature: 0.0,
            ..PLAIN
        };
        assert_eq!(
            greedy.next_token(vec![0.0, 3.0, 3.0], &[], &mut RowRng::new(0, 0)),
            1
        );
    }
}
