//! What goes wrong, in words that say what to do, and without a token in them.

use super::Case;
use super::http::Answer;
use super::server::{Access, Fault, MEMBER, OUTSIDER};
use std::net::TcpListener;

fn answer(status: u16) -> Fault {
    Fault::Answer(Answer::new(status, "").header("Retry-After", 0))
}

#[test]
fn each_refusal_has_its_remedy() {
    type Prepare = fn(&Case);
    let nothing: Prepare = |_| {};
    let gated: Prepare = |case| case.hub.restrict("models/org/tiny", Access::Gated);
    let private: Prepare = |case| case.hub.restrict("models/org/tiny", Access::Private);
    let cases: &[(&str, Prepare, Option<&str>, &[&str])] = &[
        (
            "hf://org/tiny",
            gated,
            None,
            &[
                "hf://org/tiny: ",
                "is gated; accept its licence on",
                "then set HF_TOKEN",
            ],
        ),
        (
            "hf://org/tiny",
            gated,
            Some(OUTSIDER),
            &[
                "the account of your token has no access; accept the licence on",
                "403",
            ],
        ),
        (
            "hf://org/tiny",
            gated,
            Some("hf_wrong"),
            &["your token is not valid", "set HF_TOKEN", "401"],
        ),
        (
            "hf://org/tiny",
            private,
            None,
            &["no such repository, or it is private", "set HF_TOKEN"],
        ),
        (
            "hf://org/tiny",
            private,
            Some(OUTSIDER),
            &["no such repository, or your token may not see it", "404"],
        ),
        (
            "hf://org/none",
            nothing,
            None,
            &["hf://org/none: there is no such repository, or it is private; check the name"],
        ),
        (
            "hf://org/none",
            nothing,
            Some(MEMBER),
            &["hf://org/none: there is no such repository"],
        ),
        (
            "hf://org/tiny@v9",
            nothing,
            None,
            &["has no branch, tag or commit `v9`; its page lists them"],
        ),
        (
            "hf://org/tiny",
            |case| case.hub.fault("/api/models/", answer(404), 1),
            None,
            &[
                "there is no such repository; check the name; a private one is not shown without a token",
            ],
        ),
        (
            "hf://org/tiny",
            |case| case.hub.fault("/cdn/", answer(403), 1),
            Some(MEMBER),
            &["your token may not read this", "403"],
        ),
        (
            "hf://org/tiny",
            |case| {
                let gone = Answer::new(404, "").header("X-Error-Code", "EntryNotFound");
                case.hub.fault("resolve", Fault::Answer(gone), 9);
            },
            None,
            &["there is no such file at `main`"],
        ),
        (
            "hf://org/tiny",
            |case| case.hub.fault("/api/models/", answer(429), 99),
            None,
            &[
                "too many requests, 6 times in a row; wait some minutes, or set HF_TOKEN",
                "429",
            ],
        ),
        (
            "hf://org/tiny",
            |case| case.hub.fault("resolve", answer(500), 99),
            None,
            &[
                "the Hub is not well, 6 times in a row; try again later",
                "500",
            ],
        ),
        (
            "hf://org/tiny",
            |case| case.hub.fault("resolve", answer(418), 99),
            None,
            &["was refused; check HF_ENDPOINT", "418"],
        ),
        (
            "hf://org/tiny",
            |case| {
                case.hub
                    .fault("/api/models/", Fault::Answer(Answer::new(200, "<html>")), 9)
            },
            None,
            &["the Hub's answer cannot be understood; is HF_ENDPOINT a Hub?"],
        ),
        (
            "hf://org/tiny",
            |case| case.hub.fault("/cdn/", Fault::Damaged, 9),
            None,
            &["model.safetensors: what was sent has another SHA-256 than the Hub lists"],
        ),
        (
            "hf://org/tiny",
            |case| {
                case.hub
                    .fault("/cdn/", Fault::Answer(Answer::new(200, "short")), 9)
            },
            None,
            &[
                "model.safetensors: ",
                "bytes are listed, and 5 or more were sent",
            ],
        ),
    ];
    for (name, prepare, token, parts) in cases {
        let case = Case::with_model();
        prepare(&case);
        let mut command = case.export(name);
        command.envs(token.map(|token| ("HF_TOKEN", token)));
        let said = case.said(command, 1);
        for part in *parts {
            assert!(said.contains(part), "{name}: missing: {part}\n{said}");
        }
        for secret in [MEMBER, OUTSIDER, "hf_wrong"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[test]
fn without_a_network_the_remedy_is_told() {
    let case = Case::with_model();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for endpoint in [
        format!("http://{free}"),
        "http://no-such-host.invalid".to_owned(),
    ] {
        let mut command = case.export("hf://org/tiny");
        command.env("HF_ENDPOINT", &endpoint);
        let said = case.said(command, 1);
        let expected = format!("hf://org/tiny: cannot reach {endpoint}: ");
        assert!(
            said.contains(&expected) && said.contains("check the network"),
            "{said}"
        );
    }
    let mut offline = case.export("hf://org/tiny");
    offline.env("HF_HUB_OFFLINE", "yes");
    let said = case.said(offline, 1);
    assert!(
        said.contains("HF_HUB_OFFLINE is set, and `main` of it is not in the cache"),
        "{said}"
    );
    assert!(case.hub.seen().is_empty());
}

/// Wrong requests are found before anything is asked for.
#[test]
fn what_is_no_address_is_a_bad_request() {
    let case = Case::with_model();
    let input = [
        "prep-data",
        "pretrain",
        "--out",
        "out",
        "--tokenizer",
        "hf://org/tiny",
        "--input",
    ];
    let prepare = |path: &str| case.command(&[&input[..], &["hf://datasets/a/b", path]].concat());
    let mut endpoint = case.export("hf://org/tiny");
    endpoint.env("HF_ENDPOINT", "example");
    for (command, part) in [
        (
            case.export("hf://org/tiny/file"),
            "a model is hf://org/name[@revision]",
        ),
        (
            case.export("hf://datasets/a/b"),
            "is a data set, and a model is needed here",
        ),
        (
            prepare("hf://a/b"),
            "is a model, and a data set is needed here",
        ),
        (
            prepare("hf://datasets/a/b:c/d[:9]"),
            "has no config/split behind its colon",
        ),
        (endpoint, "HF_ENDPOINT=example: expected an address"),
    ] {
        let said = case.said(command, 2);
        assert!(said.contains(part), "{said}");
    }
    assert!(case.hub.seen().is_empty());
}

#[test]
fn a_repository_without_anything_to_read_is_refused() {
    let case = Case::new();
    case.hub.commit(
        "models/org/bin",
        "main",
        &[
            ("config.json", b"{}".to_vec()),
            ("pytorch_model.bin", vec![0]),
        ],
    );
    let said = case.said(case.export("hf://org/bin"), 1);
    assert!(
        said.contains("hf://org/bin: holds no weights that can be read (model.safetensors"),
        "{said}"
    );
    let said = case.said(case.command(&["doctor"]), 0);
    assert!(said.is_empty() || !said.contains("error"), "{said}");
}
