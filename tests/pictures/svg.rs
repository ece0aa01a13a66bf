//! Draws what stands on a terminal as SVG 1.1: text in cells, light or dark as the reader has it, no fonts from elsewhere.

use std::fmt::Write as _;

use crate::support::screen::Cell;

/// The size of a cell, in units of the picture.
const CELL: (f64, f64) = (8.4, 19.0);
const MARGIN: f64 = 16.0;

/// Colours on a light ground, and on a dark one: the contrast of each is 4.5 or more (WCAG 2.1, 1.4.3).
const STYLE: &str = "\
.ground{fill:#f6f8fa;stroke:#d0d7de}
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace;fill:#1f2328;white-space:pre}
.typed,.bold{font-weight:600}.typed{fill:#0550ae}.good{fill:#116329}.bad{fill:#b3261e;font-weight:600}
.warning{fill:#7d4e00;font-weight:600}.hint{fill:#0f5e73;font-weight:600}.faint{fill:#59636e}
@media (prefers-color-scheme:dark){.ground{fill:#0d1117;stroke:#30363d}text{fill:#e6edf3}.typed{fill:#79c0ff}.good{fill:#56d364}
.bad{fill:#ff7b72}.warning{fill:#e3b341}.hint{fill:#76e3ea}.faint{fill:#9198a1}}";

/// Returns a picture of rows of cells, with the same as text in its description.
pub(crate) fn draw(title: &str, rows: &[Vec<Cell>], columns: usize) -> String {
    let width = CELL.0 * number(columns) + 2.0 * MARGIN;
    let height = CELL.1 * number(rows.len()) + 2.0 * MARGIN;
    let mut svg = begun(title, &described(rows), STYLE, (width, height));
    for (at, row) in rows.iter().enumerate() {
        let baseline = MARGIN + CELL.1 * number(at) + 14.0;
        for (from, class, words) in runs(row) {
            let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
            let (x, length) = (MARGIN + CELL.0 * number(from), CELL.0 * number(words.chars().count()));
            // whatever the font is, a column stays a column
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{baseline}\" textLength=\"{length:.1}\"{class}>{}</text>",
                escaped(&words)
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Returns the beginning of a picture of some size, up to its ground.
pub(crate) fn begun(title: &str, described: &str, style: &str, (width, height): (f64, f64)) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n<style>{style}</style>\n\
         <rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        escaped(title),
        escaped(described),
        width - 1.0,
        height - 1.0
    )
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

fn described(rows: &[Vec<Cell>]) -> String {
    let line = |row: &Vec<Cell>| row.iter().filter_map(|cell| cell.character).collect::<String>().trim_end().to_owned();
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns what is shown alike in a row: where it begins, its class, and its text; blanks between columns are left out.
fn runs(row: &[Cell]) -> Vec<(usize, &'static str, String)> {
    let mut runs: Vec<(usize, &'static str, String)> = Vec::new();
    let mut blanks = usize::MAX;
    for (at, cell) in row.iter().enumerate() {
        let character = cell.character.expect("the pictures have no wide characters");
        if character == ' ' {
            blanks = blanks.saturating_add(1);
            continue;
        }
        match runs.last_mut() {
            Some((_, class, words)) if blanks <= 1 && *class == class_of(&cell.style) => {
                words.extend(std::iter::repeat_n(' ', blanks));
                words.push(character);
            }
            _ => runs.push((at, class_of(&cell.style), character.to_string())),
        }
        blanks = 0;
    }
    runs
}

/// Returns the class of a style: the parameters of SGR that the program uses.
fn class_of(style: &str) -> &'static str {
    match style {
        "" => "",
        "typed" => "typed",
        "1" => "bold",
        "2" => "faint",
        "32" => "good",
        "1;31" => "bad",
        "1;33" => "warning",
        "1;36" => "hint",
        other => panic!("what does {other} look like?"),
    }
}

/// Returns text as it stands in XML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
