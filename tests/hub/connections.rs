//! Connections that break, servers that are busy or know no ranges, addresses that have moved.

use super::http::Answer;
use super::models::fetched;
use super::server::{Access, Fault, MEMBER};
use super::{Case, read, tiny};
use std::fs;

#[test]
fn a_cut_connection_is_gone_on_with() {
    let case = Case::with_model();
    let commit = case.hub.commit("models/org/tiny", "main", &tiny());
    case.hub.fault("/cdn/", Fault::Cut(1000), 3);
    case.export("hf://org/tiny").assert().success();
    let ranges: Vec<String> = fetched(&case)
        .into_iter()
        .filter(|line| line.contains("bytes="))
        .collect();
    assert!(
        ranges
            .iter()
            .any(|line| line.contains("/cdn/") && line.ends_with("bytes=1000-")),
        "{ranges:?}"
    );
    assert!(
        ranges
            .iter()
            .any(|line| line.contains("/cdn/") && line.ends_with("bytes=3000-")),
        "{ranges:?}"
    );
    let cached = case.cached("models--org--tiny", &commit, "model.safetensors");
    assert_eq!(
        fs::read(cached).unwrap(),
        read("2_train_trace/init/model.safetensors")
    );
}

/// What an earlier process left is taken where it is right, and thrown away where it is not.
#[test]
fn a_part_that_an_earlier_process_left_is_used_if_it_is_right() {
    let weights = read("2_train_trace/init/model.safetensors");
    for (part, from, requests) in [
        (&weights[..5000], "bytes=5000-", 1),
        (&[7; 5000][..], "bytes=5000-", 2),
    ] {
        let case = Case::with_model();
        let commit = case.hub.commit("models/org/tiny", "main", &tiny());
        case.hub
            .fault("/cdn/", Fault::Answer(Answer::new(404, "")), 1);
        case.export("hf://org/tiny").assert().code(1);
        let sha256 = case
            .hub
            .seen()
            .iter()
            .find_map(|line| Some(line.split_once("/cdn/")?.1.to_owned()))
            .unwrap();
        let blobs = case.home().join("hub/models--org--tiny/blobs");
        fs::write(blobs.join(format!("{sha256}.incomplete")), part).unwrap();
        case.export("hf://org/tiny").assert().success();
        let of_storage: Vec<String> = case
            .hub
            .seen()
            .into_iter()
            .filter(|line| line.contains("/cdn/"))
            .collect();
        assert!(
            of_storage[0].ends_with(from) && of_storage.len() == requests,
            "{of_storage:?}"
        );
        let cached = case.cached("models--org--tiny", &commit, "model.safetensors");
        assert_eq!(fs::read(cached).unwrap(), weights);
    }
}

#[test]
fn a_server_that_knows_no_ranges_sends_all_again() {
    let case = Case::with_model();
    let commit = case.hub.commit("models/org/tiny", "main", &tiny());
    case.hub.fault("/cdn/", Fault::Cut(1000), 1);
    case.hub.fault("/cdn/", Fault::NoRanges, 1);
    case.export("hf://org/tiny").assert().success();
    let cached = case.cached("models--org--tiny", &commit, "model.safetensors");
    assert_eq!(
        fs::read(cached).unwrap(),
        read("2_train_trace/init/model.safetensors")
    );
}

/// A renamed repository answers with another address of the same Hub, which needs the token as well.
#[test]
fn a_renamed_repository_is_followed_with_the_token() {
    let case = Case::with_model();
    case.hub.restrict("models/org/tiny", Access::Gated);
    let commit = case.hub.commit("models/org/tiny", "main", &tiny());
    let moved = |part: &str, to: String| {
        let answer = Answer::new(307, "").header("Location", to);
        case.hub.fault(part, Fault::Answer(answer), 1);
    };
    moved(
        "/api/models/org/old/revision/",
        "/api/models/org/tiny/revision/main".into(),
    );
    moved(
        "/api/models/org/old/tree/",
        format!(
            "{}/api/models/org/tiny/tree/{commit}?recursive=true",
            case.hub.address
        ),
    );
    for file in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ] {
        moved(
            &format!("/org/old/resolve/{commit}/{file}"),
            format!("/org/tiny/resolve/{commit}/{file}"),
        );
    }
    let mut command = case.export("hf://org/old");
    command.env("HF_TOKEN", MEMBER).assert().success();
    let cached = case.cached("models--org--old", &commit, "config.json");
    assert_eq!(
        fs::read(cached).unwrap(),
        read("2_train_trace/init/config.json")
    );
}

#[test]
fn asked_to_wait_it_waits_and_succeeds() {
    let case = Case::with_model();
    for status in [429, 503] {
        let later = Answer::new(status, "").header("Retry-After", 0);
        case.hub
            .fault("/api/models/", Fault::Answer(later.clone()), 2);
        case.hub.fault("config.json", Fault::Answer(later), 2);
        let said = case.said(case.export("hf://org/tiny"), 0);
        assert!(said.contains("asking again in 0 s"), "{said}");
        fs::remove_dir_all(case.home()).unwrap();
    }
}
