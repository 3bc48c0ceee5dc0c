//! Runs that went wrong, or hardly went, or have names and texts that are not what a page expects.

use super::{draw, train_line, val_line, write_run};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;

/// Whatever a run is called, was configured with, measured or wrote is text.
#[test]
fn hostile_words_stay_words() {
    let name = "<img src=x onerror=alert(1)>&\"'";
    let dir = tempfile::tempdir().unwrap();
    let attack = "</pre><script>alert(2)</script>]]>-->";
    write_run(
        dir.path(),
        name,
        &[
            train_line(1),
            json!({"step": 2, "split": attack, "</svg><b onclick=\"x\">/y": 3}),
        ],
    );
    let folder = dir.path().join("runs").join(name);
    let config = format!(
        "[run]\nname = '''{name}'''\n[tokenizer]\npath = \"{attack}\"\n[other]\n\"<i>\" = 1\n"
    );
    fs::write(folder.join("config.toml"), config).unwrap();
    let sample = json!({"step": 2, "prompt": attack, "completion": "\u{1b}[31m\u{0}\u{202e}&lt;\u{ffff}\r\n"});
    fs::write(folder.join("samples.jsonl"), format!("{sample}\n")).unwrap();
    let start =
        json!({"event": "start", "command": ["llama-train", attack], "device": attack, "time": 0});
    let end = json!({"event": "end", "stopped": "error", "why": attack});
    fs::write(
        folder.join("history.jsonl"),
        format!("{start}\nnonsense\n{end}\n"),
    )
    .unwrap();
    let page = draw(dir.path(), &[name]);
    let counts = ["script", "style", "b", "img", "i"].map(|element| page.count(element));
    let lines = page.titles().len() + 1; // one in each legend; of the learning rate and so on one each
    assert_eq!(counts, [1, 1, lines - 1, 0, 0]);
    let text = page.text();
    for part in [name, attack, "<i>", "␛[31m␀", "&lt;"] {
        assert!(text.contains(part), "{part}");
    }
    assert!(text.contains("failed after step"), "{text}");
    draw(dir.path(), &[name, name]); // and over itself
}

#[test]
fn runs_with_little_to_show_have_a_page() {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), "empty", &[]);
    write_run(dir.path(), "one", &[train_line(1)]);
    write_run(
        dir.path(),
        "evals",
        &[json!({"step": 100, "split": "eval", "piqa/acc": 0.5, "piqa/acc_norm": 0.5, "time": 1})],
    );
    let page = draw(dir.path(), &["empty"]);
    assert!(page.text().contains("No numbers yet") && page.titles().is_empty());
    let page = draw(dir.path(), &["one"]);
    assert_eq!(page.plot("Loss").points("train").len(), 1);
    assert!((page.plot("Loss").points("train")[0].0 - 1.0).abs() < 1e-9);
    let page = draw(dir.path(), &["evals"]);
    assert_eq!(page.titles(), ["piqa"]);
    assert!((page.plot("piqa").points("acc")[0].1 - 0.5).abs() < 1e-3);
    assert_eq!(
        draw(dir.path(), &["empty", "one", "evals"])
            .titles()
            .last()
            .unwrap(),
        "piqa"
    );
}

/// A value that was not finite is a gap with a mark; the line stands on both sides of it.
#[test]
fn values_that_are_not_finite_are_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines: Vec<Value> = (1..=60).map(train_line).collect();
    lines[29]["loss"] = Value::Null;
    lines[44]["loss"] = json!(1e308);
    write_run(dir.path(), "gaps", &lines);
    let page = draw(dir.path(), &["gaps"]);
    let points = page.plot("Loss").points("train");
    assert_eq!(points.len(), 58);
    assert!(points.iter().all(|(step, _)| (step - 30.0).abs() > 0.5));
    assert!(page.text().contains("2 values were not finite"));
    assert_eq!(page.source.matches("\"gap\"").count(), 2);
    for line in &mut lines {
        line["loss"] = Value::Null;
    }
    write_run(dir.path(), "none", &lines);
    assert!(
        draw(dir.path(), &["none"])
            .text()
            .contains("60 values were not finite")
    );
    assert!(!page.source.contains("NaN") && !page.source.contains("inf "));
}

/// A run that is cut leaves half a line; what is no record at all is counted.
#[test]
fn torn_and_broken_lines_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    write_run(
        dir.path(),
        "torn",
        &[train_line(1), val_line(1), train_line(2)],
    );
    let file = dir.path().join("runs/torn/metrics.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{whole}{}", &whole[..40])).unwrap();
    let page = draw(dir.path(), &["torn"]);
    assert_eq!(page.plot("Loss").points("train").len(), 2);
    assert!(!page.text().contains("could not be read"));
    let mut bytes = format!("{whole}[1]\n{{\"step\":\"x\"}}\n").into_bytes();
    bytes.extend(b"\xff\xfe{\n");
    fs::write(&file, bytes).unwrap();
    let page = draw(dir.path(), &["torn"]);
    assert_eq!(page.plot("Loss").points("train").len(), 2);
    assert!(
        page.text()
            .contains("3 lines of metrics.jsonl could not be read")
    );
}

/// A long run's page stays small, and knows all of it.
#[test]
fn a_hundred_thousand_steps_fit() {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), "long", &[]);
    let mut text = String::new();
    for step in 1..=100_000 {
        writeln!(text, "{}", train_line(step)).unwrap();
    }
    fs::write(dir.path().join("runs/long/metrics.jsonl"), text).unwrap();
    let page = draw(dir.path(), &["long"]);
    assert!(page.size < 500_000, "{}", page.size);
    let points = page.plot("Loss").points("train");
    let highest = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    assert!((highest - super::loss_at(777)).abs() < 0.01, "{highest}");
    assert!(page.text().contains("above the frame"));
}
