//! The runs of the loopback server, and what the protocol forbids.

use serde_json::{Map, Value, json};

/// Everything that was received: runs by id, uploaded files, and breaches of the protocol.
#[derive(Debug)]
pub(super) struct Store(pub(super) Value);

impl Default for Store {
    fn default() -> Self {
        Self(json!({"runs": {}, "files": {}, "violations": []}))
    }
}

impl Store {
    pub(super) fn violation(&mut self, what: String) {
        self.0["violations"]
            .as_array_mut()
            .unwrap()
            .push(what.into());
    }

    pub(super) fn graphql(&mut self, request: &Value, host: &str) -> Value {
        let query = request["query"].as_str().unwrap_or_default();
        let variables = &request["variables"];
        let data = if query.contains("upsertBucket") {
            self.upsert(variables)
        } else if query.contains("RunResumeStatus") {
            self.resume_status(variables)
        } else if query.contains("CreateRunFiles") {
            let upload = |name: &Value| {
                let name = name.as_str().unwrap();
                let run = variables["run"].as_str().unwrap();
                json!({"name": name, "uploadUrl": format!("http://{host}/upload/{run}/{name}")})
            };
            let names = variables["files"].as_array().unwrap();
            let files: Vec<Value> = names.iter().map(upload).collect();
            json!({"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": files}})
        } else if query.contains("viewer") {
            json!({"viewer": {"id": "1", "entity": "me", "username": "me", "email": "me@example.com", "flags": "{}",
                              "admin": false, "teams": {"edges": []}}})
        } else if query.contains("serverInfo") {
            json!({"serverInfo": {"features": []}})
        } else {
            json!({})
        };
        json!({ "data": data })
    }

    fn upsert(&mut self, variables: &Value) -> Value {
        let text = |name: &str| variables[name].as_str().map(str::to_owned);
        let id = text("name").expect("an upsert names the run");
        let runs = self.0["runs"].as_object_mut().unwrap();
        let inserted = !runs.contains_key(&id);
        let run = runs.entry(id.clone()).or_insert_with(|| {
            json!({"history": [], "events": [], "output": [], "summary": {}, "config": {}, "upserts": 0,
                   "entity": "me", "project": "uncategorized"})
        });
        run["upserts"] = json!(run["upserts"].as_u64().unwrap() + 1);
        for name in [
            "displayName",
            "groupName",
            "project",
            "entity",
            "host",
            "program",
        ] {
            if let Some(value) = text(name) {
                run[name] = value.into();
            }
        }
        if variables["tags"].is_array() {
            run["tags"] = variables["tags"].clone();
        }
        let config = text("config").map(|config| serde_json::from_str::<Map<_, _>>(&config));
        for (key, entry) in config
            .transpose()
            .expect("config is JSON")
            .into_iter()
            .flatten()
        {
            run["config"][key] = entry["value"].clone();
        }
        let project = json!({"id": "1", "name": run["project"], "entity": {"id": "1", "name": run["entity"]}});
        let bucket = json!({"id": "1", "name": id, "displayName": run["displayName"], "project": project,
                            "historyLineCount": lines(run, "history").len()});
        json!({"upsertBucket": {"bucket": bucket, "inserted": inserted}})
    }

    fn resume_status(&self, variables: &Value) -> Value {
        let id = variables["name"].as_str().unwrap();
        let bucket = self.0["runs"].get(id).map_or(Value::Null, |run| {
            let tail = |name: &str| {
                let last: Vec<String> = lines(run, name).last().map(Value::to_string).into_iter().collect();
                json!(last).to_string()
            };
            json!({"id": "1", "name": id, "displayName": run["displayName"], "tags": run["tags"], "notes": null,
                   "summaryMetrics": run["summary"].to_string(), "config": "{}", "wandbConfig": null,
                   "historyLineCount": lines(run, "history").len(), "eventsLineCount": lines(run, "events").len(),
                   "logLineCount": lines(run, "output").len(),
                   "historyTail": tail("history"), "eventsTail": tail("events")})
        });
        json!({"model": {"id": "1", "name": variables["project"], "entity": {"id": "1", "name": "me"}, "bucket": bucket}})
    }

    /// `/files/entity/project/id/file_stream`
    pub(super) fn stream(&mut self, path: &str, request: &Value) {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let ["files", entity, project, id, "file_stream"] = parts[..] else {
            return self.violation(format!("{path}: not a stream"));
        };
        let Some(run) = self.0["runs"].get_mut(id) else {
            return self.violation(format!("{id}: lines of a run that was never created"));
        };
        let mut violations = Vec::new();
        if run["entity"] != entity || run["project"] != project {
            violations.push(format!("{path}: the run is of another project"));
        }
        for (file, lines) in request["files"].as_object().into_iter().flatten() {
            violations.extend(take_lines(run, file, lines));
        }
        for name in ["complete", "exitcode"] {
            if let Some(value) = request.get(name) {
                run[name] = value.clone();
            }
        }
        violations.into_iter().for_each(|what| self.violation(what));
    }
}

pub(super) fn lines<'a>(run: &'a Value, name: &str) -> &'a [Value] {
    run[name].as_array().map_or(&[], Vec::as_slice)
}

/// Lines take the place that their offset says; a line sent twice must be the same.
fn take_lines(run: &mut Value, file: &str, sent: &Value) -> Option<String> {
    let name = match file {
        "wandb-history.jsonl" => "history",
        "wandb-events.jsonl" => "events",
        "output.log" => "output",
        "wandb-summary.json" => {
            let line = sent["content"][0].as_str()?;
            run["summary"] = serde_json::from_str(line).ok()?;
            return None;
        }
        _ => return Some(format!("{file}: not a file that is streamed")),
    };
    let (Some(offset), Some(content)) = (sent["offset"].as_u64(), sent["content"].as_array())
    else {
        return Some(format!("{file}: no offset or no content"));
    };
    let known = run[name].as_array_mut().unwrap();
    for (at, line) in (offset as usize..).zip(content) {
        let text = line.as_str().unwrap_or_default();
        let line = match name {
            "output" => line.clone(),
            _ => match serde_json::from_str(text) {
                Ok(line @ Value::Object(_)) => line,
                _ => return Some(format!("{file}: line {at} is no JSON object: {text}")),
            },
        };
        if at > known.len() {
            return Some(format!(
                "{file}: line {at} comes after {} lines",
                known.len()
            ));
        }
        if at < known.len() {
            if known[at] != line && name == "history" {
                return Some(format!("{file}: line {at} was {}, is {line}", known[at]));
            }
            continue;
        }
        let before = known.last().and_then(|line: &Value| line["_step"].as_i64());
        if name == "history" && line["_step"].as_i64() <= before {
            return Some(format!(
                "{file}: the step of line {at} is not above {before:?}"
            ));
        }
        known.push(line);
    }
    None
}
