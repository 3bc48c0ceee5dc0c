//! Whether the Hub answers, for those who ask what there is.

use super::settings::Settings;
use anyhow::Result;
use std::path::PathBuf;
use std::time::Duration;
use ureq::Agent;

/// An answer within this time, or none.
const TIMEOUT: Duration = Duration::from_secs(4);

/// What there is of the Hub.
#[derive(Debug)]
pub struct Status {
    /// Its address.
    pub endpoint: String,
    /// Why it does not answer; or, with a token, why that is not accepted.
    pub problem: Option<String>,
    /// Whether there is a token.
    pub has_token: bool,
    /// Where files are kept.
    pub cache: PathBuf,
    /// Whether nothing is asked for.
    pub offline: bool,
}

/// Asks the Hub one small question.
///
/// # Errors
/// A bad request when a variable makes no sense.
pub fn status() -> Result<Status> {
    let settings = Settings::read()?;
    Ok(Status {
        problem: (!settings.offline).then(|| problem(&settings)).flatten(),
        has_token: settings.token.is_some(),
        endpoint: settings.endpoint,
        cache: settings.cache,
        offline: settings.offline,
    })
}

fn problem(settings: &Settings) -> Option<String> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build()
        .into();
    let endpoint = &settings.endpoint;
    let request = match &settings.token {
        Some(token) => agent
            .get(format!("{endpoint}/api/whoami-v2"))
            .header("Authorization", token.header()),
        None => agent.get(format!("{endpoint}/api/models?limit=1")),
    };
    match request.call() {
        Err(error) => Some(format!(
            "{endpoint} cannot be reached ({error}); check the network, HTTPS_PROXY or HF_ENDPOINT"
        )),
        Ok(answer) if answer.status() == 401 => Some(format!(
            "{endpoint} does not accept the token; make a new one in your account's settings and set HF_TOKEN to it"
        )),
        Ok(answer) if answer.status().is_server_error() => Some(format!(
            "{endpoint} is not well (its answer: {})",
            answer.status().as_u16()
        )),
        Ok(_) => None,
    }
}
