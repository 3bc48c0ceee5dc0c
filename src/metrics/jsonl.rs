//! `metrics.jsonl`: one object a line, appended and flushed.

use super::{MetricSink, Record};
use crate::storage::{AtomicFile, cannot_write};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Appends records to a file; a crash loses at most the line being written.
#[derive(Debug)]
pub struct JsonlSink {
    file: File,
    path: PathBuf,
}

impl JsonlSink {
    /// Opens the file for a run that stands at `step`: lines of later steps (of a run that was cut after its last
    /// checkpoint) and a torn last line are dropped first, so that no step appears twice.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        if path.exists() {
            drop_lines_after(path, step)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("{}: cannot open for writing", path.display()))?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }
}

impl MetricSink for JsonlSink {
    fn log(&mut self, record: &Record) -> Result<()> {
        if record.values.is_empty() {
            return Ok(()); // only texts
        }
        let mut line = object(record).to_string();
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .with_context(|| cannot_write(&self.path))
    }
}

/// JSON has no NaN or infinity: such a value is written as null.
fn object(record: &Record) -> Value {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    let mut fields = Map::new();
    fields.insert("step".into(), json!(record.step));
    fields.insert("split".into(), json!(record.split.name()));
    for (name, value) in &record.values {
        fields.insert(name.to_string(), number(*value));
    }
    fields.insert("time".into(), json!((seconds * 1e3).round() / 1e3));
    Value::Object(fields)
}

/// Counts are written without a decimal point.
pub(super) fn number(value: f64) -> Value {
    const EXACT: f64 = (1_u64 << 53) as f64;
    if value.fract() == 0.0 && value.abs() < EXACT {
        json!(value as i64)
    } else {
        json!(value)
    }
}

pub(super) fn drop_lines_after(path: &Path, step: u64) -> Result<()> {
    // Bytes: a line that was cut short may end inside a character.
    let text = fs::read(path).with_context(|| format!("{}: cannot read", path.display()))?;
    let mut file = AtomicFile::create(path)?;
    for line in text
        .split_inclusive(|&byte| byte == b'\n')
        .filter(|line| line.ends_with(b"\n"))
    {
        let parsed: Option<Value> = serde_json::from_slice(line).ok();
        if parsed
            .and_then(|value| value.get("step")?.as_u64())
            .is_some_and(|at| at <= step)
        {
            file.write_all(line)?;
        }
    }
    file.commit()
}

#[cfg(test)]
mod tests {
    use super::super::Split;
    use super::*;

    #[test]
    fn a_resume_drops_later_steps_and_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        fs::write(
            &path,
            b"{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"step\":2,\"text\":\"\xc3",
        )
        .unwrap();
        let mut sink = JsonlSink::open(&path, 2).unwrap();
        sink.log(&Record {
            step: 3,
            split: Split::Train,
            values: vec![("loss".into(), f64::NAN), ("tokens_seen".into(), 1e6)],
            samples: Vec::new(),
        })
        .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let steps: Vec<_> = lines
            .iter()
            .map(|line| line["step"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, [1, 2, 3]);
        assert!(lines[2]["loss"].is_null());
        assert!(text.contains("\"tokens_seen\":1000000,"), "{text}");
    }
}
