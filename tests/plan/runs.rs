//! What `plan` says of a run: its batch, its data, its length, its time and its shape, as the training itself has them.

use crate::common::{fixture, llama_train, stderr_of};
use llama_train::config::preset;
use llama_train::model::flops;
use serde_json::Value;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `plan` in `dir` with these flags and settings.
fn command(dir: &Path, flags: &[&str], settings: &[&str]) -> assert_cmd::Command {
    let mut command = llama_train(dir);
    command.arg("plan").args(flags);
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    command
}

fn json(mut command: assert_cmd::Command) -> Value {
    let run = command.arg("--json").assert().success();
    serde_json::from_slice(&run.get_output().stdout).unwrap()
}

fn text(mut command: assert_cmd::Command) -> String {
    let run = command.assert().success();
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

fn setting(key: &str, file: &str) -> String {
    format!("{key}=\"{}\"", fixture(file).display())
}

const TINY: [&str; 4] = [
    "model.dim=16",
    "model.n_layers=1",
    "model.n_heads=2",
    "train.seq_len=32",
];

#[test]
fn a_remainder_is_refused_with_the_ranks_that_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.toml");
    let written = "[model]\npreset = \"llama3.2-1b\"\n[train]\nmicro_batch_size = 1\nseq_len = 64\n\
                   total_batch_tokens = 128\n";
    std::fs::write(&config, written).unwrap();
    let refused = |verb: &[&str], ranks: &str| {
        let mut command = llama_train(dir.path());
        command.args(verb).args(["--config", "c.toml"]);
        stderr_of(&command.env("WORLD_SIZE", ranks).assert().code(2))
    };
    let planned = refused(&["plan", "--world-size", "3"], "1");
    let message = "c.toml:6: train.total_batch_tokens: 128 is not a multiple of micro_batch_size 1 x seq_len 64 x \
                   world size 3 = 192; 192 works";
    assert!(planned.contains(message), "{planned}");
    let ranked = refused(&["pretrain"], "3");
    assert!(ranked.contains(message), "{ranked}");
    let pairs = refused(
        &[
            "plan",
            "--verb",
            "dpo",
            "--world-size",
            "8",
            "--set",
            "train.total_batch_examples=12",
        ],
        "1",
    );
    assert!(
        pairs.contains(
            "12 is not a multiple of micro_batch_size 1 x world size 8 = 8; 8 and 16 work"
        ),
        "{pairs}"
    );
    // The ranks of the flag count, not those of the environment.
    let mut two = command(
        dir.path(),
        &["--config", "c.toml", "--world-size", "2"],
        &[],
    );
    two.env("WORLD_SIZE", "3");
    assert_eq!(json(two)["grad_accum_steps"], 1);
}

#[test]
fn an_epoch_is_counted_in_the_prepared_data() {
    let dir = tempfile::tempdir().unwrap();
    let data = setting("data.path", "9_stream/data");
    let init = setting("model.init_from", "2_train_trace/init");
    let settings = [
        data.as_str(),
        &init,
        "train.seq_len=32",
        "train.micro_batch_size=2",
        "train.total_batch_tokens=128",
    ];
    let planned = json(command(dir.path(), &[], &settings));
    let dry = llama_train(dir.path())
        .args(["pretrain", "--dry-run", "--json"])
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .assert()
        .success();
    let dry: Value = serde_json::from_slice(&dry.get_output().stdout).unwrap();
    let windows = planned["windows"].as_u64().unwrap();
    assert!(windows > 4, "{planned}");
    let steps = (windows * 32).div_ceil(128);
    for (key, value) in [
        ("data_tokens", windows * 32),
        ("steps_per_epoch", steps),
        ("max_steps", steps),
        ("total_tokens", steps * 128),
    ] {
        assert_eq!(planned[key], value, "{key}: {planned}");
    }
    let without_time = |mut plan: Value| {
        plan.as_object_mut().unwrap().remove("time");
        plan
    };
    assert_eq!(without_time(planned), without_time(dry)); // memory too
    let said = text(command(dir.path(), &["--device", "h100"], &settings));
    assert!(
        said.contains(&format!(
            " = {windows} windows x 32; an epoch is {steps} steps"
        )),
        "{said}"
    );
    assert!(said.contains("\ntime    less than a minute, "), "{said}");
    assert!(!said.contains("missing"), "{said}");
}

#[test]
fn conversations_are_counted_as_sft_counts_them() {
    let dir = tempfile::tempdir().unwrap();
    crate::sft::write_folder(&dir.path().join("data"), &["train"]);
    let init = setting("model.init_from", "1_checkpoints/a_mha_untied");
    let settings = [
        init.as_str(),
        "data.path=data",
        "train.seq_len=128",
        "train.micro_batch_size=1",
    ];
    let alone = [&settings[..], &["sft.packing=false"]].concat();
    let [packed, alone] =
        [&settings[..], &alone].map(|settings| json(command(dir.path(), &[], settings)));
    assert_eq!(alone["windows"], 5, "{alone}");
    let rows = packed["windows"].as_u64().unwrap();
    assert!((1..5).contains(&rows), "{packed}");
    let mut wrong = command(dir.path(), &["--verb", "dpo"], &settings);
    let said = stderr_of(&wrong.assert().code(2));
    assert!(said.contains("holds conversations"), "{said}");
}

#[test]
fn what_an_epoch_lacks_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [&TINY[..], &["model.vocab_size=64"]].concat();
    let nowhere = [&settings[..], &["data.path=data/nowhere"]].concat();
    let said = text(command(dir.path(), &[], &nowhere));
    assert!(
        said.contains("\nmissing an epoch's steps, tokens and hours: data/nowhere holds no prepared data; make some with \
             `llama-train prep-data pretrain --out data/nowhere`, or set train.max_steps"),
        "{said}"
    );
    let unset = json(command(dir.path(), &[], &settings));
    assert!(
        unset["missing"]
            .as_str()
            .unwrap()
            .contains("data.path is not set"),
        "{unset}"
    );
    let short = [&nowhere[..], &["train.max_steps=7"]].concat();
    let planned = json(command(dir.path(), &[], &short));
    assert!(planned.get("missing").is_none(), "{planned}");
    assert_eq!(planned["total_tokens"], 7 * 4 * 32);
}

/// What a run would prepare is looked for before it is planned.
#[test]
fn a_dry_run_checks_what_it_would_prepare() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.txt"), "text").unwrap();
    std::fs::write(dir.path().join("mix.toml"), "[[source]]\nweight = 1\n").unwrap();
    let dry = |input: &str, more: &[&str]| {
        let settings = [&TINY[..], &["data.path=tokens", input], more].concat();
        let mut command = llama_train(dir.path());
        command.args(["pretrain", "--dry-run"]);
        command.args(settings.iter().flat_map(|setting| ["--set", setting]));
        command
    };
    let text = "prepare.input=[\"a.txt\"]";
    for (input, more, said) in [
        (
            "prepare.input=[\"b.txt\"]",
            "prepare.vocab_size=300",
            "b.txt: no such file or folder",
        ),
        (
            "prepare.input=[\"hf://datasets/org/name\", \"b.txt\"]",
            "prepare.vocab_size=300",
            "b.txt: no such file or folder",
        ),
        (
            "prepare.mix=mix.toml",
            "prepare.vocab_size=300",
            "--mix mix.toml",
        ),
        (
            text,
            "prepare.vocab_size=200",
            "a vocabulary of 200 is too small",
        ),
        (text, "model.vocab_size=300", "which tokenizer?"),
    ] {
        let refused = stderr_of(&dry(input, &[more]).assert().code(2));
        assert!(refused.contains(said), "{refused}");
    }
    let planned = json(dry(text, &["prepare.vocab_size=300"]));
    let missing = planned["missing"].as_str().unwrap();
    assert!(
        missing.contains("the run itself prepares tokens before it trains"),
        "{missing}"
    );
    assert!(!dir.path().join("tokens").exists());
}

#[test]
fn the_shape_comes_from_a_folder_and_has_to_take_the_rows() {
    let dir = tempfile::tempdir().unwrap();
    let bare = dir.path().join("bare"); // a description alone
    std::fs::create_dir(&bare).unwrap();
    let described = fixture("1_checkpoints/a_mha_untied/config.json");
    std::fs::copy(described, bare.join("config.json")).unwrap();
    for verb in ["plan", "bench"] {
        let said = |seq_len: &str| {
            let mut command = llama_train(dir.path());
            command.args([verb, "--init-from", "bare", "--set", seq_len]);
            command
        };
        let long = stderr_of(&said("train.seq_len=513").assert().code(2));
        assert!(
            long.contains("train.seq_len = 513 is longer than the model's max_seq_len of 512"),
            "{verb}: {long}"
        );
        let mut missing = llama_train(dir.path());
        missing.args([verb, "--init-from", "nowhere"]);
        assert!(stderr_of(&missing.assert().code(2)).contains("nowhere"));
    }
    let planned = json(command(
        dir.path(),
        &["--init-from", "bare"],
        &["train.seq_len=512"],
    ));
    assert_eq!(planned["parameters"], 188_736, "{planned}");
}

#[test]
fn the_vocabulary_is_that_of_a_tokenizer_on_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = setting("tokenizer.path", "tokenizer");
    let settings = [&TINY[..], &[&tokenizer]].concat();
    let with = json(command(dir.path(), &[], &settings));
    let without = [&TINY[..], &["prepare.vocab_size=512"]].concat();
    let to_be_trained = json(command(dir.path(), &[], &without));
    let vocabulary = |plan: &Value| (plan["parameters"].as_u64().unwrap() - 13_360) / 32;
    assert_eq!(vocabulary(&to_be_trained), 512, "{to_be_trained}");
    assert_eq!(vocabulary(&with), 640, "{with}"); // special tokens included
}

/// `4N + 6A + 6Lds`: frozen matrices have no gradient of their own; all else stays the formula of MFU.
#[test]
fn adapters_take_less_time_than_whole_weights() {
    let settings = [
        "model.preset=llama3.1-8b",
        "train.seq_len=2048",
        "train.max_steps=1000",
    ];
    let adapted = [&settings[..], &["lora.enabled=true", "lora.rank=16"]].concat();
    let planned = |flags: &[&str], settings: &[&str]| {
        let flags = [&["--device", "h100"], flags].concat();
        json(command(root(), &flags, settings))
    };
    let [whole, adapters] = [&settings[..], &adapted].map(|settings| planned(&[], settings));
    let shape = preset("llama3.1-8b").unwrap();
    let n = flops::matmul_parameters(&shape) as f64;
    let attention = 6.0 * 32.0 * 4096.0 * 2048.0;
    let cost = |plan: &Value| plan["time"]["flops_per_token"].as_f64().unwrap();
    assert_eq!(cost(&whole), 6.0 * n + attention);
    let a = (cost(&adapters) - 4.0 * n - attention) / 6.0;
    assert!(a > 1e6 && a < 5e7, "{a}");
    assert_eq!(adapters["flops_per_token"], whole["flops_per_token"]); // as metrics count it
    let hours = |plan: &Value| plan["time"]["hours"].as_f64().unwrap();
    let share = hours(&adapters) / hours(&whole);
    assert!((share - cost(&adapters) / cost(&whole)).abs() < 1e-9 && share < 0.75);
    // The model below the adapters is asked for each pair: one more forward.
    let preferred = cost(&planned(&["--verb", "dpo"], &adapted)) - cost(&adapters);
    let forward = (6.0 * n + attention) / 3.0;
    assert!((preferred / forward - 1.0).abs() < 1e-9, "{preferred}");
}
