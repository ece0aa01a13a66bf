//! Layers: symbolic links that lead out, around or nowhere, what goes through them, and hard links.

use crate::layers::{becomes, refused, tried};
use crate::support::tar::{Block, Tar};

const OUT: &str = "../../canary";

fn dir(name: &str) -> Block {
    Block::ustar(name).flag(b'5').mode(0o755)
}

#[test]
fn what_goes_through_links_stays_inside() {
    let (link, secret) = (("l", "-> ../../canary"), ("canary/secret", "file 644 x"));
    let canary = ("canary", "dir 755");
    let circle = "lead around in a circle";
    let chain = |count: usize| {
        let tar = Tar::new().entry(dir("end"), b"").symlink("l0", "end");
        (1..count).fold(tar, |tar, at| tar.symlink(&format!("l{at}"), &format!("l{}", at - 1)))
    };
    let chained = |count: usize| {
        let mut all = vec![("end".to_owned(), "dir 755".to_owned()), ("end/x".to_owned(), "file 644 x".to_owned())];
        all.push(("l0".to_owned(), "-> end".to_owned()));
        all.extend((1..count).map(|at| (format!("l{at}"), format!("-> l{}", at - 1))));
        all
    };
    tried(vec![
        becomes(
            "relative, then a file through it",
            "written outside by the careless",
            [Tar::new().symlink("l", OUT).file("l/secret", b"x")],
            [link, canary, secret],
        ),
        becomes(
            "in an earlier layer",
            "the trap is laid first",
            [Tar::new().symlink("l", OUT), Tar::new().file("l/secret", b"x")],
            [link, canary, secret],
        ),
        becomes(
            "two layers before",
            "the trap is laid first",
            [Tar::new().symlink("l", OUT), Tar::new().file("a", b"x"), Tar::new().file("l/secret", b"x")],
            [link, canary, secret, ("a", "file 644 x")],
        ),
        becomes(
            "absolute, then a file through it",
            "over a file of the host",
            [Tar::new().symlink("l", "/etc").file("l/passwd", b"x")],
            [("l", "-> /etc"), ("etc", "dir 755"), ("etc/passwd", "file 644 x")],
        ),
        becomes(
            "to the root, then a file through it",
            "the root of the host",
            [Tar::new().symlink("l", "/").file("l/secret", b"x")],
            [("l", "-> /"), ("secret", "file 644 x")],
        ),
        becomes(
            "far up, then a file through it",
            "above the root is the root",
            [Tar::new().symlink("l", "../../../../../../../../../..").file("l/x", b"x")],
            [("l", "-> ../../../../../../../../../.."), ("x", "file 644 x")],
        ),
        becomes(
            "through /proc",
            "a magic link of the host",
            [Tar::new().symlink("l", "/proc/self/cwd/../canary").file("l/secret", b"x")],
            [
                ("l", "-> /proc/self/cwd/../canary"),
                ("proc", "dir 755"),
                ("proc/self", "dir 755"),
                ("proc/self/cwd", "dir 755"),
                ("proc/self/canary", "dir 755"),
                ("proc/self/canary/secret", "file 644 x"),
            ],
        )
        .otherwise("it does not make what `..` leaves again"),
        becomes(
            "a link over a link",
            "the way to a way out",
            [Tar::new().symlink("m", OUT).symlink("l", "m").file("l/secret", b"x")],
            [("l", "-> m"), ("m", "-> ../../canary"), canary, secret],
        ),
        becomes(
            "a link in a link",
            "the way to a way out",
            [Tar::new().symlink("l", OUT).symlink("l/m", "../canary").file("l/m/secret", b"x")],
            [link, canary, ("canary/m", "-> ../canary"), secret],
        ),
        becomes(
            "swapped after a directory was made",
            "the directory was looked at before",
            [Tar::new().entry(dir("l"), b"").file("l/a", b"1").symlink("l", OUT).file("l/secret", b"x")],
            [link, canary, secret],
        ),
        becomes(
            "swapped by a later layer",
            "the directory was looked at before",
            {
                let swap = Tar::new().file("l/b", b"2").symlink("l", OUT).file("l/secret", b"x");
                [Tar::new().entry(dir("l"), b"").file("l/a", b"1"), swap]
            },
            [link, canary, secret],
        ),
        becomes(
            "swapped back",
            "the link was looked at before",
            [Tar::new().symlink("l", OUT).file("l/secret", b"x").entry(dir("l"), b"").file("l/a", b"1")],
            [("l", "dir 755"), ("l/a", "file 644 1"), canary, secret],
        ),
        becomes(
            "a way that is swapped further up",
            "only the last part was looked at",
            [Tar::new().entry(dir("a/b"), b"").file("a/b/x", b"1").symlink("a", OUT).file("a/b/x", b"2")],
            [("a", "-> ../../canary"), canary, ("canary/b", "dir 755"), ("canary/b/x", "file 644 2")],
        ),
        becomes(
            "dangling, then a file through it",
            "it leads to what is yet to come",
            [Tar::new().symlink("l", "nowhere/at/all").file("l/x", b"x")],
            [
                ("l", "-> nowhere/at/all"),
                ("nowhere", "dir 755"),
                ("nowhere/at", "dir 755"),
                ("nowhere/at/all", "dir 755"),
                ("nowhere/at/all/x", "file 644 x"),
            ],
        ),
        becomes(
            "to where it stands",
            "`.` is no circle",
            [Tar::new().symlink("l", ".").file("l/l/l/x", b"x")],
            [("l", "-> ."), ("x", "file 644 x")],
        ),
        refused("to itself", "a circle", [Tar::new().symlink("l", "l").file("l/x", b"")], circle),
        refused("to each other", "a circle", [Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b"")], circle),
        refused("below itself", "a circle that grows", [Tar::new().symlink("l", "l/l").file("l/x", b"")], circle),
        refused(
            "a circle over layers",
            "each layer is right",
            [Tar::new().symlink("a", "b"), Tar::new().symlink("b", "a"), Tar::new().file("a/x", b"")],
            circle,
        ),
        refused(
            "a whiteout in a circle",
            "it hides nothing, and is no reason to go around",
            [Tar::new().symlink("a", "b").symlink("b", "a"), Tar::new().file("a/.wh.x", b"")],
            circle,
        ),
        refused(
            "an opaque whiteout in a circle",
            "as above",
            [Tar::new().symlink("a", "b").symlink("b", "a"), Tar::new().file("a/.wh..wh..opq", b"")],
            circle,
        ),
        refused(
            "a hard link through a circle",
            "as above",
            [Tar::new().symlink("a", "b").symlink("b", "a").hard_link("h", "a/x")],
            circle,
        ),
        becomes(
            "a circle alone",
            "nobody goes through it",
            [Tar::new().symlink("a", "b").symlink("b", "a")],
            [("a", "-> b"), ("b", "-> a")],
        ),
        becomes("40 links", "as many as Linux follows", [chain(40).file("l39/x", b"x")], chained(40)),
        refused("41 links", "one more", [chain(41).file("l40/x", b"x")], circle),
        refused(
            "to a file, then through it",
            "no directory",
            [Tar::new().file("f", b"").symlink("l", "f").file("l/x", b"")],
            "\"f\", which is no directory",
        ),
        refused(
            "below a FIFO",
            "opening one hangs",
            [Tar::new().entry(Block::ustar("f").flag(b'6'), b"").file("f/x", b"")],
            "\"f\", which is no directory",
        ),
        refused(
            "below a link to a FIFO",
            "opening one hangs",
            [Tar::new().entry(Block::ustar("f").flag(b'6'), b"").symlink("l", "f").file("l/x", b"")],
            "\"f\", which is no directory",
        ),
    ]);
}

#[test]
fn links_themselves_are_replaced_and_kept() {
    let secret = "../../canary/secret";
    let other = |block: Block| [Tar::new().symlink("l", secret).entry(block, b"")];
    let kept = |target: &'static str| {
        becomes(
            "kept",
            "a target is a text, whatever it leads to",
            [Tar::new().pax(&[("linkpath", target)]).symlink("l", "cut")],
            [("l".to_owned(), format!("-> {}", target.as_bytes().escape_ascii()))],
        )
    };
    let long = "t/".repeat(500);
    let nul = Tar::new().pax(&[("linkpath", "a\0b")]).symlink("l", "cut");
    tried(vec![
        becomes(
            "a file over a link",
            "written to where it leads",
            [Tar::new().symlink("l", secret).file("l", b"x")],
            [("l", "file 644 x")],
        ),
        becomes(
            "a file of a later layer over a link",
            "written to where it leads",
            [Tar::new().symlink("l", secret), Tar::new().file("l", b"x")],
            [("l", "file 644 x")],
        ),
        becomes(
            "a directory over a link to one",
            "the mode of what it leads to",
            [Tar::new().symlink("l", "../../canary").entry(dir("l").mode(0o777).mtime(1), b"")],
            [("l", "dir 777")],
        ),
        becomes(
            "a directory of a later layer over a link to one",
            "the mode of what it leads to",
            [Tar::new().symlink("l", "../../canary"), Tar::new().entry(dir("l/").mode(0o777).owner(1, 1), b"")],
            [("l", "dir 777 of 1:1")],
        ),
        becomes(
            "a FIFO over a link",
            "the mode of what it leads to",
            other(Block::ustar("l").flag(b'6').mode(0o666).owner(1, 1)),
            [("l", "fifo 666 of 1:1")],
        ),
        becomes(
            "a device over a link",
            "the mode of what it leads to",
            other(Block::ustar("l").flag(b'3').mode(0o666).device(1, 3)),
            [("l", "char 666 1:3")],
        )
        .nobody([]),
        becomes(
            "a link over a link",
            "the target of what it leads to",
            [Tar::new().symlink("l", secret).symlink("l", "b")],
            [("l", "-> b")],
        ),
        becomes(
            "a hard link over a link",
            "linked to where it leads",
            [Tar::new().file("a", b"x").symlink("l", secret).hard_link("l", "a")],
            [("a", "file 644 x x2"), ("l", "file 644 x x2")],
        ),
        becomes(
            "a link with a mode, an owner and a time",
            "chmod, chown and utimes of what it leads to",
            {
                let block = Block::ustar("l").flag(b'2').link("f").mode(0o7777).owner(7, 8).mtime(99);
                [Tar::new().file("f", b"x").entry(block, b"")]
            },
            [("f", "file 644 x"), ("l", "-> f of 7:8 at 99.000000000")],
        )
        .timed(),
        becomes(
            "a link with attributes",
            "set on what it leads to",
            [Tar::new().file("f", b"x").pax(&[("SCHILY.xattr.user.a", "1")]).symlink("l", "f")],
            [("f", "file 644 x"), ("l", "-> f")],
        )
        .otherwise("it fails on it"),
        becomes(
            "a link with attributes of root",
            "set on what it leads to",
            [Tar::new().file("f", b"x").pax(&[("SCHILY.xattr.trusted.a", "1")]).symlink("l", "f")],
            [("f", "file 644 x"), ("l", "-> f trusted.a=1")],
        ),
        kept("/etc/passwd"),
        kept("/"),
        kept("../../../../../etc/passwd"),
        kept("/usr/lib/../bin//sh/"),
        kept("."),
        kept(".."),
        kept("\u{1b}[2J\n\u{202e}"),
        becomes(
            "a target of 1000 bytes",
            "as long as XFS takes",
            [Tar::new().pax(&[("linkpath", &long)]).symlink("l", "cut")],
            [("l".to_owned(), format!("-> {long}"))],
        ),
        refused(
            "a target of 4096 bytes",
            "no path",
            [Tar::new().pax(&[("linkpath", &"t".repeat(4096))]).symlink("l", "cut")],
            "too long",
        ),
        refused(
            "a target of a mebibyte",
            "no path",
            [Tar::new().extension(b'K', &[b't'; 1 << 20]).symlink("l", "cut")],
            "too long",
        ),
        refused("no target", "no path", [Tar::new().symlink("l", "")], "empty"),
        refused(
            "an empty PAX target",
            "the header's or none",
            [Tar::new().pax(&[("linkpath", "")]).symlink("l", "a")],
            "empty",
        ),
        refused("a NUL in a target", "the end of a text in C", [nul], "NUL"),
    ]);
}

#[test]
fn hard_links() {
    let there = |layers: Vec<Tar>| refused("a hard link", "to what is not there", layers, "which is not there");
    let to = |target: &str| vec![Tar::new().hard_link("h", target)];
    let device = || Block::ustar("d").flag(b'3').device(1, 3);
    tried(vec![
        refused("to outside", "another name of a file of the host", to("../../canary/secret"), "climbs"),
        refused(
            "to outside by a way around",
            "as above",
            vec![Tar::new().entry(dir("a"), b"").hard_link("h", "a/../../../canary/secret")],
            "climbs",
        ),
        there(to("/etc/passwd")),
        there(to("/proc/self/exe")),
        there(to("nothing")),
        there(to("h")),
        there(to("nothing/at/all")),
        there(vec![Tar::new().hard_link("h", "later").file("later", b"x")]),
        there(vec![Tar::new().symlink("l", "../../canary").hard_link("h", "l/secret")]),
        there(vec![Tar::new().symlink("l", "/etc").hard_link("h", "l/passwd")]),
        there(vec![Tar::new().symlink("l", "../../canary"), Tar::new().hard_link("h", "l/secret")]),
        there(vec![Tar::new().file("f", b"").hard_link("h", "f/x")]),
        there(vec![Tar::new().file("f", b""), Tar::new().file(".wh.f", b"").hard_link("h", "f")]),
        there(vec![Tar::new().file("f", b""), Tar::new().file(".wh.f", b""), Tar::new().hard_link("h", "f")]),
        refused("to nothing", "no target", to(""), "which is the root"),
        refused("to the root", "a directory", to("/"), "which is the root"),
        refused(
            "to a directory",
            "no file system has it",
            vec![Tar::new().entry(dir("d"), b"").hard_link("h", "d")],
            "which is a directory",
        ),
        refused(
            "in the place of its own target's directory",
            "gone before it is linked",
            vec![Tar::new().file("d/f", b"x").hard_link("d", "d/f")],
            "it takes the place of",
        ),
        refused(
            "with content",
            "skipped or not",
            vec![Tar::new().file("a", b"x").entry(Block::ustar("h").flag(b'1').link("a").size(1), b"x")],
            "1 bytes of content",
        ),
        refused(
            "a NUL in a target",
            "the end of a text in C",
            vec![Tar::new().file("a", b"x").pax(&[("linkpath", "a\0")]).hard_link("h", "cut")],
            "NUL",
        ),
        becomes(
            "by an absolute name",
            "the root of the image is meant",
            [Tar::new().file("a", b"x").hard_link("h", "/a")],
            [("a", "file 644 x x2"), ("h", "file 644 x x2")],
        ),
        becomes("of itself", "nothing to do", [Tar::new().file("a", b"x").hard_link("a", "a")], [("a", "file 644 x")])
            .otherwise("it removes the file first"),
        becomes(
            "twice",
            "nothing more to do",
            [Tar::new().file("a", b"x").hard_link("h", "a").hard_link("h", "a")],
            [("a", "file 644 x x2"), ("h", "file 644 x x2")],
        ),
        becomes(
            "to a file of a lower layer",
            "a file that was there",
            [Tar::new().file("a", b"x"), Tar::new().hard_link("h", "a")],
            [("a", "file 644 x x2"), ("h", "file 644 x x2")],
        ),
        becomes(
            "to a file that is hidden after it",
            "the other name stays",
            [Tar::new().file("a", b"x"), Tar::new().hard_link("h", "a").file(".wh.a", b"")],
            [("h", "file 644 x")],
        ),
        becomes(
            "to a link",
            "another name of the link, not of what it leads to",
            [Tar::new().symlink("l", "../../canary/secret").hard_link("h", "l")],
            [("h", "-> ../../canary/secret x2"), ("l", "-> ../../canary/secret x2")],
        ),
        becomes(
            "a file over a hard link to a link",
            "written to where it leads",
            [Tar::new().symlink("l", "../../canary/secret").hard_link("h", "l").file("h", b"x")],
            [("h", "file 644 x"), ("l", "-> ../../canary/secret")],
        ),
        becomes(
            "a file over a hard link",
            "written to the other name",
            [Tar::new().file("a", b"1").hard_link("h", "a").file("h", b"2")],
            [("a", "file 644 1"), ("h", "file 644 2")],
        ),
        becomes(
            "a file of a later layer over a hard link",
            "written to the other name",
            [Tar::new().file("a", b"1").hard_link("h", "a"), Tar::new().file("h", b"2")],
            [("a", "file 644 1"), ("h", "file 644 2")],
        ),
        becomes(
            "through a link to a directory",
            "as a name is",
            [Tar::new().file("d/a", b"x").symlink("l", "d").hard_link("h", "l/a")],
            [("d", "dir 755"), ("d/a", "file 644 x x2"), ("h", "file 644 x x2"), ("l", "-> d")],
        ),
        becomes(
            "in the place of a directory",
            "what is in it goes",
            [Tar::new().file("a", b"x").file("d/e/f", b"").hard_link("d", "a")],
            [("a", "file 644 x x2"), ("d", "file 644 x x2")],
        ),
        becomes(
            "to a FIFO",
            "a file like others",
            [Tar::new().entry(Block::ustar("f").flag(b'6'), b"").hard_link("h", "f")],
            [("f", "fifo 644 x2"), ("h", "fifo 644 x2")],
        ),
        becomes(
            "to a device",
            "a file like others",
            [Tar::new().entry(device(), b"").hard_link("h", "d")],
            [("d", "char 644 1:3 x2"), ("h", "char 644 1:3 x2")],
        ),
        becomes(
            "over a device, of a device",
            "without root neither is there",
            [Tar::new().file("h", b"x").entry(device(), b"").hard_link("h", "d")],
            [("d", "char 644 1:3 x2"), ("h", "char 644 1:3 x2")],
        ),
    ]);
}
