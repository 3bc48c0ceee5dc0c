//! Where the rows of a benchmark are: files, a folder of them, a prepared folder, or the Hub.

use super::items::Rows;
use super::prepared;
use crate::bad_request;
use crate::config::{HubKind, HubPart, HubPath};
use crate::eval::benchmarks::Benchmark;
use crate::hub::{self, Stop};
use crate::prepare::{ObjectRow, read_objects};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A place where a benchmark's rows are, known to exist where it is on this machine.
#[derive(Debug, Clone)]
pub(super) enum TaskData {
    /// What `prep-data eval` wrote.
    Prepared(PathBuf),
    /// One file; examples are told by their field `split`.
    File(PathBuf),
    /// Files of the scored split, and of the examples'.
    Files {
        scored: Vec<PathBuf>,
        examples: Vec<PathBuf>,
    },
    /// A data set on the Hub.
    Hub(HubPath),
}

const EXTENSIONS: [&str; 3] = ["jsonl", "json", "parquet"];

impl TaskData {
    /// What `--task-data` names, or the benchmark's own data set on the Hub.
    ///
    /// # Errors
    /// A bad request when there is no such file or folder, or nothing to read in it.
    pub(super) fn find(benchmark: &Benchmark, given: Option<&Path>) -> Result<Self> {
        let Some(path) = given else {
            return Ok(Self::Hub(own_dataset(benchmark)));
        };
        let text = path.to_string_lossy();
        if let Some(address) = HubPath::parse_if_meant(&text, HubKind::Dataset)? {
            return Ok(Self::Hub(address));
        }
        if path.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        let name = benchmark.name;
        if !path.is_dir() {
            return Err(bad_request!(
                "--task-data {name}={text} (eval.task_data.{name}): no such file or folder; leave it out to take \
                 {} from the Hub",
                benchmark.dataset.id
            ));
        }
        if prepared::is_in(path) {
            return Ok(Self::Prepared(path.to_owned()));
        }
        Self::in_folder(benchmark, path)
    }

    fn in_folder(benchmark: &Benchmark, dir: &Path) -> Result<Self> {
        let files = data_files(dir)?;
        if let [only] = files.as_slice() {
            return Ok(Self::File(only.clone()));
        }
        let of = |split: &str| -> Vec<PathBuf> {
            let of_split = files.iter().filter(|file| is_of_split(file, split));
            of_split.cloned().collect()
        };
        let split = benchmark.dataset.split;
        let scored = of(split);
        if scored.is_empty() {
            return Err(bad_request!(
                "{}: holds no .jsonl, .json or .parquet file of {}'s {split} split; its name has to say so, for \
                 example {split}.jsonl",
                dir.display(),
                benchmark.name
            ));
        }
        let few_shot = benchmark.few_shot.as_ref();
        let examples = few_shot.map_or(Vec::new(), |few_shot| of(few_shot.split));
        Ok(Self::Files { scored, examples })
    }

    /// All rows, fetched first where they are on the Hub; none of a prepared folder, which has no rows any more.
    ///
    /// # Errors
    /// When a file cannot be read, or has a row that is none; what the Hub and the network have to say.
    pub(super) fn rows(&self, benchmark: &Benchmark) -> Result<Rows> {
        let few_shot = benchmark.few_shot.as_ref().map(|few_shot| few_shot.split);
        match self {
            Self::Prepared(_) => Ok(Rows::default()),
            Self::File(file) => Ok(sorted_by_split(read_objects(file)?, few_shot)),
            Self::Files { scored, examples } => Ok(Rows {
                scored: read_all(scored)?,
                examples: read_all(examples)?,
            }),
            Self::Hub(address) => match &address.part {
                HubPart::Files(_) => Ok(sorted_by_split(read_all(&fetch(address)?)?, few_shot)),
                HubPart::Split { config, split } => {
                    let fetch_split = |split: Option<&str>| {
                        let part = HubPart::Split {
                            config: config.clone(),
                            split: split.map(str::to_owned),
                        };
                        read_all(&fetch(&HubPath {
                            part,
                            ..address.clone()
                        })?)
                    };
                    let scored = split.as_deref().or(Some(benchmark.dataset.split));
                    Ok(Rows {
                        scored: fetch_split(scored)?,
                        examples: few_shot
                            .map_or(Ok(Vec::new()), |split| fetch_split(Some(split)))?,
                    })
                }
            },
        }
    }
}

fn own_dataset(benchmark: &Benchmark) -> HubPath {
    let dataset = &benchmark.dataset;
    HubPath {
        kind: HubKind::Dataset,
        id: dataset.id.to_owned(),
        revision: None,
        part: HubPart::Split {
            config: dataset.config.map(str::to_owned),
            split: Some(dataset.split.to_owned()),
        },
    }
}

/// The files behind the address, which stay in the Hub's cache: benchmarks are small and scored often.
fn fetch(address: &HubPath) -> Result<Vec<PathBuf>> {
    let files = hub::dataset_files(address, None)?;
    let fetched = files
        .iter()
        .map(|file| file.fetch_into_cache(&Stop::default()));
    fetched.collect()
}

fn read_all(files: &[PathBuf]) -> Result<Vec<ObjectRow>> {
    let rows: Result<Vec<_>> = files.iter().map(|file| read_objects(file)).collect();
    Ok(rows?.into_iter().flatten().collect())
}

/// Examples and questions of one file.
fn sorted_by_split(rows: Vec<ObjectRow>, examples: Option<&str>) -> Rows {
    let is_example = |row: &ObjectRow| {
        let split = row.fields.get("split").and_then(|split| split.as_str());
        examples.is_some() && split == examples
    };
    let (examples, scored) = rows.into_iter().partition(is_example);
    Rows { scored, examples }
}

fn data_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("{}: cannot list", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let words: Vec<&str> = name.split('.').collect();
        let is_data = words.iter().skip(1).any(|word| EXTENSIONS.contains(word));
        if is_data && !name.starts_with('.') && path.is_file() {
            files.push(path.clone());
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Whether a word of the name is the split's: `test.jsonl`, `hellaswag_val.jsonl`, `validation-00000-of-00001.parquet`.
fn is_of_split(file: &Path, split: &str) -> bool {
    let names = match split {
        "validation" => &["validation", "valid", "val"][..],
        _ => &[split][..],
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut words = name.split(|character: char| !character.is_ascii_alphanumeric());
    words.any(|word| names.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_of_the_split_that_its_name_says() {
        let is = |name: &str, split| is_of_split(Path::new(name), split);
        assert!(is("data/hellaswag_val.jsonl", "validation"));
        assert!(is("validation-00000-of-00001.parquet", "validation"));
        assert!(is("arc_easy-test.jsonl.gz", "test"));
        assert!(!is("validation/latest.jsonl", "test"));
        assert!(!is("dev.jsonl", "validation"));
    }
}
