//! `metrics.csv`: a row for each line of `metrics.jsonl`, a column for each name. A split has its own names, and leaves
//! the others' cells empty: `pandas.read_csv("metrics.csv").query("split == 'val'").dropna(axis=1, how="all")`.

use crate::storage::AtomicFile;
use anyhow::{Context, Result};
use serde_json::{Map, Value};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes the file into the run's folder; gives its path and its number of rows.
pub(super) fn write(folder: &Path) -> Result<(PathBuf, usize)> {
    let source = folder.join("metrics.jsonl");
    let text = fs::read_to_string(&source);
    let text = text.with_context(|| format!("{}: cannot read", source.display()))?;
    let records = records(&text).map_err(|error| error.context(source.display().to_string()))?;
    let path = folder.join("metrics.csv");
    let mut file = AtomicFile::create(&path)?;
    file.write_all(table(&records).as_bytes())?;
    file.commit()?;
    Ok((path, records.len()))
}

/// A last line without an end is still being written.
fn records(text: &str) -> Result<Vec<Map<String, Value>>> {
    let lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let parse = |(number, line)| {
        serde_json::from_str(line).with_context(|| format!("line {number} is no JSON object"))
    };
    (1..).zip(lines).map(parse).collect()
}

fn table(records: &[Map<String, Value>]) -> String {
    let mut columns = vec!["step", "split", "time"];
    for name in records.iter().flat_map(Map::keys) {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let header = columns.iter().map(|&name| quoted(name));
    let mut rows = vec![header.collect::<Vec<_>>().join(",")];
    rows.extend(records.iter().map(|record| {
        let cells = columns.iter().map(|&name| cell(record.get(name)));
        cells.collect::<Vec<_>>().join(",")
    }));
    rows.join("\n") + "\n"
}

/// Numbers as they stand in `metrics.jsonl`; what is missing or was not a number is empty.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => quoted(text),
        Some(other) => quoted(&other.to_string()),
    }
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_share_a_table() {
        let text = "{\"step\":1,\"split\":\"train\",\"loss\":2.5,\"lr\":null,\"time\":9.5}\n\
                    {\"step\":1,\"split\":\"val\",\"loss\":2,\"a,b\":1e-7,\"time\":10}\n{\"step\":2,\"sp";
        let expected = "step,split,time,loss,lr,\"a,b\"\n1,train,9.5,2.5,,\n1,val,10,2,,1e-7\n";
        assert_eq!(table(&records(text).unwrap()), expected);
        let error = records("{}\nnonsense\n").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
