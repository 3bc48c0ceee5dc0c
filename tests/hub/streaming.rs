//! A data set passes through: each file comes when its turn comes and goes when it was read.

use super::Case;
use super::datasets::{jsonl, long};
use super::http::Answer;
use super::server::Fault;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PARTS: &str = "hf://datasets/org/parts";

/// How often each of the five parts was fetched.
fn fetched(case: &Case) -> Vec<usize> {
    let seen = case.hub.seen();
    let count = |part: usize| {
        let path = format!("/p/{part}.jsonl");
        seen.iter()
            .filter(|line| line.contains("/resolve/") && line.contains(&path))
            .count()
    };
    (0..5).map(count).collect()
}

/// The names below the repository's folder in the cache that are no metadata.
fn in_cache(case: &Case) -> Vec<String> {
    let pattern = case.home().join("hub/datasets--org--parts/snapshots/*/p/*");
    let files = glob::glob(pattern.to_str().unwrap())
        .unwrap()
        .map(Result::unwrap);
    files
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Progress is noted down every second: the second and third part take two each.
fn slow_down(case: &Case) {
    for part in ["/p/1.jsonl", "/p/2.jsonl"] {
        let later = Answer::new(503, "").header("Retry-After", 2);
        case.hub.fault(part, Fault::Answer(later), 1);
    }
}

fn whole(case: &Case) -> Vec<(String, Vec<u8>)> {
    let names = ["0.jsonl", "1.jsonl", "2.jsonl", "3.jsonl", "4.jsonl"];
    let files = names.map(|name| (name, long(&format!("p/{name}"))));
    case.locally(&files)
}

#[test]
fn nothing_stays_and_nothing_is_fetched_twice() {
    let case = Case::with_data();
    // Held-out tokens take a pass over everything before the pass.
    for (out, more) in [
        ("a", &["--val-fraction", "0"][..]),
        ("b", &["--val-tokens", "2000"]),
        ("c", &["--dedup", "exact"]),
    ] {
        case.prepare(PARTS, out, more).assert().success();
        assert_eq!(fetched(&case), [1; 5], "{out}");
        assert!(
            !case
                .dir
                .path()
                .join(out)
                .join(".llama-train-fetched")
                .exists()
        );
    }
    assert_eq!(in_cache(&case), Vec::<String>::new());
    // Named twice, it is read once.
    case.prepare(PARTS, "d", &[&format!("{PARTS}:default/train")])
        .assert()
        .success();
    assert!(case.shards("d") == whole(&case));
    let request = case.manifest("d")["request"]["sources"][0]["files"][4]["path"].clone();
    let commit =
        fs::read_to_string(case.home().join("hub/datasets--org--parts/refs/main")).unwrap();
    assert_eq!(
        request,
        format!("hf://datasets/org/parts@{commit}/p/4.jsonl")
    );
    // A tokenizer takes a pass of its own.
    let train = [
        "prep-data",
        "pretrain",
        "--input",
        PARTS,
        "--out",
        "e",
        "--set",
        "prepare.vocab_size=300",
    ];
    case.hub.seen();
    case.command(&train).assert().success();
    assert_eq!(fetched(&case), [1; 5]);
    let train = [
        "prep-data",
        "tokenizer",
        "--input",
        PARTS,
        "--out",
        "t/tokenizer.json",
        "--vocab-size",
        "300",
    ];
    case.command(&train).assert().success();
    assert_eq!(fetched(&case), [1; 5]);
    assert!(
        !case.dir.path().join("e/.llama-train-fetched").exists()
            && !case.dir.path().join("t/.llama-train-fetched").exists()
    );
    // A folder that is done asks for no file again.
    case.hub.seen();
    case.prepare(PARTS, "d", &[]).assert().success();
    assert_eq!(fetched(&case), [0; 5]);
}

#[test]
fn kept_files_are_in_the_cache_and_do_without_a_network() {
    let case = Case::with_data();
    case.prepare(PARTS, "a", &["--keep-files"])
        .assert()
        .success();
    assert_eq!(in_cache(&case).len(), 5);
    case.hub.seen();
    case.prepare(PARTS, "b", &[])
        .env("HF_HUB_OFFLINE", "1")
        .assert()
        .success();
    assert_eq!(case.hub.seen(), Vec::<String>::new());
    assert!(case.shards("a") == case.shards("b"));
    assert_eq!(in_cache(&case).len(), 5); // what others keep is not ours to remove
    let pattern = case
        .home()
        .join("hub/datasets--org--parts/snapshots/*/p/3.jsonl");
    let kept = glob::glob(pattern.to_str().unwrap())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    fs::remove_file(kept).unwrap();
    let mut command = case.prepare(PARTS, "c", &[]);
    command.env("HF_HUB_OFFLINE", "1");
    let said = case.said(command, 1);
    assert!(
        said.contains("p/3.jsonl: HF_HUB_OFFLINE is set, and the file is not in the cache"),
        "{said}"
    );
}

#[test]
fn what_is_not_needed_is_not_fetched() {
    let case = Case::with_data();
    // The next part is fetched ahead, and does not come soon: nobody waits for it. By tokens that is known only behind the
    // tokenizer, when the reader is waiting already.
    let later = Answer::new(503, "").header("Retry-After", 100);
    for (out, limit) in [
        ("a", ["--max-documents", "30"]),
        ("b", ["--max-tokens", "2000"]),
    ] {
        case.hub
            .fault("/p/1.jsonl", Fault::Answer(later.clone()), 1);
        let begun = Instant::now();
        case.prepare(PARTS, out, &limit).assert().success();
        assert!(begun.elapsed() < Duration::from_secs(30), "{out}");
        assert_eq!(fetched(&case), [1, 1, 0, 0, 0], "{out}");
        assert!(
            !case
                .dir
                .path()
                .join(out)
                .join(".llama-train-fetched")
                .exists()
        );
    }
}

#[test]
fn a_failure_on_the_way_is_gone_on_with() {
    let case = Case::with_data();
    let shards = ["--shard-tokens", "100000"];
    case.prepare(PARTS, "whole", &shards).assert().success();
    slow_down(&case);
    let gone = Answer::new(503, "").header("Retry-After", 0);
    case.hub.fault("/p/3.jsonl", Fault::Answer(gone), 12); // ahead, and when it is needed
    let said = case.said(case.prepare(PARTS, "out", &shards), 1);
    assert!(
        said.contains("hf://datasets/org/parts: p/3.jsonl: the Hub is not well"),
        "{said}"
    );
    assert!(!case.dir.path().join("out/.llama-train-fetched").exists());
    case.hub.seen();
    // Meanwhile the branch has moved; what was begun goes on with its commit.
    case.hub.commit(
        "datasets/org/parts",
        "main",
        &[("p/0.jsonl", jsonl("other", 3))],
    );
    let said = case.said(case.prepare(PARTS, "out", &shards), 0);
    assert!(
        said.contains("going on with an earlier preparation"),
        "{said}"
    );
    let fetched = fetched(&case);
    assert_eq!(
        (fetched[0], fetched[3], fetched[4]),
        (0, 1, 1),
        "{fetched:?}"
    );
    assert!(case.shards("out") == case.shards("whole"));
    assert_eq!(case.manifest("out"), case.manifest("whole"));
}

#[test]
fn killed_it_goes_on() {
    let case = Case::with_data();
    let shards = [
        "--shard-tokens",
        "100000",
        "--set",
        "tokenizer.backend=stable",
    ];
    case.prepare(PARTS, "whole", &shards).assert().success();
    case.hub.seen();
    let template = case.prepare(PARTS, "out", &shards);
    let mut command = Command::new(template.get_program());
    for (name, value) in template.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    slow_down(&case);
    // The fourth part does not come: the Hub asks to wait longer than the test does.
    let later = Answer::new(503, "").header("Retry-After", 60);
    case.hub.fault("/p/3.jsonl", Fault::Answer(later), 1);
    command
        .args(template.get_args())
        .current_dir(case.dir.path())
        .stderr(Stdio::null())
        .stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let marker = case.dir.path().join("out/preparing.json");
    while !fs::read_to_string(&marker)
        .is_ok_and(|text| text.contains("\"files\": 1,") || text.contains("\"files\": 2,"))
    {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    case.hub.heal();
    // What was read is gone; what comes next is there.
    let on_disk = fs::read_dir(case.dir.path().join("out/.llama-train-fetched")).unwrap();
    let on_disk: Vec<String> = on_disk
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        on_disk.len() <= 2 && !on_disk.iter().any(|name| name.ends_with("-0.jsonl")),
        "{on_disk:?}"
    );
    let said = case.said(case.prepare(PARTS, "out", &shards), 0);
    assert!(
        said.contains("going on with an earlier preparation"),
        "{said}"
    );
    assert!(case.shards("out") == case.shards("whole"));
    assert!(!case.dir.path().join("out/.llama-train-fetched").exists());
}
