//! Draws a table of a page as bars: for each line what it was in grey, and what became of it in colour.

use std::fmt::Write as _;

use super::svg::{begun, escaped};

/// A line of a table: what it is about, and the two sizes.
pub(crate) struct Row {
    what: String,
    before: (String, f64),
    after: (String, f64),
}

const LEFT: f64 = 360.0;
const WIDTH: f64 = 300.0;
/// The room for a line, and for each of its two bars.
const ROW: f64 = 44.0;
const BAR: f64 = 16.0;
const TOP: f64 = 12.0;

const STYLE: &str = "\
.ground{fill:#ffffff;stroke:#d0d7de}.before{fill:#b9c0c6}.after{fill:#1f6f8b}
text{font:13px system-ui,'DejaVu Sans',sans-serif;fill:#1f2328}
@media (prefers-color-scheme:dark){.ground{fill:#0d1117;stroke:#30363d}text{fill:#e6edf3}.before{fill:#59636e}.after{fill:#4fb3d1}}";

/// Reads the first table of a page whose head begins with these words: lines of a name and two sizes in MiB.
pub(crate) fn table(page: &str, head: &str) -> Vec<Row> {
    let lines = page.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let size = |cell: &str| (cell.to_owned(), cell.strip_suffix(" MiB").unwrap().parse::<f64>().unwrap());
        Row { what: cells[0].to_owned(), before: size(cells[1]), after: size(cells[2]) }
    });
    rows.collect()
}

/// Returns a picture of rows, all in one scale, with the same as text in its description.
pub(crate) fn draw(title: &str, rows: &[Row], named: [&str; 2]) -> String {
    let largest = rows.iter().map(|row| row.before.1.max(row.after.1)).fold(1.0, f64::max);
    let (width, height) = (LEFT + WIDTH + 180.0, ROW * rows.len() as f64 + 2.0 * TOP - 8.0);
    let described: Vec<String> = rows
        .iter()
        .map(|row| format!("{}: {} {}, {} {}", row.what, row.before.0, named[0], row.after.0, named[1]))
        .collect();
    let mut svg = begun(title, &described.join("\n"), STYLE, (width, height));
    for (at, row) in rows.iter().enumerate() {
        let top = TOP + ROW * at as f64;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 12.0,
            top + BAR + 4.0,
            escaped(&row.what)
        );
        for (line, (class, (shown, size), name)) in
            [("before", &row.before, named[0]), ("after", &row.after, named[1])].into_iter().enumerate()
        {
            let y = top + BAR * line as f64;
            // what is there is seen
            let length = (size / largest * WIDTH).max(1.5);
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{shown} {name}</text>",
                BAR - 2.0,
                LEFT + length + 8.0,
                y + 11.5,
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
