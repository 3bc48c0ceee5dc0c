//! W&B's public HTTP API: GraphQL for what a run is, a stream of lines for what it says.

use super::account::Account;
use super::record::Run;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::Duration;
use ureq::http::{Response, header::RETRY_AFTER};
use ureq::{Agent, Body};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one request, its answer included.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
const MOST_ANSWER_BYTES: u64 = 16 << 20;

const VIEWER: &str = "query Viewer { viewer { id entity } }";
const RESUME_STATUS: &str = "query RunResumeStatus($project: String, $entity: String, $name: String!) { \
    model(name: $project, entityName: $entity) { id bucket(name: $name, missingOk: true) { \
    id historyLineCount eventsLineCount logLineCount historyTail } } }";
const UPSERT_BUCKET: &str = "mutation UpsertBucket($name: String, $project: String, $entity: String, $groupName: String, \
    $displayName: String, $config: JSONString, $host: String, $program: String, $tags: [String!]) { \
    upsertBucket(input: {name: $name, modelName: $project, entityName: $entity, groupName: $groupName, \
    displayName: $displayName, config: $config, host: $host, jobProgram: $program, tags: $tags}) { \
    bucket { id name project { id name entity { id name } } } inserted } }";

/// Why a request was not taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Failure {
    /// Asking again will not help.
    Refused(String),
    /// The server cannot be reached, is in trouble or is busy.
    Later {
        reason: String,
        /// When the server wants to be asked again.
        after: Option<Duration>,
    },
}

impl Failure {
    fn later(reason: impl Into<String>) -> Self {
        let (reason, after) = (reason.into(), None);
        Self::Later { reason, after }
    }
}

/// How much of a run the server has.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Received {
    /// Lines of the history, of the machine's numbers and of the console.
    pub(super) history: u64,
    pub(super) events: u64,
    pub(super) output: u64,
    /// Step of the last line of the history.
    pub(super) step: Option<u64>,
}

/// Asks one server.
pub(super) struct Client {
    agent: Agent,
    url: String,
    app_url: String,
    authorization: String,
}

impl Client {
    pub(super) fn new(account: &Account, timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT.min(timeout)))
            .timeout_global(Some(timeout))
            .user_agent(concat!("llama-train/", env!("CARGO_PKG_VERSION")));
        Self {
            agent: config.build().into(),
            url: account.url.clone(),
            app_url: account.app_url().to_owned(),
            authorization: format!("Basic {}", STANDARD.encode(format!("api:{}", account.key))),
        }
    }

    /// Whether the server knows the key.
    pub(super) fn check_key(&self) -> Result<(), Failure> {
        let answer = self.graphql(VIEWER, json!({}))?;
        match answer["viewer"].is_object() {
            true => Ok(()),
            false => Err(Failure::Refused("the server does not know the key".into())),
        }
    }

    /// How much of the run was received before; nothing of a new one.
    pub(super) fn received(&self, run: &Run) -> Result<Received, Failure> {
        let variables = json!({"project": run.project, "entity": run.entity, "name": run.id});
        let answer = self.graphql(RESUME_STATUS, variables)?;
        let bucket = &answer["model"]["bucket"];
        let count = |name: &str| bucket[name].as_u64().unwrap_or(0);
        Ok(Received {
            history: count("historyLineCount"),
            events: count("eventsLineCount"),
            output: count("logLineCount"),
            step: bucket["historyTail"].as_str().and_then(last_step),
        })
    }

    /// Creates the run or goes on with it; gives its path below the server's address: `entity/project/id`.
    pub(super) fn upsert(&self, run: &Run) -> Result<String, Failure> {
        let entries = run.config.as_object().into_iter().flatten();
        let config: serde_json::Map<_, _> = entries
            .map(|(key, value)| (key.clone(), json!({ "value": value })))
            .collect();
        let variables = json!({
            "name": run.id,
            "project": run.project,
            "entity": run.entity,
            "groupName": run.group,
            "displayName": run.name,
            "config": Value::Object(config).to_string(),
            "host": run.host,
            "program": "llama-train",
            "tags": run.tags,
        });
        let answer = self.graphql(UPSERT_BUCKET, variables)?;
        let project = &answer["upsertBucket"]["bucket"]["project"];
        match (project["entity"]["name"].as_str(), project["name"].as_str()) {
            (Some(entity), Some(project)) => {
                let parts = [entity, project, &run.id].map(percent_encoded);
                Ok(parts.join("/"))
            }
            _ => Err(Failure::later("the answer names no run")),
        }
    }

    /// Sends lines of the run's files.
    pub(super) fn stream(&self, path: &str, lines: &Value) -> Result<(), Failure> {
        let answer = self.post(&format!("/files/{path}/file_stream"), lines)?;
        match answer.is_object() {
            true => Ok(()),
            false => Err(Failure::later("the answer is no JSON object")),
        }
    }

    /// Where a browser shows the run of this path.
    pub(super) fn page(&self, path: &str) -> String {
        let (project, id) = path.rsplit_once('/').unwrap_or((path, ""));
        format!("{}/{project}/runs/{id}", self.app_url)
    }

    fn graphql(&self, query: &str, variables: Value) -> Result<Value, Failure> {
        let mut answer = self.post("/graphql", &json!({"query": query, "variables": variables}))?;
        if let Some(error) = answer["errors"].get(0) {
            let message = error["message"].as_str().unwrap_or("an error");
            return Err(Failure::Refused(message.to_owned()));
        }
        match answer["data"].take() {
            data @ Value::Object(_) => Ok(data),
            _ => Err(Failure::later("the answer is not W&B's")),
        }
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("Authorization", &self.authorization);
        let sent = request.send_json(body);
        let mut response = sent.map_err(|error| Failure::later(error.to_string()))?;
        if !response.status().is_success() {
            return Err(refusal(&response));
        }
        let body = response.body_mut().with_config().limit(MOST_ANSWER_BYTES);
        let answer = body.read_json();
        answer.map_err(|error| Failure::later(format!("the answer is no JSON: {error}")))
    }
}

/// What a status other than success means.
fn refusal(response: &Response<Body>) -> Failure {
    let status = response.status();
    let seconds = response.headers().get(RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let reason = format!("the server answers {status}");
    match status.as_u16() {
        408 | 425 | 429 | 500.. => Failure::Later {
            reason,
            after: seconds.map(Duration::from_secs),
        },
        401 | 403 => Failure::Refused(format!("{reason}: it does not accept the key for this")),
        _ => Failure::Refused(reason),
    }
}

/// The tail is a JSON array of lines, itself as text.
fn last_step(tail: &str) -> Option<u64> {
    let lines: Vec<String> = serde_json::from_str(tail).ok()?;
    let last: Value = serde_json::from_str(lines.last()?).ok()?;
    last["_step"].as_u64()
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_tails() {
        assert_eq!(percent_encoded("my team/ä"), "my%20team%2F%C3%A4");
        assert_eq!(last_step(r#"["{\"_step\":3}","{\"_step\":4}"]"#), Some(4));
        assert_eq!(last_step("[]"), None);
    }
}
