//! Whose runs they are, and where: the server's address and the key.

use super::client::{Client, Failure, REQUEST_TIMEOUT};
use super::netrc;
use crate::bad_request;
use crate::config::machine_variable;
use anyhow::{Result, bail};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The public service.
const DEFAULT_URL: &str = "https://api.wandb.ai";
const STATUS_TIMEOUT: Duration = Duration::from_secs(4);

/// A server and the key for it. Not `Debug`, so that no log can show the key.
#[derive(Clone)]
pub struct Account {
    pub(super) url: String,
    pub(super) key: String,
}

impl Account {
    /// From `WANDB_BASE_URL` and `WANDB_API_KEY` (the environment, else the env file), or where the official client
    /// keeps what `wandb login` was told: its settings file and `.netrc`.
    ///
    /// # Errors
    /// A bad request when there is no key, or the address or the key cannot be one.
    pub fn find() -> Result<Self> {
        let url = server_url()?;
        let (key, place) = match machine_variable("WANDB_API_KEY") {
            Some(key) => (Some(key), "WANDB_API_KEY".to_owned()),
            None => key_of_netrc(host(&url)),
        };
        let Some(key) = key else {
            return Err(bad_request!(
                "there is no W&B key for {url}: set WANDB_API_KEY (in the environment or in .env), or run `wandb login`, \
                 which writes {place}; without one, wandb.mode = \"offline\" keeps the run in a file to be sent later"
            ));
        };
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad_request!(
                "the W&B key in {place} holds characters that no key has; copy it again, or set wandb.mode = \"offline\""
            ));
        }
        Ok(Self { url, key })
    }

    /// Asks the server whether it takes the key.
    ///
    /// # Errors
    /// When it refuses the key. A server that does not answer is no error: the run waits for it in its file.
    pub fn check(&self) -> Result<()> {
        match Client::new(self, REQUEST_TIMEOUT).check_key() {
            Ok(()) => Ok(()),
            Err(Failure::Later { reason, .. }) => {
                let url = &self.url;
                log::warn!(
                    "wandb: {url}: {reason}; the run goes on and is sent when the server answers"
                );
                Ok(())
            }
            Err(Failure::Refused(reason)) => bail!(
                "wandb: {} refuses the key: {reason}. Make a new one in your account's settings and set WANDB_API_KEY to \
                 it, or set wandb.mode = \"offline\" and send the run later",
                self.url
            ),
        }
    }

    /// Whether runs could be sent from here, in words: asked in a few seconds.
    ///
    /// # Errors
    /// What is missing, with the remedy.
    pub fn status() -> Result<String> {
        let found = Self::find();
        let url = server_url()?;
        let key = found.as_ref().map_or("", |account| &account.key).to_owned();
        let asked = Client::new(
            &Self {
                url: url.clone(),
                key,
            },
            STATUS_TIMEOUT,
        )
        .check_key();
        match (asked, found) {
            (Err(Failure::Later { reason, .. }), _) => {
                bail!(
                    "{url} cannot be reached ({reason}); wandb.mode = \"offline\" needs no server"
                )
            }
            (_, Err(error)) => Err(error.context(format!("{url} answers"))),
            (Ok(()), Ok(_)) => Ok(format!("{url} answers and takes the key")),
            (Err(Failure::Refused(reason)), Ok(_)) => {
                bail!(
                    "{url} answers, but refuses the key: {reason}; set WANDB_API_KEY to a new one"
                )
            }
        }
    }

    /// The address of the server.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Where a browser shows runs.
    pub(super) fn app_url(&self) -> &str {
        match self.url.as_str() {
            DEFAULT_URL => "https://wandb.ai",
            other => other,
        }
    }
}

/// The server's address without a slash at its end.
///
/// # Errors
/// A bad request when it is no address.
fn server_url() -> Result<String> {
    let url = machine_variable("WANDB_BASE_URL").or_else(url_of_settings);
    let url = url.unwrap_or_else(|| DEFAULT_URL.to_owned());
    let url = url.trim().trim_end_matches('/');
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(bad_request!(
            "WANDB_BASE_URL={url}: expected an address that begins with https:// or http://"
        ));
    }
    Ok(url.to_owned())
}

/// `base_url = ...` as `wandb login --host` writes it.
fn url_of_settings() -> Option<String> {
    let dir = machine_variable("WANDB_CONFIG_DIR").map(PathBuf::from);
    let dir = dir.or_else(|| Some(home()?.join(".config/wandb")))?;
    let text = fs::read_to_string(dir.join("settings")).ok()?;
    let values = text.lines().filter_map(|line| line.split_once('='));
    let mut urls = values.filter(|(name, _)| name.trim() == "base_url");
    urls.next().map(|(_, url)| url.trim().to_owned())
}

fn key_of_netrc(host: &str) -> (Option<String>, String) {
    let path = machine_variable("NETRC").map(PathBuf::from);
    let path = path.or_else(|| {
        let home = home()?;
        let usual = [home.join(".netrc"), home.join("_netrc")];
        usual.into_iter().find(|path| path.exists())
    });
    let path = path.unwrap_or_else(|| PathBuf::from("~/.netrc"));
    let text = fs::read_to_string(&path).unwrap_or_default();
    (netrc::password(&text, host), path.display().to_string())
}

fn home() -> Option<PathBuf> {
    machine_variable("HOME").map(PathBuf::from)
}

/// `host:port` of an address.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_host_of_an_address() {
        assert_eq!(host("https://api.wandb.ai"), "api.wandb.ai");
        assert_eq!(host("http://127.0.0.1:8080/sub"), "127.0.0.1:8080");
    }
}
