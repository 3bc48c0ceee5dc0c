//! `metrics.jsonl` as columns: a series for each name of each split. A page is for looking, so what cannot be read is
//! counted and left out, and the rest is shown.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What lies beyond cannot be drawn: sums and differences of it overflow.
const LARGEST: f64 = 1e300;

/// One number over the steps. A value that was not finite is NaN.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Series {
    pub(super) split: String,
    pub(super) name: String,
    /// Step and value, by step.
    pub(super) points: Vec<(f64, f64)>,
}

impl Series {
    /// The finite ones.
    pub(super) fn finite(&self) -> impl DoubleEndedIterator<Item = (f64, f64)> {
        let is_finite = |(_, value): &(f64, f64)| value.is_finite();
        self.points.iter().copied().filter(is_finite)
    }
}

/// Everything that a run has measured.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    series: Vec<Series>,
    /// Lines that are no record. A last one without an end is not counted: it is being written, or was when the run was cut.
    pub(super) unreadable: usize,
}

impl Numbers {
    pub(super) fn parse(text: &str) -> Self {
        let mut numbers = Self::default();
        let lines = text.split_inclusive('\n');
        for line in lines.filter(|line| line.ends_with('\n') && line.trim() != "") {
            match serde_json::from_str(line) {
                Ok(line) => numbers.add(&line),
                Err(_) => numbers.unreadable += 1,
            }
        }
        for series in &mut numbers.series {
            series.points.sort_by(|a, b| a.0.total_cmp(&b.0)); // stable, and at once where they are sorted
        }
        numbers
    }

    fn add(&mut self, line: &Line<'_>) {
        let mut expected = 0; // a line's names mostly come in the order of the line before
        for (name, value) in &line.values {
            let is_it = |series: &Series| series.split == line.split && series.name == *name;
            let at = match self.series.get(expected).is_some_and(is_it) {
                true => Some(expected),
                false => self.series.iter().position(is_it),
            };
            let at = at.unwrap_or_else(|| {
                self.series.push(Series {
                    split: line.split.to_string(),
                    name: name.to_string(),
                    points: Vec::new(),
                });
                self.series.len() - 1
            });
            self.series[at].points.push((line.step, *value));
            expected = at + 1;
        }
    }

    /// The series of this split and name.
    pub(super) fn get(&self, split: &str, name: &str) -> Option<&Series> {
        self.all()
            .find(|series| series.split == split && series.name == name)
    }

    /// All of them, in the order of their first lines.
    pub(super) fn all(&self) -> impl Iterator<Item = &Series> {
        self.series.iter()
    }

    /// The first and the last step of anything.
    pub(super) fn steps(&self) -> Option<(f64, f64)> {
        let ends = |series: &Series| Some((series.points.first()?.0, series.points.last()?.0));
        let wider = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
        self.all().filter_map(ends).reduce(wider)
    }
}

/// One line: its own numbers, `time` among them.
struct Line<'a> {
    step: f64,
    split: Cow<'a, str>,
    values: Vec<(Cow<'a, str>, f64)>,
}

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record with a step")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut step, mut split) = (None, Cow::Borrowed("train"));
        let mut values = Vec::with_capacity(16);
        while let Some(Text(name)) = map.next_key()? {
            match (name.as_ref(), map.next_value()?) {
                ("step", Field::Number(value)) => step = Some(value),
                ("split", Field::Text(text)) => split = text,
                (_, Field::Number(value)) => values.push((name, value)),
                _ => {}
            }
        }
        let step = step.ok_or_else(|| serde::de::Error::missing_field("step"))?;
        Ok(Line {
            step,
            split,
            values,
        })
    }
}

/// Borrowed unless something in it was escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value of a line. JSON has no NaN: it was written as null.
enum Field<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    Other,
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        let drawable = value.abs() <= LARGEST;
        Ok(Field::Number(if drawable { value } else { f64::NAN }))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Field::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Field::Number(value as f64))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Number(f64::NAN))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let text = "{\"step\":2,\"split\":\"train\",\"loss\":2.5,\"lr\":null,\"more\":{\"a\":[1]}}\n\
                    {\"step\":1,\"split\":\"train\",\"loss\":1e308,\"lr\":1}\nnonsense\n{\"split\":\"val\"}\n\n\
                    {\"split\":\"val\",\"lo\\u0073s\":-3,\"step\":2}\n{\"step\":3,\"split\":\"tr";
        let numbers = Numbers::parse(text);
        let points = |split, name| numbers.get(split, name).unwrap().points.clone();
        let loss = points("train", "loss");
        assert!(loss[0].1.is_nan() && loss[1..] == [(2.0, 2.5)], "{loss:?}");
        assert_eq!(points("train", "lr")[0], (1.0, 1.0));
        assert!(points("train", "lr")[1].1.is_nan());
        assert_eq!(points("val", "loss"), [(2.0, -3.0)]);
        assert_eq!((numbers.unreadable, numbers.all().count()), (2, 3));
        assert_eq!(numbers.steps(), Some((1.0, 2.0)));
        assert_eq!(Numbers::parse("").steps(), None);
    }
}
