//! Numbers as people read them: along an axis, and by themselves.

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Plain,
    /// Of 1.
    Percent,
    Bytes,
    /// Whole: steps.
    Steps,
}

const LARGE: [(f64, &str); 4] = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")];
const BYTES: [(f64, &str); 4] = [(1e12, " TB"), (1e9, " GB"), (1e6, " MB"), (1e3, " kB")];

impl Unit {
    /// How a number stands at an axis that reaches to `largest` in steps of `step`: all in one form.
    pub(super) fn at_axis(self, value: f64, step: f64, largest: f64) -> String {
        let (scales, from) = match self {
            Self::Percent => return format!("{} %", fixed(100.0 * value, 100.0 * step)),
            Self::Bytes => (BYTES, 1e3),
            Self::Plain | Self::Steps => (LARGE, 1e4),
        };
        if value == 0.0 {
            return "0".to_owned();
        }
        if !(1e-2..1e15).contains(&largest.abs()) {
            return scientific(value, 1);
        }
        let scale = scales.iter().find(|(size, _)| largest >= (*size).max(from));
        let (size, suffix) = scale.copied().unwrap_or((1.0, ""));
        fixed(value / size, step / size) + suffix
    }

    /// By itself, to four digits.
    pub(super) fn alone(self, value: f64) -> String {
        let (scales, from) = match self {
            Self::Percent => return format!("{:.1} %", 100.0 * value),
            Self::Steps => return grouped(value),
            Self::Bytes => (BYTES, 1e3),
            Self::Plain => (LARGE, 1e4),
        };
        let size = value.abs();
        if size != 0.0 && !(1e-3..1e15).contains(&size) {
            return scientific(value, 3);
        }
        let scale = scales
            .iter()
            .find(|(from_here, _)| size >= (*from_here).max(from));
        let (scale, suffix) = scale.copied().unwrap_or((1.0, ""));
        let value = value / scale;
        let digits = 3 - value.abs().max(1e-3).log10().floor() as i32;
        let digits = usize::try_from(digits).unwrap_or(0);
        let text = format!("{value:.digits$}");
        let is_whole = value.fract() == 0.0;
        (if is_whole {
            format!("{value:.0}")
        } else {
            text
        }) + suffix
    }

    /// The name that the read-out under the pointer goes by.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Percent => "percent",
            Self::Bytes => "bytes",
            Self::Steps => "steps",
        }
    }
}

/// As many decimals as tell numbers apart that are `step` apart.
fn fixed(value: f64, step: f64) -> String {
    let decimals = (-(step.abs().max(1e-12) * 1.000_001).log10().floor()).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text
        .trim_start_matches('-')
        .chars()
        .all(|digit| "0.".contains(digit))
    {
        return "0".to_owned();
    }
    text
}

/// 3e-4, 1.5e-3: without zeros that say nothing.
fn scientific(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$e}");
    match text.split_once('e') {
        Some((digits, power)) if digits.contains('.') => {
            format!(
                "{}e{power}",
                digits.trim_end_matches('0').trim_end_matches('.')
            )
        }
        _ => text,
    }
}

/// Thousands set apart: 1,234,567.
fn grouped(value: f64) -> String {
    if value.abs() >= 1e15 {
        return scientific(value, 3);
    }
    let digits = format!("{:.0}", value.abs());
    let sign = if value < 0.0 { "-" } else { "" };
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    sign.to_owned() + &groups.join(",")
}

/// 3 h 20 min, 2 min 5 s, 4.2 s.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{minutes} min {} s", whole % 60),
        3600..86_400 => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A time in seconds since 1970, in UTC to the minute.
pub(super) fn date(seconds: f64) -> Option<String> {
    let form = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    let time = time::OffsetDateTime::from_unix_timestamp(seconds as i64).ok()?;
    time.format(&form).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_an_axis_have_one_form() {
        let at = |unit: Unit, step: f64, values: &[f64]| -> Vec<String> {
            let largest = values.iter().copied().fold(0.0, f64::max);
            let form = |&value: &f64| unit.at_axis(value, step, largest);
            values.iter().map(form).collect()
        };
        assert_eq!(at(Unit::Plain, 0.5, &[-0.0, 0.5, 1.0]), ["0", "0.5", "1.0"]);
        assert_eq!(
            at(Unit::Plain, 5e-4, &[0.0, 5e-4, 1e-3, 1.5e-3]),
            ["0", "5e-4", "1e-3", "1.5e-3"]
        );
        assert_eq!(at(Unit::Steps, 5e3, &[0.0, 5e3, 1e4]), ["0", "5k", "10k"]);
        assert_eq!(at(Unit::Steps, 100.0, &[100.0, 500.0]), ["100", "500"]);
        assert_eq!(at(Unit::Bytes, 5e8, &[5e8, 1.5e9]), ["0.5 GB", "1.5 GB"]);
        assert_eq!(at(Unit::Percent, 0.05, &[0.25, 0.3]), ["25 %", "30 %"]);
        assert_eq!(at(Unit::Plain, 1e299, &[1e300]), ["1e300"]);
    }

    #[test]
    fn numbers_by_themselves() {
        let plain = [
            4.03123,
            0.5,
            20.0,
            20_123.4,
            3.21e-5,
            0.0,
            -1.23456,
            2_048_000.0,
            1e300,
        ];
        let plain = plain.map(|value| Unit::Plain.alone(value));
        assert_eq!(
            plain,
            [
                "4.031", "0.5000", "20", "20.12k", "3.21e-5", "0", "-1.235", "2.048M", "1e300"
            ]
        );
        assert_eq!(Unit::Steps.alone(1_234_567.0), "1,234,567");
        assert_eq!(Unit::Steps.alone(12.0), "12");
        assert_eq!(Unit::Bytes.alone(812_345_678.0), "812.3 MB");
        assert_eq!(
            [4.21, 59.0, 125.0, 12_000.0, 180_000.0].map(duration),
            ["4.2 s", "59 s", "2 min 5 s", "3 h 20 min", "2 d 2 h"]
        );
        assert_eq!(date(0.0).unwrap(), "1970-01-01 00:00 UTC");
        assert_eq!(date(f64::MAX), None);
    }
}
