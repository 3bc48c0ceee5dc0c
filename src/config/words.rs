//! serde's words for what is wrong with a value, in everyday ones.

/// What serde calls what it expects, and what people do.
const EXPECTED: [(&str, &str); 9] = [
    ("u64", "a whole number, 0 or more"),
    ("usize", "a whole number, 0 or more"),
    ("i64", "a whole number"),
    ("f64", "a number"),
    ("path string", "a path"),
    ("a sequence", "a list, as [\"wq\", \"wk\"]"),
    ("a tuple of size 2", "2 numbers, as [0.9, 0.95]"),
    ("a map", "a table, as { hellaswag = \"items.jsonl\" }"),
    ("fewer elements in array", "fewer"),
];

/// Ends of what is said of an integer that is none of TOML's.
const BEYOND: [&str; 3] = [
    "u64 value was too large",
    "integer number overflowed",
    "expected any valid TOML value",
];

/// The message, with what it calls types put in words.
pub(super) fn in_words(message: &str) -> String {
    let largest = format!("whole numbers go up to {}", i64::MAX);
    if BEYOND.iter().any(|end| message.ends_with(*end)) {
        return format!("the number is too large: {largest}");
    }
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let words = format!("{} found, expected {}", of_found(found), of_type(expected));
    match ["u64", "usize", "i64"].contains(&expected) && is_beyond(found) {
        true => format!("{words}; {largest}"),
        false => words,
    }
}

fn of_found(found: &str) -> String {
    let plain = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|start| found.strip_prefix(*start))
        .unwrap_or(found);
    match (plain, plain.strip_prefix("invalid length ")) {
        (_, Some("1")) => "1 value".to_owned(),
        (_, Some(length)) => format!("{length} values"),
        ("map", _) => "a table".to_owned(),
        ("sequence", _) => "a list".to_owned(),
        _ => plain.to_owned(),
    }
}

fn of_type(expected: &str) -> &str {
    if expected.starts_with("struct ") {
        return "a table, as { factor = 8.0, … }";
    }
    let known = EXPECTED.iter().find(|(rust, _)| *rust == expected);
    known.map_or(expected, |&(_, words)| words)
}

/// Whether a text is a number larger than TOML's.
fn is_beyond(found: &str) -> bool {
    let number = found.rsplit_once("string ").map_or("", |(_, text)| text);
    let digits = number.trim_matches('"').replace('_', "");
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number && digits.parse::<i64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_put_in_words() {
        let cases = [
            (
                "invalid type: string \"x\", expected f64",
                "string \"x\" found, expected a number",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "integer `-1` found, expected a whole number, 0 or more",
            ),
            (
                "invalid type: string \"wq\", expected a sequence",
                "string \"wq\" found, expected a list, as [\"wq\", \"wk\"]",
            ),
            (
                "invalid type: map, expected a boolean",
                "a table found, expected a boolean",
            ),
            (
                "invalid type: integer `8`, expected struct RopeScaling",
                "integer `8` found, expected a table, as { factor = 8.0, … }",
            ),
            (
                "invalid length 3, expected fewer elements in array",
                "3 values found, expected fewer",
            ),
            (
                "invalid length 1, expected a tuple of size 2",
                "1 value found, expected 2 numbers, as [0.9, 0.95]",
            ),
            (
                "\"a\" is not one of \"b\", \"c\"",
                "\"a\" is not one of \"b\", \"c\"",
            ),
        ];
        for (message, words) in cases {
            assert_eq!(in_words(message), words);
        }
    }

    #[test]
    fn the_largest_number_is_told() {
        let largest = "whole numbers go up to 9223372036854775807";
        for message in [
            "invalid type: string \"18446744073709551615\", expected u64",
            "u64 value was too large",
            "invalid type: integer `18446744073709551616` as i128, expected any valid TOML value",
        ] {
            let words = in_words(message);
            assert!(words.ends_with(largest), "{words}");
        }
        let words = in_words("invalid type: string \"5\", expected u64");
        assert!(!words.contains(largest), "{words}");
    }
}
