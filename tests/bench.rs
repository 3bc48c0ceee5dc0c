//! `bench`: what it measures, and what it takes of a configuration.

use crate::common::{fixture, llama_train, stderr_of};
use serde_json::Value;
use std::fs;
use std::path::Path;

#[test]
fn bench_reports_the_contracts_fields() {
    let settings = [
        "model.dim=16",
        "model.n_layers=1",
        "model.n_heads=2",
        "model.vocab_size=64",
        "train.seq_len=16",
    ];
    let dir = tempfile::tempdir().unwrap();
    let run = llama_train(dir.path())
        .args([
            "bench",
            "--json",
            "--steps",
            "4",
            "--warmup",
            "1",
            "--set",
            "run.device=cpu",
        ])
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .assert()
        .success();
    let report: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
    assert_eq!(report["step_seconds"].as_array().unwrap().len(), 4);
    for key in [
        "tokens_per_second",
        "peak_memory_bytes",
        "cpu_seconds_per_step",
        "flops_per_token",
    ] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}: {report}");
    }
    // 6 N + 6 L d s, by hand: N = 4·16² + 3·16·256 + 64·16.
    assert_eq!(
        report["flops_per_token"],
        6.0 * (1024.0 + 12288.0 + 1024.0) + 6.0 * 16.0 * 16.0
    );
    assert_eq!(
        (&report["device"], &report["precision"]),
        (&"cpu".into(), &"fp32".into())
    );
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
}

/// A measured step of a configuration whose vocabulary only the tokenizer that it would train tells, in an empty folder.
#[test]
fn the_quickstart_is_measured_before_its_data_are_prepared() {
    let dir = tempfile::tempdir().unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/quickstart.toml");
    let run = llama_train(dir.path())
        .args(["bench", "--json", "--steps", "1", "--warmup", "0"])
        .args([
            "--set",
            "run.device=cpu",
            "--set",
            "train.micro_batch_size=1",
        ])
        .arg("--config")
        .arg(config)
        .assert()
        .success();
    let report: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
    // 6 N + 6 L d s: six blocks of 128 wide, and a vocabulary of 2,048.
    let block = 2.0 * 128.0 * 128.0 + 2.0 * 128.0 * 64.0 + 3.0 * 128.0 * 384.0;
    let matrices = 6.0 * block + 2048.0 * 128.0;
    assert_eq!(
        report["flops_per_token"],
        6.0 * matrices + 6.0 * 6.0 * 128.0 * 256.0
    );
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn the_shape_of_a_folder_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let run = llama_train(dir.path())
        .args(["bench", "--steps", "1", "--warmup", "0", "--init-from"])
        .arg(fixture("1_checkpoints/a_mha_untied"))
        .args(["--set", "run.device=cpu", "--set", "train.seq_len=16"])
        .assert()
        .success();
    let said = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
    assert!(said.contains("tokens/s") && !said.contains("NaN"), "{said}");
}

#[test]
fn nothing_is_not_measured() {
    let mut none = llama_train(Path::new("."));
    none.args(["bench", "--steps", "0", "--set", "model.preset=llama3-8b"]);
    let said = stderr_of(&none.assert().code(2));
    assert!(said.contains("--steps <N>") && said.contains('0'), "{said}");
}

#[test]
fn a_profile_tells_what_the_time_went_on() {
    let dir = tempfile::tempdir().unwrap();
    let shape = [
        "model.dim=16",
        "model.n_layers=1",
        "model.n_heads=2",
        "model.vocab_size=64",
        "train.seq_len=16",
    ];
    let bench = |more: &[&str]| {
        let run = llama_train(dir.path())
            .args([
                "bench",
                "--steps",
                "1",
                "--warmup",
                "0",
                "--profile",
                "--set",
                "run.device=cpu",
            ])
            .args(shape.iter().flat_map(|setting| ["--set", setting]))
            .args(more)
            .assert()
            .success();
        run.get_output().stdout.clone()
    };
    let report: Value = serde_json::from_slice(&bench(&["--json"])).unwrap();
    assert_eq!(report["step_seconds"].as_array().unwrap().len(), 1);
    let profile = report["profile"].as_array().unwrap();
    let of = |name: &str| profile.iter().find(|spent| spent["name"] == name).unwrap();
    assert_eq!(of("aten::embedding")["calls_per_step"], 1.0);
    let shares = profile.iter().map(|spent| spent["share"].as_f64().unwrap());
    assert!((shares.sum::<f64>() - 1.0).abs() < 1e-9);
    let text = String::from_utf8(bench(&[])).unwrap();
    assert!(text.contains("calls  aten::"), "{text}");
}
