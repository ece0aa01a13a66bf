//! Tables for people: no lines, columns by their content, as wide as the terminal at most.
//!
//! Where there is too little room, each of these is done only when those before it are not enough: digests are shown by twelve
//! digits, cells are cut down to what their column needs at least, columns are left out in their order, and cells are cut further.
//! What is left of the room goes to the narrowest cells first.

use super::text::{digest, fewer, shortened, squeezed, width};
use super::{Ink, Surface};

/// What stands between two columns.
const GAP: usize = 2;
/// How narrow a cell that may be cut is at the very least.
const NARROWEST: usize = 8;
/// How narrow a digest is: twelve digits.
const SHORT_DIGEST: usize = 12;

/// A column, and what becomes of it where there is too little room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    heading: &'static str,
    cut: Cut,
    /// How narrow it gets before others go.
    least: usize,
    /// In which order it goes; none when it stays.
    goes: Option<u8>,
    ink: fn(&str) -> Option<Ink>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Never,
    End,
    Middle,
    List,
    Digest,
}

impl Column {
    const fn new(heading: &'static str, cut: Cut, least: usize) -> Self {
        Self { heading, cut, least, goes: None, ink: |_| None }
    }

    /// One that is never cut.
    pub(crate) const fn whole(heading: &'static str) -> Self {
        Self::new(heading, Cut::Never, 0)
    }

    /// One of digests.
    pub(crate) const fn digest(heading: &'static str) -> Self {
        Self::new(heading, Cut::Digest, SHORT_DIGEST)
    }

    /// One of words that are cut at their end.
    pub(crate) const fn text(heading: &'static str, least: usize) -> Self {
        Self::new(heading, Cut::End, least)
    }

    /// One of names or paths, that are cut in their middle.
    pub(crate) const fn name(heading: &'static str, least: usize) -> Self {
        Self::new(heading, Cut::Middle, least)
    }

    /// One of lists with commas, that say how many more there are.
    pub(crate) const fn list(heading: &'static str, least: usize) -> Self {
        Self::new(heading, Cut::List, least)
    }

    /// Makes it one that goes where there is no room: the lowest number first.
    pub(crate) const fn goes(self, order: u8) -> Self {
        Self { goes: Some(order), ..self }
    }

    /// Gives colours to its cells.
    pub(crate) const fn inked(self, ink: fn(&str) -> Option<Ink>) -> Self {
        Self { ink, ..self }
    }

    /// Returns a cell that takes so many columns at most, as far as it may be cut.
    fn shown(&self, text: &str, columns: usize, ellipsis: &str) -> String {
        match self.cut {
            Cut::Never => text.to_owned(),
            Cut::End => shortened(text, columns, ellipsis),
            Cut::Middle => squeezed(text, columns, ellipsis),
            Cut::List => fewer(text, columns, ellipsis),
            Cut::Digest => digest(text, columns, ellipsis),
        }
    }
}

/// Returns a table. A cell may have several lines; each row has as many cells as there are columns.
pub(crate) fn table(surface: Surface, columns: &[Column], rows: &[Vec<String>]) -> String {
    let natural: Vec<usize> = columns.iter().enumerate().map(|(at, column)| widest(column, rows, at)).collect();
    let widths = match surface.columns {
        Some(room) => fit(columns, &natural, room, |at, wide| {
            let shown = |cell: &str| width(&columns[at].shown(cell, wide, surface.ellipsis));
            cells(rows, at).map(shown).max().unwrap_or(0).max(columns[at].heading.len())
        }),
        None => natural.into_iter().map(Some).collect(),
    };
    let mut text = String::new();
    let heading: Vec<&str> = columns.iter().map(|column| column.heading).collect();
    push_line(&mut text, surface, columns, &widths, &heading, true);
    for row in rows {
        let mut lines: Vec<_> = row.iter().map(|cell| cell.split('\n')).collect();
        let height = row.iter().map(|cell| cell.split('\n').count()).max().unwrap_or(0);
        for _ in 0..height {
            let cells: Vec<&str> = lines.iter_mut().map(|cell| cell.next().unwrap_or("")).collect();
            push_line(&mut text, surface, columns, &widths, &cells, false);
        }
    }
    text
}

/// Returns the lines of the cells of a column.
fn cells(rows: &[Vec<String>], at: usize) -> impl Iterator<Item = &str> {
    rows.iter().filter_map(move |row| row.get(at)).flat_map(|cell| cell.split('\n'))
}

fn widest(column: &Column, rows: &[Vec<String>], at: usize) -> usize {
    cells(rows, at).chain([column.heading]).map(width).max().unwrap_or(0)
}

/// Returns how wide each column is shown; none for one that is left out. `shown` says how much a column takes of the room that it
/// has: lists and digests get shorter by leaps.
fn fit(
    columns: &[Column],
    natural: &[usize],
    room: usize,
    shown: impl Fn(usize, usize) -> usize,
) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = natural.iter().copied().map(Some).collect();
    if taken(&widths) <= room {
        return widths;
    }
    let mut going: Vec<usize> = (0..columns.len()).filter(|&at| columns[at].goes.is_some()).collect();
    going.sort_by_key(|&at| columns[at].goes);
    let narrowed = |widths: &mut [Option<usize>], least: fn(&Column) -> usize| {
        for ((width, column), natural) in widths.iter_mut().zip(columns).zip(natural) {
            if let Some(width) = width.as_mut().filter(|_| column.cut != Cut::Never) {
                *width = least(column).max(column.heading.len()).min(*natural);
            }
        }
    };
    narrowed(&mut widths, |column| column.least);
    let mut going = going.into_iter();
    while taken(&widths) > room {
        let Some(at) = going.next() else { break };
        widths[at] = None;
    }
    if taken(&widths) > room {
        narrowed(&mut widths, |column| if column.cut == Cut::Digest { column.least } else { NARROWEST });
    }
    let mut most = natural.to_vec();
    widen(columns, &most, &mut widths, room);
    for (at, width) in widths.iter_mut().enumerate() {
        if let Some(width) = width.as_mut().filter(|_| matches!(columns[at].cut, Cut::List | Cut::Digest)) {
            *width = shown(at, *width);
            most[at] = *width;
        }
    }
    widen(columns, &most, &mut widths, room);
    widths
}

/// Returns how much room columns take.
fn taken(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + shown.count().saturating_sub(1) * GAP
}

/// Gives room back that is left: to the narrowest cells first, and to digests in the end.
fn widen(columns: &[Column], most: &[usize], widths: &mut [Option<usize>], room: usize) {
    let mut spare = room.saturating_sub(taken(widths));
    while spare > 0 {
        let short = |at: &usize| columns[*at].cut != Cut::Digest && widths[*at].is_some_and(|width| width < most[*at]);
        let Some(at) = (0..columns.len()).filter(short).min_by_key(|&at| widths[at]) else { break };
        widths[at] = widths[at].map(|width| width + 1);
        spare -= 1;
    }
    for ((column, width), most) in columns.iter().zip(widths).zip(most) {
        if let Some(width) = width.as_mut().filter(|_| column.cut == Cut::Digest) {
            let more = spare.min(most.saturating_sub(*width));
            *width += more;
            spare -= more;
        }
    }
}

fn push_line(
    text: &mut String,
    surface: Surface,
    columns: &[Column],
    widths: &[Option<usize>],
    cells: &[&str],
    is_heading: bool,
) {
    let mut padding = 0;
    for ((column, cell), columns_wide) in columns.iter().zip(cells).zip(widths) {
        let Some(wide) = *columns_wide else { continue };
        let shown = if is_heading { (*cell).to_owned() } else { column.shown(cell, wide, surface.ellipsis) };
        let next = (wide + GAP).saturating_sub(width(&shown));
        if shown.is_empty() {
            padding += next;
            continue;
        }
        text.extend(std::iter::repeat_n(' ', padding));
        let ink = if is_heading { Some(Ink::Heading) } else { (column.ink)(cell) };
        match ink {
            Some(ink) => text.push_str(&surface.paint(ink, &shown)),
            None => text.push_str(&shown),
        }
        padding = next;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 6] = [
        Column::name("NAME", 24),
        Column::digest("DIGEST"),
        Column::list("PLATFORMS", 18),
        Column::whole("SIZE").goes(2),
        Column::whole("UNIQUE").goes(1),
        Column::whole("STATE"),
    ];

    fn rows() -> Vec<Vec<String>> {
        let row = |name: &str, platforms: &str| {
            let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
            vec![
                name.to_owned(),
                digest,
                platforms.to_owned(),
                "17.4 KiB".to_owned(),
                "1.0 KiB".to_owned(),
                "whole".to_owned(),
            ]
        };
        vec![
            row(
                "registry.example.com/platform/team/hello-world-service:v1.2.3\nhello:latest",
                "linux/amd64, linux/arm/v7, linux/arm64, linux/s390x",
            ),
            row("漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字/漢:v1", "linux/amd64"),
        ]
    }

    fn lines(columns: usize) -> Vec<String> {
        table(Surface::of_columns(columns), &COLUMNS, &rows()).lines().map(str::to_owned).collect()
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in 45..260 {
            for line in lines(columns) {
                assert!(width(&line) <= columns, "{columns}: {line}");
            }
        }
    }

    #[test]
    fn columns_stand_below_each_other_whatever_the_characters_are() {
        for columns in [60, 80, 100, 200] {
            let lines = lines(columns);
            let at = |line: &str, word: &str| width(&line[..line.find(word).unwrap()]);
            let digests: Vec<usize> = [&lines[1], &lines[3]].map(|line| at(line, "0123456789ab")).to_vec();
            assert_eq!(digests[0], digests[1], "{lines:#?}");
            let heading = at(&lines[0], "DIGEST");
            assert!(digests[0] == heading || digests[0] == heading + "sha256:".len(), "{lines:#?}");
        }
    }

    #[test]
    fn what_matters_least_goes_first() {
        let words = |columns| lines(columns)[0].split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(200), "NAME DIGEST PLATFORMS SIZE UNIQUE STATE");
        assert_eq!(words(90), "NAME DIGEST PLATFORMS SIZE UNIQUE STATE");
        assert_eq!(words(80), "NAME DIGEST PLATFORMS SIZE STATE");
        assert_eq!(words(70), "NAME DIGEST PLATFORMS STATE");
        assert_eq!(
            lines(80)[1..3],
            ["registry.\u{2026}rld-service:v1.2.3  0123456789ab  linux/amd64, 3 more  17.4 KiB  whole", "hello:latest",]
        );
        assert!(lines(300)[1].contains(&"0123456789abcdef".repeat(4)), "there is room for the whole");
    }

    #[test]
    fn nothing_is_cut_where_nobody_looks() {
        let text = table(Surface::PLAIN, &COLUMNS, &rows());
        for part in rows().iter().flatten().flat_map(|cell| cell.split('\n')) {
            assert!(text.contains(part), "{part} is not there: {text}");
        }
        assert!(text.lines().all(|line| line.trim_end() == line), "{text:?}");
    }

    #[test]
    fn colours_take_no_room() {
        let failed: fn(&str) -> Option<Ink> = |text| (text == "failed").then_some(Ink::Bad);
        let columns = [Column::whole("STATE").inked(failed), Column::whole("NAME")];
        let rows = [vec!["failed".to_owned(), "a".to_owned()], vec!["new".to_owned(), "b".to_owned()]];
        let coloured = Surface { colours: true, ..Surface::of_columns(80) };
        let mut text = table(coloured, &columns, &rows);
        for code in ["\u{1b}[1m", "\u{1b}[1;31m", "\u{1b}[0m"] {
            assert!(text.contains(code), "{text:?}");
            text = text.replace(code, "");
        }
        assert_eq!(text, table(Surface::PLAIN, &columns, &rows));
    }
}
