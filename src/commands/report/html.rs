//! A page as it is written: every element is closed and every text escaped, since nothing else can be said. HTML and SVG
//! alike, in the part of HTML that is well-formed XML too, so that a strict parser reads it.

use std::fmt::{Display, Write};

/// Text of a page, growing.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// A page's beginning.
    pub(super) fn document() -> Self {
        Self("<!DOCTYPE html>\n".to_owned())
    }

    /// An element with what is inside.
    pub(super) fn element(
        &mut self,
        name: &str,
        attributes: &[(&str, &dyn Display)],
        inside: impl FnOnce(&mut Self),
    ) {
        self.tag(name, attributes);
        self.0.push('>');
        inside(self);
        let _ = write!(self.0, "</{name}>"); // a String takes everything
    }

    /// An element that holds text alone.
    pub(super) fn words(
        &mut self,
        name: &str,
        attributes: &[(&str, &dyn Display)],
        text: &dyn Display,
    ) {
        self.element(name, attributes, |html| html.text(text));
    }

    /// An element that holds nothing: of HTML `meta` and its like, of SVG any.
    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &dyn Display)]) {
        self.tag(name, attributes);
        self.0.push_str("/>");
    }

    /// Text, whatever is in it.
    pub(super) fn text(&mut self, text: &dyn Display) {
        escape_into(&mut self.0, &text.to_string());
    }

    /// Our own style or script, which a browser reads as it stands: neither may hold `<` or `&`.
    pub(super) fn source(&mut self, name: &str, source: &'static str) {
        debug_assert!(!source.contains(['<', '&']));
        let _ = write!(self.0, "<{name}>{source}</{name}>");
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, &dyn Display)]) {
        let _ = write!(self.0, "<{name}");
        for (key, value) in attributes {
            let _ = write!(self.0, " {key}=\"");
            escape_into(&mut self.0, &value.to_string());
            self.0.push('"');
        }
    }
}

/// Models write any byte, and a run may have any name. Control characters, which no page may hold, become their pictures.
fn escape_into(page: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '&' => page.push_str("&amp;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            '\n' | '\t' => page.push(character),
            '\0'..='\u{1f}' => page.extend(char::from_u32(0x2400 + u32::from(character))),
            '\u{7f}' => page.push('\u{2421}'),
            '\u{80}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => page.push('\u{fffd}'),
            _ => page.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_said_stays_text() {
        let mut html = Html::default();
        html.element("p", &[("title", &"\"><script>")], |html| {
            html.text(&"</p>&amp;\u{1b}[0m\0");
            html.empty("br", &[]);
        });
        assert_eq!(
            html.into_string(),
            "<p title=\"&quot;&gt;&lt;script&gt;\">&lt;/p&gt;&amp;amp;␛[0m␀<br/></p>"
        );
    }
}
