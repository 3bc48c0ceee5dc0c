//! `samples.jsonl`: what the model wrote during training, one object a line.

use super::jsonl::drop_lines_after;
use super::{MetricSink, Record};
use crate::storage::cannot_write;
use anyhow::{Context, Result};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Appends samples to a file, which is made with the first of them.
#[derive(Debug)]
pub struct SamplesSink {
    path: PathBuf,
}

impl SamplesSink {
    /// For a run that stands at `step`: samples of later steps, and a torn last line, are dropped first.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        if path.exists() {
            drop_lines_after(path, step)?;
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl MetricSink for SamplesSink {
    fn log(&mut self, record: &Record) -> Result<()> {
        if record.samples.is_empty() {
            return Ok(());
        }
        let line = |sample: &super::Sample| {
            let object = json!({
                "step": record.step,
                "prompt": sample.prompt,
                "completion": sample.completion,
            });
            format!("{object}\n")
        };
        let lines: String = record.samples.iter().map(line).collect();
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(&self.path);
        let written = file.and_then(|mut file| file.write_all(lines.as_bytes()));
        written.with_context(|| cannot_write(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Sample, Split};
    use super::*;
    use std::fs;

    #[test]
    fn a_resume_drops_what_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("samples.jsonl");
        let record = |step, texts: &[&str]| Record {
            step,
            split: Split::Eval,
            values: Vec::new(),
            samples: texts
                .iter()
                .map(|text| Sample {
                    prompt: "a\n".into(),
                    completion: (*text).into(),
                })
                .collect(),
        };
        let mut sink = SamplesSink::open(&path, 0).unwrap();
        sink.log(&record(1, &[])).unwrap();
        assert!(!path.exists());
        sink.log(&record(10, &["b", "\"c\""])).unwrap();
        sink.log(&record(20, &["lost"])).unwrap();
        let mut sink = SamplesSink::open(&path, 10).unwrap();
        sink.log(&record(20, &["d"])).unwrap();
        let expected = "{\"step\":10,\"prompt\":\"a\\n\",\"completion\":\"b\"}\n\
                        {\"step\":10,\"prompt\":\"a\\n\",\"completion\":\"\\\"c\\\"\"}\n\
                        {\"step\":20,\"prompt\":\"a\\n\",\"completion\":\"d\"}\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
}
