//! A W&B server on the loopback interface that checks the protocol, for our client and for the official one.
//!
//! Besides W&B's addresses it has two of its own: GET `/state` gives what was received, POST `/faults` takes a list of
//! what the next requests of W&B's addresses meet: "429", "500", "403", "garbage", "silence" (no answer), "lost" (taken,
//! but the answer says 502).

use super::store::Store;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::thread;
use tiny_http::{Header, Method, Request, Response};

pub(super) const KEY: &str = "5e5a3e5e5a3e5e5a3e5e5a3e5e5a3e5e5a3e5e5a";

/// A server of one test; it ends with the test's process.
pub(super) struct Server {
    pub(super) url: String,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    pub(super) fn start_at(address: &str) -> Self {
        let listener = tiny_http::Server::http(address).unwrap();
        let url = format!("http://{}", listener.server_addr().to_ip().unwrap());
        thread::spawn(move || Receiver::new(None).serve(&listener));
        Self { url }
    }

    pub(super) fn state(&self) -> Value {
        let answer = ureq::get(format!("{}/state", self.url)).call();
        answer.unwrap().body_mut().read_json().unwrap()
    }

    /// What the next requests meet.
    pub(super) fn faults(&self, faults: &[&str]) {
        let address = format!("{}/faults", self.url);
        ureq::post(address).send_json(faults).unwrap();
    }

    /// The only run there is.
    pub(super) fn run(&self) -> Value {
        let state = self.state();
        assert_eq!(state["violations"], json!([]));
        let runs = state["runs"].as_object().unwrap();
        assert_eq!(runs.len(), 1, "{:?}", runs.keys());
        runs.values().next().unwrap().clone()
    }
}

struct Receiver {
    store: Store,
    faults: VecDeque<String>,
    /// Where the store outlives a kill.
    file: Option<PathBuf>,
}

impl Receiver {
    fn new(file: Option<PathBuf>) -> Self {
        let text = file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        Self {
            store: text.map_or_else(Store::default, |text| {
                Store(serde_json::from_str(&text).unwrap())
            }),
            faults: VecDeque::new(),
            file,
        }
    }

    fn serve(mut self, listener: &tiny_http::Server) {
        for request in listener.incoming_requests() {
            self.answer(request);
        }
    }

    fn answer(&mut self, mut request: Request) {
        let mut body = String::new();
        let _ = request.as_reader().read_to_string(&mut body);
        let address = request.url().to_owned();
        match address.as_str() {
            "/state" => return reply(request, 200, &self.store.0.to_string()),
            "/faults" => {
                self.faults = serde_json::from_str(&body).unwrap();
                return reply(request, 200, "{}");
            }
            _ => {}
        }
        let fault = self.faults.pop_front().unwrap_or_default();
        match fault.as_str() {
            "" | "lost" => {}
            "silence" => return drop(request.into_writer()),
            "garbage" => return reply(request, 200, "<html>maintenance</html>"),
            status => {
                return reply(
                    request,
                    status.parse().unwrap(),
                    "{\"error\": \"on purpose\"}",
                );
            }
        }
        let answer = self.take(&request, &address, &body);
        if let Some(file) = &self.file {
            let temporary = file.with_extension("tmp");
            fs::write(&temporary, self.store.0.to_string()).unwrap();
            fs::rename(&temporary, file).unwrap();
        }
        match (fault.as_str(), answer) {
            ("lost", _) => reply(request, 502, "{}"),
            (_, Some(answer)) => reply(request, 200, &answer.to_string()),
            (_, None) => reply(request, 401, "{\"error\": \"no such key\"}"),
        }
    }

    /// None where the key is wrong.
    fn take(&mut self, request: &Request, address: &str, body: &str) -> Option<Value> {
        let header = |name: &'static str| {
            let found = request
                .headers()
                .iter()
                .find(|header| header.field.equiv(name));
            found.map_or("", |header| header.value.as_str())
        };
        if let (Method::Put, Some(file)) = (request.method(), address.strip_prefix("/upload/")) {
            self.store.0["files"][file] = json!(body.len());
            return Some(json!({}));
        }
        if header("Authorization") != authorization() {
            return None;
        }
        let parsed: Option<Value> = serde_json::from_str(body).ok();
        let (Method::Post, Some(parsed)) = (request.method(), parsed) else {
            self.store
                .violation(format!("{address}: not a POST of JSON: {body}"));
            return Some(json!({}));
        };
        if address == "/graphql" {
            return Some(self.store.graphql(&parsed, header("Host")));
        }
        self.store.stream(address, &parsed);
        Some(json!({"exitcode": null, "limits": {}}))
    }
}

fn authorization() -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("api:{KEY}"));
    format!("Basic {encoded}")
}

fn reply(request: Request, status: u16, body: &str) {
    let header = |name: &str, value: &str| Header::from_bytes(name, value).unwrap();
    let response = Response::from_string(body)
        .with_status_code(status)
        .with_header(header("Content-Type", "application/json"));
    let response = match status {
        429 => response.with_header(header("Retry-After", "1")),
        _ => response,
    };
    let _ = request.respond(response);
}

/// `WANDB_TEST_ADDRESS=127.0.0.1:PORT WANDB_TEST_STORE=FILE`: for the official client, and to be killed.
#[test]
#[ignore = "serves for ever: scripts/prove 6 wandb starts it"]
fn serve() {
    let address = std::env::var("WANDB_TEST_ADDRESS").unwrap();
    let file = std::env::var_os("WANDB_TEST_STORE").map(PathBuf::from);
    Receiver::new(file).serve(&tiny_http::Server::http(address).unwrap());
}
