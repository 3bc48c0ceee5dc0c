//! From what the user named to the files to read, in an order that is the same every time.

use super::{
    compression::Compression,
    documents::Pass,
    fetched::{Fetched, LocalFile},
    hub_source::{self, Place},
};
use crate::{
    config::{HubKind, HubPath},
    data::manifest,
    prepare::MARKER,
    tokenizer,
};
use anyhow::{Context, Result};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// `prepare.input` value that stands for the Python standard library's own sources.
const PYTHON_STDLIB: &str = "python-stdlib";
/// Folders of the standard library that are no prose of a programmer: tests, caches, installed packages, tables.
const STDLIB_SKIPPED: [&str; 8] = [
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "encodings",
    "pydoc_data",
    "__pycache__",
];

/// What a preparation writes beside shards and the tokenizer's files.
const OUTPUT_NAMES: [&str; 2] = [manifest::FILE_NAME, MARKER];

/// How documents lie in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prepare) enum Format {
    /// The whole file is one document.
    Text,
    /// One JSON object a line.
    JsonLines,
    /// An array of objects, or one object.
    Json,
    /// A table.
    Parquet,
}

impl Format {
    /// By extension; `None` for those that only an explicit path or glob names, and that are read as text.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let unpacked = path.with_extension("");
        let named = match Compression::of(path) {
            Compression::None => path,
            Compression::Gzip | Compression::Zstd => &unpacked,
        };
        let extension = named.extension()?.to_str()?.to_lowercase();
        match extension.as_str() {
            "txt" | "md" => Some(Self::Text),
            "jsonl" => Some(Self::JsonLines),
            "json" => Some(Self::Json),
            "parquet" if named == path => Some(Self::Parquet), // it compresses itself
            _ => None,
        }
    }
}

/// A file to read.
#[derive(Debug, Clone)]
pub(in crate::prepare) struct SourceFile {
    /// Where it is; on the Hub, its address with the commit.
    pub(in crate::prepare) path: PathBuf,
    /// How to read it.
    pub(in crate::prepare) format: Format,
    /// Its size.
    pub(in crate::prepare) bytes: u64,
    /// How to get it, where it is on the Hub.
    remote: Option<Arc<Fetched>>,
}

impl SourceFile {
    /// One on the Hub.
    pub(super) fn on_hub(address: String, bytes: u64, remote: Fetched) -> Self {
        let path = PathBuf::from(address);
        Self {
            format: Format::of(&path).unwrap_or(Format::Text),
            bytes,
            path,
            remote: Some(Arc::new(remote)),
        }
    }

    /// It will be read soon.
    pub(super) fn begin(&self) {
        if let Some(remote) = &self.remote {
            remote.begin();
        }
    }

    /// Where it is on this disk.
    ///
    /// # Errors
    /// When it is on the Hub and cannot be fetched.
    pub(super) fn local(&self) -> Result<Arc<LocalFile>> {
        match &self.remote {
            Some(remote) => remote.local(),
            None => Ok(Arc::new(LocalFile::stays(self.path.clone()))),
        }
    }

    /// It was read to its end.
    pub(super) fn let_go(&self, pass: Pass) {
        if let Some(remote) = &self.remote {
            remote.let_go(pass);
        }
    }
}

/// The files behind `prepare.input`: inputs in the order given, the files of each sorted by path, no file twice, and
/// none that a preparation into `place.out` writes itself (it may lie below an input).
///
/// # Errors
/// A bad request when an input does not exist, matches nothing, or is a folder without anything to read; for a data set of
/// the Hub, what the Hub and the network have to say.
pub(in crate::prepare) fn list(input: &[String], place: &Place<'_>) -> Result<Vec<SourceFile>> {
    if input.is_empty() {
        return Err(crate::bad_request!(
            "nothing to read: name files, folders, globs or `{PYTHON_STDLIB}` with --input (prepare.input)"
        ));
    }
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for input in input {
        if let Some(path) = HubPath::parse_if_meant(input, HubKind::Dataset)? {
            let remote = hub_source::list(&path, place)?;
            files.extend(
                remote
                    .into_iter()
                    .filter(|file| seen.insert(file.path.clone())),
            );
            continue;
        }
        for path in paths_of(input)? {
            if !is_output(&path, place.out) && seen.insert(path.clone()) {
                let metadata = fs::metadata(&path)
                    .with_context(|| format!("{}: cannot read", path.display()))?;
                files.push(SourceFile {
                    format: Format::of(&path).unwrap_or(Format::Text),
                    bytes: metadata.len(),
                    path,
                    remote: None,
                });
            }
        }
    }
    Ok(files)
}

fn is_output(path: &Path, out: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let is_ours = OUTPUT_NAMES.contains(&name) || tokenizer::FILE_NAMES.contains(&name);
    let same_dir = || Some(path.parent()?.canonicalize().ok()? == out.canonicalize().ok()?);
    is_ours && same_dir().unwrap_or(false)
}

/// An existing path is itself, also where its name looks like a glob.
fn paths_of(input: &str) -> Result<Vec<PathBuf>> {
    let path = Path::new(input);
    if path.exists() {
        return paths_below(path);
    }
    if input == PYTHON_STDLIB {
        return stdlib_paths();
    }
    if !input.contains(['*', '?', '[']) {
        return Err(crate::bad_request!(
            "{input}: no such file or folder; check --input (prepare.input)"
        ));
    }
    let matches = glob::glob(input)
        .map_err(|error| crate::bad_request!("{input}: not a valid glob: {error}"))?
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("{input}: cannot list"))?;
    // A folder that matches beside its own files adds nothing that a file of no known kind would not.
    let files: Vec<PathBuf> = matches.into_iter().filter(|path| path.is_file()).collect();
    if files.is_empty() {
        return Err(crate::bad_request!(
            "{input}: the glob matches no file; check --input (prepare.input)"
        ));
    }
    Ok(sorted(files))
}

fn paths_below(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return match of_no_text(path) {
            true => Err(crate::bad_request!(
                "{}: files of this kind are not read; make .jsonl or .parquet of it",
                path.display()
            )),
            false => Ok(vec![path.to_owned()]),
        };
    }
    let mut files = Vec::new();
    walk(path, &|_| true, &mut files)?;
    files.retain(|file| Format::of(file).is_some());
    if files.is_empty() {
        return Err(crate::bad_request!(
            "{}: the folder holds no .txt, .md, .jsonl, .json (also .gz, .zst) or .parquet file; a glob such as `{0}/**/*.py` takes any \
             file as text",
            path.display()
        ));
    }
    Ok(sorted(files))
}

/// Tables and archives, which would pass for one long text.
fn of_no_text(path: &Path) -> bool {
    const NAMES: [&str; 12] = [
        "csv", "tsv", "xlsx", "arrow", "feather", "pdf", "docx", "zip", "tar", "7z", "bz2", "xz",
    ];
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| NAMES.contains(&extension.to_lowercase().as_str()))
}

/// All files below a folder but hidden ones; a linked folder is not entered, so that a loop ends.
fn walk(dir: &Path, enter: &dyn Fn(&str) -> bool, files: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = || format!("{}: cannot list the folder", dir.display());
    for entry in fs::read_dir(dir).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type().with_context(unreadable)?.is_dir() {
            if enter(&name) {
                walk(&entry.path(), enter, files)?;
            }
        } else if entry.path().is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn stdlib_paths() -> Result<Vec<PathBuf>> {
    let remedy = "name a folder of text with --input (prepare.input)";
    let output = Command::new("python3")
        .args([
            "-I",
            "-c",
            "import sysconfig; print(sysconfig.get_path('stdlib'))",
        ])
        .output()
        .map_err(|error| {
            crate::bad_request!(
                "{PYTHON_STDLIB}: cannot run python3 ({error}); install it, or {remedy}"
            )
        })?;
    let dir = String::from_utf8_lossy(&output.stdout);
    let dir = Path::new(dir.trim());
    let mut files = Vec::new();
    if output.status.success() && dir.is_dir() {
        walk(dir, &|name| !STDLIB_SKIPPED.contains(&name), &mut files)?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "py"));
    }
    if files.is_empty() {
        return Err(crate::bad_request!(
            "{PYTHON_STDLIB}: python3 here has no library sources; {remedy}"
        ));
    }
    Ok(sorted(files))
}

fn sorted(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    files.sort_unstable();
    files
}
