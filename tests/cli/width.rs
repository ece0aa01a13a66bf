//! What is shown on terminals of several widths, and that files and pipes get everything.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::support::image::{Images, Layer, annotated, named};
use super::support::screen::Screen;
use super::*;

const LONG: &str = "registry.example.com/platform/team-payments/hello-service:v1.2.3-rc.1";
const PLAIN: &[(&str, &str)] = &[("NO_COLOR", "1")];

fn script() -> bool {
    available("script (util-linux)", std::process::Command::new("script").arg("--version").output().is_ok())
}

/// Six platforms under a long name and a short one, and an image with attestations.
fn layout(barge: &Barge) {
    let six = ["umoci-amd64", "skopeo-arm64.tar", "docker-armv7.tar", "hybrid-ppc64le.tar", "containerd-s390x"];
    barge.fixtures(&six);
    barge.fixtures(&["skopeo-docker-riscv64.tar", "buildx-amd64-arm64.tar"]);
    let line = format!("merge -q -o dist -t {LONG} -t hello:v1 skopeo-docker-riscv64.tar {}", six.join(" "));
    barge.line(&line).exits(0);
    barge.line("copy -q buildx-amd64-arm64.tar dist").exits(0);
}

/// Runs a command line to its end, and returns what stands on the terminal then.
fn screen(barge: &Barge, line: &str, columns: usize, code: i32) -> Screen {
    let output = barge.on_terminal(line, (columns, 50), PLAIN).output(barge).exits(code);
    Screen::after(output.stdout(), columns)
}

#[test]
fn nothing_wraps_at_80_columns_and_all_is_there_at_200() {
    if !script() {
        return;
    }
    let barge = Barge::new();
    layout(&barge);
    barge.line("save -q -o bundle.tar dist").exits(0);
    for (line, code) in [
        ("ls dist", 0),
        ("ls dist bundle.tar", 0),
        ("tree dist", 0),
        ("verify --deep dist bundle.tar", 0),
        ("referrers dist", 0),
        ("-L dist manifest ls", 0),
        ("diff dist:hello:v1 buildx-amd64-arm64.tar", 1),
        ("merge --dry-run -o out -t app:v1 dist:hello:v1", 0),
        ("check --for docker,podman,ctr dist", 2),
        ("inspect bundle.tar", 0),
        ("gc --dry-run dist", 0),
        ("inspect dist:nothing", 3),
    ] {
        for columns in [80, 200] {
            let screen = screen(&barge, line, columns, code);
            assert_eq!(screen.wrapped, 0, "{line} at {columns}: {:#?}", screen.lines());
        }
    }
    let lines = |line: &str, columns| screen(&barge, line, columns, 0).lines();
    assert_eq!(
        lines("ls dist", 80),
        [
            "NAME                          DIGEST        PLATFORMS            SIZE      STATE",
            "registry.\u{2026}ervice:v1.2.3-rc.1  f2580ceaab7e  linux/amd64, 5 more  17.4 KiB  whole",
            "docker.io/library/hello:v1",
            "example.com/hello:v1          8227e9dbe968  linux/amd64, 1 more  8.1 KiB   whole",
        ]
    );
    let piped = barge.line("ls dist").exits(0);
    let wide: Vec<String> = piped.stdout().lines().map(str::to_owned).collect();
    assert_eq!(lines("ls dist", 200), wide, "there is room for everything");
    assert_eq!(
        lines("ls --no-trunc dist", 400),
        barge.line("ls --no-trunc dist").exits(0).stdout().lines().collect::<Vec<_>>()
    );
    assert_eq!(
        lines("tree dist", 80)[..4],
        [
            LONG,
            "docker.io/library/hello:v1",
            "index  sha256:f2580ceaab7e  1.3 KiB",
            "|-- manifest  linux/amd64  sha256:f723c27dd93b  499 B"
        ]
    );
    assert!(lines("referrers dist", 80)[1].starts_with("5b0d95d1a347  application/vnd.in-toto+json  565 B"));
    assert!(
        lines("referrers dist", 200)[1]
            .starts_with("sha256:5b0d95d1a34783443dcfe070c02504f918259432c91e3fdf78213edcdfd8026e  ")
    );
    barge
        .line("referrers dist")
        .exits(0)
        .prints(&["sha256:5b0d95d1a34783443dcfe070c02504f918259432c91e3fdf78213edcdfd8026e"]);
}

#[test]
fn wide_characters_and_marks_stand_in_their_columns_and_hostile_ones_are_escaped() {
    if !script() {
        return;
    }
    let barge = Barge::new();
    let mut images = Images::new();
    for name in ["漢字漢字漢字漢字漢字漢字漢字漢字:v1", "e\u{301}e\u{301}:v1", "a\u{1b}[2J\u{202e}b", "plain"]
    {
        let image = images.image("linux/amd64", &[Layer::plain(name.as_bytes())]);
        images.root(annotated(named(image.clone(), name), "io.containerd.image.name", name));
    }
    images.layout(&barge.path("dist"));
    for columns in [60, 80, 200] {
        let screen = screen(&barge, "ls dist", columns, 0);
        assert_eq!(screen.wrapped, 0, "{:#?}", screen.lines());
        // the cells of the screen are the columns: all digests and states stand below their headings
        let at = |row: &[super::support::screen::Cell], word: &str| {
            let text: String = row.iter().map(|cell| cell.character.unwrap_or('\u{0}')).collect();
            let at = text.find(word).unwrap_or_else(|| panic!("no {word} in {text}"));
            text[..at].chars().count()
        };
        let state = at(&screen.rows()[0], "STATE");
        assert!(screen.rows()[1..].iter().all(|row| at(row, "whole") == state), "{:#?}", screen.lines());
        let text = screen.lines().concat();
        assert!(text.contains("\\u{1b}[2J\\u{202e}b"), "{text}");
    }
}

#[test]
fn colours_say_nothing_new() {
    if !script() {
        return;
    }
    let barge = Barge::new();
    layout(&barge);
    let blob = barge.path("dist/blobs/sha256/dca7228ac381da9a15b3401570c74293f2ad784bf84e39a21f48dda7d6a341c4");
    barge.line("save -q -o bundle.tar dist").exits(0);
    std::fs::remove_file(blob).unwrap();
    for line in [
        "ls dist",
        "tree dist",
        "verify dist",
        "inspect dist:nothing",
        "push --retry 0 dist 127.0.0.1:1",
        "check bundle.tar",
    ] {
        let run = |variables: &[(&str, &str)]| {
            let output = barge.on_terminal(line, (80, 50), variables).output(&barge);
            let code = output.code();
            output.exits(code).stdout().to_owned()
        };
        let (coloured, plain) = (run(&[]), run(PLAIN));
        assert_eq!(Screen::after(&coloured, 80).lines(), Screen::after(&plain, 80).lines(), "{line}");
        assert!(coloured.contains("\u{1b}[1") || line.starts_with("tree"), "{line}: {coloured:?}");
        for output in [plain, run(&[("TERM", "dumb")]), run(&[("TERM", "")])] {
            let escapes: Vec<&str> = output.split('\u{1b}').skip(1).filter(|rest| rest.contains('m')).collect();
            assert!(!output.contains("\u{1b}[0m") && !output.contains("\u{1b}[1"), "{line}: {escapes:?}");
        }
        let piped = barge.finish(barge.command().args(line.split(' ')).env_remove("NO_COLOR").env("TERM", "xterm"));
        let (_, stdout, stderr) = piped.parts();
        assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'), "{line}");
    }
}

#[test]
fn bars_fit_whatever_the_width_becomes() {
    if !script() {
        return;
    }
    let barge = Barge::new();
    let mut images = Images::new();
    let image = images.image("linux/amd64", &[Layer::plain(&vec![7; 12 << 20])]);
    images.root(named(image, LONG)).layout(&barge.path("dist"));
    for columns in [80, 200] {
        let registry = super::registry::FakeRegistry::start();
        let line = format!("push --limit-rate 4M dist {}", registry.host());
        let running = barge.on_terminal(&line, (columns, 24), PLAIN);
        let shown = running.output(&barge).exits(0).stdout().to_owned();
        let frames: Vec<&str> = shown.split('\r').filter(|frame| frame.contains("push [")).collect();
        assert!(!frames.is_empty(), "{shown:?}");
        for frame in frames {
            let frame = &frame[frame.find("push [").unwrap()..];
            let screen = Screen::after(frame, columns);
            assert_eq!(screen.wrapped, 0, "{frame:?}");
            // the echo of ^C has room
            assert!(screen.rows().iter().take(2).all(|row| row.len() <= columns - 3), "{frame:?}");
        }
        assert!(Screen::after(&shown, columns).lines().iter().all(|line| !line.contains("push [")), "{shown:?}");
    }
    // narrower in the midst of it: the shell beside it says so to the terminal
    let registry = super::registry::FakeRegistry::start();
    let line = format!(
        "stty cols 100 rows 24; (sleep 1.2; stty cols 44 rows 10 </dev/tty) & exec {} push --limit-rate 4M dist {}",
        env!("CARGO_BIN_EXE_barge"),
        registry.host()
    );
    let mut command = barge.around("script");
    command.args(["-q", "-e", "-c", &line, "/dev/null"]).env("TERM", "xterm").stdin(Stdio::piped());
    let running = Running::start(&mut command);
    thread::sleep(Duration::from_millis(10));
    let shown = running.output(&barge).exits(0).stdout().to_owned();
    let frames: Vec<&str> = shown.split('\r').filter(|frame| frame.contains("push [")).collect();
    let drawn = frames.iter().map(|frame| Screen::after(&frame[frame.find("push [").unwrap()..], 400));
    let widths: Vec<usize> = drawn.map(|screen| screen.rows()[0].len()).collect();
    assert!(widths[0] > 44 && *widths.last().unwrap() <= 41, "{widths:?}: {shown:?}");
    // what was drawn for 100 columns takes three rows of 44: so many are taken away
    assert!(shown.contains("\r\u{1b}["), "{shown:?}");
}
