//! What Python's `str` does where Rust's does something else: the harness is written in it.

/// `text.strip()`
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `text.rstrip()`
pub(in crate::eval) fn strip_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// `str.isspace`: Unicode's white space and four separators of ASCII.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// `text.capitalize()`: the first character in title case, all others in lower case.
pub(super) fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else {
        return String::new();
    };
    // Of the whole, since a final sigma is one for what stands before it.
    let lower = text.to_lowercase();
    let rest = lower.chars().skip(first.to_lowercase().count());
    title_case(first).into_iter().chain(rest).collect()
}

/// Upper case, but of letters that become several only the first is.
fn title_case(letter: char) -> Vec<char> {
    match letter {
        'Ǆ' | 'ǅ' | 'ǆ' => vec!['ǅ'],
        'Ǉ' | 'ǈ' | 'ǉ' => vec!['ǈ'],
        'Ǌ' | 'ǋ' | 'ǌ' => vec!['ǋ'],
        'Ǳ' | 'ǲ' | 'ǳ' => vec!['ǲ'],
        'ŉ' => vec!['ʼ', 'N'],
        _ => {
            let mut upper = letter.to_uppercase();
            let first = upper.next();
            first
                .into_iter()
                .chain(upper.flat_map(char::to_lowercase))
                .collect()
        }
    }
}

/// `re.sub(r"\[.*?\]", "", text)`
pub(super) fn without_brackets(text: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(open) = rest.find('[') {
        let inside = &rest[open..];
        let close = inside.find([']', '\n']);
        let close = close.filter(|&at| inside[at..].starts_with(']'));
        // A bracket that is not closed in its line stays, and the search goes on behind it.
        let end = close.map_or(open + 1, |at| open + at + 1);
        kept.push_str(&rest[..close.map_or(end, |_| open)]);
        rest = &rest[end..];
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from Python 3.13.
    #[test]
    fn as_in_python() {
        for (text, capitalized) in [
            ("", ""),
            ("the Boy's DOG", "The boy's dog"),
            ("élan VITAL", "Élan vital"),
            ("ßA", "Ssa"),
            ("ﬁN", "Fin"),
            ("ǆA", "ǅa"),
            ("1ST", "1st"),
            ("oΣ", "Oς"),
            ("İX", "İx"),
            ("東京X", "東京x"),
        ] {
            assert_eq!(capitalize(text), capitalized);
        }
        for (text, without) in [
            ("a [title] b [x][y]c", "a  b c"),
            ("a [not\nclosed] [here]", "a [not\nclosed] "),
            ("[[a]b]", "b]"),
            ("open [", "open ["),
            ("é[é]é", "éé"),
        ] {
            assert_eq!(without_brackets(text), without);
        }
        assert_eq!(strip(" \u{a0}\u{1f}a b\u{3000}\n"), "a b");
        assert_eq!(strip_end(" a \u{85}\t"), " a");
    }
}
