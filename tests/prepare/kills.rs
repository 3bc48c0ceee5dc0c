//! A preparation that is killed goes on, and nobody can tell from the result.

use super::*;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Some seconds of work for the slowest way to encode.
const DOCUMENTS: usize = 5000;

/// Rows that every verb can read as its own; of some, nothing is to be learned by two of them.
fn input() -> Vec<u8> {
    let row = |index: usize| {
        let text = format!("Document {index} says: it's the {index}th of many.\n").repeat(30);
        let (whole, answer) = (
            format!("{text}{text}"),
            if index.is_multiple_of(7) { "" } else { &text },
        );
        let row = serde_json::json!({
            "text": whole, "prompt": text, "completion": answer, "chosen": whole, "rejected": answer
        });
        format!("{row}\n")
    };
    (0..DOCUMENTS)
        .map(|index| index % 4500)
        .map(row)
        .collect::<String>()
        .into_bytes()
}

fn prepare(case: &Case, verb: &str, workers: u32, out: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_llama-train"))
        .args([
            "prep-data",
            verb,
            "--shard-tokens",
            "300000",
            "--val-fraction",
            "0.1",
            "--dedup",
            "exact",
            "--max-documents",
            "4900",
        ])
        .args([
            "--set",
            "tokenizer.backend=stable",
            "--workers",
            &workers.to_string(),
        ])
        .args([
            "--tokenizer",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokenizer"),
        ])
        .args(["--input", "input", "--out", out])
        .current_dir(case.dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// How far the note in the folder says it is.
fn noted(dir: &Path) -> Option<u64> {
    let marker: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("preparing.json")).ok()?).ok()?;
    marker["reached"]["place"][0]["tally"]["rows"].as_u64()
}

#[test]
fn killed_and_continued_it_is_byte_identical() {
    for verb in ["pretrain", "instruct"] {
        killed_and_continued(verb);
    }
}

fn killed_and_continued(verb: &str) {
    let case = Case::new(&[("a.jsonl", &input())]);
    let whole = case.dir.path().join("whole");
    assert!(prepare(&case, verb, 5, "whole").wait().unwrap().success());
    let out = case.out();
    let mut last = 0;
    for workers in [1, 2] {
        let mut child = prepare(&case, verb, workers, "out");
        let deadline = Instant::now() + Duration::from_secs(60);
        while noted(&out).is_none_or(|rows| rows <= last) {
            assert!(
                Instant::now() < deadline && child.try_wait().unwrap().is_none(),
                "it ended before it was killed"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        last = noted(&out).unwrap();
    }
    let ended = prepare(&case, verb, 5, "out").wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        ended.status.success() && log.contains("going on with an earlier preparation"),
        "{log}"
    );
    let names = |dir: &Path| {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&out), names(&whole));
    for name in names(&whole) {
        assert!(
            fs::read(out.join(&name)).unwrap() == fs::read(whole.join(&name)).unwrap(),
            "{verb}: {name:?} differs"
        );
    }
}

/// The last shard may have been finished after the last note.
#[test]
fn a_shard_finished_after_the_note_is_taken_up_again() {
    let case = Case::new(&[("a.jsonl", &input())]);
    let mut child = prepare(&case, "preference", 2, "out");
    let out = case.out();
    while noted(&out).is_none() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it was killed"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let marker = fs::read(out.join("preparing.json")).unwrap();
    assert!(
        prepare(&case, "preference", 2, "out")
            .wait()
            .unwrap()
            .success()
    );
    let whole = case.files();
    fs::write(out.join("preparing.json"), marker).unwrap();
    fs::remove_file(out.join("manifest.json")).unwrap();
    assert!(
        prepare(&case, "preference", 1, "out")
            .wait()
            .unwrap()
            .success()
    );
    assert_eq!(case.files(), whole);
}
