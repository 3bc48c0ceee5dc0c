//! What the Hub's refusals mean, and what to do about them.

use std::fmt;

/// What was asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// `hf://org/name`
    pub(super) repo: String,
    /// Its page, where a licence can be accepted.
    pub(super) page: String,
    pub(super) revision: String,
    /// A file of it, where it was one.
    pub(super) file: Option<String>,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repo)?;
        match &self.file {
            Some(file) => write!(f, ": {file}"),
            None => Ok(()),
        }
    }
}

/// The Hub cannot be reached. What was fetched before may do instead.
#[derive(Debug, thiserror::Error)]
#[error(
    "{asked}: cannot reach {endpoint}: {reason}; check the network (or HF_ENDPOINT and HTTPS_PROXY), or set \
         HF_HUB_OFFLINE=1 to use what was fetched before"
)]
pub(super) struct Unreachable {
    pub(super) asked: Asked,
    pub(super) endpoint: String,
    pub(super) reason: String,
}

/// An answer that is a refusal.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    pub(super) asked: &'a Asked,
    pub(super) status: u16,
    /// `X-Error-Code`
    pub(super) code: Option<&'a str>,
    pub(super) has_token: bool,
    /// How often it was asked for.
    pub(super) attempts: u32,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, status, .. } = self;
        write!(f, "{asked}: {} (the Hub's answer: {status})", self.remedy())
    }
}

impl Refusal<'_> {
    fn remedy(&self) -> String {
        let page = &self.asked.page;
        let revision = &self.asked.revision;
        match (self.status, self.code.unwrap_or_default()) {
            (401, "GatedRepo") if !self.has_token => format!(
                "is gated; accept its licence on {page} with your account, then set HF_TOKEN (in the environment or in \
                 .env) to a token of that account"
            ),
            (401 | 403, "GatedRepo") => format!(
                "is gated, and the account of your token has no access; accept the licence on {page} with this account \
                 (some owners then confirm by hand)"
            ),
            (401, _) if self.has_token => {
                "your token is not valid, or sees no such repository; make a new one in your account's settings and set \
                 HF_TOKEN to it, and check the name"
                    .to_owned()
            }
            (401, _) => "there is no such repository, or it is private; check the name, and for a private one set \
                         HF_TOKEN to a token that may read it"
                .to_owned(),
            (403, _) => "your token may not read this; give it read access to the repository in your account's settings, \
                         or set HF_TOKEN to another"
                .to_owned(),
            (404, "RevisionNotFound") => {
                format!("has no branch, tag or commit `{revision}`; its page lists them: {page}")
            }
            (404, "EntryNotFound") => format!("there is no such file at `{revision}`: {page}"),
            (404, _) if self.has_token => {
                "there is no such repository, or your token may not see it; check the name".to_owned()
            }
            (404, _) => "there is no such repository; check the name; a private one is not shown without a token \
                         (HF_TOKEN)"
                .to_owned(),
            (429, _) => format!(
                "too many requests, {} times in a row; wait some minutes{}",
                self.attempts,
                if self.has_token { "" } else { ", or set HF_TOKEN: with a token more are allowed" }
            ),
            (500.., _) => format!(
                "the Hub is not well, {} times in a row; try again later: what was fetched is kept",
                self.attempts
            ),
            _ => "was refused; check HF_ENDPOINT and the address".to_owned(),
        }
    }
}
