//! Scores of a model on benchmarks.
//!
//! Rows come from [`task_data`], become [`items`] and then [`tokenized`] (or are read so from a [`prepared`] folder); what they
//! share is found in [`trees`], which [`scoring`] runs through the model; [`accuracy`] says what came of it.

mod accuracy;
mod items;
mod periodic;
mod prepared;
mod scores;
mod scoring;
mod task_data;
mod tokenized;
mod trees;

pub use accuracy::{EndingScore, Estimate, ItemScore};
pub use periodic::Periodic;
pub use prepared::EvalManifest;
pub use scores::{Accuracy, BenchmarkScores};

use super::benchmarks::{self, Benchmark};
use crate::config::ModelConfig;
use crate::dist::ProcessGroup;
use crate::logging;
use crate::model::Transformer;
use crate::prepare::{Progress, Unit};
use crate::tokenizer::Tokenizer;
use anyhow::Result;
use std::path::Path;
use std::time::Instant;
use task_data::TaskData;
use tch::Device;
use tokenized::TokenizedItem;
use trees::Forest;

/// A benchmark, and where its items are.
#[derive(Debug)]
pub struct TaskSource {
    benchmark: &'static Benchmark,
    data: TaskData,
}

/// How items go through a model.
#[derive(Debug, Clone, Copy)]
pub struct Scoring {
    /// Where the model is.
    pub device: Device,
    /// Tokens at once, with padding; the numbers depend on it by no more than rounding.
    pub batch_tokens: usize,
}

/// The items of a benchmark, ready for a model.
#[derive(Debug)]
pub struct Task {
    benchmark: &'static Benchmark,
    items: Vec<TokenizedItem>,
    forest: Forest,
}

impl TaskSource {
    /// The benchmark of this name, with its items at `given` or else on the Hub; `None` where the name is no benchmark's.
    ///
    /// # Errors
    /// A bad request when there is nothing at `given`.
    pub fn find(name: &str, given: Option<&Path>) -> Result<Option<Self>> {
        let Some(benchmark) = benchmarks::benchmark(name) else {
            return Ok(None);
        };
        let data = TaskData::find(benchmark, given)?;
        Ok(Some(Self { benchmark, data }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.benchmark.name
    }

    /// Whether its items have to be fetched.
    #[must_use]
    pub fn is_on_hub(&self) -> bool {
        matches!(self.data, TaskData::Hub(_))
    }

    /// The items (the first `limit` of each group; 0: all) for a model of this shape. Fetches what is on the Hub.
    ///
    /// # Errors
    /// A bad request when an item lacks something or does not fit; an error when a row is malformed, or what the Hub has
    /// to say.
    pub fn load(&self, tokenizer: &Tokenizer, model: &ModelConfig, limit: u64) -> Result<Task> {
        let items = match &self.data {
            TaskData::Prepared(dir) => {
                let items = prepared::read(dir, self.name(), tokenizer)?;
                items::first_of_each_group(items, limit, |item| &item.group)
            }
            _ => self.tokenize(tokenizer, limit)?,
        };
        check_vocabulary(&items, model.vocab_size)?;
        let max_seq_len = model.max_seq_len;
        let forest = Forest::grow(&items, max_seq_len as usize)?;
        if forest.cut > 0 {
            log::warn!(
                "{}: {} of {} items are longer than the {max_seq_len} tokens that the model reads; their beginnings are \
                 left out",
                self.name(),
                forest.cut,
                items.len()
            );
        }
        Ok(Task {
            benchmark: self.benchmark,
            items,
            forest,
        })
    }

    fn tokenize(&self, tokenizer: &Tokenizer, limit: u64) -> Result<Vec<TokenizedItem>> {
        let started = Instant::now();
        let rows = self.data.rows(self.benchmark)?;
        let items = items::items(self.benchmark, &rows, limit)?;
        if items.is_empty() {
            return Err(crate::bad_request!(
                "--task-data {0} (eval.task_data.{0}): holds no item",
                self.name()
            ));
        }
        let tokenized = tokenized::tokenize(tokenizer, &items)?;
        let (name, count) = (self.name(), items.len());
        log::info!(
            "{name}: {count} items tokenized in {:.2} s",
            seconds(started)
        );
        Ok(tokenized)
    }
}

impl Task {
    /// What the model makes of each item, in order; the same on every rank and for any number of them.
    ///
    /// # Errors
    /// When a rank is gone.
    pub fn score(
        &self,
        model: &Transformer,
        scoring: Scoring,
        group: &dyn ProcessGroup,
    ) -> Result<BenchmarkScores> {
        let started = Instant::now();
        let total = self.forest.trees.iter().map(|tree| tree.inputs() as u64);
        let mut progress = (group.rank() == 0).then(|| {
            let (bars, name) = (logging::progress(), self.benchmark.name);
            Progress::over(bars, name, total.sum(), Unit::Tokens)
        });
        let mut inputs = 0;
        let mut done = |more| {
            inputs += more;
            if let Some(progress) = &mut progress {
                progress.set(inputs);
            }
        };
        let sums = scoring::sum_log_probs(model, scoring, &self.forest, group, &mut done)?;
        let items = self.items.iter().zip(&self.forest.places);
        let items = items.map(|(item, places)| {
            let endings = item.endings.iter().zip(places);
            let endings = endings.map(|(ending, place)| EndingScore {
                sum_log_prob: sums[place.tree][place.branch],
                num_tokens: ending.tokens.len(),
                num_chars: ending.num_chars,
                num_bytes: ending.num_bytes,
            });
            ItemScore {
                group: item.group.clone(),
                endings: endings.collect(),
                label: item.label,
            }
        });
        let scores = BenchmarkScores::new(self.benchmark, items.collect());
        let (name, count) = (scores.name(), self.items.len());
        log::info!("{name}: {count} items scored in {:.2} s", seconds(started));
        Ok(scores)
    }
}

/// Refuses items of another tokenizer than the model's, as far as that shows.
fn check_vocabulary(items: &[TokenizedItem], vocab_size: i64) -> Result<()> {
    let unknown = |id: &&u32| i64::from(**id) >= vocab_size;
    for item in items {
        let endings = item.endings.iter().map(|ending| &ending.tokens);
        let mut ids = item.contexts.iter().chain(endings).flatten();
        if let Some(id) = ids.find(unknown) {
            return Err(crate::bad_request!(
                "{}: token {id} is beyond the model's vocabulary of {vocab_size}; name the model's own tokenizer with \
                 tokenizer.path",
                item.origin
            ));
        }
    }
    Ok(())
}

fn seconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64()
}

/// Tokenizes benchmarks into a folder, for [`TaskSource::find`] to find there.
///
/// # Errors
/// As those of [`TaskSource::load`]; a bad request when the folder holds other prepared data.
pub fn prepare(
    sources: &[TaskSource],
    tokenizer: &Tokenizer,
    limit: u64,
    dir: &Path,
) -> Result<EvalManifest> {
    let tokenized = sources.iter().map(|source| {
        let items = source.tokenize(tokenizer, limit)?;
        Ok((source.name(), items))
    });
    let tokenized = tokenized.collect::<Result<Vec<_>>>()?;
    let tasks: Vec<_> = tokenized
        .iter()
        .map(|(name, items)| (*name, items.as_slice()))
        .collect();
    prepared::write(dir, tokenizer, &tasks)
}
