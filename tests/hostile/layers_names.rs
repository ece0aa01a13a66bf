//! Layers: names that climb, are none, are odd, too long or too deep.

use crate::layers::{Row, becomes, refused, tried};
use crate::support::tar::{Block, Tar};

fn file(name: &str) -> [Tar; 1] {
    [Tar::new().file(name, b"x")]
}

fn raw(name: &[u8]) -> [Tar; 1] {
    [Tar::new().entry(Block::raw(name).size(1), b"x")]
}

fn pax(name: &str) -> [Tar; 1] {
    [Tar::new().pax(&[("path", name)]).file("cut", b"x")]
}

fn gnu(name: &[u8]) -> [Tar; 1] {
    [Tar::new().extension(b'L', name).file("cut", b"x")]
}

/// A file under one name.
fn is(what: &'static str, why: &'static str, layers: [Tar; 1], name: &str) -> Row {
    becomes(what, why, layers, [(name, "file 644 x")])
}

#[test]
fn names_that_climb_or_are_none() {
    let climbs = "climbs with `..`";
    let place_of_root = "in the place of the root";
    tried(vec![
        refused("../x", "beside the target", file("../x"), climbs),
        refused("../canary/secret", "over a file that is there", file("../../canary/secret"), climbs),
        refused("../.out", "the target itself", file("../out"), climbs),
        refused("a/../../x", "down and up", file("a/../../x"), climbs),
        refused("a/..", "the root by a way around", file("a/.."), climbs),
        refused("a/../b", "readers differ when `a` is a link", file("a/../b"), climbs),
        refused("..", "the directory above", [Tar::new().directory("..")], climbs),
        refused("../", "the directory above, with a slash", [Tar::new().directory("../")], climbs),
        refused("/..", "the directory above the root", [Tar::new().directory("/..")], climbs),
        refused("./../x", "hidden behind a dot", file("./../x"), climbs),
        refused("a//..//../x", "hidden behind slashes", file("a//..//../x"), climbs),
        refused("PAX ../x", "the header's own name is harmless", pax("../x"), climbs),
        refused("GNU ../x", "the header's own name is harmless", gnu(b"../x\0"), climbs),
        refused(
            "a prefix of ..",
            "ustar joins the two",
            [Tar::new().entry(Block::ustar("x").prefix(".."), b"")],
            climbs,
        ),
        refused(
            "a chmod of ..",
            "an entry of a directory sets its mode",
            [Tar::new().entry(Block::ustar("../canary").flag(b'5').mode(0o777), b"")],
            climbs,
        ),
        refused("a link called ../x", "made outside", [Tar::new().symlink("../x", "y")], climbs),
        refused(
            "a device called ../x",
            "made outside",
            [Tar::new().entry(Block::ustar("../x").flag(b'3').device(1, 3), b"")],
            climbs,
        ),
        refused("a FIFO called ../x", "made outside", [Tar::new().entry(Block::ustar("../x").flag(b'6'), b"")], climbs),
        refused("a hard link called ../x", "made outside", [Tar::new().file("a", b"x").hard_link("../x", "a")], climbs),
        refused("no name", "the root as a file", file(""), place_of_root),
        refused(".", "the root as a file", file("."), place_of_root),
        refused(
            "a link as ./",
            "the root as a link to outside",
            [Tar::new().symlink("./", "../canary")],
            place_of_root,
        ),
        refused(
            "a FIFO as /",
            "the root as a FIFO",
            [Tar::new().entry(Block::ustar("/").flag(b'6'), b"")],
            place_of_root,
        ),
        refused(
            "a hard link as .",
            "the root as a file",
            [Tar::new().file("a", b"x").hard_link(".", "a")],
            place_of_root,
        ),
        refused("an empty PAX name", "either the header's or none", pax(""), "is empty"),
        refused("an empty GNU name", "either the header's or none", gnu(b"\0"), place_of_root),
        refused("a NUL in a PAX name", "the end of a text in C", pax("a\0b"), "NUL"),
        refused("a NUL in a GNU name", "the end of a text in C", gnu(b"a\0b\0"), "NUL"),
    ]);
}

#[test]
fn names_that_are_odd_and_right() {
    let bidi = "a\u{202e}txt.exe\u{2066}";
    let hex = |name: &str| name.as_bytes().escape_ascii().to_string();
    tried(vec![
        is("/abs", "the root of the image is meant", file("/abs"), "abs"),
        becomes("//abs//x", "slashes are no parts", file("//abs//x"), [("abs", "dir 755"), ("abs/x", "file 644 x")]),
        becomes("a/./b", "dots are no parts", file("a/./b"), [("a", "dir 755"), ("a/b", "file 644 x")]),
        becomes(
            "./a/",
            "a file whose name ends in a slash is a directory, since before POSIX",
            [Tar::new().entry(Block::v7("./a/").mode(0o711), b"")],
            [("a", "dir 711")],
        ),
        becomes(
            ". with a mode",
            "the root has an entry",
            [Tar::new().entry(Block::ustar(".").flag(b'5').mode(0o711), b"")],
            [(".", "dir 711")],
        ),
        becomes(
            "no name, a directory",
            "the root, as some write it",
            [Tar::new().entry(Block::ustar("").flag(b'5').mode(0o755), b"").file("a", b"x")],
            [("a", "file 644 x")],
        ),
        becomes(
            "/ with a mode",
            "the root has an entry, twice",
            {
                let root = |mode| Block::ustar("/").flag(b'5').mode(mode);
                [Tar::new().entry(root(0o700), b"").entry(root(0o750), b"")]
            },
            [(".", "dir 750")],
        ),
        is("a NUL in a header's name", "it ends there", raw(b"a\0b"), "a"),
        is("...", "three dots are a name", file("..."), "..."),
        is("..x", "two dots at its start", file("..x"), "..x"),
        is("x..", "two dots at its end", file("x.."), "x.."),
        is("a newline", "a line of a list", raw(b"a\nb"), "a\\nb"),
        is("an escape sequence", "for the terminal", raw(b"\x1b[2Ja\x07"), "\\x1b[2Ja\\x07"),
        is("C1", "an escape sequence in one byte", raw("a\u{9b}2J".as_bytes()), &hex("a\u{9b}2J")),
        is("bidi", "shown otherwise than it is", raw(bidi.as_bytes()), &hex(bidi)),
        is("no UTF-8", "names are bytes", raw(b"a\xff\xfe\xc0\xaf"), "a\\xff\\xfe\\xc0\\xaf"),
        is(
            "`../` in overlong UTF-8",
            "decoded by the careless",
            raw(b"\xc0\xae\xc0\xae\xc0\xafx"),
            "\\xc0\\xae\\xc0\\xae\\xc0\\xafx",
        ),
        is("a backslash", "a slash elsewhere", raw(b"..\\..\\x"), "..\\\\..\\\\x"),
        is("a drive", "a path elsewhere", file("C:x"), "C:x"),
        is("spaces", "cut off by some", file(" a "), " a "),
        is("a dash", "an option", file("-rf"), "-rf"),
        is("shell", "executed by the careless", file("$(id)`id`;*~"), "$(id)`id`;*~"),
        becomes(
            "only a prefix",
            "a name with a slash at its end",
            [Tar::new().entry(Block::ustar("").prefix("a").mode(0o755), b"")],
            [("a", "dir 755")],
        )
        .otherwise("it makes a file"),
        becomes(
            "two that differ in case",
            "one file elsewhere",
            [Tar::new().file("Readme", b"1").file("README", b"2")],
            [("README", "file 644 2"), ("Readme", "file 644 1")],
        ),
        becomes(
            "composed and not",
            "one file elsewhere",
            [Tar::new().file("\u{e9}", b"1").file("e\u{301}", b"2")],
            [(hex("\u{e9}").as_str(), "file 644 1"), (hex("e\u{301}").as_str(), "file 644 2")],
        ),
        is("a GNU name with more NULs", "they end it", gnu(b"a\0\0\0"), "a"),
    ]);
}

#[test]
fn odd_names_in_messages_are_escaped() {
    tried(vec![
        refused("an escape sequence that climbs", "shown by the message", raw(b"../\x1b]0;x\x07\x1b[2J"), "\\u{1b}[2J"),
        refused("bidi that climbs", "shown by the message", raw("../\u{202e}x".as_bytes()), "\\u{202e}"),
        refused("no UTF-8 that climbs", "shown by the message", raw(b"../\xff\x9b"), "climbs"),
        refused("newlines that climb", "lines of their own in the message", raw(b"../\nerror: x\n"), "\\u{a}error: x"),
        refused(
            "a link's target",
            "shown by the message",
            [Tar::new().hard_link("a", "\u{1b}[31m\u{2067}")],
            "\\u{1b}[31m",
        ),
        refused(
            "an attribute's name",
            "shown by the message",
            [Tar::new().pax(&[("SCHILY.xattr.user.\u{1b}[2J", "x"), ("uid", "\u{1b}[2J")]).file("a", b"")],
            "\\u{1b}[2J",
        ),
        refused(
            "a type flag",
            "shown by the message",
            [Tar::new().entry(Block::ustar("a").flag(0x1b), b"")],
            "\\u{1b}",
        ),
        refused(
            "a number",
            "shown by the message",
            [Tar::new().entry(Block::ustar("a").size_field(*b"\x1b[2J\x07      \0"), b"")],
            "\\u{1b}[2J",
        ),
    ]);
}

#[test]
fn names_that_are_long_or_deep() {
    let part = |length: usize| "n".repeat(length);
    let long = vec!["l".repeat(255); 16].join("/"); // with a slash at its end 4096 bytes
    let deep = |depth: usize| vec!["d"; depth].join("/");
    let directories = |path: &str| -> Vec<(String, String)> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.map(|at| (path[..at].to_owned(), "dir 755".to_owned())).collect()
    };
    let made = |path: &str| {
        [Tar::new().pax(&[("path", &format!("{path}/"))]).entry(Block::ustar("cut").flag(b'5').mode(0o755), b"")]
    };
    let no_room = "a part of more than 255 bytes";
    tried(vec![
        is("a part of 255 bytes", "as long as Linux has it", pax(&part(255)), &part(255)),
        refused("a part of 256 bytes", "one more", pax(&part(256)), no_room),
        refused("a directory of 256 bytes", "one more", pax(&format!("{}/x", part(256))), no_room),
        becomes("4096 bytes", "as long as a path of Linux may be", made(&long), directories(&long))
            .otherwise("it gives whole paths to the system"),
        refused("4097 bytes", "one more", made(&format!("{long}/")), "longer than 4096 bytes"),
        refused("a mebibyte, PAX", "no file system has it", pax(&part((1 << 20) - 20)), "longer than 4096 bytes"),
        refused("a mebibyte, GNU", "no file system has it", gnu(part(1 << 20).as_bytes()), "longer than 4096 bytes"),
        refused(
            "more than a mebibyte",
            "an extension is bounded",
            gnu(part((1 << 20) + 1).as_bytes()),
            "expected at most 1048576",
        ),
        becomes("400 directories", "as deep as they may lie", made(&deep(400)), directories(&deep(400))),
        refused("401 directories", "one more", made(&deep(401)), "400 directories deep"),
        refused("10,000 directories", "a stack of as many", made(&deep(10_000)), "longer than 4096 bytes"),
        refused(
            "deeper through a link",
            "each name is short",
            {
                let start = Tar::new()
                    .pax(&[("path", &format!("{}/", deep(300)))])
                    .entry(Block::ustar("cut").flag(b'5').mode(0o755), b"");
                [start
                    .pax(&[("linkpath", &deep(300))])
                    .symlink("l", "cut")
                    .pax(&[("path", &format!("l/{}", deep(200)))])
                    .file("cut", b"")]
            },
            "400 directories deep",
        ),
        refused(
            "deeper through links to themselves",
            "each name is short",
            {
                let mut tar = Tar::new()
                    .pax(&[("path", &format!("{}/", deep(399)))])
                    .entry(Block::ustar("cut").flag(b'5').mode(0o755), b"");
                tar = tar.pax(&[("linkpath", &format!("/{}", deep(399)))]).symlink("l0", "cut");
                for at in 1..20 {
                    tar = tar.symlink(&format!("l{at}"), &format!("l{}/d", at - 1));
                }
                [tar.file("l19/x", b"")]
            },
            "400 directories deep",
        ),
    ]);
}
