//! What goes wrong is said with the place and the remedy, ends with the right code, and loses nothing.

use crate::common::{column, fixture, llama_train, metrics, stderr_of, stream_run};
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// The arguments fail with this code and say all of this.
fn fails(dir: &Path, arguments: &[String], code: i32, parts: &[&str]) {
    let failed = llama_train(dir).args(arguments).assert().code(code);
    let message = stderr_of(&failed);
    for part in parts {
        assert!(message.contains(part), "missing: {part}\n{message}");
    }
    assert!(
        !message.contains("stack backtrace") && !message.contains("Exception raised from"),
        "{message}"
    );
}

fn pretrain(settings: &[&str]) -> Vec<String> {
    let mut arguments = vec!["pretrain".to_owned()];
    arguments.extend(
        settings
            .iter()
            .flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]),
    );
    arguments
}

#[test]
fn requests_that_cannot_be_are_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let stream = |settings: &[&str]| stream_run("refused", settings);
    let cases: &[(Vec<String>, &[&str])] = &[
        (
            stream(&["train.total_batch_tokens=1000"]),
            &[
                "train.total_batch_tokens: 1000 is not a multiple",
                "2 x seq_len 32",
                "960 and 1024 work",
            ],
        ),
        (
            pretrain(&["model.dim=100", "model.n_heads=3", "model.n_layers=1"]),
            &["dim = 100 is not a multiple of n_heads = 3"],
        ),
        (
            pretrain(&[
                "model.dim=64",
                "model.n_heads=4",
                "model.n_kv_heads=3",
                "model.n_layers=1",
            ]),
            &["n_heads = 4 is not a multiple of n_kv_heads = 3"],
        ),
        (
            stream(&["dist.timeout_seconds=0"]),
            &["dist.timeout_seconds: must be at least 1"],
        ),
        (
            stream(&["train.cuda_graphs=on"]),
            &["train.cuda_graphs = \"on\"", "on a CPU (run.device)"],
        ),
        (
            stream(&["train.async_transfers=on"]),
            &["train.async_transfers = \"on\"", "on a CPU (run.device)"],
        ),
        (
            stream(&[
                "train.cuda_graphs=on",
                "lora.enabled=true",
                "lora.dropout=0.1",
            ]),
            &["train.cuda_graphs: \"on\" does not go with lora.dropout"],
        ),
        (
            pretrain(&["model.preset=llama4-8b"]),
            &["there is no preset \"llama4-8b\"", "llama3-8b"],
        ),
        (pretrain(&[]), &["data.path is not set", "prep-data"]),
        (
            stream(&["data.path=/no/such/folder"]),
            &["/no/such/folder: no such folder", "prep-data pretrain"],
        ),
        (
            stream(&["model.init_from=/no/such/model"]),
            &["/no/such/model: there is no such folder"],
        ),
        (
            stream(&["model.init_from=hf://org/name/x"]),
            &["model.init_from: hf://org/name/x: is not a name on the Hub"],
        ),
        (
            stream(&["tokenizer.path=hf://datasets/org/name"]),
            &["tokenizer.path: hf://datasets/org/name: is a data set, and a model is needed"],
        ),
        (
            stream(&["prepare.input=[\"hf://a/b\"]", "prepare.vocab_size=300"]),
            &["prepare.input: hf://a/b: is a model, and a data set is needed"],
        ),
        (
            stream(&["tokenizer.path=/no/tokenizer.json"]),
            &["/no/tokenizer.json: no such tokenizer"],
        ),
        (
            stream(&["train.seq_len=4096", "train.total_batch_tokens=8192"]),
            &["train.seq_len = 4096", "max_seq_len"],
        ),
        (
            stream(&["run.dir=/proc/llama-train"]),
            &["run.dir: /proc/llama-train", "writable"],
        ),
        (
            stream(&["run.device=cuda:99"]),
            &["GPU 99 is asked for", "run.device"],
        ),
        (
            stream(&["run.device=gpu"]),
            &["expected \"auto\", \"cpu\", \"cuda\" or \"cuda:N\", found \"gpu\""],
        ),
        (
            [
                stream(&[]),
                vec!["--resume".into(), "/no/checkpoint".into()],
            ]
            .concat(),
            &["there is no checkpoint of a run in it; name one, such as"],
        ),
        (
            ["pretrain", "--config", "none.toml"]
                .map(str::to_owned)
                .to_vec(),
            &["none.toml: cannot read"],
        ),
        (
            ["pretrain", "--set", "run.name"]
                .map(str::to_owned)
                .to_vec(),
            &["expected SECTION.KEY=VALUE"],
        ),
        (
            ["generate", "--checkpoint", "none"]
                .map(str::to_owned)
                .to_vec(),
            &["--prompt"],
        ),
    ];
    for (arguments, parts) in cases {
        fails(dir.path(), arguments, 2, parts);
        assert!(!dir.path().join("runs").exists(), "{arguments:?}");
    }
}

#[test]
fn an_empty_corpus_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("empty.txt"), "").unwrap();
    let settings = [
        "prepare.input=[\"empty.txt\"]",
        "data.path=tokens",
        "prepare.vocab_size=300",
    ];
    fails(
        dir.path(),
        &pretrain(&settings),
        2,
        &["no text in empty.txt", "--input"],
    );
}

/// A copy of the reference stream to damage.
fn copied_stream(dir: &Path) -> std::path::PathBuf {
    let copy = dir.join("data");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(fixture("9_stream/data")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    copy
}

fn first_shard(data: &Path) -> std::path::PathBuf {
    let mut names: Vec<_> = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    names
        .into_iter()
        .find(|path| path.to_string_lossy().contains("_train_"))
        .unwrap()
}

#[test]
fn a_truncated_shard_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = copied_stream(dir.path());
    let shard = first_shard(&data);
    let length = fs::metadata(&shard).unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(&shard)
        .unwrap()
        .set_len(length - 7)
        .unwrap();
    let name = shard.file_name().unwrap().to_string_lossy().into_owned();
    fails(
        dir.path(),
        &stream_run("cut", &["data.path=data"]),
        1,
        &[&name, "truncated", "prepare the folder again"],
    );
}

#[test]
fn data_of_another_vocabulary_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let small = [
        "model.dim=16",
        "model.n_layers=1",
        "model.n_heads=2",
        "model.vocab_size=20",
        "train.seq_len=32",
    ];
    let mut settings = small.to_vec();
    let data = format!("data.path=\"{}\"", fixture("9_stream/data").display());
    settings.extend([data.as_str(), "train.max_steps=2"]);
    fails(
        dir.path(),
        &pretrain(&settings),
        1,
        &[".npy: token", "vocabulary of 20"],
    );
}

/// A folder `tokens` with a manifest.
fn prepare_tokens(dir: &Path) {
    let text = "some text to learn from, over and over. ".repeat(200);
    fs::write(dir.join("a.txt"), text).unwrap();
    llama_train(dir)
        .args([
            "prep-data",
            "pretrain",
            "--input",
            "a.txt",
            "--out",
            "tokens",
        ])
        .arg("--tokenizer")
        .arg(fixture("tokenizer"))
        .assert()
        .success();
}

/// Weights without a tokenizer are held to the size of the vocabulary, larger or smaller.
#[test]
fn weights_of_another_vocabulary_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    prepare_tokens(dir.path());
    let path = dir.path().join("tokens/manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["vocab_size"] = 600.into();
    fs::write(&path, manifest.to_string()).unwrap();
    let parts = [
        "tokens: the data has a vocabulary of",
        "the model one of 640",
    ];
    fails(
        dir.path(),
        &stream_run("run", &["data.path=tokens"]),
        2,
        &parts,
    );
}

/// Prepared with one tokenizer, asked to train with another: the manifest knows better.
#[test]
fn data_of_another_tokenizer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    prepare_tokens(dir.path());
    let tokenizer = fixture("tokenizer");
    let json = fs::read_to_string(tokenizer.join("tokenizer.json")).unwrap();
    let other = json.replace("<|eot_id|>", "<|eot_di|>");
    assert_ne!(json, other);
    fs::write(dir.path().join("other.json"), other).unwrap();
    let settings = [
        "data.path=tokens",
        "tokenizer.path=other.json",
        "model.dim=16",
        "model.n_layers=1",
        "model.n_heads=2",
        "train.seq_len=32",
    ];
    fails(
        dir.path(),
        &pretrain(&settings),
        2,
        &[
            "tokens: the data was made with another tokenizer",
            "--tokenizer",
        ],
    );
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["checkpoint.every=5", "checkpoint.keep_last=0"];
    llama_train(dir.path())
        .args(stream_run("run", &settings))
        .assert()
        .success();
    let run = dir.path().join("runs/run");
    let reference = metrics(&run, "train");
    let weights = run.join("checkpoints/step_00000020/model.safetensors");
    let mut file = OpenOptions::new().write(true).open(weights).unwrap();
    file.seek(SeekFrom::End(-9)).unwrap();
    file.write_all(b"Z").unwrap();
    drop(file);
    File::create(run.join("checkpoints/step_00000015/optimizer.safetensors")).unwrap(); // cut to nothing
    let resumed = llama_train(dir.path())
        .args(stream_run("run", &settings))
        .args(["--resume", "latest"])
        .assert()
        .success();
    let message = stderr_of(&resumed);
    for part in [
        "step_00000020: this checkpoint cannot be used",
        "model.safetensors: damaged",
        "step_00000015: this checkpoint cannot be used",
        "optimizer.safetensors: truncated",
        "resuming from runs/run/checkpoints/step_00000010 (step 10)",
    ] {
        assert!(message.contains(part), "missing: {part}\n{message}");
    }
    assert_eq!(
        column(&metrics(&run, "train"), "loss"),
        column(&reference, "loss")
    );
}

/// The limit on a file's size stands in for a full disk: the write fails in the middle.
#[test]
fn a_full_disk_costs_one_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = stream_run("full", &["checkpoint.every=10"]);
    let limited = assert_cmd::Command::new("bash")
        .current_dir(dir.path())
        .args([
            "-c",
            "ulimit -f 96; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_llama-train"),
        ])
        .args(&arguments)
        .assert()
        .code(1);
    let message = stderr_of(&limited);
    for part in [
        "step_00000010",
        "could not be saved",
        "free space",
        "File too large",
    ] {
        assert!(message.contains(part), "missing: {part}\n{message}");
    }
    let left = fs::read_dir(dir.path().join("runs/full/checkpoints"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "a part of a checkpoint was left behind");
    llama_train(dir.path())
        .args(&arguments)
        .arg("--resume")
        .assert()
        .success();
    let steps = column(&metrics(&dir.path().join("runs/full"), "train"), "step");
    assert_eq!(steps.len(), 20);
}
