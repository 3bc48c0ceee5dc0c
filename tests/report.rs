//! The page of runs, read back by an XML parser: it is one whole file, says what was measured, and takes any run there is.

mod odd_runs;
mod picture;

use crate::common::{llama_train, stderr_of, stream_run};
use picture::{Page, Plot};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A run folder with these lines of metrics and nothing else.
fn write_run(dir: &Path, name: &str, lines: &[Value]) {
    let folder = dir.join("runs").join(name);
    fs::create_dir_all(&folder).unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(folder.join("metrics.jsonl"), text).unwrap();
}

/// Draws the page of these runs and reads it.
fn draw(dir: &Path, arguments: &[&str]) -> Page {
    let drawn = llama_train(dir).arg("report").args(arguments).assert();
    let text = String::from_utf8(drawn.success().get_output().stdout.clone()).unwrap();
    Page::read(&dir.join(text.trim_end()))
}

/// A loss that falls, with noise and one spike.
fn loss_at(step: u32) -> f64 {
    let step = f64::from(step);
    let spike = if step == 777.0 { 20.0 } else { 0.0 };
    2.0 + 3.0 / (1.0 + step / 100.0) + 0.1 * (step * 1.7).sin() + spike
}

fn train_line(step: u32) -> Value {
    json!({"step": step, "split": "train", "loss": loss_at(step), "lr": 1e-3 / f64::from(step), "grad_norm": 0.5,
           "tokens_seen": 4096 * step, "step_seconds": 0.5, "tokens_per_second": 8192, "memory_peak_bytes": 1_500_000_000,
           "epoch": 0, "time": 1.0e9 + f64::from(step)})
}

fn val_line(step: u32) -> Value {
    json!({"step": step, "split": "val", "loss": 2.5 + 1.0 / f64::from(step), "perplexity": 12.0, "num_targets": 99, "time": 1.0e9})
}

/// Each point of a plot is a number of `metrics.jsonl`, and the lowest and the highest are there however many steps there
/// are; validations all are.
#[test]
fn what_is_drawn_is_what_was_measured() {
    for steps in [300_u32, 5000] {
        let dir = tempfile::tempdir().unwrap();
        let mut lines: Vec<Value> = (1..=steps).map(train_line).collect();
        lines.extend((1..=5).map(|number| val_line(steps / 5 * number)));
        write_run(dir.path(), "measured", &lines);
        let page = draw(dir.path(), &["measured"]);
        let plot = page.plot("Loss");
        let close = |a: f64, b: f64| (a - b).abs() < 2e-3;
        let train = plot.points("train");
        assert!(train.len() >= 300 && train.len() < 1300, "{}", train.len());
        for (step, value) in &train {
            let expected = loss_at(step.round() as u32);
            assert!(
                close(*value, expected),
                "step {step}: {value}, not {expected}"
            );
        }
        let drawn = |step: f64| train.iter().any(|(at, _)| (at - step).abs() < 0.5);
        assert!(drawn(1.0) && drawn(f64::from(steps)));
        assert_eq!(drawn(777.0), steps > 777); // the spike, if it was reached
        let val = plot.points("val");
        assert_eq!(val.len(), 5);
        for (at, (step, value)) in val.iter().enumerate() {
            let expected = steps / 5 * (at as u32 + 1);
            assert!((step - f64::from(expected)).abs() < 0.5, "{step}");
            assert!(close(*value, 2.5 + 1.0 / f64::from(expected)), "{value}");
        }
        let lr = page.plot("Learning rate").points("train");
        assert!((lr[0].1 - 1e-3).abs() < 1e-6, "{lr:?}");
        for part in [
            "Peak memory",
            "1.500 GB",
            "8192",
            "Best validation loss",
            if steps == 300 {
                "at step 300"
            } else {
                "at step 5,000"
            },
        ] {
            assert!(page.text().contains(part), "{part}");
        }
        assert!(page.size < 400_000, "{}", page.size);
    }
}

/// Places along the axes mean what their labels say.
#[test]
fn ticks_stand_where_their_numbers_are() {
    let dir = tempfile::tempdir().unwrap();
    write_run(
        dir.path(),
        "ticks",
        &(1..=400).map(train_line).collect::<Vec<_>>(),
    );
    let page = draw(dir.path(), &["ticks"]);
    let plot = page.plot("Loss");
    let (side, steps, tokens) = (
        plot.side_labels(),
        plot.foot_labels("foot"),
        plot.foot_labels("foot name"),
    );
    assert!(side.len() >= 4 && steps.len() >= 4, "{side:?} {steps:?}");
    for (label, place) in side {
        assert!(
            (label.parse::<f64>().unwrap() - plot.value_at(place)).abs() < 0.02,
            "{label}"
        );
    }
    for (label, place) in &steps {
        assert!(
            (label.parse::<f64>().unwrap() - plot.step_at(*place)).abs() < 1.0,
            "{label}"
        );
    }
    let in_tokens: Vec<&str> = tokens.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(in_tokens, ["0", "0.4M", "0.8M", "1.2M", "1.6M"]);
}

/// Nothing in it comes from elsewhere, whatever a browser might be asked to fetch.
#[test]
fn the_page_needs_no_network() {
    let dir = tempfile::tempdir().unwrap();
    write_run(
        dir.path(),
        "alone",
        &[train_line(1), train_line(2), val_line(2)],
    );
    let page = draw(dir.path(), &["alone"]);
    for part in [
        "http", "src=", "href", "@import", "url(", "<link", "<iframe", "<img", "fetch(",
    ] {
        assert!(!page.source.contains(part), "{part}");
    }
    for part in ["<meta name=\"viewport\"", "prefers-color-scheme: dark"] {
        assert!(page.source.contains(part), "{part}");
    }
}

#[test]
fn several_runs_lie_over_each_other() {
    let dir = tempfile::tempdir().unwrap();
    for (name, steps) in [("first", 50), ("second", 80)] {
        let mut lines: Vec<Value> = (1..=steps).map(train_line).collect();
        lines.push(val_line(steps));
        write_run(dir.path(), name, &lines);
    }
    let page = draw(dir.path(), &["first", "runs/second"]);
    assert!(dir.path().join("report.html").is_file());
    let plot = page.plot("Loss");
    let labels = ["first train", "first val", "second train", "second val"];
    assert_eq!(plot.labels(), labels);
    let lengths = labels.map(|label| plot.points(label).len());
    assert_eq!(lengths, [50, 1, 80, 1]);
    let class = |label: &str| plot.class(label);
    assert_eq!(class("first train"), "series c0 d0");
    assert_eq!(class("second train"), "series c1 d0");
    assert_eq!(page.plot("Learning rate").labels(), ["first", "second"]);
    let named = draw(dir.path(), &["first", "second", "--out", "both.html"]);
    assert_eq!(named.plot("Loss").labels(), labels);
    let refused = llama_train(dir.path())
        .args(["report", "first", "--out", "nowhere/x.html"])
        .assert()
        .code(2);
    assert!(stderr_of(&refused).contains("nowhere/x.html: name a file in a folder that is there"));
    let missing = llama_train(dir.path())
        .args(["report", "third"])
        .assert()
        .code(2);
    assert!(stderr_of(&missing).contains("third: no run with a metrics.jsonl"));
}

/// A run that trains draws its own page, with where and how it ran; one that cannot be written stops nothing.
#[test]
fn a_run_ends_with_its_page() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = stream_run("drawn", &["train.max_steps=4", "validate.every=2"]);
    let run = llama_train(dir.path())
        .args(&arguments)
        .env("HF_TOKEN", "hf_sesame")
        .assert()
        .success();
    let folder = dir.path().join("runs/drawn");
    let said = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    assert!(said.contains("report: runs/drawn/report.html"), "{said}");
    let page = Page::read(&folder.join("report.html"));
    assert_eq!(page.plot("Loss").points("train").len(), 4);
    assert_eq!(page.plot("Loss").points("val").len(), 2);
    let text = page.text();
    for part in [
        "drawn",
        "finished: all 4 steps",
        "optim.warmup_steps",
        "fp32",
        "libtorch 2.11.0",
        "--set 'run.name=\"drawn\"'",
        "train.total_batch_tokens",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!page.source.contains("sesame"));
    let events = fs::read_to_string(folder.join("history.jsonl")).unwrap();
    assert_eq!(events.lines().count(), 2, "{events}");

    fs::create_dir_all(dir.path().join("runs/undrawn/report.html")).unwrap();
    let arguments = stream_run("undrawn", &["train.max_steps=1"]);
    let run = llama_train(dir.path()).args(&arguments).assert().success();
    assert!(stderr_of(&run).contains("warning: no report: runs/undrawn/report.html"));
}

/// The step of each line is told apart from the others by nothing but its place: a plot for every number there is.
#[test]
fn numbers_of_all_methods_have_plots() {
    let dir = tempfile::tempdir().unwrap();
    let preferences = |split: &str, step: u32| {
        json!({"step": step, "split": split, "loss": 0.6, "rewards/chosen": 0.1, "rewards/rejected": -0.1, "time": 1,
               "rewards/accuracies": 0.75, "rewards/margins": 0.2, "logps/chosen": -20, "logps/rejected": -30})
    };
    let scores = json!({"step": 2, "split": "eval", "hellaswag/acc": 0.25, "hellaswag/acc_stderr": 0.01, "hellaswag/acc_norm": 0.3});
    let more = json!({"step": 2, "split": "train", "ce_loss": 2.0, "kd_loss": 1.0, "mfu": 0.41, "something/new": 7});
    write_run(
        dir.path(),
        "all",
        &[
            preferences("train", 1),
            preferences("train", 2),
            preferences("val", 2),
            scores,
            more,
        ],
    );
    let page = draw(dir.path(), &["all"]);
    let labels = |title: &str| page.plot(title).labels();
    let both = |a: &str, b: &str| {
        [
            a.to_owned(),
            format!("{a} (val)"),
            b.to_owned(),
            format!("{b} (val)"),
        ]
    };
    assert_eq!(labels("Log-probabilities"), both("chosen", "rejected"));
    assert_eq!(labels("Rewards").len(), 6);
    assert_eq!(labels("Reward accuracy"), ["train", "val"]);
    assert_eq!(
        labels("Cross-entropy and distillation"),
        ["ce_loss", "kd_loss"]
    );
    assert_eq!(labels("hellaswag"), ["acc", "acc_norm"]);
    assert_eq!(labels("something"), ["train"]);
    assert_eq!(
        page.plot("hellaswag").side_labels()[0]
            .0
            .split_once(' ')
            .unwrap()
            .1,
        "%"
    );
    for part in ["mean over pairs", "30.0 %", "41.0 %"] {
        assert!(page.text().contains(part), "{part}");
    }
    let _: Plot = page.plot("MFU");
}
