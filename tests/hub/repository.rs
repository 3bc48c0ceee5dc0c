//! The files of a commit as the Hub lists them, page by page.

use super::http::{Answer, Request};
use super::server::{Files, ok, refused};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Entries of a listing's page: few, so that there are several.
const PAGE: usize = 3;
/// Ends of the names of files that are kept as large ones.
const LARGE: [&str; 4] = [".safetensors", ".parquet", ".gz", ".pth"];

/// A page of the listing of a folder, or of all below it.
pub(super) fn tree(files: &Files, below: &str, request: &Request, url: &str) -> Answer {
    let field = |name: &str| {
        request
            .query
            .split('&')
            .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    let recursive = field("recursive").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let all = entries(files, below, recursive);
    if all.is_empty() && !below.is_empty() {
        return refused(404, "EntryNotFound", "no such folder");
    }
    let first: usize = field("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let page: Vec<Value> = all.iter().skip(first).take(PAGE).cloned().collect();
    let answer = ok(&json!(page));
    match first + PAGE < all.len() {
        true => {
            let (host, next) = (&request.headers["host"], first + PAGE);
            let below = if below.is_empty() {
                String::new()
            } else {
                format!("/{below}")
            };
            let next = format!("http://{host}{url}{below}?recursive={recursive}&cursor={next}");
            answer.header("Link", format!("<{next}>; rel=\"next\""))
        }
        false => answer,
    }
}

pub(super) fn entries(files: &Files, below: &str, recursive: bool) -> Vec<Value> {
    let prefix = if below.is_empty() {
        String::new()
    } else {
        format!("{below}/")
    };
    let mut folders = BTreeSet::new();
    let mut entries = Vec::new();
    for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with(&prefix)) {
        let inner = &path[prefix.len()..];
        let depths = inner
            .match_indices('/')
            .map(|(at, _)| path[..prefix.len() + at].to_owned());
        folders.extend(depths.take(if recursive { usize::MAX } else { 1 }));
        if recursive || !inner.contains('/') {
            entries.push(entry(path, bytes));
        }
    }
    let folder = |path: String| json!({"type": "directory", "oid": git_oid(path.as_bytes()), "size": 0, "path": path});
    folders.into_iter().map(folder).chain(entries).collect()
}

fn entry(path: &str, bytes: &[u8]) -> Value {
    let mut entry =
        json!({"type": "file", "path": path, "size": bytes.len(), "oid": git_oid(bytes)});
    if is_large(path) {
        entry["oid"] = json!(git_oid(sha256(bytes).as_bytes()));
        entry["lfs"] = json!({"oid": sha256(bytes), "size": bytes.len(), "pointerSize": 134});
    }
    entry
}

pub(super) fn is_large(path: &str) -> bool {
    LARGE.iter().any(|end| path.ends_with(end))
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Forty digits that stand for the content; whose hash they are, no client asks.
pub(super) fn git_oid(bytes: &[u8]) -> String {
    sha256(&[b"blob", bytes].concat())[..40].to_owned()
}
