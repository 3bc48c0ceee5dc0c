//! Files that are damaged or want to do harm: an error that names them, no crash, nothing written elsewhere. Those of
//! torch.save are in `meta_folders.rs`.

use crate::common::{fixture, llama_train, stderr_of};
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of a checkpoint, in a folder of its own.
fn copy_of(checkpoint: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(fixture("1_checkpoints").join(checkpoint)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    (dir, model)
}

fn all_files(dir: &Path) -> Vec<PathBuf> {
    let pattern = dir.join("**/*").display().to_string();
    let mut files: Vec<_> = glob::glob(&pattern).unwrap().map(Result::unwrap).collect();
    files.sort();
    files
}

/// An export of the model fails with this message and leaves the folder as it was.
fn refuses(dir: &Path, message: &str) {
    let before = all_files(dir);
    let outcome = llama_train(dir)
        .args(["export", "--checkpoint", "model", "--out", "out"])
        .assert()
        .failure();
    let code = outcome.get_output().status.code();
    assert!(code == Some(1) || code == Some(2), "{code:?}");
    let said = stderr_of(&outcome);
    assert!(said.contains(message), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(all_files(dir), before);
}

/// A safetensors file with this header.
fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn safetensors_that_lie() {
    let (dir, model) = copy_of("a_mha_untied");
    let path = model.join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    let norm = r#""model.norm.weight":{"dtype":"F32","shape":[64],"data_offsets""#;
    let beyond_all = format!(r#"{{{norm}:[0,9223372036854775807]}}"#);
    let overflowing =
        r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}}"#;
    let mut long_header = whole.clone();
    long_header[..8].copy_from_slice(&(1_u64 << 63).to_le_bytes());
    let twice = with_header(&format!("{{{norm}:[0,256]}},{norm}:[0,256]}}}}"), &[0; 256]);
    let cases: [(&str, Vec<u8>, &str); 9] = [
        (
            "cut in the data",
            whole[..whole.len() - 9].to_vec(),
            "it may be cut off",
        ),
        (
            "cut in the header",
            whole[..100].to_vec(),
            "it may be cut off",
        ),
        (
            "cut in the length",
            whole[..5].to_vec(),
            "it may be cut off",
        ),
        (
            "a header of 2^63 bytes",
            long_header,
            "not a valid safetensors file",
        ),
        ("one name twice", twice, "it holds model.norm.weight twice"),
        (
            "data beyond the file",
            with_header(&beyond_all, &[0; 256]),
            "not a valid safetensors file",
        ),
        (
            "a shape that overflows",
            with_header(overflowing, &[]),
            "not a valid safetensors file",
        ),
        (
            "no JSON",
            with_header("{\"a\":", &[]),
            "not a valid safetensors file",
        ),
        ("nothing", Vec::new(), "model.safetensors"),
    ];
    for (what, bytes, message) in cases {
        fs::write(&path, bytes).unwrap();
        eprintln!("{what}");
        refuses(dir.path(), message);
    }
}

#[test]
fn an_index_names_files_of_its_folder_alone() {
    let (dir, model) = copy_of("d_sharded_bf16");
    let path = model.join("model.safetensors.index.json");
    let original = fs::read_to_string(&path).unwrap();
    let shard = "model-00002-of-00002.safetensors";
    for elsewhere in [
        "../outside.safetensors",
        "/etc/passwd",
        "..",
        "sub/a.safetensors",
    ] {
        fs::write(&path, original.replace(shard, elsewhere)).unwrap();
        refuses(dir.path(), "which is not a file of this folder");
    }
    fs::write(&path, original.replace(shard, "missing.safetensors")).unwrap();
    refuses(dir.path(), "missing.safetensors: cannot open");
    fs::write(&path, "[]").unwrap();
    refuses(dir.path(), "weight_map is missing");
    // The same tensors in two files of the index.
    fs::write(
        &path,
        original.replace("model.norm.weight\": \"", "model.norm.weight\": \"copy-"),
    )
    .unwrap();
    fs::copy(model.join(shard), model.join(format!("copy-{shard}"))).unwrap();
    refuses(dir.path(), "is there twice");
}

#[test]
fn a_configuration_that_lies() {
    let (dir, model) = copy_of("a_mha_untied");
    let path = model.join("config.json");
    let original = fs::read_to_string(&path).unwrap();
    for (from, to, message) in [
        (
            "\"hidden_size\": 64",
            "\"hidden_size\": 1e300",
            "config.json",
        ),
        ("\"hidden_size\": 64", "\"hidden_size\": -64", "dim = -64"),
        (
            "\"vocab_size\": 640",
            "\"vocab_size\": 641",
            "[640, 64], not [641, 64]",
        ),
        (
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 3",
            "layers.2.mlp.down_proj.weight is missing",
        ),
    ] {
        assert!(original.contains(from), "{from}");
        fs::write(&path, original.replace(from, to)).unwrap();
        refuses(dir.path(), message);
    }
    for (from, to, message) in [
        (
            "\"hidden_size\": 64",
            "\"hidden_size\": 1000000000000",
            "dim = 1000000000000: must be at most",
        ),
        (
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 1000",
            "a model of 53457984 parameters",
        ),
        (
            "\"vocab_size\": 640",
            "\"vocab_size\": 64000000",
            "its files hold at most 188736 numbers",
        ),
    ] {
        fs::write(&path, original.replace(from, to)).unwrap();
        refuses(dir.path(), message);
    }
    fs::write(&path, [0xff, 0xfe, 0, 1]).unwrap();
    refuses(dir.path(), "config.json: cannot read");
}

#[test]
fn a_tokenizer_of_garbage() {
    let (dir, model) = copy_of("a_mha_untied");
    for garbage in [
        "",
        "garbage",
        "{}",
        "[1, 2]",
        "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 4294967296}, \"merges\": [\"x\"]}}",
    ] {
        fs::write(model.join("tokenizer.json"), garbage).unwrap();
        let outcome = llama_train(dir.path())
            .args(["generate", "--checkpoint", "model", "--prompt", "a"])
            .assert()
            .failure();
        let said = stderr_of(&outcome);
        assert!(
            said.contains("model") && !said.contains("panicked"),
            "{garbage}: {said}"
        );
    }
}
