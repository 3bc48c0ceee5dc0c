//! HellaSwag (Zellers et al. 2019): how a story goes on.

use super::python_text::{capitalize, strip, without_brackets};
use super::{Accuracies, Benchmark, Fields, HubSplit, Item};
use anyhow::Result;

pub(super) static HELLASWAG: Benchmark = Benchmark {
    name: "hellaswag",
    dataset: HubSplit {
        id: "Rowan/hellaswag",
        config: None,
        split: "validation",
    },
    few_shot: None,
    accuracies: Accuracies::Normalized,
    read,
};

fn read(row: &Fields<'_>) -> Result<Item> {
    let (title, given) = (row.text("activity_label")?, row.text("ctx_a")?);
    let begun = capitalize(row.text("ctx_b")?);
    let context = clean(&format!("{title}: {given} {begun}"));
    let endings = row.texts("endings")?;
    let endings = endings.into_iter().map(clean).collect();
    Ok(Item::with_endings(&context, endings, row.number("label")?))
}

/// Brackets are what is left of WikiHow's formatting.
fn clean(text: &str) -> String {
    let text = strip(text).replace(" [title]", ". ");
    without_brackets(&text).replace("  ", " ")
}
