//! One source file, its code apart from comments and strings.

/// A file below `src/`.
#[derive(Clone)]
pub(super) struct Source {
    /// Path below `src/`.
    pub(super) name: String,
    /// Its lines without comments and with string literals emptied.
    pub(super) lines: Vec<String>,
}

/// A function as it stands in the file; rustfmt's layout is relied on.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) lines: usize,
    pub(super) is_public: bool,
    /// Without `self`.
    pub(super) parameters: Vec<String>,
}

impl Source {
    pub(super) fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            lines: text.lines().map(code).collect(),
        }
    }

    /// The top-level module it belongs to.
    pub(super) fn module(&self) -> &str {
        let first = self.name.split('/').next().unwrap_or_default();
        first.trim_end_matches(".rs")
    }

    /// Top-level modules named as `crate::module`, also in groups, with their lines.
    pub(super) fn uses(&self) -> Vec<(usize, String)> {
        let text = self.lines.join("\n");
        let mut uses = Vec::new();
        for (at, _) in text.match_indices("crate::") {
            let line = text[..at].matches('\n').count() + 1;
            let rest = &text[at + "crate::".len()..];
            let names = match rest.strip_prefix('{') {
                Some(group) => top_level_names(group),
                None => vec![identifier(rest)],
            };
            uses.extend(names.into_iter().map(|name| (line, name)));
        }
        uses
    }

    pub(super) fn functions(&self) -> Vec<Function> {
        let starts = self.lines.iter().enumerate();
        starts
            .filter_map(|(index, line)| self.function(index, line))
            .collect()
    }

    fn function(&self, index: usize, line: &str) -> Option<Function> {
        let declaration = line.trim_start();
        let indent = line.len() - declaration.len();
        let within = declaration.strip_prefix("pub(in ");
        let after = within.and_then(|rest| rest.split_once(')'));
        let words: Vec<&str> = after
            .map_or(declaration, |(_, rest)| rest)
            .split_whitespace()
            .collect();
        let keyword = words.iter().position(|&word| word == "fn")?;
        let modifiers = [
            "pub",
            "pub(super)",
            "pub(crate)",
            "const",
            "unsafe",
            "async",
            "extern",
        ];
        if !words[..keyword].iter().all(|word| modifiers.contains(word)) {
            return None;
        }
        let margin = " ".repeat(indent);
        let is_end = |line: &String| {
            let own = line.strip_prefix(&margin).unwrap_or_default();
            own == "}" || own.starts_with(')') && own.ends_with(';') // a body's end, or a declaration's
        };
        let body = self.lines[index..].iter();
        let lines = body.take_while(|line| !is_end(line)).count() + 1;
        let one_line = line.ends_with('}') || line.ends_with(';');
        let text = self.lines[index..(index + lines).min(self.lines.len())].join(" ");
        let after_name = &text[text.find("fn ")? + 3..];
        Some(Function {
            name: identifier(after_name),
            lines: if one_line { 1 } else { lines },
            is_public: words[0] == "pub",
            parameters: parameters(after_name),
        })
    }
}

/// The line without its comment; the content of string literals is dropped.
fn code(line: &str) -> String {
    let mut out = String::new();
    let mut in_string = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if in_string => drop(characters.next()),
            '"' => {
                in_string = !in_string;
                out.push('"');
            }
            '/' if !in_string && characters.peek() == Some(&'/') => break,
            _ if in_string => {}
            _ => out.push(character),
        }
    }
    out.trim_end().to_owned()
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The first identifiers of a brace group's entries, deeper groups left out.
fn top_level_names(group: &str) -> Vec<String> {
    split_top_level(group)
        .iter()
        .map(|entry| identifier(entry.trim_start()))
        .filter(|name| !name.is_empty())
        .collect()
}

fn parameters(after_name: &str) -> Vec<String> {
    let Some(open) = after_name.find('(') else {
        return Vec::new();
    };
    let parts = split_top_level(&after_name[open + 1..]);
    let named = parts.into_iter().map(|part| part.trim().to_owned());
    named
        .filter(|part| !part.is_empty() && !part.ends_with("self"))
        .collect()
}

/// Splits at commas outside brackets, up to the bracket that closes what was open before.
fn split_top_level(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for character in text.chars() {
        match character {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' | '>' if depth == 0 => break,
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(character);
    }
    parts
}
