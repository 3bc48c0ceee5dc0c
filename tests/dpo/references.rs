//! Which model the policy is held against, at the beginning and ever after.

use super::{dpo, first_record, model, still, write_folder};
use crate::common::{column, copy_folder, llama_train, metrics, stderr_of};
use crate::runs::run_to_the_end;
use std::fs;
use std::path::Path;

const FIELDS: [&str; 4] = ["loss", "grad_norm", "rewards/chosen", "rewards/margins"];

/// A run that learns, of so many steps, started from `start`.
pub(crate) fn learning(name: &str, start: &str, steps: u64, settings: &[&str]) -> Vec<String> {
    let steps = format!("train.max_steps={steps}");
    let fixed = [
        steps.as_str(),
        "train.micro_batch_size=4",
        "optim.max_lr=1e-3",
        "optim.schedule=constant",
    ];
    let mut arguments = dpo(name, &[&fixed[..], settings].concat());
    arguments[2] = start.to_owned();
    arguments
}

fn resumed(mut arguments: Vec<String>) -> Vec<String> {
    arguments.push("--resume".to_owned());
    arguments
}

fn assert_same_curve(dir: &Path, a: &str, b: &str) {
    let records = |name: &str| metrics(&dir.join("runs").join(name), "train");
    for field in FIELDS {
        assert_eq!(
            column(&records(a), field),
            column(&records(b), field),
            "{field}"
        );
    }
}

/// The original project took the resumed policy for its own reference: rewards began again at 0.
#[test]
fn a_resumed_run_is_held_against_what_it_started_from() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"], 4);
    let start = dir.path().join("start");
    copy_folder(Path::new(&model("policy")), &start);
    let start = start.display().to_string();
    run_to_the_end(dir.path(), &learning("straight", &start, 12, &[]));
    run_to_the_end(dir.path(), &learning("cut", &start, 6, &[]));
    // Another model is named to start from, and passed over, as for every resume.
    let other = model("reference");
    run_to_the_end(dir.path(), &resumed(learning("cut", &other, 12, &[])));
    assert_same_curve(dir.path(), "straight", "cut");
    let rewards = column(
        &metrics(&dir.path().join("runs/cut"), "train"),
        "rewards/margins",
    );
    assert_eq!(rewards[0], 0.0, "a policy is its own reference at first");
    assert!(rewards[6] > rewards[5].min(0.01), "{rewards:?}");
}

#[test]
fn a_reference_that_is_gone_is_asked_for_and_recognised_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"], 4);
    let [start, moved] = ["start", "moved"].map(|name| dir.path().join(name));
    copy_folder(Path::new(&model("policy")), &start);
    let from = start.display().to_string();
    run_to_the_end(dir.path(), &learning("straight", &from, 12, &[]));
    run_to_the_end(dir.path(), &learning("cut", &from, 6, &[]));
    fs::rename(&start, &moved).unwrap();
    let refused = |settings: &[&str], message: &str| {
        let arguments = resumed(learning("cut", &from, 12, settings));
        let said = stderr_of(&llama_train(dir.path()).args(arguments).assert().code(2));
        assert!(said.contains(message), "{said}");
    };
    refused(
        &[],
        "the reference that this run started with cannot be opened",
    );
    refused(&[], "--set dpo.reference=PATH");
    let other = format!("dpo.reference={}", model("reference"));
    refused(
        &[&other],
        "this is not the reference that the run started with",
    );
    let copy = format!("dpo.reference={}", moved.display());
    run_to_the_end(dir.path(), &resumed(learning("cut", &from, 12, &[&copy])));
    assert_same_curve(dir.path(), "straight", "cut");
}

#[test]
fn kept_scores_are_the_models_and_outlive_it() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train", "val"], 4);
    let start = dir.path().join("start");
    copy_folder(Path::new(&model("policy")), &start);
    let start_name = start.display().to_string();
    let asked = learning("asked", &start_name, 8, &["train.total_batch_examples=8"]);
    run_to_the_end(dir.path(), &asked);
    let kept = ["train.total_batch_examples=8", "dpo.cache_reference=true"];
    run_to_the_end(dir.path(), &learning("kept", &start_name, 4, &kept));
    let files = || {
        let names = fs::read_dir(dir.path().join("data")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.starts_with("reference-"))
            .collect::<Vec<_>>()
    };
    assert_eq!(files().len(), 1);
    fs::remove_dir_all(&start).unwrap();
    run_to_the_end(
        dir.path(),
        &resumed(learning("kept", &start_name, 8, &kept)),
    );
    assert_eq!(files().len(), 1);
    let records = |name: &str, split| metrics(&dir.path().join("runs").join(name), split);
    for split in ["train", "val"] {
        for field in ["loss", "rewards/chosen", "logps/chosen"] {
            let asked = column(&records("asked", split), field);
            let kept = column(&records("kept", split), field);
            let last = asked.len() - 1;
            let off = (asked[last] - kept[kept.len() - 1]).abs();
            assert!(off < 1e-4, "{split} {field}: {asked:?} {kept:?}");
        }
    }
    // Other rows are other scores.
    let longer = [&kept[..], &["train.seq_len=32"]].concat();
    let other = learning("other", &model("policy"), 1, &longer);
    run_to_the_end(dir.path(), &other);
    assert_eq!(files().len(), 2);
}

/// With adapters the model below them is the reference: nothing else is loaded, and it does not move.
#[test]
fn adapters_are_held_against_the_model_below_them() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"], 4);
    let lora = ["lora.enabled=true", "lora.rank=4", "lora.dropout=0"];
    let policy = model("policy");
    let below = |name, steps, more: &[&str]| {
        let settings = [&lora[..], more].concat();
        run_to_the_end(dir.path(), &learning(name, &policy, steps, &settings));
    };
    below("base", 8, &[]);
    let named = format!("dpo.reference={policy}");
    below("named", 8, &[&named]);
    below("kept", 8, &["dpo.cache_reference=true"]);
    let records = |name: &str| metrics(&dir.path().join("runs").join(name), "train");
    for name in ["named", "kept"] {
        for (a, b) in column(&records("base"), "rewards/margins")
            .iter()
            .zip(column(&records(name), "rewards/margins"))
        {
            assert!((a - b).abs() < 1e-5, "{name}: {a} {b}");
        }
    }
    assert_eq!(column(&records("base"), "rewards/margins")[0], 0.0);
    // A second run begins with these adapters: its reference has them as well.
    let trained = dir.path().join("runs/base/checkpoints/latest");
    let again = learning("again", &trained.display().to_string(), 2, &lora);
    run_to_the_end(dir.path(), &again);
    assert_eq!(column(&records("again"), "rewards/margins")[0], 0.0);
    assert_ne!(column(&records("again"), "rewards/margins")[1], 0.0);
}

#[test]
fn none_is_none() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"], 1);
    run_to_the_end(dir.path(), &still("free", &["dpo.reference=none"]));
    let record = first_record(dir.path(), "free");
    let of = |name: &str| record[name].as_f64().unwrap();
    assert!((of("rewards/chosen") - 0.1 * of("logps/chosen")).abs() < 1e-6);
}

#[test]
fn requests_that_cannot_be_met_say_why() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&dir.path().join("data"), &["train"], 1);
    let refused = |arguments: Vec<String>, message: &str| {
        let said = stderr_of(&llama_train(dir.path()).args(arguments).assert().code(2));
        assert!(said.contains(message), "{said}");
    };
    refused(still("a", &["dpo.loss=orpo"]), "have no reference");
    refused(still("a", &["dpo.label_smoothing=0.5"]), "below 0.5");
    refused(
        still("a", &["dpo.loss=hinge", "dpo.label_smoothing=0.1"]),
        "only the losses",
    );
    refused(
        dpo("a", &["train.total_batch_tokens=256"]),
        "set train.total_batch_examples",
    );
    refused(dpo("a", &["train.seq_len=2"]), "dpo.on_too_long");
    let mut sft = dpo("a", &[]);
    sft[0] = "sft".to_owned();
    refused(sft, "pairs of answers; train on it with `llama-train dpo`");
    let nowhere = dpo("a", &["dpo.reference=nowhere"]);
    refused(nowhere, "nowhere");
}
