//! A plot as SVG, written here rather than by a crate: `plotters`, which was looked at first, writes fixed sizes and
//! colours into every element, and this picture takes both from the page's style, so that it scales with the screen and
//! follows its light or dark scheme. Numbers become places in the picture's own 360 by 216 units.

use super::axis::Range;
use super::figures::Unit;
use super::html::Html;
use super::plot::{Line, Plot};
use super::thin::{Points, smooth, thin};
use std::fmt::Display;

/// The frame: left, top, right, bottom.
const FRAME: [f64; 4] = [54.0, 8.0, 342.0, 176.0];
/// How far left of the frame the names of the foot's rows end.
const NAMES: f64 = 13.0;
/// A line of no more points than this has them marked.
const MARKED: usize = 40;
/// Gaps that are marked at the foot of a plot.
const GAPS: usize = 100;

impl Plot {
    pub(super) fn draw(&self, html: &mut Html) {
        let scale = Scale {
            x: self.foot(),
            y: self.side(),
        };
        let [left, top, right, bottom] = FRAME;
        let frame = format!("{left} {top} {right} {bottom}");
        let (x, y) = (ends(scale.x), ends(scale.y));
        let attributes: [(&str, &dyn Display); 8] = [
            ("class", &"plot"),
            ("viewBox", &"0 0 360 216"),
            ("role", &"img"),
            ("aria-label", &format!("{} over steps", self.title)),
            ("data-frame", &frame),
            ("data-x", &x),
            ("data-y", &y),
            ("data-unit", &self.unit.name()),
        ];
        html.element("svg", &attributes, |html| {
            self.draw_side(html, &scale);
            self.draw_foot(html, &scale);
            clipped(html, |html| {
                for line in &self.lines {
                    draw_line(html, line, &scale);
                }
            });
        });
    }

    /// Numbers at the side, with a line across from each.
    fn draw_side(&self, html: &mut Html, scale: &Scale) {
        let [left, _, right, _] = FRAME;
        let (ticks, step) = scale.y.ticks(5, 0.0);
        let largest = ticks
            .iter()
            .fold(0.0, |most: f64, tick| most.max(tick.abs()));
        for tick in ticks {
            let y = scale.y(tick);
            line(html, "grid", [left, y, right, y]);
            let label = self.unit.at_axis(tick, step, largest);
            words(html, "side", [left - 5.0, y], ("0.35em", &label));
        }
    }

    /// Steps at the foot, and below them the tokens seen by then.
    fn draw_foot(&self, html: &mut Html, scale: &Scale) {
        let [left, _, right, bottom] = FRAME;
        line(html, "axis", [left, bottom, right, bottom]);
        let (ticks, step) = scale.x.ticks(5, 1.0);
        words(
            html,
            "side name",
            [left - NAMES, bottom],
            ("1.3em", &"step"),
        );
        let tokens: Points = ticks
            .iter()
            .filter_map(|&tick| Some((tick, self.tokens_at(tick)?)))
            .collect();
        let most = tokens.last().map_or(0.0, |(_, tokens)| *tokens);
        for &tick in &ticks {
            let x = scale.x(tick);
            line(html, "axis", [x, bottom, x, bottom + 3.0]);
            let label = Unit::Steps.at_axis(tick, step, scale.x.high);
            words(html, "foot", [x, bottom], ("1.3em", &label));
        }
        let between = most / scale.x.high.max(1.0) * step;
        for (tick, tokens) in &tokens {
            let label = Unit::Steps.at_axis(*tokens, between, most);
            words(
                html,
                "foot name",
                [scale.x(*tick), bottom],
                ("2.5em", &label),
            );
        }
        if !tokens.is_empty() {
            words(
                html,
                "side name",
                [left - NAMES, bottom],
                ("2.5em", &"tokens"),
            );
        }
    }
}

fn ends(range: Range) -> String {
    format!("{:e} {:e}", range.low, range.high)
}

/// From numbers to places.
struct Scale {
    x: Range,
    y: Range,
}

impl Scale {
    fn x(&self, step: f64) -> f64 {
        let [left, _, right, _] = FRAME;
        left + (right - left) * self.x.place(step)
    }

    fn y(&self, value: f64) -> f64 {
        let [_, top, _, bottom] = FRAME;
        bottom - (bottom - top) * self.y.place(value)
    }
}

/// What is inside ends at the frame: a nested picture shows nothing beyond its edge. A little room keeps whole marks.
fn clipped(html: &mut Html, inside: impl FnOnce(&mut Html)) {
    let [left, top, right, bottom] = FRAME;
    let (x, y, width, height) = (
        left - 3.0,
        top - 3.0,
        right - left + 6.0,
        bottom - top + 6.0,
    );
    let view = format!("{x} {y} {width} {height}");
    let place: [(&str, &dyn Display); 5] = [
        ("x", &x),
        ("y", &y),
        ("width", &width),
        ("height", &height),
        ("viewBox", &view),
    ];
    html.element("svg", &place, inside);
}

fn draw_line(html: &mut Html, line: &Line, scale: &Scale) {
    let class = format!("series c{} d{}", line.color, line.dash);
    let thinned = thin(&line.points);
    let window = line.window();
    let raw = if window.is_some() { "raw" } else { "whole" };
    html.element(
        "g",
        &[("class", &class), ("data-label", &line.label)],
        |html| {
            html.element("g", &[("class", &raw)], |html| {
                draw_points(html, &thinned, scale)
            });
            if let Some(window) = window {
                let calm = thin(&smooth(&line.points, window));
                html.element("g", &[("class", &"calm")], |html| {
                    draw_points(html, &calm, scale)
                });
            }
            let [_, _, _, bottom] = FRAME;
            let gaps = thinned.iter().filter(|(_, value)| value.is_nan());
            for (step, _) in gaps.take(GAPS) {
                let x = scale.x(*step);
                self::line(html, "gap", [x, bottom - 7.0, x, bottom]);
            }
        },
    );
}

/// A line as long as there is no gap; marks where there are few points, or one stands alone.
fn draw_points(html: &mut Html, points: &[(f64, f64)], scale: &Scale) {
    let place = |(step, value): &(f64, f64)| (scale.x(*step), scale.y(*value));
    let finite = points.iter().filter(|(_, value)| value.is_finite()).count();
    for stretch in points.split(|(_, value)| !value.is_finite()) {
        let places: Vec<(f64, f64)> = stretch.iter().map(place).collect();
        if places.len() > 1 {
            let pairs: Vec<String> = places
                .iter()
                .map(|(x, y)| format!("{x:.2},{y:.3}"))
                .collect();
            html.empty("polyline", &[("points", &pairs.join(" "))]);
        }
        if finite <= MARKED || places.len() == 1 {
            for (x, y) in places {
                let (x, y) = (format!("{x:.2}"), format!("{y:.3}"));
                html.empty("circle", &[("cx", &x), ("cy", &y), ("r", &"2.2")]);
            }
        }
    }
}

fn line(html: &mut Html, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(|place| format!("{place:.2}"));
    let ends: [(&str, &dyn Display); 5] = [
        ("class", &class),
        ("x1", &x1),
        ("y1", &y1),
        ("x2", &x2),
        ("y2", &y2),
    ];
    html.empty("line", &ends);
}

/// Text, moved down by a part of its own size, which is the page's to choose.
fn words(html: &mut Html, class: &str, [x, y]: [f64; 2], (down, text): (&str, &dyn Display)) {
    let [x, y] = [x, y].map(|place| format!("{place:.2}"));
    let place: [(&str, &dyn Display); 4] = [("class", &class), ("x", &x), ("y", &y), ("dy", &down)];
    html.words("text", &place, text);
}
