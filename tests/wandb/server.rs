//! A W&B server on the loopback interface that checks the protocol, for our client and for the official one.
//!
//! Besides W&B's addresses it has two of its own: GET `/state` gives what was received, POST `/faults` takes a list of
//! what the next requests of W&B's addresses meet: "429", "500", "403", "garbage", "silence" (the connection ends), "lost"
//! (taken, and the connection ends).

use super::http::Request;
use super::store::Store;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

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
        let listener = TcpListener::bind(address).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
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

    fn serve(self, listener: &TcpListener) {
        let receiver = Mutex::new(self);
        thread::scope(|scope| {
            for stream in listener.incoming().flatten() {
                scope.spawn(|| {
                    if let Some(request) = Request::read(stream) {
                        receiver.lock().unwrap().answer(request);
                    }
                });
            }
        });
    }

    fn answer(&mut self, request: Request) {
        match request.address.as_str() {
            "/state" => return request.reply(200, &self.store.0.to_string()),
            "/faults" => {
                self.faults = serde_json::from_str(&request.body).unwrap();
                return request.reply(200, "{}");
            }
            _ => {}
        }
        let fault = self.faults.pop_front().unwrap_or_default();
        match fault.as_str() {
            "" | "lost" => {}
            "silence" => return,
            "garbage" => return request.reply(200, "<html>maintenance</html>"),
            status => return request.reply(status.parse().unwrap(), "{\"error\": \"on purpose\"}"),
        }
        let answer = self.take(&request);
        if let Some(file) = &self.file {
            let temporary = file.with_extension("tmp");
            fs::write(&temporary, self.store.0.to_string()).unwrap();
            fs::rename(&temporary, file).unwrap();
        }
        match answer {
            _ if fault == "lost" => {}
            Some(answer) => request.reply(200, &answer.to_string()),
            None => request.reply(401, "{\"error\": \"no such key\"}"),
        }
    }

    /// None where the key is wrong.
    fn take(&mut self, request: &Request) -> Option<Value> {
        let address = request.address.as_str();
        if let ("PUT", Some(file)) = (request.method.as_str(), address.strip_prefix("/upload/")) {
            self.store.0["files"][file] = json!(request.body.len());
            return Some(json!({}));
        }
        if request.header("authorization") != authorization() {
            return None;
        }
        let parsed: Option<Value> = serde_json::from_str(&request.body).ok();
        let ("POST", Some(parsed)) = (request.method.as_str(), parsed) else {
            self.store
                .violation(format!("{address}: not a POST of JSON: {}", request.body));
            return Some(json!({}));
        };
        if address == "/graphql" {
            return Some(self.store.graphql(&parsed, request.header("host")));
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

/// `WANDB_TEST_ADDRESS=127.0.0.1:PORT WANDB_TEST_STORE=FILE`: for the official client, and to be killed.
#[test]
#[ignore = "serves for ever: scripts/prove 6 wandb starts it"]
fn serve() {
    let address = std::env::var("WANDB_TEST_ADDRESS").unwrap();
    let file = std::env::var_os("WANDB_TEST_STORE").map(PathBuf::from);
    Receiver::new(file).serve(&TcpListener::bind(address).unwrap());
}
