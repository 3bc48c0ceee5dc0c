//! A page and its plots as a strict XML parser sees them, and numbers read back from places.

use roxmltree::{Document, Node, ParsingOptions};
use std::fs;
use std::path::Path;

pub(super) struct Page {
    pub(super) source: String,
    pub(super) size: usize,
}

/// One plot, out of its page.
pub(super) struct Plot {
    frame: [f64; 4],
    x: [f64; 2],
    y: [f64; 2],
    lines: Vec<Line>,
    /// Class, text, and place.
    words: Vec<(String, String, [f64; 2])>,
}

struct Line {
    label: String,
    class: String,
    places: Vec<[f64; 2]>,
}

impl Page {
    /// Fails where it is not well-formed.
    pub(super) fn read(path: &Path) -> Self {
        let source =
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let size = source.len();
        let page = Self { source, size };
        page.text();
        page
    }

    fn document(&self) -> Document<'_> {
        let options = ParsingOptions {
            allow_dtd: true,
            ..ParsingOptions::default()
        };
        let document = Document::parse_with_options(&self.source, options);
        document.unwrap_or_else(|error| panic!("{error}\n{}", self.source))
    }

    /// All that a reader sees.
    pub(super) fn text(&self) -> String {
        let document = self.document();
        let body = document
            .descendants()
            .find(|node| node.has_tag_name("body"))
            .unwrap();
        let is_seen =
            |node: &Node<'_, '_>| node.is_text() && !node.parent().unwrap().has_tag_name("script");
        body.descendants()
            .filter(is_seen)
            .filter_map(|node| node.text())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// How many elements there are of a name.
    pub(super) fn count(&self, name: &str) -> usize {
        self.document()
            .descendants()
            .filter(|node| node.has_tag_name(name))
            .count()
    }

    pub(super) fn titles(&self) -> Vec<String> {
        let document = self.document();
        let titles = document
            .descendants()
            .filter(|node| node.has_tag_name("h3"));
        titles
            .map(|title| title.text().unwrap_or_default().to_owned())
            .collect()
    }

    pub(super) fn plot(&self, title: &str) -> Plot {
        let document = self.document();
        let figures = document
            .descendants()
            .filter(|node| node.has_tag_name("figure"));
        let is_it = |figure: &Node<'_, '_>| {
            figure
                .descendants()
                .any(|node| node.has_tag_name("h3") && node.text() == Some(title))
        };
        let figure = figures
            .into_iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("no plot {title}: {:?}", self.titles()));
        Plot::read(
            figure
                .descendants()
                .find(|node| node.attribute("class") == Some("plot"))
                .unwrap(),
        )
    }
}

impl Plot {
    fn read(svg: Node<'_, '_>) -> Self {
        let is_series = |node: &Node<'_, '_>| node.attribute("data-label").is_some();
        let words = svg.descendants().filter(|node| node.has_tag_name("text"));
        Self {
            frame: numbers(svg.attribute("data-frame").unwrap()),
            x: numbers(svg.attribute("data-x").unwrap()),
            y: numbers(svg.attribute("data-y").unwrap()),
            lines: svg
                .descendants()
                .filter(is_series)
                .map(Line::read)
                .collect(),
            words: words
                .map(|node| {
                    let place = ["x", "y"].map(|key| node.attribute(key).unwrap().parse().unwrap());
                    (
                        node.attribute("class").unwrap().to_owned(),
                        node.text().unwrap().to_owned(),
                        place,
                    )
                })
                .collect(),
        }
    }

    pub(super) fn labels(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.label.clone()).collect()
    }

    fn line(&self, label: &str) -> &Line {
        let found = self.lines.iter().find(|line| line.label == label);
        found.unwrap_or_else(|| panic!("no line {label}: {:?}", self.labels()))
    }

    pub(super) fn class(&self, label: &str) -> &str {
        &self.line(label).class
    }

    /// Steps and values, back from places.
    pub(super) fn points(&self, label: &str) -> Vec<(f64, f64)> {
        let places = self.line(label).places.iter();
        places
            .map(|[x, y]| (self.step_at(*x), self.value_at(*y)))
            .collect()
    }

    pub(super) fn step_at(&self, x: f64) -> f64 {
        let [left, _, right, _] = self.frame;
        self.x[0] + (x - left) / (right - left) * (self.x[1] - self.x[0])
    }

    pub(super) fn value_at(&self, y: f64) -> f64 {
        let [_, top, _, bottom] = self.frame;
        self.y[0] + (bottom - y) / (bottom - top) * (self.y[1] - self.y[0])
    }

    /// The numbers at the side, and how high they stand.
    pub(super) fn side_labels(&self) -> Vec<(String, f64)> {
        let side = self.words.iter().filter(|(class, ..)| class == "side");
        side.map(|(_, text, place)| (text.clone(), place[1]))
            .collect()
    }

    /// Those at the foot, and how far to the right.
    pub(super) fn foot_labels(&self, class: &str) -> Vec<(String, f64)> {
        let foot = self.words.iter().filter(|(known, ..)| known == class);
        foot.map(|(_, text, place)| (text.clone(), place[0]))
            .collect()
    }
}

impl Line {
    /// Marks where there are some, else the corners of the line: both stand for the same points. The calmer line is no
    /// measurement.
    fn read(series: Node<'_, '_>) -> Self {
        let measured = series.first_element_child().unwrap();
        let marks = measured
            .children()
            .filter(|node| node.has_tag_name("circle"));
        let place = |node: Node<'_, '_>| {
            ["cx", "cy"].map(|key| node.attribute(key).unwrap().parse().unwrap())
        };
        let mut places: Vec<[f64; 2]> = marks.map(place).collect();
        if places.is_empty() {
            let lines = measured
                .children()
                .filter_map(|node| node.attribute("points"));
            places = lines
                .flat_map(|points| points.split(' ').map(pair).collect::<Vec<_>>())
                .collect();
        }
        Self {
            label: series.attribute("data-label").unwrap().to_owned(),
            class: series.attribute("class").unwrap().to_owned(),
            places,
        }
    }
}

fn pair(text: &str) -> [f64; 2] {
    let (x, y) = text.split_once(',').unwrap();
    [x, y].map(|number| number.parse().unwrap())
}

fn numbers<const N: usize>(text: &str) -> [f64; N] {
    let numbers: Vec<f64> = text
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    numbers.try_into().unwrap()
}
