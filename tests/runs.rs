//! Runs that are cut, and the same runs uncut.

use crate::common::{column, llama_train, metrics};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn run_to_the_end(dir: &Path, arguments: &[String]) {
    llama_train(dir).args(arguments).assert().success();
}

/// Kills the process with SIGKILL once it has logged `step` steps.
pub(crate) fn run_until_killed(dir: &Path, arguments: &[String], name: &str, step: usize) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_llama-train"))
        .args(arguments)
        .current_dir(dir)
        .env("OMP_NUM_THREADS", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let run = dir.join("runs").join(name);
    let deadline = Instant::now() + Duration::from_secs(120);
    let logged = || {
        fs::read_to_string(run.join("metrics.jsonl"))
            .map_or(0, |text| text.matches("\"train\"").count())
    };
    while logged() < step {
        assert!(
            Instant::now() < deadline,
            "the run never reached step {step}"
        );
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before it could be killed"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn assert_same_run(dir: &Path, [straight, cut]: [&str; 2], weights: &str, steps: usize) {
    let records = |name: &str| metrics(&dir.join("runs").join(name), "train");
    let (straight_run, cut_run) = (records(straight), records(cut));
    assert_eq!(
        column(&cut_run, "step"),
        (1..=steps).map(|step| step as f64).collect::<Vec<_>>()
    );
    for name in ["loss", "grad_norm", "lr", "tokens_seen", "epoch"] {
        assert_eq!(
            column(&straight_run, name),
            column(&cut_run, name),
            "{name}"
        );
    }
    for file in [weights, "optimizer.safetensors"] {
        let last = |name: &str| {
            fs::read(
                dir.join("runs")
                    .join(name)
                    .join("checkpoints/latest")
                    .join(file),
            )
            .unwrap()
        };
        assert!(last(straight) == last(cut), "{file} differs");
    }
}

/// A run of `steps` steps (at least 40), killed without warning, continued, killed again and continued: bit for bit the
/// run that was never cut. `arguments` are those of a run of this name, `weights` the file that holds them.
pub(crate) fn cut_run_is_the_straight_one(
    arguments: impl Fn(&str) -> Vec<String>,
    weights: &str,
    steps: usize,
) {
    let dir = tempfile::tempdir().unwrap();
    run_to_the_end(dir.path(), &arguments("straight"));
    let mut cut = arguments("cut");
    cut.extend(["--resume".to_owned(), "latest".to_owned()]);
    run_until_killed(dir.path(), &cut, "cut", 17);
    run_until_killed(dir.path(), &cut, "cut", 29);
    run_to_the_end(dir.path(), &cut);
    assert_same_run(dir.path(), ["straight", "cut"], weights, steps);
}
