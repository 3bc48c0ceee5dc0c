//! Which files a pattern means, and which patterns are tried where a data set names none: the rules of Python's
//! `datasets` library (its `data_files.py`), for the formats that are read here.

use super::listing::RepoFile;
use glob::{MatchOptions, Pattern};
use std::collections::{BTreeMap, BTreeSet};

/// What stands around a split's name in a path.
const AROUND: &str = "[-._ 0-9]";
/// Files that describe a data set and hold none of it.
const IGNORED: [&str; 6] = [
    "README.md",
    "config.json",
    "dataset_info.json",
    "dataset_infos.json",
    "dummy_data.zip",
    "dataset_dict.json",
];
/// The words that stand for the usual splits, in the order in which splits are looked for.
const KEYWORDS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "dev", "val"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];
/// Extensions and the reader that takes them; an extension of nobody's makes a file none of the data's.
const READERS: [(&str, &str); 11] = [
    ("parquet", "parquet"),
    ("jsonl", "json"),
    ("json", "json"),
    ("ndjson", "json"),
    ("txt", "text"),
    ("csv", "csv"),
    ("tsv", "csv"),
    ("arrow", "arrow"),
    ("tar", "webdataset"),
    ("zip", "zip"),
    ("xml", "xml"),
];
/// The readers that there are here.
const OURS: [&str; 3] = ["parquet", "json", "text"];

/// A split's name and the patterns of its files.
pub(super) type SplitPatterns = (String, Vec<String>);

/// The files that a pattern means, below `base` (empty, or a folder).
pub(super) fn resolve<'a>(files: &'a [RepoFile], base: &str, pattern: &str) -> Vec<&'a RepoFile> {
    let pattern = joined(base, pattern.trim_start_matches("./"));
    let Ok(compiled) = Pattern::new(&pattern) else {
        return Vec::new();
    };
    let options = MatchOptions {
        require_literal_separator: true,
        ..MatchOptions::default()
    };
    let name_asked_for = pattern.rsplit('/').next();
    let is_meant = |file: &&RepoFile| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        compiled.matches_with(&file.path, options)
            && (!IGNORED.contains(&name) || name_asked_for == Some(name))
            && count(&file.path, is_hidden) == count(&pattern, is_hidden)
            && count(folder(&file.path), is_special) == count(folder(&pattern), is_special)
    };
    files.iter().filter(is_meant).collect()
}

fn joined(base: &str, pattern: &str) -> String {
    match base.trim_matches('/') {
        "" | "." => pattern.to_owned(),
        base => format!("{}/{pattern}", base.trim_start_matches("./")),
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn count(path: &str, is_counted: fn(&str) -> bool) -> usize {
    path.split('/').filter(|part| is_counted(part)).count()
}

fn is_hidden(part: &str) -> bool {
    part.starts_with('.') && !part.trim_matches('.').is_empty()
}

fn is_special(part: &str) -> bool {
    part.starts_with("__")
}

/// The splits of a folder that nothing is said about: by `data/train-00000-of-00005.*`, else by words in the folders'
/// names, else in the files', else all is `train`.
pub(super) fn default_splits(files: &[RepoFile], base: &str) -> Vec<SplitPatterns> {
    let five = "[0-9]".repeat(5);
    let sharded = |split: &str| format!("data/{split}-{five}-of-{five}*.*");
    let shards = resolve(files, base, &sharded("*"));
    if !shards.is_empty() {
        let names: BTreeSet<&str> = shards
            .iter()
            .filter_map(|file| shard_of(&file.path))
            .collect();
        let usual = KEYWORDS.iter().map(|(split, _)| *split);
        let (mut ordered, others): (Vec<&str>, Vec<&str>) = names
            .into_iter()
            .partition(|name| usual.clone().any(|split| split == *name));
        ordered.sort_by_key(|name| usual.clone().position(|split| split == *name));
        let all = ordered.into_iter().chain(others);
        return all
            .map(|split| (split.to_owned(), vec![sharded(split)]))
            .collect();
    }
    let in_folders = |word: &str| {
        vec![
            format!("**/{word}/**"),
            format!("**/{word}{AROUND}*/**"),
            format!("**/*{AROUND}{word}/**"),
            format!("**/*{AROUND}{word}{AROUND}*/**"),
        ]
    };
    let in_names = |word: &str| {
        vec![
            format!("**/{word}{AROUND}*"),
            format!("**/*{AROUND}{word}{AROUND}*"),
        ]
    };
    for patterns in [&in_folders as &dyn Fn(&str) -> Vec<String>, &in_names] {
        let of_split = |(split, words): &(&str, &[&str])| {
            let patterns: Vec<String> = words.iter().flat_map(|word| patterns(word)).collect();
            let is_met = patterns
                .iter()
                .any(|pattern| !resolve(files, base, pattern).is_empty());
            is_met.then(|| ((*split).to_owned(), patterns))
        };
        let met: Vec<SplitPatterns> = KEYWORDS.iter().filter_map(of_split).collect();
        if !met.is_empty() {
            return met;
        }
    }
    vec![("train".to_owned(), vec!["**".to_owned()])]
}

/// `train` of `data/train-00000-of-00005.parquet`
fn shard_of(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    let (before, _) = name.rsplit_once("-of-")?;
    Some(before.rsplit_once('-')?.0)
}

/// The files of one reader, the one that most of them are for; and that reader's name.
pub(super) fn of_one_reader(files: Vec<&RepoFile>) -> (Vec<&RepoFile>, Option<&'static str>) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for extension in files.iter().flat_map(|file| extensions(&file.path)) {
        *counts.entry(extension).or_default() += 1;
    }
    let favour = |extension: &str| {
        ["csv", "json", "jsonl", "arrow", "parquet"]
            .iter()
            .position(|favoured| *favoured == extension)
    };
    let known = counts
        .into_iter()
        .filter(|(extension, _)| reader(extension).is_some());
    let most = known.max_by_key(|(extension, count)| (*count, favour(extension), *extension));
    let Some(chosen) = most.and_then(|(extension, _)| reader(extension)) else {
        return (Vec::new(), None);
    };
    let is_taken = |file: &&RepoFile| {
        extensions(&file.path).any(|extension| reader(extension) == Some(chosen))
    };
    (files.into_iter().filter(is_taken).collect(), Some(chosen))
}

/// Whether files of this reader can be read here.
pub(super) fn is_read_here(reader: &str) -> bool {
    OURS.contains(&reader)
}

fn reader(extension: &str) -> Option<&'static str> {
    let found = READERS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension));
    found.map(|(_, reader)| *reader)
}

fn extensions(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit('/')
        .next()
        .unwrap_or_default()
        .split('.')
        .skip(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<RepoFile> {
        let file = |name: &&str| RepoFile {
            path: (*name).to_owned(),
            bytes: 1,
            etag: "0".to_owned(),
            sha256: None,
        };
        names.iter().map(file).collect()
    }

    /// `split: files` of a folder without a card, as `datasets.data_files.get_data_patterns` and its resolution give.
    fn splits(names: &[&str]) -> Vec<String> {
        let files = files(names);
        let show = |(split, patterns): SplitPatterns| {
            let mut met: Vec<&str> = patterns
                .iter()
                .flat_map(|pattern| resolve(&files, "", pattern))
                .map(|file| file.path.as_str())
                .collect();
            met.dedup();
            format!("{split}: {}", met.join(" "))
        };
        default_splits(&files, "").into_iter().map(show).collect()
    }

    #[test]
    fn splits_without_a_card() {
        assert_eq!(
            splits(&["README.md", ".gitattributes", "a.jsonl", "x/b.jsonl"]),
            ["train: a.jsonl x/b.jsonl"]
        );
        assert_eq!(
            splits(&[
                "data/train-00000-of-00002.parquet",
                "data/train-00001-of-00002.parquet",
                "data/odd-00000-of-00001.parquet",
                "data/test-00000-of-00001-5d.parquet"
            ]),
            [
                "train: data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet",
                "test: data/test-00000-of-00001-5d.parquet",
                "odd: data/odd-00000-of-00001.parquet",
            ]
        );
        assert_eq!(
            splits(&["train/a.json", "dev/a.json", "eval_1/a.json", "notes.txt"]),
            [
                "train: train/a.json",
                "validation: dev/a.json",
                "test: eval_1/a.json"
            ]
        );
        assert_eq!(
            splits(&["my-train.jsonl", "my_val_2.jsonl", "retrain.jsonl"]),
            ["train: my-train.jsonl", "validation: my_val_2.jsonl"]
        );
    }

    #[test]
    fn hidden_and_special_folders_are_asked_for_by_name() {
        let files = files(&[".x/a.json", "__c__/b.json", "d/.e.json", "f.json"]);
        let met = |pattern: &str| -> Vec<&str> {
            let met = resolve(&files, "", pattern).into_iter();
            met.map(|file| file.path.as_str()).collect()
        };
        assert_eq!(met("**"), ["f.json"]);
        assert_eq!(met(".x/*"), [".x/a.json"]);
        assert_eq!(met("__c__/*.json"), ["__c__/b.json"]);
        assert_eq!(met("*.json"), ["f.json"]);
        assert!(met("../*").is_empty() && met("[").is_empty());
    }

    #[test]
    fn most_files_decide_the_reader() {
        let reader = |names: &[&str]| {
            let files = files(names);
            let (taken, reader) = of_one_reader(files.iter().collect());
            (taken.len(), reader)
        };
        assert_eq!(reader(&["a.parquet", "b.csv"]), (1, Some("parquet")));
        assert_eq!(reader(&["a.parquet", "b.csv", "c.csv"]), (2, Some("csv")));
        assert_eq!(
            reader(&["a.jsonl.gz", "b.JSON", "LICENSE"]),
            (2, Some("json"))
        );
        assert_eq!(reader(&["LICENSE", "x.bin"]), (0, None));
    }
}
