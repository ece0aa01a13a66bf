//! The pictures of the documentation, `docs/pictures/*.svg`: what the program prints on a terminal today, word for word.
//!
//! The commands really run, on the fixtures, on a terminal of 80 columns and with colours; [`svg`] draws what stands there then. A
//! picture that is no longer true fails here, and `make pictures` draws it again (it sets `BARGE_PICTURES=draw`). One is of a table in a
//! page ([`bars`]).

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod bars;
#[allow(dead_code)] // the tests of the command line use more of it
#[path = "../cli/environment.rs"]
mod environment;
#[path = "../support/mod.rs"]
mod support;
mod svg;

use std::fs;
use std::path::Path;

use environment::{Barge, available};
use support::screen::{Cell, Screen};

const COLUMNS: usize = 80;

/// A picture: what is typed, one command after the other, and what each ends with.
struct Picture {
    file: &'static str,
    title: &'static str,
    commands: &'static [(&'static str, i32)],
}

/// Images of the fixtures, made by different tools, under short names.
const IMAGES: [(&str, &str); 4] = [
    ("umoci-amd64", "amd64"),
    ("skopeo-arm64.tar", "arm64.tar"),
    ("docker-armv7.tar", "armv7.tar"),
    ("buildx-amd64-arm64.tar", "buildx.tar"),
];

const MERGE: &str = "merge -o hello.tar -t example.com/hello:v1 amd64 arm64.tar armv7.tar";

const PICTURES: [Picture; 3] = [
    Picture {
        file: "merge.svg",
        title: "barge merges three images into one archive, verifies it and lists it",
        commands: &[(MERGE, 0), ("verify --deep hello.tar", 0), ("ls hello.tar", 0)],
    },
    Picture {
        file: "tree.svg",
        title: "barge shows the pieces of an image, its attestations among them",
        commands: &[("tree buildx.tar", 0), ("referrers buildx.tar", 0)],
    },
    Picture {
        file: "damage.svg",
        title: "barge finds what is wrong, and says what to do",
        commands: &[("verify damaged", 4), ("save -o copy.tar damaged", 4)],
    },
];

/// Lays out what the commands need.
fn prepare() -> Barge {
    let barge = Barge::new();
    for (fixture, name) in IMAGES {
        barge.fixtures(&[fixture]);
        fs::rename(barge.path(fixture), barge.path(name)).unwrap();
    }
    barge.run(MERGE.replace("hello.tar", "damaged").split(' ')).exits(0);
    // the layer that only the image for amd64 has loses a bit
    let layer = barge.path("damaged/blobs/sha256/c3389088e9f37c2e26fcd5c0c791ce7619c690e88bf596ec65d17f8d6f435dd6");
    let mut bytes = fs::read(&layer).unwrap();
    bytes[100] ^= 1;
    fs::write(&layer, bytes).unwrap();
    barge
}

/// Runs the commands and returns what stands on the terminal in the end, the prompts among it.
fn rows(barge: &Barge, picture: &Picture) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for (at, (command, code)) in picture.commands.iter().enumerate() {
        if at > 0 {
            rows.push(Vec::new());
        }
        for line in typed(command) {
            rows.push(
                line.chars().map(|character| Cell { character: Some(character), style: "typed".to_owned() }).collect(),
            );
        }
        let output =
            barge.on_terminal(command, (COLUMNS, 50), &[("SOURCE_DATE_EPOCH", "0")]).output(barge).exits(*code);
        rows.extend_from_slice(Screen::after(output.stdout(), COLUMNS).rows());
    }
    rows
}

/// Returns the lines that a person types for a command: a long one goes on below.
fn typed(command: &str) -> Vec<String> {
    let mut lines = vec!["$ barge".to_owned()];
    for word in command.split(' ') {
        let last = lines.last_mut().unwrap();
        if last.len() + 1 + word.len() + 2 > COLUMNS {
            last.push_str(" \\");
            lines.push(format!("    {word}"));
        } else {
            last.push(' ');
            last.push_str(word);
        }
    }
    lines
}

#[test]
fn pictures_show_what_is_printed_today() {
    let script = std::process::Command::new("script").arg("--version").output().is_ok();
    if !available("script (util-linux)", script) {
        return;
    }
    let barge = prepare();
    for picture in &PICTURES {
        holds(picture.file, &svg::draw(picture.title, &rows(&barge, picture), COLUMNS));
    }
}

/// Compares a picture with what it should be, or writes it.
fn holds(file: &str, drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures").join(file);
    if std::env::var_os("BARGE_PICTURES").is_some_and(|value| value == "draw") {
        fs::write(&path, drawn).unwrap();
        return;
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == drawn, "{file} is not what it should show: `make pictures` draws it again\n{drawn}");
}

#[test]
fn bars_show_the_table_beside_them() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compact.md")).unwrap();
    let rows = bars::table(&page, "| what goes | as layers | compact |");
    assert!(rows.len() >= 5);
    let drawn = bars::draw("What compact archives save", &rows, ["as layers", "compact"]);
    assert!(drawn.len() < 32 << 10);
    holds("compact.svg", &drawn);
}

#[test]
fn pictures_hold_their_text_for_those_who_do_not_see_them() {
    for picture in &PICTURES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures").join(picture.file);
        let text = fs::read_to_string(path).unwrap();
        assert!(text.len() < 32 << 10, "{} is large", picture.file);
        assert!(text.contains(&format!("<title id=\"title\">{}</title>", picture.title)));
        for (command, _) in picture.commands {
            let first: String = typed(command)[0].chars().skip(2).collect();
            let description = text.split("<desc id=\"desc\">").nth(1).unwrap().split("</desc>").next().unwrap();
            assert!(description.contains(&first), "{}: {first}", picture.file);
        }
        for outside in ["http://", "https://", "<script", "@import", "@font-face"] {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(outside), "{}: {outside}", picture.file);
        }
    }
}
