//! The command line and the configuration behind it: help, sources, mistakes and exit codes.

use crate::common::{fixture, llama_train, stderr_of, stream_run};
use llama_train::torch::kernels::ON_GPU;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A new flag is a visible change of this snapshot.
#[test]
fn help_of_every_verb() {
    let verbs: [&[&str]; 19] = [
        &[],
        &["prep-data"],
        &["prep-data", "pretrain"],
        &["prep-data", "instruct"],
        &["prep-data", "preference"],
        &["prep-data", "tokenizer"],
        &["prep-data", "eval"],
        &["pretrain"],
        &["sft"],
        &["dpo"],
        &["distill"],
        &["generate"],
        &["bench"],
        &["doctor"],
        &["export"],
        &["eval"],
        &["plan"],
        &["report"],
        &["completions"],
    ];
    let mut pages = String::new();
    for verb in verbs {
        let help = llama_train(Path::new("."))
            .args(verb)
            .arg("--help")
            .assert()
            .success();
        let page = String::from_utf8(help.get_output().stdout.clone()).unwrap();
        pages.push_str(&format!(
            "$ llama-train {} --help\n{page}\n",
            verb.join(" ")
        ));
    }
    insta::assert_snapshot!(pages);
}

/// A command that a terminal of 80 columns would wrap cannot be pasted.
#[test]
fn examples_fit_a_terminal() {
    let pages = include_str!("snapshots/integration__cli__help_of_every_verb.snap");
    let examples = pages.split("\nExample").skip(1);
    let lines = examples.flat_map(|rest| rest.split("\n$ ").next().unwrap_or_default().lines());
    let long: Vec<&str> = lines.filter(|line| line.chars().count() > 80).collect();
    assert!(long.is_empty(), "{long:?}");
    assert!(pages.matches("\nExample").count() >= 16);
}

/// What bash makes of the script: verbs and flags are completed.
#[test]
fn shells_complete_verbs_and_flags() {
    let dir = tempfile::tempdir().unwrap();
    let script = |shell: &str| {
        let run = llama_train(dir.path())
            .args(["completions", shell])
            .assert();
        String::from_utf8(run.success().get_output().stdout.clone()).unwrap()
    };
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = script(shell);
        assert!(
            script.contains("distill") && script.contains("prep-data"),
            "{shell}"
        );
    }
    fs::write(dir.path().join("completions"), script("bash")).unwrap();
    let complete = |before: &str, last: &str| {
        let at = before.split(' ').count();
        let previous = before.rsplit(' ').next().unwrap();
        let ask = format!(
            "source ./completions; COMP_WORDS=({before} {last}); COMP_CWORD={at}; \
             function=$(complete -p llama-train | sed 's/.*-F //; s/ .*//'); \
             $function llama-train {last} {previous}; echo \"${{COMPREPLY[*]}}\""
        );
        let mut bash = Command::new("bash");
        let output = bash
            .args(["--norc", "-c", &ask])
            .current_dir(dir.path())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("llama-train", "dis"), "distill");
    assert_eq!(complete("llama-train report", "--c"), "--config --csv");
    let refused = llama_train(dir.path())
        .args(["completions", "cmd"])
        .assert()
        .code(2);
    assert!(stderr_of(&refused).contains("bash"));
}

/// `run.name` set at every level: the resolved configuration of a dry run tells which one won.
#[test]
fn sources_from_weak_to_strong() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("run.toml"), "[run]\nname = \"toml\"\n").unwrap();
    let run_name = |env_file: bool, environment: bool, set: &[&str]| {
        let env_text = if env_file {
            "LLAMA_TRAIN__RUN__NAME=dotenv\n"
        } else {
            "# nothing\n"
        };
        fs::write(at(".env"), env_text).unwrap();
        fs::remove_dir_all(at("runs")).ok();
        let mut command = llama_train(dir.path());
        if environment {
            command.env("LLAMA_TRAIN__RUN__NAME", "environment");
        }
        let mut arguments = stream_run("default", &["train.max_steps=1", "checkpoint.save=false"]);
        arguments.drain(1..3); // its own --set run.name
        command.args(arguments).args(["--config", "run.toml"]);
        command
            .args(set.iter().flat_map(|setting| ["--set", setting]))
            .assert()
            .success();
        let mut runs = fs::read_dir(at("runs")).unwrap();
        runs.next()
            .unwrap()
            .unwrap()
            .file_name()
            .into_string()
            .unwrap()
    };
    assert_eq!(run_name(false, false, &[]), "toml");
    assert_eq!(run_name(true, false, &[]), "dotenv");
    assert_eq!(run_name(true, true, &[]), "environment");
    assert_eq!(
        run_name(true, true, &["run.name=first", "run.name=\"last\""]),
        "last"
    );
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let toml = "[train]\nmax_step = 5\nseq_len = \"long\"\nmicro_batch_size = 0\n\n[trian]\nx = 1\n\n[optim]\nmax_lr = -1.0\n";
    fs::write(dir.path().join("bad.toml"), toml).unwrap();
    let refused = llama_train(dir.path())
        .args([
            "pretrain",
            "--config",
            "bad.toml",
            "--set",
            "run.sed=7",
            "--set",
            "model.n_heads=three",
        ])
        .env("LLAMA_TRAIN__DATA__SHUFFLE", "maybe")
        .assert()
        .code(2);
    let message = stderr_of(&refused);
    for part in [
        "8 mistakes",
        "bad.toml:2: unknown key train.max_step; did you mean `max_steps`?",
        "bad.toml:3: train.seq_len: ",
        "bad.toml:4: train.micro_batch_size: must be at least 1",
        "bad.toml:6: unknown section [trian]; did you mean `train`?",
        "bad.toml:10: optim.max_lr: -1 must be 0 or more",
        "--set run.sed=7: unknown key run.sed; did you mean `seed`?",
        "--set model.n_heads=three: model.n_heads: ",
        "environment variable LLAMA_TRAIN__DATA__SHUFFLE: data.shuffle: ",
    ] {
        assert!(message.contains(part), "missing: {part}\n{message}");
    }
    assert!(!dir.path().join("runs").exists());
}

#[test]
fn a_dry_run_tells_the_plan_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = stream_run("planned", &[]);
    let run = llama_train(dir.path())
        .args(&arguments)
        .args(["--dry-run", "--json"])
        .assert()
        .success();
    let plan: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
    let expected = [
        ("tokens_per_step", 128),
        ("grad_accum_steps", 2),
        ("max_steps", 20),
        ("world_size", 1),
    ];
    for (key, value) in expected {
        assert_eq!(plan[key], value, "{plan}");
    }
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
}

/// Results on stdout, logs on stderr and in `log.txt`; no secret anywhere in the run folder.
#[test]
fn stdout_is_one_object_and_secrets_stay_out() {
    let dir = tempfile::tempdir().unwrap();
    let run = llama_train(dir.path())
        .args(stream_run("one", &["train.max_steps=2"]))
        .arg("--json")
        .env("HF_TOKEN", "hf_sesame")
        .env("WANDB_API_KEY", "sesame_too")
        .assert()
        .success();
    let summary: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
    let keys: Vec<&str> = summary
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let contract =
        "run_dir step tokens_seen loss val_loss best_val_loss checkpoint stopped seconds";
    assert_eq!(keys, contract.split(' ').collect::<Vec<_>>());
    let run_dir = dir.path().join("runs/one");
    let log = fs::read_to_string(run_dir.join("log.txt")).unwrap();
    assert!(
        stderr_of(&run).contains(&log) && log.contains("step 2/2 loss"),
        "{log}"
    );
    let found = Command::new("grep")
        .args(["-r", "sesame"])
        .arg(&run_dir)
        .output()
        .unwrap();
    assert!(found.stdout.is_empty());
    assert!(
        fs::read_to_string(run_dir.join("config.toml"))
            .unwrap()
            .contains("max_steps = 2")
    );
}

/// What no GPU has run is named from the one table, and every kernel of the CPU holds.
#[test]
fn doctor_tells_of_the_kernels() {
    let dir = tempfile::tempdir().unwrap();
    let doctor = |flags: &[&str]| -> Value {
        let outcome = llama_train(dir.path())
            .args(["doctor", "--json"])
            .args(flags)
            .assert()
            .success();
        serde_json::from_slice(&outcome.get_output().stdout).unwrap()
    };
    let found = doctor(&[]);
    let text = found["kernels"]["found"].as_str().unwrap();
    let (proven, unproven) = text.split_once("no GPU has run them: ").unwrap();
    for kernel in ON_GPU {
        let place = if kernel.proven_on.is_some() {
            proven
        } else {
            unproven
        };
        assert!(place.contains(kernel.name), "{text}");
    }
    let checked = doctor(&["--kernels", "--set", "run.device=\"cpu\""]);
    assert_eq!(
        (&checked["device"], &checked["holds"]),
        (&"cpu".into(), &true.into())
    );
    let checks = checked["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 2 * ON_GPU.len());
    for check in checks {
        assert!(check["cases"].as_u64().unwrap() >= 2, "{check}");
        assert_eq!(check["holds"], true);
    }
}

#[test]
fn doctor_says_what_was_found() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = llama_train(dir.path())
        .args(["doctor", "--json"])
        .env("WANDB_BASE_URL", "http://127.0.0.1:9")
        .assert()
        .success();
    let found: Value = serde_json::from_slice(&outcome.get_output().stdout).unwrap();
    assert_eq!(found["wandb"]["works"], false);
    assert!(
        found["wandb"]["found"]
            .as_str()
            .unwrap()
            .contains("wandb.mode")
    );
    assert_eq!(
        (&found["gloo"]["works"], &found["libtorch"]["works"]),
        (&true.into(), &true.into())
    );
    assert!(
        found["libtorch"]["found"]
            .as_str()
            .unwrap()
            .starts_with("2.11.0, /"),
        "{found}"
    );
    assert!(
        found["nccl"]["found"].as_str().unwrap().len() > 20,
        "{found}"
    );
}

#[test]
fn generate_takes_prompts_of_any_lengths_and_tells_why_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = fixture("1_checkpoints/a_mha_untied");
    if !checkpoint.join("tokenizer.json").exists() {
        fs::create_dir(dir.path().join("model")).unwrap();
        for from in [checkpoint, fixture("tokenizer")] {
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                fs::copy(
                    entry.path(),
                    dir.path().join("model").join(entry.file_name()),
                )
                .unwrap();
            }
        }
    }
    let write = |prompts: &[&str]| {
        let run = llama_train(dir.path())
            .args([
                "generate",
                "--json",
                "--checkpoint",
                "model",
                "--max-new-tokens",
                "6",
                "--temperature",
                "0",
            ])
            .args(prompts.iter().flat_map(|prompt| ["--prompt", prompt]))
            .assert()
            .success();
        let output: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
        output["completions"].as_array().unwrap().clone()
    };
    let both = write(&["a", "a much longer prompt"]);
    assert_eq!(both[0]["stopped"], "length");
    assert_eq!(both[0], write(&["a"])[0]);
    assert_eq!(both[1], write(&["a much longer prompt"])[0]);
}

/// A libtorch that cannot be used is refused with the remedy, before anything is fetched or built.
#[test]
fn the_scripts_refuse_a_wrong_libtorch() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/setup.sh");
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old");
    fs::create_dir_all(old.join("lib")).unwrap();
    fs::create_dir_all(old.join("include/torch/headeronly")).unwrap();
    fs::write(old.join("lib/libtorch_cpu.so"), "").unwrap();
    let version = "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 4\n#define TORCH_VERSION_PATCH 1\n";
    fs::write(old.join("include/torch/headeronly/version.h"), version).unwrap();
    for (libtorch, expected) in [
        (dir.path().join("none"), "no lib/libtorch_cpu.so there"),
        (old, "this is version 2.4.1, 2.11.0 is needed"),
    ] {
        let refused = Command::new(&script)
            .env("LIBTORCH", libtorch)
            .output()
            .unwrap();
        let message = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            message.contains(expected) && message.contains("unset it"),
            "{message}"
        );
    }
}
