//! What the environment and `.env` say about the Hub, under the names that Python's libraries use.

use crate::bad_request;
use crate::config::machine_variable;
use anyhow::{Context, Result};
use hf_hub::Cache;
use hf_hub::api::sync::ApiBuilder;
use std::env;
use std::fmt;
use std::fs;
use std::path::PathBuf;

/// Where the Hub is, who asks, and where files are kept.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Without a slash at its end.
    pub(super) endpoint: String,
    /// The folder with a folder for each repository.
    pub(super) cache: PathBuf,
    pub(super) token: Option<Token>,
    /// Whether nothing may be asked for.
    pub(super) offline: bool,
}

/// A secret: it goes into one header and nowhere else.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    /// The value of the `Authorization` header.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Settings {
    /// Reads the variables.
    ///
    /// # Errors
    /// A bad request when `HF_ENDPOINT` is no address, or there is no home to keep files in.
    pub(super) fn read() -> Result<Self> {
        let home = home()?;
        let cache =
            path_variable("HF_HUB_CACHE").or_else(|| path_variable("HUGGINGFACE_HUB_CACHE"));
        Ok(Self {
            endpoint: endpoint()?,
            cache: cache.unwrap_or_else(|| home.join("hub")),
            token: token(&home)?,
            offline: machine_variable("HF_HUB_OFFLINE").is_some_and(|value| is_on(&value)),
        })
    }
}

/// As Python reads it.
fn is_on(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())
}

fn endpoint() -> Result<String> {
    let Some(endpoint) = machine_variable("HF_ENDPOINT") else {
        return published_endpoint();
    };
    let has_scheme = endpoint.starts_with("http://") || endpoint.starts_with("https://");
    match has_scheme && !endpoint.contains(char::is_whitespace) {
        true => Ok(endpoint.trim_end_matches('/').to_owned()),
        false => Err(bad_request!(
            "HF_ENDPOINT={endpoint}: expected an address that begins with https:// or http://"
        )),
    }
}

/// `hf-hub` knows the address; it tells it as part of a file's.
fn published_endpoint() -> Result<String> {
    let api = ApiBuilder::from_cache(Cache::new(PathBuf::new()))
        .with_token(None)
        .build()
        .context("cannot set up the Hub's client")?;
    let url = api.model("m".to_owned()).url("f");
    let end = url.find("/m/resolve").context("the Hub's address")?;
    Ok(url[..end].to_owned())
}

fn home() -> Result<PathBuf> {
    if let Some(home) = path_variable("HF_HOME") {
        return Ok(home);
    }
    let cache = path_variable("XDG_CACHE_HOME").or_else(|| Some(env::home_dir()?.join(".cache")));
    let cache = cache.ok_or_else(|| {
        bad_request!("there is no home folder to keep files of the Hub in; set HF_HOME to a folder")
    })?;
    Ok(cache.join("huggingface"))
}

fn path_variable(name: &str) -> Option<PathBuf> {
    let value = machine_variable(name)?;
    match value.strip_prefix("~/") {
        Some(rest) => Some(env::home_dir()?.join(rest)),
        None => Some(PathBuf::from(value)),
    }
}

/// `HF_TOKEN`, else the file that `hf auth login` writes.
fn token(home: &std::path::Path) -> Result<Option<Token>> {
    let of_variable =
        machine_variable("HF_TOKEN").or_else(|| machine_variable("HUGGING_FACE_HUB_TOKEN"));
    let file = path_variable("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
    let token = of_variable.or_else(|| fs::read_to_string(file).ok());
    let token = token.map(|token| token.trim().to_owned());
    match token.filter(|token| !token.is_empty()) {
        Some(token) if !token.chars().all(|c| c.is_ascii_graphic()) => Err(bad_request!(
            "HF_TOKEN holds characters that no token has; copy it again"
        )),
        token => Ok(token.map(Token)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let token = Token("hf_secret".into());
        assert!(!format!("{token:?}").contains("secret"));
        assert_eq!(token.header(), "Bearer hf_secret");
    }

    #[test]
    fn the_published_address_is_the_librarys() {
        let endpoint = published_endpoint().unwrap();
        assert!(
            endpoint.starts_with("https://") && !endpoint.ends_with('/'),
            "{endpoint}"
        );
    }

    #[test]
    fn on_is_what_python_takes_for_it() {
        assert!(["1", "on", "True", "YES"].iter().all(|value| is_on(value)));
        assert!(!["0", "false", "no", "2"].iter().any(|value| is_on(value)));
    }
}
