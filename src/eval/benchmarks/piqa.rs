//! PIQA (Bisk et al. 2020): which of two ways of doing a thing works.

use super::{Accuracies, Benchmark, Fields, HubSplit, Item};
use anyhow::Result;

pub(super) static PIQA: Benchmark = Benchmark {
    name: "piqa",
    dataset: HubSplit {
        id: "baber/piqa",
        config: None,
        split: "validation",
    },
    few_shot: None,
    accuracies: Accuracies::Normalized,
    read,
};

fn read(row: &Fields<'_>) -> Result<Item> {
    let context = format!("Question: {}\nAnswer:", row.text("goal")?);
    let ways = [row.text("sol1")?, row.text("sol2")?].map(str::to_owned);
    Ok(Item::with_endings(
        &context,
        ways.into(),
        row.number("label")?,
    ))
}
