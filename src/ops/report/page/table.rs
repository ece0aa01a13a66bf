//! Tables that a phone shows as cards, and that are folded where they are long.

use super::super::html::Html;
use super::count;

/// A column: what stands above it, and the class of its cells.
pub(super) type Column = (&'static str, &'static str);

/// How much of a list is shown at once, how much is there folded, and what lists the rest.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) shown: usize,
    pub(super) most: usize,
    pub(super) command: &'static str,
}

/// A row under way.
pub(super) struct Row<'h> {
    html: &'h mut Html,
    columns: &'static [Column],
    at: usize,
}

impl Row<'_> {
    /// Writes the next cell; the first is what the row is about.
    pub(super) fn cell(&mut self, content: impl FnOnce(&mut Html)) {
        let (title, class) = self.columns.get(self.at).copied().unwrap_or_default();
        if self.at == 0 {
            self.html.within("th", &[("scope", "row"), ("class", class)], content);
        } else {
            self.html.within("td", &[("data-label", title), ("class", class)], content);
        }
        self.at += 1;
    }

    /// Writes a cell of text.
    pub(super) fn text(&mut self, text: &str) {
        self.cell(|html| html.text(text));
    }
}

/// Writes a table.
pub(super) fn table<T>(
    html: &mut Html,
    caption: &str,
    columns: &'static [Column],
    items: impl IntoIterator<Item = T>,
    mut row: impl FnMut(&mut Row<'_>, T),
) {
    html.open("table", &[]);
    html.leaf("caption", &[], caption);
    html.open("thead", &[]);
    html.open("tr", &[]);
    for (title, class) in columns {
        html.leaf("th", &[("scope", "col"), ("class", class)], title);
    }
    html.close("tr");
    html.close("thead");
    html.open("tbody", &[]);
    for item in items {
        html.open("tr", &[]);
        row(&mut Row { html: &mut *html, columns, at: 0 }, item);
        html.close("tr");
    }
    html.close("tbody");
    html.close("table");
}

/// Writes a table of which the rest is folded when it is long. `what` is one of its rows.
pub(super) fn folded<T>(
    html: &mut Html,
    what: &str,
    columns: &'static [Column],
    items: &[T],
    extent: Extent,
    mut row: impl FnMut(&mut Row<'_>, usize, &T),
) {
    let most = items.len().min(extent.most);
    let shown = most.min(extent.shown);
    let caption = match shown < items.len() {
        true => format!("The first {} of {}", shown, count(items.len() as u64, what)),
        false => count(items.len() as u64, what),
    };
    let numbered = |from: usize, to: usize| items[from..to].iter().enumerate().map(move |(at, item)| (from + at, item));
    table(html, &caption, columns, numbered(0, shown), |cells, (at, item)| row(cells, at, item));
    if shown < most {
        html.open("details", &[("class", "rest")]);
        let rest = count((most - shown) as u64, &format!("further {what}"));
        html.leaf("summary", &[], &rest);
        table(html, &rest, columns, numbered(shown, most), |cells, (at, item)| row(cells, at, item));
        html.close("details");
    }
    if most < items.len() {
        cut(html, (items.len() - most) as u64, what, extent.command);
    }
}

/// Says that more is there than the page has.
pub(super) fn cut(html: &mut Html, number: u64, what: &str, command: &str) {
    html.within("p", &[("class", "note")], |html| {
        html.text(&format!("Not on this page: {}. ", count(number, &format!("further {what}"))));
        html.leaf("code", &[], command);
        html.text(" lists everything.");
    });
}
