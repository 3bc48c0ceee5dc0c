//! How a run stands, in words and a few numbers: of one run as a list, of several as a table.

use super::figure::key;
use super::figures::{Unit, duration};
use super::html::Html;
use super::run::Run;

/// A name, a value, and what to add in small print.
type Fact = (&'static str, String, String);

/// How it ended, or how far it is.
pub(super) fn status(run: &Run) -> String {
    let step = Unit::Steps.alone(run.step());
    let Some(end) = &run.end else {
        let of = run
            .start
            .as_ref()
            .map(|start| Unit::Steps.alone(start.max_steps as f64));
        return match of {
            Some(all) => format!("at step {step} of {all}: still running, or cut off"),
            None => format!("at step {step}"),
        };
    };
    match (end.stopped.as_str(), end.why.as_deref()) {
        ("max_steps", _) => format!("finished: all {step} steps"),
        ("early_stopping", _) => {
            format!("stopped early after step {step}: validation no longer improved")
        }
        ("signal", Some(signal)) => format!("stopped by {signal} after step {step}, to be resumed"),
        ("error", _) => format!("failed after step {step}"),
        (other, _) => format!("ended after step {step}: {other}"),
    }
}

/// What a reader should know before believing the rest.
pub(super) fn warnings(html: &mut Html, run: &Run) {
    let warn = |html: &mut Html, text: &str| html.words("p", &[("class", &"warn")], &text);
    let error = run.end.as_ref().filter(|end| end.stopped == "error");
    if let Some(why) = error.and_then(|end| end.why.as_deref()) {
        warn(html, why);
    }
    match run.numbers.unreadable {
        0 => {}
        1 => warn(
            html,
            "1 line of metrics.jsonl could not be read and is left out.",
        ),
        lines => warn(
            html,
            &format!("{lines} lines of metrics.jsonl could not be read and are left out."),
        ),
    }
}

/// The numbers of one run.
pub(super) fn facts(html: &mut Html, run: &Run) {
    let facts = known_facts(run);
    if facts.is_empty() {
        return;
    }
    html.element("dl", &[("class", &"facts card")], |html| {
        for (name, value, more) in facts {
            html.element("div", &[], |html| {
                html.words("dt", &[], &name);
                html.element("dd", &[], |html| {
                    html.text(&value);
                    if !more.is_empty() {
                        html.text(&" ");
                        html.words("small", &[], &more);
                    }
                });
            });
        }
    });
}

fn known_facts(run: &Run) -> Vec<Fact> {
    let plain = |value: f64| Unit::Plain.alone(value);
    let at_step = |step: f64| format!("at step {}", Unit::Steps.alone(step));
    let fact =
        |name, value: Option<f64>, unit: Unit| Some((name, unit.alone(value?), String::new()));
    let steps = || {
        let all = run
            .start
            .as_ref()
            .map(|start| format!("of {}", Unit::Steps.alone(start.max_steps as f64)));
        run.numbers.steps()?;
        Some((
            "Step",
            Unit::Steps.alone(run.step()),
            all.unwrap_or_default(),
        ))
    };
    let parameters = run.start.as_ref().map(|start| start.parameters as f64);
    let facts = [
        steps(),
        fact("Training loss", run.last("train", "loss"), Unit::Plain),
        fact("Validation loss", run.last("val", "loss"), Unit::Plain),
        run.best()
            .map(|(step, loss)| ("Best validation loss", plain(loss), at_step(step))),
        fact("Tokens", run.last("train", "tokens_seen"), Unit::Plain),
        fact(
            "Parameters",
            parameters.filter(|count| *count > 0.0),
            Unit::Plain,
        ),
        run.median("tokens_per_second")
            .map(|speed| ("Tokens per second", plain(speed), "median".to_owned())),
        run.seconds()
            .map(|seconds| ("Time", duration(seconds), "in steps".to_owned())),
        fact(
            "Peak memory",
            run.last("train", "memory_peak_bytes"),
            Unit::Bytes,
        ),
    ];
    facts.into_iter().flatten().collect()
}

/// The numbers of several runs, a row each, beside the colour that each has in the plots.
pub(super) fn table(html: &mut Html, runs: &[Run]) {
    let columns = [
        "Run",
        "Step",
        "Training loss",
        "Validation loss",
        "Best",
        "Tokens",
        "Tokens/s",
        "Time",
        "Status",
    ];
    html.element("div", &[("class", &"card wide")], |html| {
        html.element("table", &[], |html| {
            html.element("thead", &[], |html| {
                html.element("tr", &[], |html| {
                    columns.iter().for_each(|name| html.words("th", &[], name))
                });
            });
            html.element("tbody", &[], |html| {
                runs.iter()
                    .enumerate()
                    .for_each(|(at, run)| row(html, at, run))
            });
        });
    });
}

fn row(html: &mut Html, at: usize, run: &Run) {
    let plain =
        |value: Option<f64>| value.map_or_else(String::new, |value| Unit::Plain.alone(value));
    html.element("tr", &[], |html| {
        html.element("td", &[], |html| {
            key(html, at, 0);
            html.text(&" ");
            html.words("bdi", &[], &run.name);
        });
        let cells = [
            Unit::Steps.alone(run.step()),
            plain(run.last("train", "loss")),
            plain(run.last("val", "loss")),
            plain(run.best().map(|(_, loss)| loss)),
            plain(run.last("train", "tokens_seen")),
            plain(run.median("tokens_per_second")),
            run.seconds().map_or_else(String::new, duration),
            status(run),
        ];
        cells.iter().for_each(|cell| html.words("td", &[], cell));
    });
}
