//! Every shipped configuration loads, fits its own numbers and can be written out and read again.

use crate::common::llama_train;
use llama_train::config::{Config, HubKind, HubPath, PRESETS, Sources, preset};
use llama_train::eval::task_names;
use llama_train::model::flops;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shipped() -> Vec<PathBuf> {
    let pattern = root().join("configs/**/*.toml");
    let files = glob::glob(pattern.to_str().unwrap()).unwrap();
    files.map(Result::unwrap).collect()
}

fn load(file: &Path) -> Config {
    let no_env_file = tempfile::NamedTempFile::new().unwrap();
    let sources = Sources {
        file: Some(file.to_owned()),
        env_file: Some(no_env_file.path().to_owned()),
        ..Sources::default()
    };
    Config::load(&sources).unwrap_or_else(|error| panic!("{error:#}"))
}

#[test]
fn each_loads_and_round_trips() {
    let files = shipped();
    assert!(files.len() >= 5);
    for file in files {
        let config = load(&file);
        let written = tempfile::NamedTempFile::new().unwrap();
        fs::write(written.path(), config.to_toml()).unwrap();
        assert_eq!(load(written.path()), config, "{}", file.display());
    }
}

/// The name of a file tells its size, and its header opens with the command that runs it.
#[test]
fn each_is_what_its_header_says() {
    for (name, least, most) in [
        ("quickstart", 1.0e6, 3.0e6),
        ("pretrain/124m", 120e6, 128e6),
        ("pretrain/350m", 340e6, 370e6),
        ("pretrain/1b", 1.2e9, 1.3e9),
        ("pretrain/8b", 8.0e9, 8.1e9),
    ] {
        let file = root().join(format!("configs/{name}.toml"));
        let config = load(&file);
        let vocab_size = Some(config.prepare.vocab_size as i64).filter(|&size| size > 0);
        let shape = config.model.resolve(vocab_size, 256);
        let parameters = flops::parameters(&shape.unwrap()) as f64;
        assert!((least..most).contains(&parameters), "{name}: {parameters}");
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.contains(&format!("--config configs/{name}.toml")),
            "{name}"
        );
    }
}

/// Each says how it is run and how much it is, and names data that can be asked for.
#[test]
fn recipes_for_data_say_what_they_take() {
    let pattern = root().join("configs/data/*.toml");
    let files: Vec<PathBuf> = glob::glob(pattern.to_str().unwrap())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(files.len() >= 6);
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let verbs = ["pretrain", "instruct", "preference"];
        let command = |verb| format!("prep-data {verb} --config configs/data/{name}\n");
        assert!(
            verbs.iter().any(|verb| text.contains(&command(verb))),
            "{name}"
        );
        for part in ["# Tokens ", "# Download ", "# Disk "] {
            assert!(text.contains(part), "{name}: {part}");
        }
        let config = load(&file);
        assert!(config.prepare.out.is_some(), "{name}");
        assert!(
            config.tokenizer.path.is_some() || config.prepare.vocab_size > 0,
            "{name}"
        );
        for input in &config.prepare.input {
            assert!(
                HubPath::parse_if_meant(input, HubKind::Dataset)
                    .unwrap()
                    .is_some(),
                "{name}"
            );
        }
    }
}

#[test]
fn recipes_for_benchmarks_name_them() {
    for name in ["hellaswag", "benchmarks"] {
        let file = format!("configs/data/eval/{name}.toml");
        let text = fs::read_to_string(root().join(&file)).unwrap();
        let command = format!("prep-data eval --config {file} --tokenizer ");
        for part in [command.as_str(), "# Items ", "# Download ", "# Disk "] {
            assert!(text.contains(part), "{name}: {part}");
        }
        let config = load(&root().join(&file));
        let known: Vec<&str> = task_names().collect();
        let tasks = &config.eval.tasks;
        assert!(
            tasks.iter().all(|task| known.contains(&task.as_str())),
            "{name}"
        );
        assert!(
            name == "hellaswag" || tasks.len() == known.len() - 1,
            "{name}"
        );
        assert!(config.prepare.out.is_some(), "{name}");
    }
}

/// Parameter counts of the published models (their model cards; 3.2's share the head with the embedding).
#[test]
fn presets_have_the_published_sizes() {
    let published = [
        ("llama3-8b", 8_030_261_248),
        ("llama3-70b", 70_553_706_496),
        ("llama3.1-8b", 8_030_261_248),
        ("llama3.1-70b", 70_553_706_496),
        ("llama3.1-405b", 405_853_388_800),
        ("llama3.2-1b", 1_235_814_400),
        ("llama3.2-3b", 3_212_749_824),
    ];
    assert_eq!(published.map(|(name, _)| name), PRESETS);
    for (name, parameters) in published {
        assert_eq!(
            flops::parameters(&preset(name).unwrap()),
            parameters,
            "{name}"
        );
        let plan = |more: &[&str]| {
            let preset = format!("model.preset={name}");
            let mut command = llama_train(Path::new("."));
            let outcome = command.args(["plan", "--set", &preset]).args(more).assert();
            String::from_utf8(outcome.success().get_output().stdout.clone()).unwrap()
        };
        let said: Value = serde_json::from_str(&plan(&["--json"])).unwrap();
        assert_eq!(said["parameters"], parameters, "{name}");
        let digits: String = plan(&[]).lines().next().unwrap().replace(',', "");
        assert!(
            digits.contains(&format!(" {parameters} parameters")),
            "{digits}"
        );
    }
}

/// What the README's first command runs, a few steps of it: text is found, tokenized, learned from and sampled.
#[test]
fn the_quickstart_runs() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        "prepare.max_documents=40",
        "prepare.vocab_size=512",
        "train.max_steps=4",
        "train.micro_batch_size=2",
        "optim.warmup_steps=1",
        "generate.max_new_tokens=4",
    ];
    let run = llama_train(dir.path())
        .args(["pretrain", "--json", "--config"])
        .arg(root().join("configs/quickstart.toml"))
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .assert()
        .success();
    let summary: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
    assert_eq!(summary["step"], 4);
    assert!(
        summary["val_loss"].as_f64().unwrap() < 512_f64.ln() + 0.1,
        "{summary}"
    );
    let log = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(log.contains("sample: class "), "{log}");
    let best = dir.path().join("runs/quickstart/checkpoints/best");
    llama_train(dir.path())
        .args([
            "generate",
            "--prompt",
            "def ",
            "--max-new-tokens",
            "4",
            "--checkpoint",
        ])
        .arg(best)
        .assert()
        .success()
        .stdout(predicates::str::starts_with("def "));
}
