//! WinoGrande (Sakaguchi et al. 2019): which of two things a sentence is about. The end of the sentence is scored behind
//! each (partial evaluation, Trinh and Le 2018).

use super::python_text::strip;
use super::{Accuracies, Benchmark, Fields, HubSplit, Item};
use anyhow::Result;

pub(super) static WINOGRANDE: Benchmark = Benchmark {
    name: "winogrande",
    dataset: HubSplit {
        id: "allenai/winogrande",
        config: Some("winogrande_xl"),
        split: "validation",
    },
    few_shot: None,
    accuracies: Accuracies::Plain,
    read,
};

fn read(row: &Fields<'_>) -> Result<Item> {
    let sentence = row.text("sentence")?;
    let (before, after) = sentence
        .split_once('_')
        .ok_or_else(|| row.malformed("`sentence` has no `_` to fill in"))?;
    let options = [row.text("option1")?, row.text("option2")?];
    let contexts = options.map(|option| format!("{before}{option}")).into();
    let label = match row.number("answer")? {
        number @ 1..=2 => number - 1,
        other => return Err(row.malformed(&format!("`answer` is {other}, not 1 or 2"))),
    };
    Ok(Item::with_contexts(contexts, strip(after), label))
}
