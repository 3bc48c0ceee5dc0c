//! A plot with what belongs to it: its title, a legend with the last values, and what it leaves out.

use super::figures::Unit;
use super::html::Html;
use super::plot::{Line, Plot, View};

/// The page's colours and patterns of dashes; more lines than these begin again.
pub(super) const COLORS: usize = 8;
const DASHES: usize = 4;

pub(super) fn draw(html: &mut Html, mut plot: Plot) {
    for line in &mut plot.lines {
        (line.color, line.dash) = (line.color % COLORS, line.dash % DASHES);
    }
    let plot = &plot;
    html.element("figure", &[], |html| {
        html.element("figcaption", &[], |html| {
            html.words("h3", &[], &plot.title);
            html.words("span", &[("class", &"says")], &plot.says);
        });
        html.element("ul", &[("class", &"legend")], |html| {
            for line in &plot.lines {
                legend(html, line, plot.unit);
            }
            let at = of_the_end(plot);
            html.words("li", &[("class", &"at"), ("data-end", &at)], &at);
        });
        plot.draw(html);
        for note in notes(plot) {
            html.words("p", &[("class", &"note")], &note);
        }
    });
}

/// What the legend's numbers are, unless a pointer asks for others.
fn of_the_end(plot: &Plot) -> String {
    let ends = plot
        .lines
        .iter()
        .filter_map(|line| line.finite().next_back());
    let mut ends: Vec<f64> = ends.map(|(step, _)| step).collect();
    ends.dedup();
    match ends[..] {
        [] => String::new(),
        [step] => format!("at step {}", Unit::Steps.alone(step)),
        _ => "at their ends".to_owned(),
    }
}

fn legend(html: &mut Html, line: &Line, unit: Unit) {
    html.element("li", &[], |html| {
        key(html, line.color, line.dash);
        html.words("bdi", &[], &line.label);
        let last = line.finite().next_back();
        let last = last.map_or_else(String::new, |(_, value)| unit.alone(value));
        html.words("b", &[], &last);
    });
}

/// A piece of the line.
pub(super) fn key(html: &mut Html, color: usize, dash: usize) {
    let class = format!("key c{} d{}", color % COLORS, dash % DASHES);
    html.element(
        "svg",
        &[
            ("class", &class),
            ("viewBox", &"0 0 22 10"),
            ("aria-hidden", &"true"),
        ],
        |html| {
            html.empty("line", &[("x1", &1), ("y1", &5), ("x2", &21), ("y2", &5)]);
        },
    );
}

/// What is not to be seen in the plot, or not to be mistaken.
fn notes(plot: &Plot) -> Vec<String> {
    let mut notes = Vec::new();
    let windows = plot.lines.iter().filter_map(Line::window);
    if let Some(window) = windows.max() {
        notes.push(format!("Faint: each step. Strong: mean of {window} steps."));
    }
    let highest = plot
        .lines
        .iter()
        .flat_map(Line::finite)
        .reduce(|a, b| if b.1 > a.1 { b } else { a });
    if let (View::Bulk, Some((step, value))) = (plot.view, highest)
        && value > plot.side().high
    {
        let (value, step) = (plot.unit.alone(value), Unit::Steps.alone(step));
        notes.push(format!("Highest: {value} at step {step}, above the frame."));
    }
    let gaps = plot
        .lines
        .iter()
        .flat_map(|line| &line.points)
        .filter(|(_, value)| value.is_nan());
    match gaps.count() {
        0 => {}
        1 => notes.push("1 value was not finite: see the mark at the foot.".to_owned()),
        count => notes.push(format!(
            "{count} values were not finite: see the marks at the foot."
        )),
    }
    notes
}
