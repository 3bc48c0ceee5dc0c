//! From rows to items: read, put behind their solved examples, and limited.

use crate::bad_request;
use crate::eval::benchmarks::{Benchmark, FewShot, Fields, Item};
use crate::prepare::ObjectRow;
use anyhow::Result;
use std::collections::HashMap;

/// The rows of a benchmark.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Those that are scored.
    pub(super) scored: Vec<ObjectRow>,
    /// Those that are shown solved.
    pub(super) examples: Vec<ObjectRow>,
}

/// An item, and where it came from.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) origin: String,
    pub(super) item: Item,
}

/// The first `limit` items of each group (0: all), each behind its group's examples.
///
/// # Errors
/// A bad request when a field is missing, or examples are; an error when a row makes no sense.
pub(super) fn items(benchmark: &Benchmark, rows: &Rows, limit: u64) -> Result<Vec<Located>> {
    let mut openings = match &benchmark.few_shot {
        Some(few_shot) => Some(Openings::new(benchmark, few_shot, &rows.examples)?),
        None => None,
    };
    let read = rows
        .scored
        .iter()
        .map(|row| Ok((row, read(benchmark, row)?)));
    let read = read.collect::<Result<Vec<_>>>()?;
    let first = first_of_each_group(read, limit, |(_, item)| &item.group);
    let locate = |(row, item): (&ObjectRow, Item)| {
        let item = match &mut openings {
            Some(openings) => {
                let opening = openings.of(&item.group, &row.origin)?;
                item.behind(opening)
            }
            None => item,
        };
        let origin = row.origin.clone();
        Ok(Located { origin, item })
    };
    first.into_iter().map(locate).collect()
}

/// The first `limit` (0: all) of each group, in order.
pub(super) fn first_of_each_group<T>(
    items: Vec<T>,
    limit: u64,
    group: impl Fn(&T) -> &String,
) -> Vec<T> {
    let mut taken: HashMap<String, u64> = HashMap::new();
    let mut is_wanted = |item: &T| {
        let count = taken.entry(group(item).clone()).or_default();
        *count += 1;
        limit == 0 || *count <= limit
    };
    items.into_iter().filter(|item| is_wanted(item)).collect()
}

fn read(benchmark: &Benchmark, row: &ObjectRow) -> Result<Item> {
    let fields = Fields::of(row);
    let item = (benchmark.read)(&fields)?;
    let (label, answers) = (item.label, item.choices.len());
    match label < answers {
        true => Ok(item),
        false => Err(fields.malformed(&format!(
            "the right answer is number {label}, counted from 0, of {answers}"
        ))),
    }
}

/// What stands before the questions of each group.
struct Openings<'a> {
    benchmark: &'a Benchmark,
    few_shot: &'a FewShot,
    examples: HashMap<String, Vec<Item>>,
    made: HashMap<String, String>,
}

impl<'a> Openings<'a> {
    fn new(benchmark: &'a Benchmark, few_shot: &'a FewShot, rows: &[ObjectRow]) -> Result<Self> {
        let mut examples: HashMap<String, Vec<Item>> = HashMap::new();
        for row in rows {
            let item = read(benchmark, row)?;
            examples.entry(item.group.clone()).or_default().push(item);
        }
        Ok(Self {
            benchmark,
            few_shot,
            examples,
            made: HashMap::new(),
        })
    }

    fn of(&mut self, group: &str, origin: &str) -> Result<&str> {
        if !self.made.contains_key(group) {
            let opening = self.make(group, origin)?;
            self.made.insert(group.to_owned(), opening);
        }
        Ok(&self.made[group])
    }

    fn make(&self, group: &str, origin: &str) -> Result<String> {
        let (split, wanted) = (self.few_shot.split, self.few_shot.examples);
        let found = self.examples.get(group).map_or(&[][..], Vec::as_slice);
        let name = self.benchmark.name;
        if found.len() < wanted {
            return Err(bad_request!(
                "{origin}: {name} shows {wanted} solved examples of {group:?} before the question, and there are {}; give \
                 --task-data {name}= a folder with a {split} and a {} file, or one file whose examples have \"split\": \
                 {split:?}",
                found.len(),
                self.benchmark.dataset.split
            ));
        }
        let mut opening = (self.few_shot.opening)(group);
        for example in &found[..wanted] {
            opening.push_str(&example.solved());
            opening.push_str("\n\n");
        }
        Ok(opening)
    }
}
