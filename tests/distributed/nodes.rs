//! Launchers: torchrun on two nodes with addresses of their own, where this machine allows network namespaces, and under
//! Slurm, whose commands are stood in for.

use super::{column, cut, largest_difference, metrics, ranks, stream};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

fn has_torchrun() -> bool {
    Command::new("torchrun").arg("--help").output().is_ok()
}

#[test]
fn two_nodes_train_as_one_process() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/two_nodes.sh");
    let check = Command::new(&script).arg("check").output().unwrap();
    if !check.status.success() {
        eprintln!("skipped: {}", String::from_utf8_lossy(&check.stdout));
        return;
    }
    if !has_torchrun() {
        eprintln!("skipped: there is no torchrun on PATH");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    ranks::run(dir.path(), &stream("single", &cut(4), &[]), 1);
    for rendezvous in ["static", "c10d"] {
        let arguments = stream(rendezvous, &cut(2), &[]);
        let output = Command::new(&script)
            .args([rendezvous, "1", env!("CARGO_BIN_EXE_llama-train")])
            .args(arguments)
            .current_dir(dir.path())
            .env("OMP_NUM_THREADS", "1")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{rendezvous}: {}",
            ranks::said(&output)
        );
        let loss = |name: &str| {
            column(
                &metrics(&dir.path().join("runs").join(name), "train"),
                "loss",
            )
        };
        let off = largest_difference(&loss("single"), &loss(rendezvous));
        assert!(off < 1e-6, "{rendezvous}: {off}");
    }
}

/// `scripts/launch.sbatch` in a job of one node with two ranks.
fn slurm_job(dir: &Path, settings: &[&str]) -> Command {
    let commands = dir.join("slurm");
    fs::create_dir_all(&commands).unwrap();
    let stand_ins = [
        ("srun", "while [[ $1 == --* ]]; do shift; done; exec \"$@\""),
        (
            "scontrol",
            "[ \"$1\" = show ] && echo 127.0.0.1 || echo \"asked: $*\"",
        ),
        // Of all processes of this name, those of this job.
        (
            "pkill",
            &format!(
                "kill -USR1 $(pgrep -x llama-train -a | grep {} | cut -d' ' -f1)",
                dir.display()
            ),
        ),
    ];
    for (name, body) in stand_ins {
        let path = commands.join(name);
        fs::write(&path, format!("#!/usr/bin/env bash\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut arguments = stream("run", &cut(1), settings);
    arguments.extend([
        "--set".into(),
        format!("run.dir=\"{}\"", dir.join("runs").display()),
    ]);
    let path = format!("{}:{}", commands.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command
        .arg("scripts/launch.sbatch")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", path)
        .env("OMP_NUM_THREADS", "1")
        .env("PORT", ranks::free_port().to_string())
        .envs([("SLURM_JOB_NODELIST", "here"), ("SLURM_JOB_NUM_NODES", "1")])
        .envs([("SLURM_JOB_ID", "7"), ("SLURM_GPUS_ON_NODE", "2")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn a_slurm_job_saves_when_its_time_is_up_and_goes_on_where_it_was() {
    if !has_torchrun() {
        eprintln!("skipped: there is no torchrun on PATH");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("runs/run");
    let mut job = slurm_job(dir.path(), &["train.max_steps=1000000"])
        .spawn()
        .unwrap();
    while metrics(&run, "train").len() < 3 {
        assert!(job.try_wait().unwrap().is_none(), "the job has ended");
        sleep(Duration::from_millis(50));
    }
    Command::new("kill")
        .args(["-s", "USR1", &job.id().to_string()])
        .status()
        .unwrap();
    let output = job.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.contains("asked: requeue 7"),
        "{stdout}{}",
        ranks::said(&output)
    );
    // torchrun ends rank 0 as soon as another exits: not before all is told.
    assert!(stdout.contains("(signal)"), "{stdout}");
    let history = fs::read_to_string(run.join("history.jsonl")).unwrap();
    assert!(
        history.ends_with("}\n") && history.contains("\"end\""),
        "{history}"
    );
    assert!(run.join("report.html").exists());
    let steps = metrics(&run, "train").len();
    let last = format!("train.max_steps={}", steps + 3);
    let output = slurm_job(dir.path(), &[&last]).output().unwrap();
    assert!(output.status.success(), "{}", ranks::said(&output));
    assert_eq!(metrics(&run, "train").len(), steps + 3);
}
