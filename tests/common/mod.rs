//! What the tests share: the binary in a clean environment, fixtures, runs and their metrics.

use assert_cmd::Command;
use llama_train::config::ModelConfig;
use llama_train::model::{ModelOptions, Transformer};
use llama_train::weights;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, nn};

/// A file or folder below `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// The binary, with no configuration from the environment, in `dir`.
pub(crate) fn llama_train(dir: &Path) -> Command {
    let mut command =
        Command::cargo_bin("llama-train").expect("the binary is built with the tests");
    for (name, _) in std::env::vars() {
        if name.starts_with("LLAMA_TRAIN__")
            || ["RANK", "LOCAL_RANK", "WORLD_SIZE"].contains(&name.as_str())
        {
            command.env_remove(name);
        }
    }
    command
        .env_remove("COLUMNS")
        .env("OMP_NUM_THREADS", "1")
        .current_dir(dir);
    command
}

/// What the process said on stderr.
pub(crate) fn stderr_of(outcome: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&outcome.get_output().stderr).into_owned()
}

/// Arguments of a run on the reference stream (`9_stream`), from the reference checkpoint, in fp32 on the CPU.
pub(crate) fn stream_run(name: &str, settings: &[&str]) -> Vec<String> {
    let path = |key: &str, file: &str| format!("{key}=\"{}\"", fixture(file).display());
    let common = [
        format!("run.name=\"{name}\""),
        path("model.init_from", "2_train_trace/init"),
        path("data.path", "9_stream/data"),
    ];
    let fixed = [
        "run.device=\"cpu\"",
        "data.shuffle=false",
        "train.max_steps=20",
        "train.seq_len=32",
        "train.micro_batch_size=2",
        "train.total_batch_tokens=128",
        "optim.max_lr=3e-3",
        "optim.min_lr=3e-4",
        "optim.warmup_steps=5",
    ];
    let settings = common
        .into_iter()
        .chain(fixed.iter().chain(settings).map(|&text| text.to_owned()));
    ["pretrain".to_owned()]
        .into_iter()
        .chain(settings.flat_map(|setting| ["--set".to_owned(), setting]))
        .collect()
}

/// The records of one split in a run's `metrics.jsonl`.
pub(crate) fn metrics(run: &Path, split: &str) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let records = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect(line));
    records.filter(|record| record["split"] == split).collect()
}

/// One field of every record.
pub(crate) fn column(records: &[Value], name: &str) -> Vec<f64> {
    records
        .iter()
        .map(|record| record[name].as_f64().unwrap_or(f64::NAN))
        .collect()
}

/// Copies the files of a folder into another, which is made.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be made");
    for entry in fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("it can be listed");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("its files can be copied");
    }
}

/// The weights of a model in fp32, and its shape.
pub(crate) fn load_weights(dir: &Path) -> anyhow::Result<(nn::VarStore, ModelConfig)> {
    let config = weights::read_config(dir)?;
    let store = nn::VarStore::new(Device::Cpu);
    let options = ModelOptions {
        compute: Kind::Float,
        lora: None,
    };
    Transformer::new(&store.root(), &config, &options)?;
    weights::load(dir, &store, &config)?;
    Ok((store, config))
}
