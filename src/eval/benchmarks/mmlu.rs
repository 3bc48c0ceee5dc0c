//! MMLU (Hendrycks et al. 2021): questions of 57 subjects, behind five solved ones of the same subject.

use super::python_text::strip;
use super::{Accuracies, Benchmark, FewShot, Fields, HubSplit, Item};
use anyhow::Result;

pub(super) static MMLU: Benchmark = Benchmark {
    name: "mmlu",
    dataset: HubSplit {
        id: "cais/mmlu",
        config: Some("all"),
        split: "test",
    },
    few_shot: Some(FewShot {
        split: "dev",
        examples: 5,
        opening,
    }),
    accuracies: Accuracies::Plain,
    read,
};

const LETTERS: [&str; 4] = ["A", "B", "C", "D"];

fn opening(subject: &str) -> String {
    let subject = subject.replace('_', " ");
    format!("The following are multiple choice questions (with answers) about {subject}.\n\n")
}

fn read(row: &Fields<'_>) -> Result<Item> {
    let (question, choices) = (strip(row.text("question")?), row.texts("choices")?);
    let [a, b, c, d] = choices.as_slice() else {
        let problem = format!("`choices` are {}, not 4", choices.len());
        return Err(row.malformed(&problem));
    };
    let context = format!("{question}\nA. {a}\nB. {b}\nC. {c}\nD. {d}\nAnswer:");
    let answer = row.name("answer")?;
    let label = match LETTERS.iter().position(|letter| *letter == answer) {
        Some(label) => label,
        None => row.number("answer")?,
    };
    let letters = LETTERS.map(str::to_owned).into();
    Ok(Item::with_endings(&context, letters, label).in_group(row.text("subject")?))
}
