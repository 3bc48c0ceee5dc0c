//! The memory that each rank will need, by part, worked out before a device is touched.
//!
//! Weights and moments are there throughout; gradients grow while activations shrink. So a step is fullest in one of a
//! few moments, and the plan is that moment's.

use crate::loss::memory::{LossMemory, Scoring};
use crate::model::memory::{Footprint, Held, Operations};
use serde::Serialize;

/// Bytes of an fp32 number.
const FP32: u64 = 4;

/// What a rank does in a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// The model that is trained.
    pub model: Footprint,
    /// A model beside it that is only asked, and how it is kept: a reference or a teacher.
    pub second: Option<Footprint>,
    /// How the loss reads the logits.
    pub scoring: Scoring,
    /// Tokens of a micro-batch.
    pub tokens: u64,
    /// Whether gradients of earlier micro-batches are there already.
    pub accumulation: Accumulation,
    /// Ranks whose gradients are averaged.
    pub world_size: u64,
    /// Ranks over which the optimizer's moments are divided: 1 where each has all of them.
    pub moment_shards: u64,
}

/// Micro-batches of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accumulation {
    /// One.
    None,
    /// Several, whose gradients add up.
    Several,
}

/// Bytes on one rank in a step's fullest moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// The moment.
    pub fullest: &'static str,
    /// Weights.
    pub weights_bytes: u64,
    /// What the optimizer remembers of each trained weight: AdamW's two moments, fp32.
    pub moments_bytes: u64,
    /// Gradients of trained weights.
    pub gradients_bytes: u64,
    /// Where the ranks' gradients are averaged, with more than one: as many bytes again.
    pub buckets_bytes: u64,
    /// Weights of the second model, in the activations' kind.
    pub second_model_bytes: u64,
    /// Kept for backward.
    pub activations_bytes: u64,
    /// What comes and goes: a block's own gradients, what is computed again, the piece of the logits.
    pub passing_bytes: u64,
    /// On a CPU what smaller tensors leave, which the C library keeps for the next ones while larger ones come.
    pub left_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
}

/// What differs from moment to moment.
struct Moment {
    name: &'static str,
    gradients: Held,
    activations: Held,
    passing: Held,
}

impl Moment {
    fn held(&self) -> Held {
        self.gradients + self.activations + self.passing
    }
}

impl Workload {
    /// The fullest moment.
    #[must_use]
    pub fn plan(&self) -> MemoryPlan {
        let moments = self.moments();
        let held = || moments.iter().map(Moment::held);
        let most = held().map(Held::bytes).max().unwrap_or(0);
        let fullest = moments.iter().find(|moment| moment.held().bytes() == most);
        let fullest = fullest.unwrap_or(&moments[0]);
        let small = held().map(|held| held.small).max().unwrap_or(0);
        let large = held().map(|held| held.large).max().unwrap_or(0);
        let left = match self.model.operations {
            Operations::Fused => small + large - most,
            Operations::Composed => 0, // torch's own allocator on a GPU hands a place to any tensor
        };
        self.at(fullest, left)
    }

    fn at(&self, moment: &Moment, left: u64) -> MemoryPlan {
        let weights = self.model.weights();
        let moments = self.moments_of_all().div_ceil(self.moment_shards.max(1));
        let buckets = match self.world_size {
            0..=1 => 0,
            _ => self.model.trained_bytes() * self.model.trained_parameters(),
        };
        let second = self.second.as_ref().map_or(0, Footprint::held);
        let total = weights + moments + buckets + second;
        MemoryPlan {
            fullest: moment.name,
            weights_bytes: weights,
            moments_bytes: moments,
            gradients_bytes: moment.gradients.bytes(),
            buckets_bytes: buckets,
            second_model_bytes: second,
            activations_bytes: moment.activations.bytes(),
            passing_bytes: moment.passing.bytes(),
            left_bytes: left,
            total_bytes: total + moment.held().bytes() + left,
        }
    }

    /// Two numbers a trained weight; where that is bf16, also what is missing to fp32.
    fn moments_of_all(&self) -> u64 {
        let remainder = FP32 - self.model.trained_bytes();
        (2 * FP32 + remainder) * self.model.trained_parameters()
    }

    fn moments(&self) -> [Moment; 7] {
        let (model, tokens) = (&self.model, self.tokens);
        let loss = LossMemory::new(self.scoring, model, tokens);
        let gradients = self.gradients();
        let (kept, stream) = (model.kept(tokens), model.stream(tokens));
        let asked = self.second.as_ref();
        let asked = asked.map_or(Held::default(), |second| second.forward_of_a_block(tokens));
        let block = model.backward_of_a_block(tokens);
        let none = Held::default();
        let moment = |name, gradients, activations, passing| Moment {
            name,
            gradients,
            activations,
            passing,
        };
        let (read, earlier) = (kept + stream, gradients.earlier);
        let (first, last) = (gradients.at_the_first_block, gradients.at_the_last_block);
        let embedding = gradients.at_the_embedding;
        [
            moment("drawing the first weights", none, none, self.drawn()),
            moment("computing the loss", earlier, read, loss.forward.max(asked)),
            moment("the loss's gradients", earlier, read, loss.backward),
            moment(
                "the last block's gradients",
                last,
                kept,
                block + model.last_matrix(),
            ),
            moment(
                "the first block's gradients",
                first,
                model.kept_by_one(tokens),
                block,
            ),
            moment("the embedding's gradient", embedding, none, stream),
            moment("the update", gradients.at_the_update, none, self.joined()),
        ]
    }

    /// Gradients are written afresh, or, where micro-batches add up or ranks have buckets, beside those and freed once they
    /// are added or copied; in buckets micro-batches add up in place. A tied matrix's first part waits for the embedding's,
    /// the last of all.
    fn gradients(&self) -> Gradients {
        let model = &self.model;
        let (none, matrix) = (Held::default(), model.trained_matrix());
        let blocks = model.gradients_of_a_block() * model.layers();
        let (all, waiting) = match model.config.tie_embeddings {
            true => (blocks + matrix, matrix),
            false => (blocks + matrix * 2, none),
        };
        match (self.accumulation, self.world_size) {
            (Accumulation::None, 0..=1) => Gradients {
                earlier: none,
                at_the_last_block: matrix,
                at_the_first_block: blocks + matrix,
                at_the_embedding: all + waiting,
                at_the_update: all,
            },
            (_, ranks) => {
                let earlier = if ranks > 1 { none } else { all };
                Gradients {
                    earlier,
                    at_the_last_block: earlier + waiting,
                    at_the_first_block: earlier + waiting,
                    at_the_embedding: earlier + waiting + matrix,
                    at_the_update: earlier,
                }
            }
        }
    }

    /// Fresh weights are drawn on the CPU: the largest, and the same times its deviation.
    fn drawn(&self) -> Held {
        match (self.model.operations, &self.model.lora) {
            (Operations::Fused, None) => Held::tensor(FP32 * self.model.vocabulary_numbers()) * 2,
            _ => Held::default(),
        }
    }

    /// By torch's own operations weights in bf16 are put together with their remainders for the update, a tensor at a time,
    /// and split again: for the largest the fp32 numbers, their new bf16 ones, and twice 32 bits on the way.
    fn joined(&self) -> Held {
        let numbers = self.model.vocabulary_numbers();
        match (self.model.operations, self.model.trained_bytes()) {
            (Operations::Fused, _) | (_, FP32) => Held::default(),
            (_, half) => Held::tensor(FP32 * numbers) * 3 + Held::tensor(half * numbers),
        }
    }
}

/// Gradients from moment to moment.
struct Gradients {
    earlier: Held,
    at_the_last_block: Held,
    at_the_first_block: Held,
    at_the_embedding: Held,
    at_the_update: Held,
}

/// The largest number of rows up to `most` that a rank with `memory_bytes` has room for; `needed` tells the bytes of some
/// rows, more for more.
#[must_use]
pub fn largest_micro_batch(memory_bytes: u64, most: u64, needed: impl Fn(u64) -> u64) -> u64 {
    let (mut fits, mut does_not) = (0, most + 1);
    while does_not - fits > 1 {
        let rows = fits + (does_not - fits) / 2;
        match needed(rows) <= memory_bytes {
            true => fits = rows,
            false => does_not = rows,
        }
    }
    fits
}
