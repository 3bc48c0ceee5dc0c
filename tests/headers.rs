//! What the heads of the shipped configurations say of tokens, memory and time is what `plan` says.

use crate::common::llama_train;
use llama_train::config::{Config, ModelConfig, Sources, preset};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// The models that configurations start from or learn from: where they would be, and whose shape they have.
const MODELS: [(&str, &str); 7] = [
    ("hf://meta-llama/Llama-3.2-1B", "llama3.2-1b"),
    ("hf://meta-llama/Llama-3.2-1B-Instruct", "llama3.2-1b"),
    ("hf://meta-llama/Llama-3.1-8B", "llama3.1-8b"),
    (
        "runs/quickstart/checkpoints/best",
        "configs/quickstart.toml",
    ),
    (
        "runs/polite-base/checkpoints/best",
        "configs/dpo/polite/1-base.toml",
    ),
    (
        "runs/polite-chat/checkpoints/best",
        "configs/dpo/polite/1-base.toml",
    ),
    (
        "runs/backwards-base/checkpoints/latest",
        "configs/sft/backwards/1-base.toml",
    ),
];

/// What a head quotes of the plan.
const QUOTED: [&str; 4] = ["# step    ", "# run     ", "# memory  ", "# time    "];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn load(file: &Path) -> Config {
    let no_env_file = tempfile::NamedTempFile::new().unwrap();
    let sources = Sources {
        file: Some(file.to_owned()),
        env_file: Some(no_env_file.path().to_owned()),
        ..Sources::default()
    };
    Config::load(&sources).unwrap()
}

fn shape(of: &str) -> ModelConfig {
    preset(of).unwrap_or_else(|| {
        let config = load(&root().join(of));
        let (vocab_size, seq_len) = (
            config.prepare.vocab_size as i64,
            config.train.seq_len() as i64,
        );
        config.model.resolve(Some(vocab_size), seq_len).unwrap()
    })
}

/// A model's folder as far as its shape is told by it.
fn describe(dir: &Path, shape: &ModelConfig) {
    fs::create_dir_all(dir).unwrap();
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": shape.dim,
        "intermediate_size": shape.ffn_hidden_dim, "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads, "num_key_value_heads": shape.n_kv_heads,
        "vocab_size": shape.vocab_size, "rms_norm_eps": shape.norm_eps, "rope_theta": shape.rope_theta,
        "max_position_embeddings": shape.max_seq_len, "tie_word_embeddings": shape.tie_embeddings,
    });
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
}

/// In `dir`, where every model is described under the part of its name that is a path.
fn models(dir: &Path) {
    for (name, of) in MODELS {
        describe(&dir.join(name.trim_start_matches("hf://")), &shape(of));
    }
}

/// What the head's own command prints, without a network.
fn planned(dir: &Path, file: &Path, command: &str) -> String {
    let words = command.split_whitespace().skip(2); // llama-train plan
    let here = |word: &str| match word.starts_with("configs/") {
        true => root().join(word).display().to_string(),
        false => word.to_owned(),
    };
    let config = load(file);
    let asked = [
        ("model.init_from", config.model.init_from),
        ("distill.teacher", config.distill.teacher),
    ];
    let local = asked.iter().filter_map(|(key, name)| {
        let path = name.as_ref()?.strip_prefix("hf://")?;
        Some(format!("{key}=\"{path}\""))
    });
    let run = llama_train(dir)
        .arg("plan")
        .args(words.map(here))
        .args(local.flat_map(|setting| ["--set".to_owned(), setting]))
        .assert()
        .success();
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

fn trainings() -> Vec<PathBuf> {
    let patterns = [
        "quickstart.toml",
        "pretrain/*.toml",
        "sft/**/*.toml",
        "dpo/**/*.toml",
        "distill/*.toml",
    ];
    let of = |pattern: &str| glob::glob(root().join("configs").join(pattern).to_str().unwrap());
    let files = patterns
        .into_iter()
        .flat_map(|pattern| of(pattern).unwrap());
    files.map(Result::unwrap).collect()
}

#[test]
fn heads_say_what_plan_says() {
    let dir = tempfile::tempdir().unwrap();
    models(dir.path());
    let mut stale = Vec::new();
    for file in trainings() {
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        let head: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        let command = head.iter().find_map(|line| {
            line.strip_prefix("#   ")
                .filter(|line| line.starts_with("llama-train plan "))
        });
        let command = command.unwrap_or_else(|| panic!("{name}: its head has no command of plan"));
        assert!(
            command.contains(&format!("--config {name}")),
            "{name}: {command}"
        );
        let plan = planned(dir.path(), &file, command);
        let quotable = |line: &&str| {
            QUOTED
                .iter()
                .any(|quoted| format!("# {line}").starts_with(quoted))
        };
        let says: Vec<String> = plan
            .lines()
            .filter(quotable)
            .map(|line| format!("# {line}"))
            .collect();
        let quoted: Vec<&str> = head
            .iter()
            .copied()
            .filter(|line| QUOTED.iter().any(|quoted| line.starts_with(quoted)))
            .collect();
        if quoted != says {
            stale.push(format!("{name}: the plan's lines are\n{}", says.join("\n")));
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n\n"));
}
