//! An env file: `NAME=value` lines, as Python's dotenv reads them, which the original uses. The values are dotenvy's, from
//! entries that are written for it.

use super::origin::Origin;
use super::variable::Named;
use crate::bad_request;
use anyhow::Result;
use std::fs;
use std::path::Path;

/// A name and its value, as dotenvy takes them.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'a> {
    name: &'a str,
    line: usize,
    source: String,
}

/// What the file sets, in its order; beside it the entries that cannot be read, by their lines and names alone: a value may
/// be a secret. An empty value is as good as none.
///
/// # Errors
/// A bad request when there is no such file, or it is no text.
pub(super) fn read(path: &Path) -> Result<(Vec<Named>, Vec<String>)> {
    let text = fs::read_to_string(path)
        .map_err(|error| bad_request!("{}: cannot read: {error}", path.display()))?;
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let (entries, unreadable) = entries(&text);
    let origin = |line| Origin::Line(path.to_owned(), line);
    let problem = |(line, name): (usize, &str)| {
        format!(
            "{}: {name}: cannot be read; close the quote, or write the value without quotes or in single ones",
            origin(line)
        )
    };
    // All of them at once, so that `${NAME}` finds what comes before.
    let source: String = entries.iter().map(|entry| entry.source.as_str()).collect();
    let values = dotenvy::from_read_iter(source.as_bytes());
    let named = entries.iter().zip(values).map(|(entry, read)| Named {
        name: entry.name.to_owned(),
        value: read.map_or(String::new(), |(_, value)| value),
        origin: origin(entry.line),
    });
    let named = named.filter(|named| !named.value.is_empty()).collect();
    Ok((named, unreadable.into_iter().map(problem).collect()))
}

/// The entries of a text, and the lines and names of those that cannot be read. A comment, a name alone, and what sets no
/// variable are passed over.
fn entries(text: &str) -> (Vec<Entry<'_>>, Vec<(usize, &str)>) {
    let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let mut end = rest.find('\n').map_or(rest.len(), |end| end + 1);
        if let Some((name, start)) = assignment(&rest[..end]) {
            let value = value(&rest[start..]);
            end = value.as_ref().map_or(end, |(_, length)| start + length);
            match value {
                _ if !is_name(name) => {}
                None => unreadable.push((line, name)),
                Some((value, _)) => entries.push(Entry {
                    name,
                    line,
                    source: format!("{name}={value}\n"),
                }),
            }
        }
        line += rest[..end].matches('\n').count();
        rest = &rest[end..];
    }
    (entries, unreadable)
}

/// What stands before a line's `=`, and where its value begins; none where there is no `=`, or it is a comment's.
fn assignment(line: &str) -> Option<(&str, usize)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let exported = name.strip_prefix("export");
    let exported = exported.filter(|name| name.starts_with(char::is_whitespace));
    let value = value.trim_start_matches([' ', '\t']);
    let found = (
        exported.unwrap_or(name).trim_start(),
        line.len() - value.len(),
    );
    (!name.starts_with('#')).then_some(found)
}

/// As dotenvy has it.
fn is_name(name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_of_name)
}

/// The value that a text begins with, as dotenvy takes it, and how long it is in the text; none where it cannot be read.
fn value(text: &str) -> Option<(String, usize)> {
    if !text.starts_with(['\'', '"']) {
        let line = text.lines().next().unwrap_or("");
        return Some((in_quotes(unquoted(line)), line.len()));
    }
    let value = quoted(text)?;
    let mut read = dotenvy::from_read_iter(format!("NAME={value}\n").as_bytes())
        .map(|entry| entry.is_ok())
        .collect::<Vec<_>>();
    (read.pop() == Some(true) && read.is_empty()).then(|| (value.to_owned(), value.len()))
}

/// A value that begins with a quote, to the end of the line that closes it.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    let closes = |(_, c): &(usize, char)| {
        let closes = *c == quote && !escaped;
        escaped = quote == '"' && *c == '\\' && !escaped;
        closes
    };
    let (close, _) = text.char_indices().skip(1).find(closes)?;
    let end = text[close..]
        .find('\n')
        .map_or(text.len(), |end| close + end);
    Some(&text[..end])
}

/// A value without quotes around it, up to a comment.
fn unquoted(line: &str) -> &str {
    let begins_comment = |(at, _): &(usize, &str)| {
        let before = line[..*at].chars().next_back();
        before.is_none_or(char::is_whitespace)
    };
    let comment = line.match_indices('#').find(begins_comment);
    line[..comment.map_or(line.len(), |(at, _)| at)].trim()
}

/// The value in quotes, where every character stands for itself but for `${NAME}`, which is what came under that name.
fn in_quotes(value: &str) -> String {
    let mut text = String::from("\"");
    for (at, c) in value.char_indices() {
        let rest = &value[at..];
        let is_reference = rest.starts_with("${") && rest.contains('}');
        if matches!(c, '"' | '\\') || (c == '$' && !is_reference) {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (Vec<(String, String, String)>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e");
        fs::write(&path, text).unwrap();
        let (named, problems) = read(&path).unwrap();
        let place = |text: String| text.replace(&path.display().to_string(), "e");
        let named = named
            .into_iter()
            .map(|named| (named.name, named.value, place(named.origin.to_string())));
        (named.collect(), problems.into_iter().map(place).collect())
    }

    /// The values alone.
    fn values(text: &str) -> Vec<String> {
        let (named, problems) = read_text(text);
        assert!(problems.is_empty(), "{text}: {problems:?}");
        named.into_iter().map(|(_, value, _)| value).collect()
    }

    #[test]
    fn what_is_not_quoted_is_taken_as_it_is() {
        let text = "A=C:\\dir\\x\nB=a\\nb # comment\nC=it's \"so\"\nD=a$b#c\nE=\\\n F = x\ty \nexport G=1\nH=#\nI= # no\n";
        let expected = [
            "C:\\dir\\x",
            "a\\nb",
            "it's \"so\"",
            "a$b#c",
            "\\",
            "x\ty",
            "1",
        ];
        assert_eq!(values(text), expected);
        assert_eq!(values("A=${\nB=a}${b"), ["${", "a}${b"]);
    }

    #[test]
    fn an_earlier_name_is_put_in() {
        let text = "LLT_A=1\nLLT_B=\"${LLT_A}2\"\nLLT_C=${LLT_B} \\ $x\nLLT_D='${LLT_A}'\n";
        assert_eq!(values(text), ["1", "12", "12 \\ $x", "${LLT_A}"]);
    }

    #[test]
    fn a_quoted_value_goes_on_to_the_line_that_closes_it() {
        let text =
            "A=\"one\nB=two\\\"\n\" # it's\nC='three\r\nD=\"four'\nE=5\n'F'=6\nG='it'\\''s'\n";
        let (named, problems) = read_text(text);
        let expected = [
            ("A", "one\nB=two\"\n", "e:1"),
            ("C", "three\nD=\"four", "e:4"),
            ("E", "5", "e:6"),
            ("G", "it's", "e:8"),
        ];
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!((named, problems), (expected.to_vec(), Vec::new()));
    }

    #[test]
    fn what_sets_no_variable_is_passed_over() {
        let text = "\u{feff}A=1\nBARE\nexport BARE\nKEY-NAME=3\nKEY-NAME=\"\nB=2\n\"\nit is = \"open\n#C=\"\n=4\nD=5";
        assert_eq!(values(text), ["1", "5"]);
    }

    /// Each by its line and name, and nothing of its value.
    #[test]
    fn what_cannot_be_read_is_told_without_its_value() {
        let text = "A=\"sesame\nB=2\nC='it\\'s sesame'\nexport D=\"C:\\sesame\"\nE=\"a\" sesame\n";
        let (named, problems) = read_text(text);
        assert_eq!(named, [("B".to_owned(), "2".to_owned(), "e:2".to_owned())]);
        let places = ["e:1: A: ", "e:3: C: ", "e:4: D: ", "e:5: E: "];
        assert_eq!(problems.len(), places.len(), "{problems:?}");
        for (problem, place) in problems.iter().zip(places) {
            assert!(
                problem.starts_with(place) && problem.contains("close the quote"),
                "{problem}"
            );
            assert!(!problem.contains("sesame"), "{problem}");
        }
    }
}
