//! ARC (Clark et al. 2018): questions of science exams, with three to five answers.

use super::{Accuracies, Benchmark, Fields, HubSplit, Item};
use anyhow::Result;

pub(super) static ARC_EASY: Benchmark = arc("arc_easy", "ARC-Easy");
pub(super) static ARC_CHALLENGE: Benchmark = arc("arc_challenge", "ARC-Challenge");

const fn arc(name: &'static str, config: &'static str) -> Benchmark {
    Benchmark {
        name,
        dataset: HubSplit {
            id: "allenai/ai2_arc",
            config: Some(config),
            split: "test",
        },
        few_shot: None,
        accuracies: Accuracies::Normalized,
        read,
    }
}

fn read(row: &Fields<'_>) -> Result<Item> {
    let question = row.text("question")?;
    let choices = row.object("choices.")?;
    let (texts, labels) = (choices.texts("text")?, choices.texts("label")?);
    let key = row.name("answerKey")?; // a letter or a number, as the labels are
    let label = labels.iter().position(|label| *label == key);
    let label = label.ok_or_else(|| {
        row.malformed(&format!(
            "`answerKey` {key:?} is none of the labels {labels:?}"
        ))
    })?;
    let context = format!("Question: {question}\nAnswer:");
    let texts = texts.into_iter().map(str::to_owned).collect();
    Ok(Item::with_endings(&context, texts, label))
}
