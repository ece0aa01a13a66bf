//! A terminal, as far as barge needs one: it wraps, goes up and back, erases to its end, and has colours.

use unicode_width::UnicodeWidthChar as _;

/// What stands on a terminal after some text.
pub struct Screen {
    columns: usize,
    rows: Vec<Vec<Cell>>,
    row: usize,
    column: usize,
    style: String,
    /// How many lines were too long.
    pub wrapped: usize,
}

/// A character and how it is shown: the parameters of SGR, none for plain text. What a wide one takes besides has no character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub character: Option<char>,
    pub style: String,
}

impl Screen {
    /// Takes a text that was written to a terminal of that width.
    pub fn after(text: &str, columns: usize) -> Self {
        let mut screen = Self { columns, rows: vec![Vec::new()], row: 0, column: 0, style: String::new(), wrapped: 0 };
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            match character {
                '\r' => screen.column = 0,
                '\n' => screen.down(),
                '\u{1b}' => {
                    assert_eq!(rest.next(), Some('['), "{text:?}");
                    let mut sequence = String::new();
                    let letter = rest.by_ref().find(|next| {
                        let ends = next.is_ascii_alphabetic();
                        sequence.extend((!ends).then_some(*next));
                        ends
                    });
                    screen.obey(&sequence, letter, text);
                }
                '\u{8}' => screen.column = screen.column.saturating_sub(1),
                plain => screen.put(plain),
            }
        }
        screen
    }

    /// Returns the rows down to the last in which something stands.
    pub fn rows(&self) -> &[Vec<Cell>] {
        let last = self.rows.iter().rposition(|row| !line(row).is_empty());
        &self.rows[..last.map_or(0, |last| last + 1)]
    }

    /// Returns the rows as text, with those in between in which nothing stands.
    pub fn lines(&self) -> Vec<String> {
        self.rows().iter().map(|row| line(row)).collect()
    }

    fn obey(&mut self, sequence: &str, letter: Option<char>, text: &str) {
        match letter {
            Some('A') => {
                let rows = sequence.parse().unwrap();
                self.row = self.row.checked_sub(rows).unwrap_or_else(|| panic!("above the top: {text:?}"));
            }
            Some('J') => {
                self.rows.truncate(self.row + 1);
                self.rows[self.row].truncate(self.column);
            }
            Some('m') => {
                self.style.clear();
                self.style.push_str(if sequence == "0" { "" } else { sequence });
            }
            other => panic!("what is {other:?} in {text:?}"),
        }
    }

    fn down(&mut self) {
        self.row += 1;
        if self.row == self.rows.len() {
            self.rows.push(Vec::new());
        }
    }

    fn put(&mut self, character: char) {
        let wide = character.width().unwrap_or(0);
        if self.column + wide > self.columns {
            self.wrapped += 1;
            self.down();
            self.column = 0;
        }
        let cell = |character| Cell { character, style: self.style.clone() };
        let cells: Vec<Cell> = (0..wide).map(|at| cell((at == 0).then_some(character))).collect();
        let blank = Cell { character: Some(' '), style: String::new() };
        let row = &mut self.rows[self.row];
        row.resize(row.len().max(self.column + wide), blank);
        for cell in cells {
            row[self.column] = cell;
            self.column += 1;
        }
    }
}

fn line(row: &[Cell]) -> String {
    let text: String = row.iter().filter_map(|cell| cell.character).collect();
    text.trim_end().to_owned()
}
