//! The first examples, to be looked at before anything is written.

use super::{
    Job,
    encoded::{Encoded, EncodedExample, LeftOut},
    encoder::Encoder,
    input::{Content, Document, Input, Mixture, Pass, Patience},
};
use crate::tokenizer::Tokenizer;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{fmt::Write, path::Path};

/// What a row becomes.
#[derive(Debug)]
pub struct Inspection {
    /// Where the row is.
    origin: String,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    /// Nothing, and why.
    LeftOut(String),
    Example {
        example: EncodedExample,
        parts: Vec<Part>,
    },
}

/// Tokens in a row that are alike.
#[derive(Debug)]
struct Part {
    name: &'static str,
    text: String,
}

/// How parts are told from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// ANSI colours: what is trained on or chosen is green, what is rejected red, everything else dim.
    Colours,
    /// Brackets around what is trained on; the parts of a pair by their names alone.
    Brackets,
}

/// Encodes rows until there are `count` examples; what is left out on the way is told.
///
/// # Errors
/// As [`super::ensure`].
pub fn inspect(
    job: &Job,
    tokenizer: &Tokenizer,
    out: &Path,
    count: usize,
) -> Result<Vec<Inspection>> {
    super::check(&job.config)?;
    let input = Input::find(job, out)?;
    let encoder = Encoder::new(job, &input.form, tokenizer)?;
    let patience = Patience {
        max_bad_rows: job.config.max_bad_rows,
        pass: Pass::Last,
    };
    let mut inspections = Vec::new();
    let mut examples = 0;
    for document in Mixture::new(&input, patience) {
        if examples == count {
            break;
        }
        let inspection = Inspection::of(document?, &encoder)?;
        examples += usize::from(matches!(inspection.shown, Shown::Example { .. }));
        inspections.push(inspection);
    }
    input.stop_fetching();
    input.remove_fetched(out);
    Ok(inspections)
}

impl Inspection {
    fn of(document: Document, encoder: &Encoder<'_>) -> Result<Self> {
        let origin = document.origin;
        let Content::Example(example) = document.content else {
            anyhow::bail!("{origin}: plain text has no examples to look at");
        };
        let encoded = encoder.encode_example(example);
        let shown = match encoded.with_context(|| origin.clone())? {
            Encoded::Example(example) => Shown::Example {
                parts: parts(&example, encoder.tokenizer())?,
                example,
            },
            Encoded::LeftOut(LeftOut::Malformed(reason)) => Shown::LeftOut(reason),
            Encoded::LeftOut(LeftOut::TooLong) => {
                Shown::LeftOut("it is too long (prepare.on_too_long)".to_owned())
            }
            Encoded::LeftOut(LeftOut::NothingToLearn) | Encoded::Text(_) => {
                Shown::LeftOut("there is nothing to learn from it".to_owned())
            }
        };
        Ok(Self { origin, shown })
    }

    /// For a program.
    #[must_use]
    pub fn json(&self) -> Value {
        match &self.shown {
            Shown::LeftOut(reason) => json!({"origin": self.origin, "left_out": reason}),
            Shown::Example { example, parts } => {
                let parts = parts
                    .iter()
                    .map(|part| json!({"part": part.name, "text": part.text}));
                let parts: Vec<Value> = parts.collect();
                let mut json = json!({"origin": self.origin, "parts": parts});
                match (&example.mask, &example.ends[..]) {
                    (Some(mask), _) => {
                        let mask: Vec<u8> = mask.iter().map(|&trained| trained.into()).collect();
                        json["input_ids"] = json!(example.ids);
                        json["loss_mask"] = json!(mask);
                    }
                    (None, &[prompt, chosen, _]) => {
                        json["prompt_ids"] = json!(example.ids[..prompt]);
                        json["chosen_ids"] = json!(example.ids[prompt..chosen]);
                        json["rejected_ids"] = json!(example.ids[chosen..]);
                    }
                    _ => {}
                }
                json
            }
        }
    }

    /// For a person.
    #[must_use]
    pub fn text(&self, marks: Marks) -> String {
        let mut text = format!("{}: ", self.origin);
        match &self.shown {
            Shown::LeftOut(reason) => {
                let _ = writeln!(text, "left out: {reason}");
            }
            Shown::Example { example, parts } => {
                let _ = match example.mask {
                    Some(_) => {
                        let trained = example.trained_tokens();
                        writeln!(text, "{} tokens, {trained} trained on", example.ids.len())
                    }
                    None => writeln!(text, "{} tokens", example.ids.len()),
                };
                parts.iter().for_each(|part| text += &part.painted(marks));
                text.push('\n');
            }
        }
        text
    }
}

/// The runs of a conversation, or the three parts of a pair.
fn parts(example: &EncodedExample, tokenizer: &Tokenizer) -> Result<Vec<Part>> {
    let part = |name, ids: &[u32]| {
        let text = tokenizer.decode(ids)?;
        Ok(Part { name, text })
    };
    let Some(mask) = &example.mask else {
        let starts = [0].iter().chain(&example.ends);
        let names = ["prompt", "chosen", "rejected"].into_iter();
        let parts = names.zip(starts.zip(&example.ends));
        return parts
            .map(|(name, (&start, &end))| part(name, &example.ids[start..end]))
            .collect();
    };
    let mut parts = Vec::new();
    let mut start = 0;
    for run in mask.chunk_by(|a, b| a == b) {
        let name = if run[0] { "trained" } else { "context" };
        parts.push(part(name, &example.ids[start..start + run.len()])?);
        start += run.len();
    }
    Ok(parts)
}

impl Part {
    fn painted(&self, marks: Marks) -> String {
        let Self { name, text } = self;
        let of_a_pair = ["prompt", "chosen", "rejected"].contains(name);
        let text = match marks {
            Marks::Colours => {
                let colour = match *name {
                    "trained" | "chosen" => "32", // green
                    "rejected" => "31",           // red
                    _ => "2",                     // dim
                };
                format!("\u{1b}[{colour}m{text}\u{1b}[0m")
            }
            Marks::Brackets if *name == "trained" => format!("⟦{text}⟧"),
            Marks::Brackets => text.clone(),
        };
        match of_a_pair {
            true => format!("{name}: {text}\n"),
            false => text,
        }
    }
}
