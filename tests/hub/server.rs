//! A Hub: repositories with branches and commits, behind the paths and headers of the real one. Python's own clients are
//! served by it as well (`scripts/check_hub.sh`).

use super::http::{self, Answer, Request, decoded};
use super::repository::{entries, git_oid, is_large, sha256, tree};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A token whose account may read everything.
pub(super) const MEMBER: &str = "hf_member_0123456789";
/// A token whose account has accepted no licence.
pub(super) const OUTSIDER: &str = "hf_outsider_9876543210";

pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Who may read a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Public,
    /// After its licence was accepted.
    Gated,
    Private,
}

#[derive(Debug)]
struct Repo {
    access: Access,
    branches: BTreeMap<String, String>,
    commits: BTreeMap<String, Files>,
}

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// This answer, which is not the file.
    Answer(Answer),
    /// The connection ends after so many bytes.
    Cut(usize),
    /// Ranges are not understood.
    NoRanges,
    /// A bit of the content is another.
    Damaged,
}

#[derive(Debug, Default)]
struct State {
    repos: BTreeMap<String, Repo>,
    /// Part of a path, what happens, and how often.
    faults: Vec<(String, Fault, usize)>,
    seen: Vec<String>,
    /// The address of the large files, which is another than the Hub's.
    storage: String,
}

/// The server.
#[derive(Debug, Clone)]
pub(super) struct Hub {
    pub(super) address: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    pub(super) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let serve = |state: Arc<Mutex<State>>| {
            http::serve(move |request| state.lock().unwrap().answer(request))
        };
        let (address, storage) = (serve(state.clone()), serve(state.clone()));
        state.lock().unwrap().storage = storage;
        Self { address, state }
    }

    /// Commits files to a branch of `models/org/name` or `datasets/org/name`; gives the commit.
    pub(super) fn commit(&self, repo: &str, branch: &str, files: &[(&str, Vec<u8>)]) -> String {
        let files: Files = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.clone()))
            .collect();
        let content: Vec<u8> = files
            .iter()
            .flat_map(|(name, bytes)| [name.as_bytes(), bytes].concat())
            .collect();
        let sha = sha256(&[repo.as_bytes(), &content].concat())[..40].to_owned();
        let mut state = self.state.lock().unwrap();
        let repo = state.repos.entry(repo.to_owned()).or_insert(Repo {
            access: Access::Public,
            branches: BTreeMap::new(),
            commits: BTreeMap::new(),
        });
        repo.branches.insert(branch.to_owned(), sha.clone());
        repo.commits.insert(sha.clone(), files);
        sha
    }

    pub(super) fn restrict(&self, repo: &str, access: Access) {
        self.state
            .lock()
            .unwrap()
            .repos
            .get_mut(repo)
            .unwrap()
            .access = access;
    }

    /// The next `times` requests whose path holds `part` fare so.
    pub(super) fn fault(&self, part: &str, fault: Fault, times: usize) {
        self.state
            .lock()
            .unwrap()
            .faults
            .push((part.to_owned(), fault, times));
    }

    /// Nothing goes wrong any more.
    pub(super) fn heal(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// `GET /path range` of every request so far, and forgets them.
    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let range = request.headers.get("range").map_or("", String::as_str);
        self.seen.push(
            format!("{} {} {range}", request.method, request.path)
                .trim_end()
                .to_owned(),
        );
        let fault = self
            .faults
            .iter_mut()
            .find(|(part, _, left)| *left > 0 && request.path.contains(part.as_str()));
        let fault = fault.map(|(_, fault, left)| {
            *left -= 1;
            fault.clone()
        });
        match fault {
            None => self.route(request),
            Some(Fault::Answer(answer)) => answer,
            Some(Fault::Cut(at)) => Answer {
                cut_after: Some(at),
                ..self.route(request)
            },
            Some(Fault::NoRanges) => {
                let mut whole = request.clone();
                whole.headers.remove("range");
                self.route(&whole)
            }
            Some(Fault::Damaged) => {
                let mut answer = self.route(request);
                answer.body[0] ^= 1;
                answer
            }
        }
    }

    fn route(&self, request: &Request) -> Answer {
        let path = request.path.trim_start_matches('/');
        match path {
            "api/whoami-v2" if account(request).is_none() => {
                refused(401, "", "Invalid credentials in Authorization header")
            }
            "api/whoami-v2" => ok(&json!({"name": "member"})),
            "api/models" | "api/datasets" => ok(&json!([])),
            _ if path.starts_with("cdn/") => self.large_file(&path[4..], request),
            _ => match path.strip_prefix("api/") {
                Some(path) => self.api(path, request),
                None => self.resolve(path, request),
            },
        }
    }

    fn api(&self, path: &str, request: &Request) -> Answer {
        let verbs = ["/revision/", "/tree/", "/paths-info/"];
        let split = verbs
            .iter()
            .find_map(|verb| Some((*verb, path.split_once(verb)?)));
        let (verb, name, rest) = match split {
            Some((verb, (name, rest))) => (verb, name, rest),
            None => ("/revision/", path, "main"),
        };
        let repo = match self.repo(name, request) {
            Ok(repo) => repo,
            Err(refused) => return refused,
        };
        let Some((commit, files, below)) = repo.at(rest) else {
            return refused(404, "RevisionNotFound", "Invalid rev id");
        };
        let id = name.split_once('/').unwrap().1;
        match verb {
            "/tree/" => tree(files, below, request, &format!("/api/{name}/tree/{commit}")),
            "/paths-info/" => {
                let asked: Vec<String> = request
                    .body
                    .split('&')
                    .filter_map(|field| Some(decoded(field.strip_prefix("paths=")?)))
                    .collect();
                let entries = entries(files, "", true);
                ok(&entries
                    .into_iter()
                    .filter(|entry| asked.iter().any(|path| entry["path"] == **path))
                    .collect())
            }
            _ => ok(&json!({
                "_id": "0", "id": id, "modelId": id, "sha": commit, "private": repo.access == Access::Private,
                "gated": repo.access == Access::Gated, "disabled": false, "downloads": 0, "likes": 0, "tags": [],
                "siblings": files.keys().map(|name| json!({"rfilename": name})).collect::<Vec<_>>(),
            })),
        }
    }

    /// `org/name/resolve/rev/path`, or `datasets/org/name/resolve/rev/path`
    fn resolve(&self, path: &str, request: &Request) -> Answer {
        let Some((name, rest)) = path.split_once("/resolve/") else {
            return refused(404, "", "no such page");
        };
        let name = match name.starts_with("datasets/") {
            true => name.to_owned(),
            false => format!("models/{name}"),
        };
        let repo = match self.repo(&name, request) {
            Ok(repo) => repo,
            Err(refused) => return refused,
        };
        if repo.access == Access::Gated && account(request) != Some(MEMBER) {
            let status = if request.headers.contains_key("authorization") {
                403
            } else {
                401
            };
            return refused(
                status,
                "GatedRepo",
                "Access to this repository is restricted",
            );
        }
        let Some((commit, files, path)) = repo.at(rest) else {
            return refused(404, "RevisionNotFound", "Invalid rev id");
        };
        let Some(bytes) = files.get(path) else {
            return refused(404, "EntryNotFound", "Entry not found")
                .header("X-Repo-Commit", commit);
        };
        if !is_large(path) {
            let answer = Answer::new(200, bytes.clone()).in_range(request);
            return answer
                .header("X-Repo-Commit", commit)
                .header("Accept-Ranges", "bytes")
                .header("ETag", format!("\"{}\"", git_oid(bytes)));
        }
        let sha256 = sha256(bytes);
        Answer::new(302, "")
            .header("X-Repo-Commit", commit)
            .header("X-Linked-Size", bytes.len())
            .header("X-Linked-ETag", format!("\"{sha256}\""))
            .header("ETag", "\"of-the-pointer\"")
            .header("Location", format!("{}/cdn/{sha256}", self.storage))
    }

    /// Where large files lie: no repository, no token.
    fn large_file(&self, sha256_asked: &str, request: &Request) -> Answer {
        if request.headers.contains_key("authorization") {
            return refused(400, "", "the storage must not see a token");
        }
        let mut files = self
            .repos
            .values()
            .flat_map(|repo| repo.commits.values())
            .flat_map(BTreeMap::values);
        match files.find(|bytes| sha256(bytes) == sha256_asked) {
            Some(bytes) => Answer::new(200, bytes.clone())
                .in_range(request)
                .header("Accept-Ranges", "bytes")
                .header("ETag", "\"of-the-storage\""),
            None => refused(404, "", "no such object"),
        }
    }

    fn repo(&self, name: &str, request: &Request) -> Result<&Repo, Answer> {
        if request.headers.contains_key("authorization") && account(request).is_none() {
            return Err(refused(
                401,
                "",
                "Invalid credentials in Authorization header",
            ));
        }
        let found = self.repos.get(name);
        match (found, account(request)) {
            (Some(repo), account) if repo.access != Access::Private || account == Some(MEMBER) => {
                Ok(repo)
            }
            (_, Some(_)) => Err(refused(404, "RepoNotFound", "Repository not found")),
            (_, None) => Err(refused(
                401,
                "RepoNotFound",
                "Invalid username or password.",
            )),
        }
    }
}

impl Repo {
    /// The commit of a branch (whose name may have slashes) or a commit, its files, and what follows in the path.
    fn at<'a>(&'a self, rest: &'a str) -> Option<(&'a str, &'a Files, &'a str)> {
        let commits = self.commits.keys().map(|commit| (commit, commit));
        let known = self.branches.iter().chain(commits);
        let mut met = known.filter_map(|(name, commit)| {
            let path = rest.strip_prefix(name.as_str())?;
            let path = path
                .strip_prefix('/')
                .or_else(|| path.is_empty().then_some(""))?;
            Some((commit.as_str(), &self.commits[commit], path))
        });
        met.next()
    }
}

fn account(request: &Request) -> Option<&'static str> {
    let token = request
        .headers
        .get("authorization")?
        .strip_prefix("Bearer ")?;
    [MEMBER, OUTSIDER].into_iter().find(|known| *known == token)
}

pub(super) fn ok(value: &Value) -> Answer {
    Answer::new(200, value.to_string()).header("Content-Type", "application/json")
}

pub(super) fn refused(status: u16, code: &str, message: &str) -> Answer {
    let answer = Answer::new(status, json!({"error": message}).to_string())
        .header("X-Error-Message", message);
    match code {
        "" => answer,
        code => answer.header("X-Error-Code", code),
    }
}
