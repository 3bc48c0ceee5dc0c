//! A Hub that means harm: nothing is written where it does not belong.

use super::http::Answer;
use super::server::Fault;
use super::{Case, read, tiny};
use std::fs;
use std::path::Path;

/// Every file below a folder, by its path.
fn everything_below(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        all.push(entry.path().display().to_string());
        if entry.file_type().unwrap().is_dir() {
            all.extend(everything_below(&entry.path()));
        }
    }
    all
}

#[test]
fn names_that_lead_elsewhere_write_nothing() {
    for name in [
        "../../../../evil.json",
        "/tmp/llama-train-evil.json",
        "a/../../b/config.json",
        "a//b",
        "c\\d",
    ] {
        let case = Case::new();
        let mut files = tiny();
        files.push((name, b"{}".to_vec()));
        case.hub.commit("models/org/evil", "main", &files);
        let said = case.said(case.export("hf://org/evil"), 1);
        assert!(
            said.contains("would lie outside its folder; nothing of it was written"),
            "{name}: {said}"
        );
        assert!(!Path::new("/tmp/llama-train-evil.json").exists());
        assert_eq!(
            everything_below(case.dir.path()),
            Vec::<String>::new(),
            "{name}"
        );
    }
    for name in ["../../../../evil.safetensors", "/etc/passwd"] {
        let case = Case::new();
        let index =
            format!("{{\"weight_map\": {{\"a\": \"model-1.safetensors\", \"b\": {name:?}}}}}");
        let files = [
            ("config.json", read("2_train_trace/init/config.json")),
            ("model-1.safetensors", vec![0; 8]),
            ("model.safetensors.index.json", index.into_bytes()),
        ];
        case.hub.commit("models/org/evil", "main", &files);
        let said = case.said(case.export("hf://org/evil"), 1);
        assert!(
            said.contains("which lies outside the model's folder"),
            "{said}"
        );
        let outside = everything_below(case.dir.path()).into_iter();
        let mut outside = outside.filter(|path| !path.starts_with(&*case.home().to_string_lossy()));
        assert_eq!(outside.next(), None);
    }
}

/// A Hub that names something else than a commit, or that something is kept under a path.
#[test]
fn commits_and_contents_are_plain_names() {
    for body in ["{\"sha\": \"../../../x\"}", "{\"sha\": \"main\"}"] {
        let case = Case::with_model();
        case.hub
            .fault("/revision/", Fault::Answer(Answer::new(200, body)), 1);
        let said = case.said(case.export("hf://org/tiny"), 1);
        assert!(said.contains("names a commit that is none"), "{said}");
    }
    let case = Case::with_model();
    let entry = r#"[{"type": "file", "path": "config.json", "oid": "../../x", "size": 2}]"#;
    case.hub
        .fault("/tree/", Fault::Answer(Answer::new(200, entry)), 1);
    let said = case.said(case.export("hf://org/tiny"), 1);
    assert!(said.contains("nothing of it was written"), "{said}");
}

/// A listing that never ends.
#[test]
fn a_listing_without_an_end_ends() {
    let case = Case::with_model();
    let next = format!(
        "<{}/api/models/org/tiny/tree/x?cursor=0>; rel=\"next\"",
        case.hub.address
    );
    let page = Answer::new(200, "[]").header("Link", next);
    case.hub.fault("/tree/", Fault::Answer(page), usize::MAX);
    let said = case.said(case.export("hf://org/tiny"), 1);
    assert!(said.contains("its listing does not end"), "{said}");
}
