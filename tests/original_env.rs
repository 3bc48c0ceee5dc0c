//! The original project's variables: each sets its key, for the verb it belongs to.

use crate::common::{fixture, llama_train, stderr_of};
use llama_train::config::{Config, Purpose, Sources};
use std::fs;
use std::path::Path;

use Purpose::{Distill, Dpo, Other, PrepInstruct, PrepPreference, PrepPretrain, Pretrain, Sft};

/// A variable, its value, the verb it is set for, the key it changes, the key's value then.
struct Case {
    name: &'static str,
    given: &'static str,
    purpose: Purpose,
    key: &'static str,
    expected: &'static str,
}

fn cases() -> Vec<Case> {
    let lines = include_str!("fixtures/original_env.txt").lines();
    let rows = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let case = |line: &'static str| {
        let columns: Vec<&str> = line.split(" | ").collect();
        let [name, given, verb, key, expected] = columns[..] else {
            panic!("{line}");
        };
        let purpose = match verb {
            "PrepPretrain" => PrepPretrain,
            "PrepInstruct" => PrepInstruct,
            "PrepPreference" => PrepPreference,
            "Pretrain" => Pretrain,
            "Sft" => Sft,
            "Dpo" => Dpo,
            "Distill" => Distill,
            _ => panic!("{line}"),
        };
        Case {
            name,
            given,
            purpose,
            key,
            expected,
        }
    };
    rows.map(case).collect()
}

/// Tested by themselves below, since they change no key, or to a value that this version refuses.
const SWITCHES: [&str; 6] = [
    "HUGGINGFACE_TOKENIZER",
    "WNB_ENABLED",
    "IS_INSTRUCT_TRAINING",
    "IS_DPO_TRAINING",
    "IS_MODEL_DISTILLATION",
    "LORA_ENABLED",
];

fn load(env: &str, purpose: Purpose) -> Result<toml::Table, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), env).unwrap();
    let sources = Sources {
        env_file: Some(file.path().to_owned()),
        purpose,
        ..Sources::default()
    };
    let config = Config::load(&sources).map_err(|error| format!("{error:#}"))?;
    Ok(config.to_toml().parse().unwrap())
}

fn value(config: &toml::Table, key: &str) -> Option<toml::Value> {
    let mut parts = key.split('.');
    let first = config.get(parts.next()?)?;
    parts
        .try_fold(first, |table, part| table.get(part))
        .cloned()
}

fn as_toml(text: &str) -> toml::Value {
    format!("value = {text}").parse::<toml::Table>().unwrap()["value"].clone()
}

#[test]
fn every_variable_sets_its_key() {
    for case in cases() {
        let Case {
            name,
            given,
            purpose,
            key,
            expected,
        } = case;
        // A part of a data set's address needs its name.
        let is_part = name.ends_with("_DATASET_NAME") || name.ends_with("_DATASET_SPLIT");
        let dataset = name.trim_end_matches("_NAME").trim_end_matches("_SPLIT");
        let before = if is_part {
            format!("{dataset}=o/d\n")
        } else {
            String::new()
        };
        let with = |line: String| load(&format!("{before}{line}\n"), purpose).unwrap();
        let default = with(String::new());
        assert_ne!(value(&default, key), Some(as_toml(expected)), "{name}");
        let config = with(format!("{name}={given} # as Python's dotenv reads it"));
        assert_eq!(value(&config, key), Some(as_toml(expected)), "{name}");
        let quoted = given.replace('\'', "'\\''");
        assert_eq!(with(format!("{name}='{quoted}'")), config, "{name}");
        let of_a_stage = ["PRETRAIN", "INSTRUCT", "DPO_"];
        if of_a_stage.iter().any(|stage| name.contains(stage)) && name != "DPO_BETA" {
            let elsewhere = load(&format!("{name}='{quoted}'"), Other).unwrap();
            assert_eq!(
                elsewhere,
                load("", Other).unwrap(),
                "{name} is of one stage"
            );
        }
    }
}

/// The names that ORIGIN.md lists, by way of `.env.example`, which shows every one of them.
#[test]
fn the_example_parses_and_shows_every_variable() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".env.example");
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(load(&text, Pretrain).unwrap(), load("", Pretrain).unwrap());
    let is_setting =
        |line: &&str| line.starts_with('#') && line.contains('=') && !line.starts_with("# ");
    let settings: Vec<&str> = text
        .lines()
        .filter(is_setting)
        .map(|line| &line[1..])
        .collect();
    let shown: Vec<&str> = settings
        .iter()
        .map(|line| line.split('=').next().unwrap())
        .collect();
    let known: Vec<&str> = cases().iter().map(|case| case.name).collect();
    for name in known.iter().chain(&SWITCHES) {
        assert!(shown.contains(name), ".env.example lacks {name}");
    }
    let others = [
        "HF_TOKEN",
        "WANDB_API_KEY",
        "HF_HOME",
        "HF_HUB_OFFLINE",
        "HF_ENDPOINT",
    ];
    for name in shown {
        assert!(
            known.contains(&name) || SWITCHES.contains(&name) || others.contains(&name),
            "{name} means nothing"
        );
    }
    let config = load(&settings.join("\n"), Pretrain).unwrap();
    assert_eq!(
        value(&config, "lora.target_modules"),
        Some(as_toml("[\"wq\", \"wk\", \"wv\", \"wo\", \"w1\", \"w3\"]"))
    );
    assert_eq!(value(&config, "data.path"), Some(as_toml("\"data/text\"")));
}

#[test]
fn switches_name_the_verb_or_what_is_not_built() {
    for (env, purpose, expected) in [
        (
            "IS_DPO_TRAINING=True",
            Pretrain,
            "asks for `llama-train dpo`",
        ),
        (
            "IS_INSTRUCT_TRAINING=1",
            Pretrain,
            "asks for `llama-train sft`",
        ),
        (
            "IS_MODEL_DISTILLATION=yes",
            Pretrain,
            "asks for `llama-train distill`",
        ),
        (
            "IS_INSTRUCT_TRAINING=True\nIS_DPO_TRAINING=True",
            Sft,
            "asks for `llama-train dpo`",
        ),
        (
            "IS_DPO_TRAINING=False",
            Dpo,
            "asks for `llama-train pretrain`",
        ),
        (
            "LORA_RANK=0",
            Pretrain,
            ":1: lora.rank: 0 must be at least 1",
        ),
        (
            "SAVE_CHECKPOINTS=perhaps",
            Pretrain,
            "checkpoint.save: expected True or False, found perhaps",
        ),
        (
            "LORA_TARGET_MODULES=wq",
            Pretrain,
            "expected a JSON array of strings",
        ),
    ] {
        let message = load(env, purpose).unwrap_err();
        assert!(message.contains(expected), "{env}: {message}");
    }
    load(
        "IS_DPO_TRAINING=False\nIS_INSTRUCT_TRAINING=False\nIS_MODEL_DISTILLATION=False",
        Pretrain,
    )
    .unwrap();
    load("IS_DPO_TRAINING=True\nIS_INSTRUCT_TRAINING=True", Dpo).unwrap();
    load("IS_DPO_TRAINING=True", PrepPretrain).unwrap();
    let both = "IS_MODEL_DISTILLATION=True\nIS_INSTRUCT_TRAINING=True";
    let distilled = load(both, Distill).unwrap();
    assert_eq!(
        value(&distilled, "distill.on"),
        Some(as_toml("\"instruct\""))
    );
    let batch = "TOTAL_BATCH_SIZE=4096\nMAX_SEQ_LEN=128\nMAX_BATCH_SIZE=8";
    let preferred = load(batch, Dpo).unwrap();
    assert_eq!(
        value(&preferred, "train.total_batch_examples"),
        Some(as_toml("32"))
    );
    assert_eq!(value(&preferred, "train.total_batch_tokens"), None);
    let odd = load("TOTAL_BATCH_SIZE=4096\nMAX_SEQ_LEN=100", Dpo).unwrap_err();
    assert!(odd.contains("expected a multiple of MAX_SEQ_LEN"), "{odd}");
    let hub = load(
        "HUGGINGFACE_TOKENIZER=True\nTOKENIZER_CHECKPOINT_PATH=org/name",
        Pretrain,
    )
    .unwrap();
    assert_eq!(
        value(&hub, "tokenizer.path"),
        Some(as_toml("\"hf://org/name\""))
    );
}

/// Switches in one source, what they choose between in another.
#[test]
fn sources_are_read_together() {
    let dir = tempfile::tempdir().unwrap();
    let env = "IS_INSTRUCT_TRAINING=True\nINSTRUCT_DATALOADER_ROOT_PATH=chats\nPRETRAIN_DATALOADER_ROOT_PATH=text\n";
    fs::write(dir.path().join(".env"), env).unwrap();
    let refused = llama_train(dir.path())
        .args(["distill", "--set", "distill.teacher=t", "--init-from"])
        .arg(fixture("2_train_trace/init"))
        .env("IS_MODEL_DISTILLATION", "True")
        .assert()
        .code(2);
    let said = stderr_of(&refused);
    assert!(said.contains("chats: no such folder"), "{said}");
}

/// A plan is of what its verb would read.
#[test]
fn a_plan_reads_its_verbs_variables() {
    let dir = tempfile::tempdir().unwrap();
    let data = fixture("9_stream/data");
    let env = format!("PRETRAIN_DATALOADER_ROOT_PATH={}\n", data.display());
    fs::write(dir.path().join(".env"), env).unwrap();
    let planned = |verb: &[&str]| {
        let planned = llama_train(dir.path())
            .arg("plan")
            .args(verb)
            .args(["--set", "train.seq_len=32", "--init-from"])
            .arg(fixture("2_train_trace/init"))
            .assert()
            .success();
        String::from_utf8(planned.get_output().stdout.clone()).unwrap()
    };
    assert!(planned(&["--verb", "pretrain"]).contains("an epoch is"));
    assert!(planned(&[]).contains("not prepared yet"));
}

/// What contradicts the verb is told beside the other mistakes.
#[test]
fn the_wrong_verb_does_not_hide_other_mistakes() {
    let said = load("IS_DPO_TRAINING=True\nMAX_LR=fast", Pretrain).unwrap_err();
    for part in ["2 mistakes", "asks for `llama-train dpo`", "optim.max_lr"] {
        assert!(said.contains(part), "{said}");
    }
}

/// Where the items are, HellaSwag is scored in pretraining, as in the original; a dollar sign is a dollar sign.
#[test]
fn hellaswag_is_scored_where_its_items_are() {
    let dir = tempfile::tempdir().unwrap();
    let env = format!(
        "HELLASWAG_EVERY_X_STEPS=200\nHELLASWAG_PATH={}\n",
        dir.path().display()
    );
    let tasks = |purpose| value(&load(&env, purpose).unwrap(), "eval.tasks");
    assert_eq!(tasks(Pretrain), Some(as_toml("[]")));
    fs::write(dir.path().join("hellaswag_val.jsonl"), "").unwrap();
    assert_eq!(tasks(Pretrain), Some(as_toml("[\"hellaswag\"]")));
    assert_eq!(tasks(Sft), Some(as_toml("[]")));
    let every = |purpose| value(&load(&env, purpose).unwrap(), "eval.every");
    assert_eq!(
        (every(Pretrain), every(Sft)),
        (Some(as_toml("200")), Some(as_toml("0")))
    );
    let project = load("WNB_PROJECT_NAME=a$b", Pretrain).unwrap();
    assert_eq!(value(&project, "wandb.project"), Some(as_toml("\"a$b\"")));
}

/// Names in any case, the environment over `.env`, our own names over the original's.
#[test]
fn the_environment_is_stronger_and_our_names_are() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join(".env"),
        "max_lr=nonsense\nMIN_LR=7\nLLAMA_TRAIN__OPTIM__MIN_LR=8\n",
    )
    .unwrap();
    let refused = llama_train(dir.path())
        .arg("pretrain")
        .env("MAX_LR", "0.001")
        .assert()
        .code(2);
    let message = stderr_of(&refused);
    assert!(
        message.contains(".env:1: optim.max_lr: string \"nonsense\""),
        "{message}"
    );
    assert!(
        message.contains(".env:3: optim.min_lr: 8 is above optim.max_lr = 0.001"),
        "{message}"
    );
}
