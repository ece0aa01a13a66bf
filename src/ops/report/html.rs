//! A writer of HTML in which foreign text can only be text.
//!
//! Names of elements and attributes are fixed when the program is compiled; every text and every value is escaped on its way,
//! and there is no other way. Characters that a reader would not see, or that turn the direction of reading around, are written
//! as [`escaped`](crate::text::escaped) writes them.

use crate::text::is_unsafe;

/// Attributes: names of ours, and values that may be anything.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

/// A page under way.
#[derive(Debug)]
pub(super) struct Html {
    text: String,
}

impl Html {
    pub(super) fn new() -> Self {
        Self { text: "<!doctype html>\n".to_owned() }
    }

    /// Begins an element.
    pub(super) fn open(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.begin(name, attributes);
        self.text.push('>');
    }

    /// Ends an element. A line ends with those that are not part of one.
    pub(super) fn close(&mut self, name: &'static str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
        if !matches!(name, "a" | "b" | "bdi" | "code" | "data" | "span" | "text" | "th" | "td" | "title" | "rect" | "g")
        {
            self.text.push('\n');
        }
    }

    /// Writes an element without content, of HTML or of SVG.
    pub(super) fn void(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.begin(name, attributes);
        self.text.push_str("/>");
    }

    /// Writes an element that holds a text.
    pub(super) fn leaf(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) {
        self.open(name, attributes);
        self.text(text);
        self.close(name);
    }

    /// Writes an element that holds others.
    pub(super) fn within(&mut self, name: &'static str, attributes: Attributes<'_>, content: impl FnOnce(&mut Self)) {
        self.open(name, attributes);
        content(self);
        self.close(name);
    }

    /// Writes text.
    pub(super) fn text(&mut self, text: &str) {
        escape(text, &mut self.text);
    }

    /// Writes the one style of the page, as it is: a browser does not look for anything but its end in it.
    pub(super) fn style(&mut self, style: &'static str) {
        self.open("style", &[]);
        self.text.push_str(style);
        self.close("style");
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn begin(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.text.push('<');
        self.text.push_str(name);
        for (name, value) in attributes {
            self.text.push(' ');
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(value, &mut self.text);
            self.text.push('"');
        }
    }
}

/// Adds a text so that it can stand between elements as well as in a value.
fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            other if is_unsafe(other) => into.extend(other.escape_unicode()),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_text_wherever_it_stands() {
        let hostile = "</td><script>alert('1')</script>\" onload=\"x&amp;\u{202e}\u{0}\n\u{feff}";
        let mut html = Html::new();
        html.leaf("td", &[("title", hostile)], hostile);
        let safe = "&lt;/td&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; onload=&quot;x&amp;amp;\
                    \\u{202e}\\u{0}\\u{a}\\u{feff}";
        assert_eq!(html.finish(), format!("<!doctype html>\n<td title=\"{safe}\">{safe}</td>"));
    }
}
