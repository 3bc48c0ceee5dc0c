//! Models and tokenizers by name: fetched once, whole, and into the cache that others share.

use super::server::{Access, MEMBER};
use super::{Case, read, tiny};
use crate::common::{fixture, stream_run};
use crate::distributed::ranks;
use std::fs;

/// The requests for content, without those for listings.
pub(super) fn fetched(case: &Case) -> Vec<String> {
    let seen = case.hub.seen().into_iter();
    seen.filter(|line| line.contains("/resolve/") || line.contains("/cdn/"))
        .collect()
}

#[test]
fn a_model_is_fetched_once_and_only_what_is_needed() {
    let case = Case::with_model();
    let commit = case.hub.commit("models/org/tiny", "main", &tiny());
    case.export("hf://org/tiny").assert().success();
    for (file, bytes) in tiny() {
        let cached = case.cached("models--org--tiny", &commit, file);
        match ["README.md", "pytorch_model.bin", "original/params.json"].contains(&file) {
            true => assert!(!cached.exists(), "{file}"),
            false => assert_eq!(fs::read(cached).unwrap(), bytes, "{file}"),
        }
    }
    assert!(
        fs::read_link(case.cached("models--org--tiny", &commit, "config.json"))
            .unwrap()
            .starts_with("../../blobs")
    );
    let refs = case.home().join("hub/models--org--tiny/refs/main");
    assert_eq!(fs::read_to_string(refs).unwrap(), commit);
    assert_eq!(fetched(&case).len(), 5); // four files, one of them by way of its storage
    case.export("hf://org/tiny@main").assert().success();
    case.export(&format!("hf://org/tiny@{commit}"))
        .assert()
        .success();
    assert_eq!(fetched(&case), Vec::<String>::new());
}

#[test]
fn shards_metas_files_and_names_without_an_owner() {
    let case = Case::new();
    let sharded = "1_checkpoints/d_sharded_bf16";
    let files = [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ];
    let files = files.map(|file| (file, read(format!("{sharded}/{file}"))));
    case.hub.commit("models/sharded", "main", &files);
    case.export("hf://sharded").assert().success();
    let meta = ["consolidated.00.pth", "params.json", "tokenizer.model"];
    let meta = meta.map(|file| (file, read(format!("8_meta/{file}"))));
    case.hub.commit("models/org/meta", "a/branch", &meta);
    case.export("hf://org/meta@a/branch").assert().success();
}

#[test]
fn a_tokenizer_comes_without_the_weights() {
    let case = Case::with_model();
    fs::write(case.dir.path().join("a.txt"), "hello hello").unwrap();
    let arguments = [
        "prep-data",
        "pretrain",
        "--input",
        "a.txt",
        "--tokenizer",
        "hf://org/tiny",
        "--out",
        "out",
    ];
    case.command(&arguments).assert().success();
    let fetched = fetched(&case);
    assert_eq!(fetched.len(), 2, "{fetched:?}");
    let kept = fs::read(case.dir.path().join("out/tokenizer.json")).unwrap();
    assert_eq!(kept, read("tokenizer/tokenizer.json"));
}

#[test]
fn a_gated_model_takes_a_token_from_the_environment_or_env_or_the_file_of_a_login() {
    let case = Case::with_model();
    case.hub.restrict("models/org/tiny", Access::Gated);
    let said = case.said(case.export("hf://org/tiny"), 1);
    assert!(
        said.contains("is gated; accept its licence on")
            && said.contains("/org/tiny with your account, then set HF_TOKEN"),
        "{said}"
    );
    case.export("hf://org/tiny")
        .env("HF_TOKEN", MEMBER)
        .assert()
        .success();
    for (file, content) in [
        (".env", format!("HF_TOKEN={MEMBER}\n")),
        ("home/token", format!("{MEMBER}\n")),
    ] {
        fs::remove_dir_all(case.home()).unwrap();
        fs::create_dir(case.home()).unwrap();
        let path = case.dir.path().join(file);
        fs::write(&path, content).unwrap();
        case.export("hf://org/tiny").assert().success();
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_revision_that_moved_is_fetched_anew() {
    let case = Case::with_model();
    let first = case.hub.commit("models/org/tiny", "main", &tiny());
    case.export("hf://org/tiny").assert().success();
    let mut files = tiny();
    files[2].1 = read("1_checkpoints/b_gqa_tied/model.safetensors");
    files[1].1 = read("1_checkpoints/b_gqa_tied/config.json");
    let second = case.hub.commit("models/org/tiny", "main", &files);
    case.hub.seen();
    case.export("hf://org/tiny").assert().success();
    assert_eq!(fetched(&case).len(), 3); // what changed: two files, one of them by way of its storage
    let weights = |commit: &str| {
        fs::read(case.cached("models--org--tiny", commit, "model.safetensors")).unwrap()
    };
    assert_eq!(weights(&first), tiny()[2].1);
    assert_eq!(weights(&second), files[2].1);
    assert!(
        case.cached("models--org--tiny", &second, "tokenizer.json")
            .is_file()
    );
}

#[test]
fn offline_the_cache_is_enough() {
    let case = Case::with_model();
    case.export("hf://org/tiny").assert().success();
    case.hub.seen();
    for on in ["1", "true", "ON"] {
        case.export("hf://org/tiny")
            .env("HF_HUB_OFFLINE", on)
            .assert()
            .success();
    }
    assert_eq!(case.hub.seen(), Vec::<String>::new());
    let mut elsewhere = case.export("hf://org/tiny");
    elsewhere
        .env("HF_HUB_CACHE", case.home().join("hub"))
        .env("HF_HOME", "/none")
        .env("HF_HUB_OFFLINE", "1");
    elsewhere.assert().success();
    // Nobody answers there.
    let said = case.said(
        {
            let mut command = case.export("hf://org/tiny");
            command.env("HF_ENDPOINT", "http://127.0.0.1:9");
            command
        },
        0,
    );
    assert!(
        said.contains("going on with what was fetched before"),
        "{said}"
    );
}

/// One rank fetches; the others find it.
#[test]
fn ranks_fetch_once() {
    let case = Case::with_model();
    let home = case.home();
    fs::write(
        case.dir.path().join(".env"),
        format!(
            "HF_HOME={}\nHF_ENDPOINT={}\n",
            home.display(),
            case.hub.address
        ),
    )
    .unwrap();
    let init = format!(
        "model.init_from=\"{}\"",
        fixture("2_train_trace/init").display()
    );
    let arguments: Vec<String> =
        stream_run("ranks", &["train.max_steps=1", "train.micro_batch_size=2"])
            .into_iter()
            .map(|argument| {
                if argument == init {
                    "model.init_from=\"hf://org/tiny\"".into()
                } else {
                    argument
                }
            })
            .chain(["--set".into(), "data.path=\"data\"".into()])
            .collect();
    let data = case.dir.path().join("data");
    fs::create_dir(&data).unwrap();
    for file in fs::read_dir(fixture("9_stream/data"))
        .unwrap()
        .map(Result::unwrap)
    {
        fs::copy(file.path(), data.join(file.file_name())).unwrap();
    }
    assert!(arguments.iter().any(|argument| argument.contains("hf://")));
    ranks::run(case.dir.path(), &arguments, 2);
    assert_eq!(
        fetched(&case)
            .iter()
            .filter(|line| line.contains("/cdn/"))
            .count(),
        1
    );
}

/// `doctor` says whether the Hub answers, who asks, and where files are.
#[test]
fn the_doctor_looks_at_the_hub() {
    let case = Case::new();
    let found = |variables: &[(&str, &str)]| {
        let mut command = case.command(&["doctor"]);
        command.envs(variables.iter().copied());
        let stdout = command.assert().success().get_output().stdout.clone();
        let text = String::from_utf8(stdout).unwrap();
        let whole = text.replace("\n              ", " "); // its lines end at 80 columns
        let line = whole.lines().find(|line| line.contains("hub "));
        line.unwrap().to_owned()
    };
    let home = case.home().join("hub").display().to_string();
    for (variables, parts) in [
        (
            vec![],
            vec![
                "ok  hub",
                "answers, without a token",
                "set HF_TOKEN",
                home.as_str(),
            ],
        ),
        (vec![("HF_TOKEN", MEMBER)], vec!["ok  hub", "with a token"]),
        (
            vec![("HF_TOKEN", "hf_wrong")],
            vec!["--  hub", "does not accept the token"],
        ),
        (
            vec![("HF_ENDPOINT", "http://127.0.0.1:9")],
            vec!["--  hub", "cannot be reached", "check the network"],
        ),
        (
            vec![("HF_HUB_OFFLINE", "1")],
            vec!["ok  hub", "not asked (HF_HUB_OFFLINE is set)"],
        ),
    ] {
        let line = found(&variables);
        for part in parts {
            assert!(line.contains(part), "missing {part}: {line}");
        }
        assert!(!line.contains(MEMBER), "{line}");
    }
}

/// An adapter by name, over a model by name, and what says how large that is.
#[test]
fn adapters_and_plans_take_names() {
    let case = Case::new();
    let model = ["config.json", "model.safetensors"];
    let model = model.map(|file| (file, read(format!("1_checkpoints/b_gqa_tied/{file}"))));
    case.hub.commit("models/org/base", "main", &model);
    let plan = [
        "plan",
        "--init-from",
        "hf://org/base",
        "--set",
        "train.seq_len=512",
    ];
    case.command(&plan).assert().success();
    assert!(fetched(&case).iter().all(|line| !line.contains("/cdn/")));
    let adapter = ["adapter_config.json", "adapter_model.safetensors"];
    let adapter = adapter.map(|file| (file, read(format!("5_lora/{file}"))));
    case.hub.commit("models/org/adapter", "main", &adapter);
    let mut merged = case.export("hf://org/base");
    merged.args(["--adapter", "hf://org/adapter", "--merge-lora"]);
    merged.assert().success();
}
