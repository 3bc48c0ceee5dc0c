//! What is below the plots: what the model wrote, how the run was configured, on what it ran, and how to do it again.

use super::configuration::{Setting, settings};
use super::figures::{Unit, date};
use super::html::Html;
use super::run::{Run, Sample};
use crate::commands::history::Start;
use std::fmt::Display;

/// Steps whose samples are kept below the newest.
const EARLIER: usize = 20;

/// The newest samples, and those before them folded away.
pub(super) fn samples(html: &mut Html, run: &Run) {
    let mut steps: Vec<u64> = run.samples.iter().map(|sample| sample.step).collect();
    steps.dedup();
    let Some(newest) = steps.pop() else {
        return;
    };
    html.words(
        "h2",
        &[],
        &format!("What it wrote at step {}", Unit::Steps.alone(newest as f64)),
    );
    html.element("div", &[("class", &"card")], |html| {
        at_step(html, run, newest);
        let apart = steps.len().div_ceil(EARLIER).max(1);
        for step in steps.iter().rev().step_by(apart) {
            folded(
                html,
                &format!("Step {}", Unit::Steps.alone(*step as f64)),
                |html| at_step(html, run, *step),
            );
        }
    });
}

fn at_step(html: &mut Html, run: &Run, step: u64) {
    for Sample {
        prompt, completion, ..
    } in run.samples.iter().filter(|sample| sample.step == step)
    {
        html.element("pre", &[], |html| {
            html.words("span", &[("class", &"given")], prompt);
            html.text(completion);
        });
    }
}

/// What is not as it is by default, and the rest folded away.
pub(super) fn configuration(html: &mut Html, run: &Run) {
    let settings = settings(&run.config);
    let (changed, rest): (Vec<_>, Vec<_>) = settings.into_iter().partition(Setting::is_changed);
    if changed.is_empty() && rest.is_empty() {
        return;
    }
    html.element("div", &[("class", &"card")], |html| {
        html.element("table", &[("class", &"code")], |html| {
            row(html, "th", [&"Key", &"Value", &"Default"]);
            for Setting {
                key,
                value,
                default,
            } in &changed
            {
                let default: &dyn Display = if default.is_empty() {
                    &"not set"
                } else {
                    default
                };
                row(html, "td", [&breakable(key), value, default]);
            }
        });
        let others = format!("{} keys are as they are by default", rest.len());
        folded(html, &others, |html| {
            html.element("table", &[("class", &"code")], |html| {
                for Setting { key, value, .. } in &rest {
                    row(html, "td", [&breakable(key), value]);
                }
            });
        });
    });
}

/// A key that a narrow screen may break where its words end.
fn breakable(key: &str) -> String {
    const HERE: char = '\u{200b}';
    key.replace('.', &format!(".{HERE}"))
        .replace('_', &format!("_{HERE}"))
}

fn row<const N: usize>(html: &mut Html, kind: &str, cells: [&dyn Display; N]) {
    html.element("tr", &[], |html| {
        cells.iter().for_each(|cell| html.words(kind, &[], cell));
    });
}

/// On what, and with which words.
pub(super) fn machine(html: &mut Html, run: &Run) {
    let Some(start) = &run.start else {
        return;
    };
    html.element("div", &[("class", &"card")], |html| {
        html.element("table", &[], |html| {
            for (name, value) in hardware(run, start) {
                html.element("tr", &[], |html| {
                    html.words("th", &[], &name);
                    html.words("td", &[], &value);
                });
            }
        });
        html.words("p", &[("class", &"dim")], &"Started with");
        html.words("pre", &[], &command(start));
    });
}

fn hardware(run: &Run, start: &Start) -> Vec<(&'static str, String)> {
    let Start {
        device,
        processor,
        cores,
        threads,
        ranks,
        precision,
        ..
    } = start;
    let memory = Unit::Bytes.alone(start.memory_bytes);
    let mut facts = vec![
        ("Device", device.clone()),
        (
            "Machine",
            format!("{processor}, {cores} cores, {memory} of memory"),
        ),
        ("Ranks", format!("{ranks}, of {threads} threads each")),
        ("Precision", precision.clone()),
        (
            "Software",
            format!("llama-train {}, libtorch {}", start.version, start.torch),
        ),
        ("Folder", start.folder.display().to_string()),
    ];
    let times = if run.starts > 1 {
        format!(", for the {}. time, from step {}", run.starts, start.step)
    } else {
        String::new()
    };
    facts.extend(date(start.time).map(|date| ("Started", date + &times)));
    let end = run.end.as_ref().and_then(|end| date(end.time));
    facts.extend(end.map(|date| ("Ended", date)));
    facts
}

/// As a shell takes it; the launcher of several ranks is not part of a process's own words.
fn command(start: &Start) -> String {
    let words: Vec<String> = start.command.iter().map(|word| quoted(word)).collect();
    let launcher = match start.ranks {
        0 | 1 => String::new(),
        ranks => format!("torchrun --no-python --standalone --nproc-per-node {ranks} \\\n  "),
    };
    launcher + &words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-_./=:,@+%".contains(character);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn folded(html: &mut Html, summary: &str, inside: impl FnOnce(&mut Html)) {
    html.element("details", &[], |html| {
        html.words("summary", &[], &summary);
        inside(html);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        let start = Start {
            command: ["llama-train", "pretrain", "--set", "data.path=\"it's\"", ""]
                .map(str::to_owned)
                .into(),
            ranks: 2,
            ..Start::default()
        };
        let expected = "torchrun --no-python --standalone --nproc-per-node 2 \\\n  \
                        llama-train pretrain --set 'data.path=\"it'\\''s\"' ''";
        assert_eq!(command(&start), expected);
    }
}
