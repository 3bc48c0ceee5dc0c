//! Benchmarks during training.

use super::{Accuracy, Scoring, Task};
use crate::config::Cadence;
use crate::dist::ProcessGroup;
use crate::eval::{Evaluator, Findings};
use crate::model::Transformer;
use anyhow::Result;

/// Scores the same items now and then, on all ranks.
#[derive(Debug)]
pub struct Periodic {
    tasks: Vec<Task>,
    cadence: Cadence,
    scoring: Scoring,
}

impl Periodic {
    /// All tasks, whenever it is due.
    #[must_use]
    pub fn new(tasks: Vec<Task>, cadence: Cadence, scoring: Scoring) -> Self {
        Self {
            tasks,
            cadence,
            scoring,
        }
    }
}

impl Evaluator for Periodic {
    fn cadence(&self) -> Cadence {
        self.cadence
    }

    fn evaluate(&mut self, model: &Transformer, group: &dyn ProcessGroup) -> Result<Findings> {
        let mut findings = Findings::default();
        for task in &self.tasks {
            let scores = task.score(model, self.scoring, group)?;
            for Accuracy { name, estimate } in scores.accuracies() {
                let (task, error) = (scores.name(), estimate.standard_error);
                let values = &mut findings.values;
                values.push((format!("{task}/{name}").into(), estimate.mean));
                values.extend(error.map(|error| (format!("{task}/{name}_stderr").into(), error)));
            }
        }
        Ok(findings)
    }
}
