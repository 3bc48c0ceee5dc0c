//! Which plots a page has: those known by name in their order, then whatever else was measured.

use super::figures::Unit;
use super::known::{KNOWN, UNPLOTTED};
use super::numbers::Series;
use super::plot::{Line, Plot, View};
use super::run::Run;
use super::thin::{Points, thin};
use std::collections::BTreeSet;

/// All plots of these runs.
pub(super) fn charts(runs: &[Run]) -> Vec<Plot> {
    let known = KNOWN.iter().filter_map(|known| known.plot(runs));
    known.chain(others(runs)).collect()
}

/// What no plot is known for, benchmarks first of all: one for each name, or for each `name/…`.
fn others(runs: &[Run]) -> Vec<Plot> {
    let mut groups: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut seen = BTreeSet::new();
    for series in runs
        .iter()
        .flat_map(|run| run.numbers.all())
        .filter(|series| is_other(series))
    {
        let pair = (series.split.clone(), series.name.clone());
        if !seen.insert(pair.clone()) {
            continue;
        }
        let title = series.name.split('/').next().unwrap_or(&series.name);
        match groups.iter_mut().find(|(known, _)| known == title) {
            Some((_, pairs)) => pairs.push(pair),
            None => groups.push((title.to_owned(), vec![pair])),
        }
    }
    let plots = groups.into_iter().map(|(title, pairs)| {
        let is_accuracy = pairs.iter().all(|(_, name)| {
            name.split('/')
                .nth(1)
                .is_some_and(|name| name.starts_with("acc"))
        });
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(split, name)| (split.as_str(), name.as_str()))
            .collect();
        Plot {
            title,
            says: if is_accuracy { "right answers" } else { "" }.to_owned(),
            unit: if is_accuracy {
                Unit::Percent
            } else {
                Unit::Plain
            },
            lines: lines(runs, &pairs, false),
            view: View::Whole,
            tokens: shared_tokens(runs),
        }
    });
    plots.collect()
}

fn is_other(series: &Series) -> bool {
    let name = series.name.as_str();
    let is_known = KNOWN.iter().any(|known| known.shows(series));
    !(is_known || UNPLOTTED.contains(&name) || name.ends_with("_stderr"))
}

/// The lines of these splits and names. A color is a run where there are several, else a name, else a split.
pub(super) fn lines(runs: &[Run], pairs: &[(&str, &str)], noisy: bool) -> Vec<Line> {
    let mut names: Vec<&str> = Vec::new();
    for (_, name) in pairs {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let several_names = names.len() > 1;
    let mut lines = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        for (at, (split, name)) in pairs.iter().enumerate() {
            let Some(series) = run.numbers.get(split, name) else {
                continue;
            };
            let (color, dash) = match (runs.len() > 1, several_names) {
                (true, _) => (index, at),
                (false, true) => (
                    names.iter().position(|first| first == name).unwrap_or(at),
                    usize::from(*split == "val"),
                ),
                (false, false) => (at, 0),
            };
            let name = name.rsplit('/').next().unwrap_or(name);
            let mut label = match (several_names, *split) {
                (true, "train" | "eval") => name.to_owned(),
                (true, split) => format!("{name} ({split})"),
                (false, split) => split.to_owned(),
            };
            if runs.len() > 1 {
                let only = pairs.len() == 1;
                label = if only {
                    run.name.clone()
                } else {
                    format!("{} {label}", run.name)
                };
            }
            lines.push(Line {
                label,
                points: series.points.clone(),
                color,
                dash,
                noisy: noisy && *split == "train",
            });
        }
    }
    lines
}

/// Tokens over steps, where all runs count alike.
pub(super) fn shared_tokens(runs: &[Run]) -> Points {
    let all: Vec<&Series> = runs
        .iter()
        .filter_map(|run| run.numbers.get("train", "tokens_seen"))
        .collect();
    let per_step = |series: &&Series| {
        series
            .finite()
            .next_back()
            .map(|(step, tokens)| tokens / step.max(1.0))
    };
    let Some(Some(first)) = all.first().map(per_step) else {
        return Points::new();
    };
    let alike = |rate: Option<f64>| rate.is_some_and(|rate| (rate / first - 1.0).abs() < 1e-3);
    if all.len() < runs.len() || !all.iter().map(per_step).all(alike) {
        return Points::new();
    }
    let last = |series: &&&Series| series.points.last().map_or(0.0, |(step, _)| *step) as u64;
    let longest = all.iter().max_by_key(last);
    thin(&longest.map_or_else(Points::new, |series| series.finite().collect()))
}
