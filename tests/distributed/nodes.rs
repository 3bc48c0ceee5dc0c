//! Two nodes with addresses of their own, where this machine allows network namespaces.

use super::{column, cut, largest_difference, metrics, ranks, stream};
use std::path::Path;
use std::process::Command;

#[test]
fn two_nodes_train_as_one_process() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/two_nodes.sh");
    let check = Command::new(&script).arg("check").output().unwrap();
    if !check.status.success() {
        eprintln!("skipped: {}", String::from_utf8_lossy(&check.stdout));
        return;
    }
    if Command::new("torchrun").arg("--help").output().is_err() {
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
