//! Learning from a teacher, against transformers' numbers and against itself: cut, on ranks, with the teacher asked once.

use crate::common::{column, copy_folder, fixture, llama_train, metrics, stderr_of, stream_run};
use crate::distributed::ranks;
use crate::runs::{cut_run_is_the_straight_one, run_to_the_end};
use crate::sft;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn expected() -> Value {
    let text = fs::read_to_string(fixture("9_stream/expected.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["distill"].clone()
}

fn model(name: &str) -> String {
    fixture("1_checkpoints").join(name).display().to_string()
}

/// Checkpoint b learns from checkpoint a on the reference stream.
fn distill(name: &str, settings: &[&str]) -> Vec<String> {
    let models = [
        format!("model.init_from={}", model("b_gqa_tied")),
        format!("distill.teacher={}", model("a_mha_untied")),
    ];
    let fixed = [
        models[0].as_str(),
        &models[1],
        "train.total_batch_tokens=64",
    ];
    let mut arguments = stream_run(name, &[&fixed[..], settings].concat());
    arguments[0] = "distill".to_owned();
    arguments
}

fn still(name: &str, settings: &[&str]) -> Vec<String> {
    let fixed = ["optim.max_lr=0", "optim.min_lr=0", "train.max_steps=1"];
    distill(name, &[&fixed[..], settings].concat())
}

fn first(dir: &Path, name: &str) -> Value {
    metrics(&dir.join("runs").join(name), "train")[0].clone()
}

fn of(record: &Value, field: &str) -> f64 {
    record[field].as_f64().unwrap()
}

fn assert_relative(found: f64, expected: f64, tolerance: f64) {
    let off = (found / expected - 1.0).abs();
    assert!(off < tolerance, "{found} {expected}");
}

#[test]
fn losses_and_gradients_are_transformers() {
    let dir = tempfile::tempdir().unwrap();
    let expected = expected();
    for (kind, field) in [("forward_kl", "forward_kl"), ("reverse_kl", "reverse_kl")] {
        run_to_the_end(dir.path(), &still(kind, &[&format!("distill.kind={kind}")]));
        let record = first(dir.path(), kind);
        let divergence = 4.0 * of(&expected, field);
        assert_relative(of(&record, "ce_loss"), of(&expected, "ce_loss"), 1e-5);
        assert_relative(of(&record, "kd_loss"), divergence, 1e-5);
        let mixed = 0.5 * divergence + 0.5 * of(&expected, "ce_loss");
        assert_relative(of(&record, "loss"), mixed, 1e-5);
    }
    let record = first(dir.path(), "forward_kl");
    assert_relative(of(&record, "loss"), of(&expected, "loss"), 1e-5);
    assert_relative(of(&record, "grad_norm"), of(&expected, "grad_norm"), 1e-4);
    let val = metrics(&dir.path().join("runs/forward_kl"), "val")[0].clone();
    assert_relative(of(&val, "perplexity"), of(&val, "ce_loss").exp(), 1e-9);
}

/// Lies between the others, is bounded by log 2, and is none where student and teacher are one.
#[test]
fn jensen_shannon_is_bounded_and_zero_for_oneself() {
    let dir = tempfile::tempdir().unwrap();
    run_to_the_end(dir.path(), &still("js", &["distill.kind=js"]));
    let divergence = of(&first(dir.path(), "js"), "kd_loss") / 4.0;
    assert!(
        (0.05..std::f64::consts::LN_2).contains(&divergence),
        "{divergence}"
    );
    let oneself = format!("distill.teacher={}", model("b_gqa_tied"));
    run_to_the_end(dir.path(), &still("self", &["distill.kind=js", &oneself]));
    assert!(of(&first(dir.path(), "self"), "kd_loss").abs() < 1e-6);
}

const FIELDS: [&str; 4] = ["loss", "ce_loss", "kd_loss", "grad_norm"];

fn assert_same_curves(dir: &Path, [a, b]: [&str; 2], tolerance: f64) {
    for split in ["train", "val"] {
        let records = |name: &str| metrics(&dir.join("runs").join(name), split);
        for field in FIELDS {
            let (a, b) = (column(&records(a), field), column(&records(b), field));
            assert_eq!(a.len(), b.len());
            for (a, b) in a.iter().zip(&b).filter(|(a, _)| !a.is_nan()) {
                let off = (a - b).abs() / a.abs();
                assert!(off < tolerance, "{split} {field}: {a} {b}");
            }
        }
    }
}

#[test]
fn ranks_and_accumulation_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["train.max_steps=3", "train.total_batch_tokens=128"];
    run_to_the_end(dir.path(), &distill("whole", &settings));
    for (name, world_size) in [("cut", 1), ("ranks", 2)] {
        let settings = [&settings[..], &["train.micro_batch_size=1"]].concat();
        ranks::run(dir.path(), &distill(name, &settings), world_size);
        assert_same_curves(dir.path(), ["whole", name], 1e-5);
    }
}

fn copy_stream(to: &Path) {
    copy_folder(&fixture("9_stream/data"), to);
}

fn kept_files(data: &Path) -> usize {
    let names = fs::read_dir(data).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("teacher-")).count()
}

/// With the whole vocabulary kept nothing is lost; with less, little, and the teacher is not needed again.
#[test]
fn a_teacher_that_was_asked_once_is_the_teacher() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    copy_stream(&data);
    let path = format!("data.path={}", data.display());
    let learn = |name: &str, settings: &[&str], world_size: u64| {
        let fixed = [
            path.as_str(),
            "train.max_steps=3",
            "train.micro_batch_size=1",
        ];
        let arguments = distill(name, &[&fixed[..], settings].concat());
        ranks::run(dir.path(), &arguments, world_size);
    };
    for kind in ["forward_kl", "reverse_kl", "js"] {
        let kind_is = format!("distill.kind={kind}");
        let (asked, kept) = (format!("asked-{kind}"), format!("kept-{kind}"));
        learn(&asked, &[&kind_is], 1);
        let all = ["distill.cache_teacher=true", "distill.top_k=100000"];
        learn(&kept, &[&[kind_is.as_str()], &all[..]].concat(), 2);
        assert_same_curves(dir.path(), [&asked, &kept], 2e-5);
    }
    assert_eq!(
        kept_files(&data),
        6,
        "the kinds share what the teacher says"
    );
    let some = ["distill.cache_teacher=true", "distill.top_k=100"];
    learn("some", &some, 2);
    assert_eq!(kept_files(&data), 12);
    let loss = |name: &str| of(&first(dir.path(), name), "kd_loss");
    let (some, all) = (loss("some"), loss("asked-forward_kl"));
    assert!(0.3 * all < some && some < all, "{some} {all}");
}

/// The teacher is recognised after a resume; where it was asked before, it may be gone.
#[test]
fn a_resumed_student_has_the_same_teacher() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    copy_stream(&data);
    let teacher = dir.path().join("teacher");
    copy_folder(&fixture("1_checkpoints/a_mha_untied"), &teacher);
    let settings = |steps: &'static str| {
        [
            format!("data.path={}", data.display()),
            format!("distill.teacher={}", teacher.display()),
            "distill.cache_teacher=true".to_owned(),
            "optim.schedule=constant".to_owned(),
            steps.to_owned(),
        ]
    };
    let run = |name: &str, steps, resume: &[&str]| {
        let settings = settings(steps);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let mut arguments = distill(name, &settings);
        arguments.extend(resume.iter().map(|text| (*text).to_owned()));
        llama_train(dir.path()).args(arguments).assert()
    };
    run("straight", "train.max_steps=6", &[]).success();
    run("cut", "train.max_steps=3", &[]).success();
    let other = format!("distill.teacher={}", model("c_gqa_rope_llama3"));
    let said = run("cut", "train.max_steps=6", &["--resume", "--set", &other]).code(2);
    let said = stderr_of(&said);
    assert!(
        said.contains("not the teacher that the run started with"),
        "{said}"
    );
    fs::remove_dir_all(&teacher).unwrap();
    run("cut", "train.max_steps=6", &["--resume"]).success();
    let curve = |name: &str| {
        column(
            &metrics(&dir.path().join("runs").join(name), "train"),
            "loss",
        )
    };
    assert_eq!(curve("straight"), curve("cut"));
    let uncached = ["--resume", "--set", "distill.cache_teacher=false"];
    let said = stderr_of(&run("cut", "train.max_steps=7", &uncached).code(2));
    assert!(
        said.contains("the teacher that this run started with cannot be opened"),
        "{said}"
    );
}

#[test]
fn a_killed_student_resumes_bit_for_bit() {
    let data = tempfile::tempdir().unwrap();
    copy_stream(data.path());
    let path = format!("data.path={}", data.path().display());
    for (lora, cache, weights) in [
        ("false", "false", "model.safetensors"),
        ("true", "true", "adapter_model.safetensors"),
    ] {
        let (lora, cache) = (
            format!("lora.enabled={lora}"),
            format!("distill.cache_teacher={cache}"),
        );
        let settings = [
            path.as_str(),
            &lora,
            &cache,
            "train.max_steps=40",
            "train.total_batch_tokens=256",
            "checkpoint.every=5",
            "validate.every=10",
        ];
        cut_run_is_the_straight_one(|name| distill(name, &settings), weights, 40);
    }
}

/// Conversations: trained-on tokens alone, packed or not, and a student that begins with nothing.
#[test]
fn conversations_are_distilled_packed_and_padded() {
    let dir = tempfile::tempdir().unwrap();
    sft::write_folder(&dir.path().join("data"), &["train", "val"]);
    let teacher = format!("distill.teacher={}", model("a_mha_untied"));
    let student = model("b_gqa_tied");
    let run = |name: &str, settings: &[&str]| {
        let fixed = [
            teacher.as_str(),
            "distill.on=instruct",
            "optim.max_lr=0",
            "train.max_steps=1",
            "data.shuffle=false",
        ];
        let mut arguments = sft::sft(name, &[&fixed[..], settings].concat());
        arguments[0] = "distill".to_owned();
        arguments[2].clone_from(&student);
        arguments
    };
    run_to_the_end(dir.path(), &run("packed", &["train.micro_batch_size=3"]));
    let padded = ["sft.packing=false", "train.micro_batch_size=5"];
    run_to_the_end(dir.path(), &run("padded", &padded));
    let kept = [
        "train.micro_batch_size=3",
        "distill.cache_teacher=true",
        "distill.top_k=640",
    ];
    run_to_the_end(dir.path(), &run("kept", &kept));
    for name in ["padded", "kept"] {
        for field in FIELDS {
            let of_packed = of(&first(dir.path(), "packed"), field);
            assert_relative(of(&first(dir.path(), name), field), of_packed, 2e-5);
        }
    }
    let mut fresh = run(
        "fresh",
        &["model.dim=16", "model.n_layers=1", "model.n_heads=2"],
    );
    fresh.drain(1..3); // --init-from
    let vocabulary = [
        "--set",
        "model.vocab_size=640",
        "--set",
        "model.max_seq_len=128",
    ];
    fresh.extend(vocabulary.map(str::to_owned));
    run_to_the_end(dir.path(), &fresh);
    assert!((of(&first(dir.path(), "fresh"), "ce_loss") - 640_f64.ln()).abs() < 0.1);
}

#[test]
fn requests_that_cannot_be_met_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |settings: &[&str], message: &str| {
        let arguments = distill("a", settings);
        let said = stderr_of(&llama_train(dir.path()).args(arguments).assert().code(2));
        assert!(said.contains(message), "{said}");
    };
    refused(
        &["distill.temperature=0"],
        "distill.temperature: 0 must be above 0",
    );
    refused(&["distill.alpha=1.5"], "distill.alpha: 1.5");
    refused(&["distill.teacher=nowhere"], "nowhere");
    let other = dir.path().join("other");
    copy_folder(&fixture("1_checkpoints/a_mha_untied"), &other);
    let config = fs::read_to_string(other.join("config.json")).unwrap();
    let config = config.replace("\"vocab_size\": 640", "\"vocab_size\": 600");
    fs::write(other.join("config.json"), config).unwrap();
    let other = format!("distill.teacher={}", other.display());
    refused(&[&other], "the teacher has a vocabulary of 600");
    let plan = llama_train(dir.path())
        .args(distill("planned", &[]))
        .args(["--dry-run", "--json"])
        .assert()
        .success();
    let plan: Value = serde_json::from_slice(&plan.get_output().stdout).unwrap();
    assert!(plan["parameters_beside"].as_u64().unwrap() > 1000, "{plan}");
    assert!(!dir.path().join("runs").exists());
}
