//! The server alone, for clients that are not ours: `scripts/check_hub.sh` runs Python's against it.

use super::datasets::{fill, jsonl};
use super::repository::sha256;
use super::server::{Access, Fault, Hub};
use super::{read, tiny};
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, thread};

/// Writes its address into the folder that `HUB_FOLDER` names, and serves as long as the file is there.
#[test]
#[ignore = "serves until it is told to stop"]
fn serve() {
    let folder = PathBuf::from(env::var_os("HUB_FOLDER").expect("HUB_FOLDER names a folder"));
    let hub = Hub::start();
    fill(&hub);
    layouts(&hub);
    hub.commit("models/org/tiny", "main", &tiny());
    hub.commit("models/org/gated", "main", &tiny());
    hub.restrict("models/org/gated", Access::Gated);
    let sharded = [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ];
    let sharded = sharded.map(|file| (file, read(format!("1_checkpoints/d_sharded_bf16/{file}"))));
    hub.commit("models/org/sharded", "v1", &sharded);
    // Whoever fetches these weights first is cut off three times.
    for (name, checkpoint) in [
        ("cut", "a_mha_untied"),
        ("cut-for-python", "c_gqa_rope_llama3"),
    ] {
        let file = |file: &str| read(format!("1_checkpoints/{checkpoint}/{file}"));
        let weights = file("model.safetensors");
        hub.fault(&sha256(&weights), Fault::Cut(20_000), 3);
        let files = [
            ("config.json", file("config.json")),
            ("model.safetensors", weights),
        ];
        hub.commit(&format!("models/org/{name}"), "main", &files);
    }
    let address = folder.join("address");
    fs::write(folder.join("address.tmp"), &hub.address).unwrap();
    fs::rename(folder.join("address.tmp"), &address).unwrap();
    while address.exists() {
        thread::sleep(Duration::from_millis(200));
    }
}

/// Data sets without a card, in the layouts that have splits in their names.
fn layouts(hub: &Hub) {
    let layouts: [(&str, &[&str]); 4] = [
        (
            "folders",
            &[
                "train/a.jsonl",
                "train/b.jsonl",
                "dev/a.jsonl",
                "eval_1/x.jsonl",
                "notes/c.jsonl",
            ],
        ),
        (
            "words",
            &[
                "my-train.jsonl",
                "my_val_2.jsonl",
                "a.testing.jsonl",
                "retrained.jsonl",
                ".hidden/train.jsonl",
            ],
        ),
        (
            "shards",
            &[
                "data/odd-00000-of-00001.jsonl",
                "data/test-00000-of-00001.jsonl",
                "data/train-00000-of-00001-5f.jsonl",
                "x.jsonl",
            ],
        ),
        (
            "all",
            &[
                "one.jsonl",
                "two/three.jsonl",
                "__cache__/x.jsonl",
                "config.json",
                "four.txt",
            ],
        ),
    ];
    for (name, files) in layouts {
        let files: Vec<(&str, Vec<u8>)> =
            files.iter().map(|file| (*file, jsonl(file, 6))).collect();
        hub.commit(&format!("datasets/layout/{name}"), "main", &files);
    }
}
