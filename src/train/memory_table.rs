//! The memory plan as people read it: the three ways to keep activations beside each other.

use super::{MemoryPlan, Workload, largest_micro_batch};
use crate::config::Recompute;
use serde::Serialize;
use std::fmt;

/// Memory per rank for each way to keep activations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemoryTable {
    /// What the configuration asks for: one of the three below.
    pub activation_checkpointing: Recompute,
    /// Everything is kept.
    pub none: Column,
    /// Feed-forward blocks are computed again.
    pub selective: Column,
    /// Whole blocks are.
    pub full: Column,
    /// What there is on the device, where that is known.
    pub device_memory_bytes: Option<u64>,
}

/// One way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Bytes by part.
    #[serde(flatten)]
    pub plan: MemoryPlan,
    /// Rows that the device has room for; 0: not even one.
    pub largest_micro_batch_size: Option<u64>,
}

impl MemoryTable {
    /// For `workload`, of `rows` rows a micro-batch, on a device with so many bytes; a step of a rank has `most` rows.
    #[must_use]
    pub fn new(
        workload: &Workload,
        rows: u64,
        most: u64,
        device_memory_bytes: Option<u64>,
    ) -> Self {
        let column = |recompute| {
            let of_rows = |count: u64| {
                let mut workload = workload.clone();
                workload.model.recompute = recompute;
                workload.tokens = workload.tokens / rows.max(1) * count;
                workload.plan()
            };
            Column {
                plan: of_rows(rows),
                largest_micro_batch_size: device_memory_bytes.map(|memory| {
                    largest_micro_batch(memory, most, |count| of_rows(count).total_bytes)
                }),
            }
        };
        Self {
            activation_checkpointing: workload.model.recompute,
            none: column(Recompute::None),
            selective: column(Recompute::Selective),
            full: column(Recompute::Full),
            device_memory_bytes,
        }
    }

    /// The way that the configuration asks for.
    #[must_use]
    pub fn configured(&self) -> &Column {
        match self.activation_checkpointing {
            Recompute::None => &self.none,
            Recompute::Selective => &self.selective,
            Recompute::Full => &self.full,
        }
    }

    fn columns(&self) -> [&Column; 3] {
        [&self.none, &self.selective, &self.full]
    }
}

/// A part's name and its bytes.
type Part = (&'static str, fn(&MemoryPlan) -> u64);

const PARTS: [Part; 8] = [
    ("weights", |plan| plan.weights_bytes),
    ("moments", |plan| plan.moments_bytes),
    ("gradients", |plan| plan.gradients_bytes),
    ("buckets", |plan| plan.buckets_bytes),
    ("second model", |plan| plan.second_model_bytes),
    ("activations", |plan| plan.activations_bytes),
    ("passing", |plan| plan.passing_bytes),
    ("left for the next", |plan| plan.left_bytes),
];

impl fmt::Display for MemoryTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns();
        let (what, names) = ("recomputed in backward", ["none", "selective", "full"]);
        writeln!(
            f,
            "        {what:<24}{:>11}{:>11}{:>11}",
            names[0], names[1], names[2]
        )?;
        let mut line = |name: &str, values: [String; 3]| {
            let [none, selective, full] = values;
            writeln!(f, "        {name:<24}{none:>11}{selective:>11}{full:>11}")
        };
        for (name, bytes) in PARTS {
            let values = columns.map(|column| bytes(&column.plan));
            if values.iter().any(|&bytes| bytes > 0) {
                line(name, values.map(size))?;
            }
        }
        line(
            "together",
            columns.map(|column| size(column.plan.total_bytes)),
        )?;
        if self.device_memory_bytes.is_some() {
            let rows = |column: &Column| column.largest_micro_batch_size.unwrap_or(0).to_string();
            line("largest micro-batch", columns.map(rows))?;
        }
        let chosen = self.configured().plan;
        write!(
            f,
            "memory  {} with activation_checkpointing = {}, in the fullest moment ({})",
            size(chosen.total_bytes),
            toml_name(self.activation_checkpointing),
            chosen.fullest,
        )
    }
}

fn toml_name(recompute: Recompute) -> &'static str {
    match recompute {
        Recompute::None => "\"none\"",
        Recompute::Selective => "\"selective\"",
        Recompute::Full => "\"full\"",
    }
}

/// Three digits, in units of 10^6 or 10^9 bytes, as cards are sold.
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        1e11.. => format!("{:.0} GB", bytes / 1e9),
        1e10.. => format!("{:.1} GB", bytes / 1e9),
        1e9.. => format!("{:.2} GB", bytes / 1e9),
        1e7.. => format!("{:.0} MB", bytes / 1e6),
        _ => format!("{:.1} MB", bytes / 1e6),
    }
}
