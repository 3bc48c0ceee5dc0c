//! Requests to the Hub, asked again where that can help, and answers in words where it cannot.

use super::refusal::{Asked, Refusal, Unreachable};
use super::retry::Stop;
use super::retry::{Attempts, is_transient, wait_asked_for};
use super::settings::Settings;
use anyhow::{Context, Result, anyhow};
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ureq::http::Response;
use ureq::{Agent, Body, Timeout};

/// A renamed repository, then its storage, are two.
const REDIRECTIONS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a single byte.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);
/// Listings come in pages, far smaller.
const LARGEST_PAGE: u64 = 64 << 20;

/// Talks to one Hub.
#[derive(Debug, Clone)]
pub(super) struct Client {
    agent: Agent,
    pub(super) settings: Settings,
    has_answered: Arc<AtomicBool>,
}

/// A part of a listing.
pub(super) struct Page<T> {
    pub(super) content: T,
    /// Where the next one is.
    pub(super) next: Option<String>,
}

impl Client {
    pub(super) fn new(settings: Settings) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(SILENCE_TIMEOUT))
            .timeout_per_read(Some(SILENCE_TIMEOUT))
            .user_agent(concat!("llama-train/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self {
            agent,
            settings,
            has_answered: Arc::default(),
        }
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// [`Unreachable`], or the Hub's refusal in words.
    pub(super) fn page<T: DeserializeOwned>(&self, url: &str, asked: &Asked) -> Result<Page<T>> {
        let mut response = self.get(url, 0, asked, &Stop::default())?;
        let next = next_page(&response);
        let content = response
            .body_mut()
            .with_config()
            .limit(LARGEST_PAGE)
            .read_json()
            .with_context(|| {
                format!("{asked}: the Hub's answer cannot be understood; is HF_ENDPOINT a Hub?")
            })?;
        Ok(Page { content, next })
    }

    /// Asks for a file's bytes from `start` on.
    ///
    /// # Errors
    /// [`Unreachable`], the Hub's refusal in words, or that it was stopped.
    pub(super) fn get(
        &self,
        url: &str,
        start: u64,
        asked: &Asked,
        stop: &Stop,
    ) -> Result<Response<Body>> {
        let mut attempts = Attempts::default();
        loop {
            stop.check(asked)?;
            let (problem, wait) = match self.send(url, start) {
                Ok(response) if response.status().is_success() => {
                    self.has_answered.store(true, Ordering::Relaxed);
                    return Ok(response);
                }
                Ok(response) => {
                    let refusal = self.refused(&response, asked, &attempts);
                    match is_transient(response.status()) {
                        true => (refusal, attempts.wait(wait_asked_for(response.headers()))),
                        false => return Err(refusal),
                    }
                }
                Err(error) => {
                    let unreachable = self.unreachable(&error, asked);
                    // A network that was never there will not be in a moment.
                    match is_interruption(&error) || self.has_answered.load(Ordering::Relaxed) {
                        true => (unreachable, attempts.wait(None)),
                        false => return Err(unreachable),
                    }
                }
            };
            let Some(wait) = wait else {
                return Err(problem);
            };
            log::info!("{problem:#}; asking again in {} s", wait.as_secs());
            stop.sleep(wait, asked)?;
        }
    }

    /// Follows redirections here, for the token's sake: a large file lies on another host, which must not see it.
    fn send(&self, url: &str, start: u64) -> Result<Response<Body>, ureq::Error> {
        let mut url = url.to_owned();
        for _ in 0..REDIRECTIONS {
            let response = self.send_once(&url, start)?;
            match redirection(&response, &url) {
                None => return Ok(response),
                Some(next) if url.starts_with("https:") && !next.starts_with("https:") => {
                    return Err(ureq::Error::RedirectFailed);
                }
                Some(next) => url = next,
            }
        }
        Err(ureq::Error::TooManyRedirects)
    }

    fn send_once(&self, url: &str, start: u64) -> Result<Response<Body>, ureq::Error> {
        // Sizes are compared, so nothing is to be packed on the way.
        let mut request = self.agent.get(url).header("Accept-Encoding", "identity");
        let is_the_hubs = url
            .strip_prefix(&self.settings.endpoint)
            .is_some_and(|path| path.starts_with('/'));
        if let (true, Some(token)) = (is_the_hubs, &self.settings.token) {
            request = request.header("Authorization", token.header());
        }
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        request.call()
    }

    fn refused(
        &self,
        answer: &Response<Body>,
        asked: &Asked,
        attempts: &Attempts,
    ) -> anyhow::Error {
        let code = answer.headers().get("x-error-code");
        let refusal = Refusal {
            asked,
            status: answer.status().as_u16(),
            code: code.and_then(|code| code.to_str().ok()),
            has_token: self.settings.token.is_some(),
            attempts: attempts.count(),
        };
        anyhow!("{refusal}")
    }

    /// The connection's failure in words.
    pub(super) fn unreachable(&self, error: &ureq::Error, asked: &Asked) -> anyhow::Error {
        anyhow::Error::new(Unreachable {
            asked: asked.clone(),
            endpoint: self.settings.endpoint.clone(),
            reason: error.to_string(),
        })
    }
}

/// Whether the connection was there and broke, or was slow.
fn is_interruption(error: &ureq::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    match error {
        ureq::Error::Io(error) => [
            BrokenPipe,
            ConnectionAborted,
            ConnectionReset,
            TimedOut,
            UnexpectedEof,
        ]
        .contains(&error.kind()),
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => false,
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

/// Where the answer sends to.
fn redirection(response: &Response<Body>, url: &str) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get("location")?.to_str().ok()?;
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    let host = url
        .match_indices('/')
        .nth(2)
        .map_or(url, |(at, _)| &url[..at]);
    Some(format!("{host}/{}", location.trim_start_matches('/')))
}

/// `Link: <url>; rel="next"`
fn next_page(response: &Response<Body>) -> Option<String> {
    let link = response.headers().get("link")?.to_str().ok()?;
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    Some(rest.split_once('>')?.0.to_owned())
}
