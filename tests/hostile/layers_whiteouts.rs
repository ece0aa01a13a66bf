//! Layers: what hides other things, where it must not, what it must not, and in which order.

use crate::layers::{Row, becomes, refused, tried};
use crate::support::tar::{Block, Tar};

fn dir(name: &str) -> Block {
    Block::ustar(name).flag(b'5').mode(0o755)
}

/// Two files in a directory, and one beside it.
fn base() -> Tar {
    Tar::new().entry(dir("d"), b"").file("d/a", b"a").file("d/b", b"b").file("f", b"f")
}

const A: (&str, &str) = ("d/a", "file 644 a");
const B: (&str, &str) = ("d/b", "file 644 b");
const D: (&str, &str) = ("d", "dir 755");
const F: (&str, &str) = ("f", "file 644 f");

/// A layer on the base.
fn on_base<const N: usize>(
    what: &'static str,
    why: &'static str,
    upper: Tar,
    expected: [(&'static str, &'static str); N],
) -> Row {
    becomes(what, why, [base(), upper], expected)
}

fn hides(name: &str) -> Tar {
    Tar::new().file(name, b"")
}

#[test]
fn whiteouts_that_are_none_or_lead_out() {
    let (no_name, below, climbs) = ("a whiteout of no name", "below a whiteout", "climbs with `..`");
    tried(vec![
        refused(".wh.", "the directory itself", [base(), hides("d/.wh.")], no_name),
        refused(".wh. at the top", "the root itself", [base(), hides(".wh.")], no_name),
        refused(".wh..", "`.` is hidden", [base(), hides("d/.wh..")], no_name),
        refused(".wh... ", "`..` is hidden: all that lies beside", [base(), hides("d/.wh...")], no_name),
        refused(".wh... at the top", "the directory that is unpacked in", [base(), hides(".wh...")], no_name),
        refused(".wh.../x", "`../x`, when the prefix is cut off", [base(), hides(".wh.../x")], below),
        refused(".wh.../../x", "`../../x`, when the prefix is cut off", [base(), hides(".wh.../../x")], climbs),
        refused("../.wh.work", "beside the target", [base(), hides("../.wh.work")], climbs),
        refused("d/../../.wh.canary", "beside the target", [base(), hides("d/../../.wh.canary")], climbs),
        refused("../.wh..wh..opq", "all that lies beside", [base(), hides("../.wh..wh..opq")], climbs),
        refused("below a whiteout", "a file, or what it hides", [base(), hides(".wh.d/a")], below),
        refused("below an opaque whiteout", "a file, or nothing", [base(), hides("d/.wh..wh..opq/x")], below),
        on_base(
            "through a link",
            "hidden where it leads",
            Tar::new().symlink("l", "../../canary").file("l/.wh.secret", b""),
            [D, A, B, F, ("l", "-> ../../canary")],
        ),
        on_base(
            "through an absolute link",
            "hidden on the host",
            Tar::new().symlink("l", "/etc").file("l/.wh.passwd", b""),
            [D, A, B, F, ("l", "-> /etc")],
        ),
        becomes(
            "through a link of a lower layer",
            "hidden where it leads",
            [Tar::new().symlink("l", "../../canary"), hides("l/.wh.secret")],
            [("l", "-> ../../canary")],
        ),
        becomes(
            "opaque, on a link of a lower layer",
            "all is hidden where it leads",
            [Tar::new().symlink("l", "../../canary"), hides("l/.wh..wh..opq")],
            [("l", "-> ../../canary")],
        ),
        becomes(
            "opaque, on a link to the root",
            "all of the host",
            [base().symlink("l", "/"), hides("l/.wh..wh..opq")],
            [("", ""); 0],
        ),
        becomes("of a link", "what it leads to stays", [base().symlink("l", "d"), hides(".wh.l")], [D, A, B, F]),
        becomes(
            "of a link to outside",
            "what it leads to stays",
            [base().symlink("l", "../../canary"), hides(".wh.l")],
            [D, A, B, F],
        ),
        becomes(
            "of a directory with links to outside",
            "what they lead to stays",
            [base().symlink("d/l", "../../canary").symlink("d/m", "/etc"), hides(".wh.d")],
            [F],
        ),
        becomes(
            "opaque, of a directory with links to outside",
            "what they lead to stays",
            [base().symlink("d/l", "../../canary").symlink("d/m", "/etc"), hides("d/.wh..wh..opq")],
            [D, F],
        ),
    ]);
}

#[test]
fn whiteouts_hide_what_is_below_whatever_the_order() {
    let new = ("d/a", "file 644 new");
    tried(vec![
        on_base("of what is not there", "nothing to do", hides("d/.wh.nothing"), [D, A, B, F]),
        on_base("where nothing is", "no directory is made for it", hides("x/y/.wh.z"), [D, A, B, F]),
        on_base("below a file", "nothing can be there", hides("f/.wh.z"), [D, A, B, F]),
        on_base("opaque, of a file", "nothing can be there", hides("f/.wh..wh..opq"), [D, A, B, F]),
        on_base("opaque, where nothing is", "no directory is made for it", hides("x/.wh..wh..opq"), [D, A, B, F]),
        on_base("twice", "nothing more to do", hides(".wh.f").file(".wh.f", b""), [D, A, B]),
        on_base("of a directory", "all that is in it goes", hides(".wh.d"), [F]),
        on_base("of the root", "all goes", hides(".wh..wh..opq").file("n", b""), [("n", "file 644")]),
        on_base("before a file of its layer", "the file is new", hides("d/.wh.a").file("d/a", b"new"), [D, new, B, F]),
        on_base("after a file of its layer", "the file is new", Tar::new().file("d/a", b"new").file("d/.wh.a", b""), {
            [D, new, B, F]
        }),
        on_base(
            "of a file of its layer alone",
            "it hides lower layers",
            Tar::new().file("n", b"x").file(".wh.n", b""),
            [D, A, B, F, ("n", "file 644 x")],
        ),
        on_base(
            "of a directory, before what its layer has in it",
            "that is new",
            hides(".wh.d").file("d/a", b"new"),
            [D, new, F],
        ),
        on_base(
            "of a directory, after what its layer has in it",
            "that is new",
            Tar::new().file("d/a", b"new").file(".wh.d", b""),
            [D, new, F],
        ),
        on_base(
            "opaque, after what its layer has in it",
            "that is new",
            Tar::new().file("d/a", b"new").file("d/.wh..wh..opq", b""),
            [D, new, F],
        ),
        on_base(
            "opaque, in between",
            "all of the layer is new",
            Tar::new().file("d/a", b"new").file("d/.wh..wh..opq", b"").file("d/n", b"n"),
            [D, new, ("d/n", "file 644 n"), F],
        ),
        on_base(
            "opaque, with a directory of its layer in it",
            "what it only leads to goes",
            Tar::new().file("d/e/n", b"n").file("d/.wh..wh..opq", b""),
            [D, ("d/e", "dir 755"), ("d/e/n", "file 644 n"), F],
        ),
        on_base(
            "opaque, and a hard link to what it hides",
            "linked before it goes",
            Tar::new().hard_link("h", "d/a").file("d/.wh..wh..opq", b""),
            [D, F, ("h", "file 644 a")],
        ),
    ]);
}

#[test]
fn what_is_a_whiteout_and_what_is_none() {
    let other = |block: Block| Tar::new().entry(block, b"");
    tried(vec![
        on_base("a whiteout with content", "the content is nobody's", Tar::new().file(".wh.f", b"content"), [D, A, B]),
        on_base("a whiteout as a directory", "its name counts", other(dir(".wh.f")), [D, A, B]),
        on_base("a whiteout as a directory with a slash", "its name counts", other(dir(".wh.d/")), [F]),
        on_base(
            "a whiteout as a link",
            "its name counts",
            Tar::new().symlink(".wh.f", "../../canary/secret"),
            [D, A, B],
        ),
        on_base(
            "a whiteout as a device",
            "its name counts",
            other(Block::ustar(".wh.f").flag(b'3').device(0, 0)),
            [D, A, B],
        ),
        on_base(
            "a whiteout as a hard link",
            "AUFS made them so",
            Tar::new().hard_link(".wh.f", ".wh..wh.aufs"),
            [D, A, B],
        ),
        on_base(
            "a whiteout with attributes",
            "they are nobody's",
            Tar::new().pax(&[("SCHILY.xattr.user.a", "1")]).file(".wh.f", b""),
            [D, A, B],
        ),
        on_base("opaque, as a directory", "its name counts", other(dir("d/.wh..wh..opq")), [D, F]),
        on_base("of a whiteout", "`.wh.f` is hidden, which no layer has", hides(".wh..wh.f"), [D, A, B, F]),
        on_base(
            "AUFS' own files",
            "no part of an image",
            Tar::new().entry(dir(".wh..wh.plnk"), b"").file(".wh..wh.plnk/1.2", b"x").file(".wh..wh.aufs", b""),
            [D, A, B, F],
        )
        .otherwise("it fails on them"),
        on_base("in capitals", "a name like others", hides(".WH.f"), [D, A, B, F, (".WH.f", "file 644")]),
        on_base("almost", "a name like others", hides(".whf"), [D, A, B, F, (".whf", "file 644")]),
        on_base(
            "overlay's device 0:0",
            "a device, not a whiteout: that is a matter of overlay",
            other(Block::ustar("f").flag(b'3').device(0, 0)),
            [D, A, B, ("f", "char 644 0:0")],
        ),
        on_base(
            "overlay's opaque",
            "an attribute of the host, not a whiteout",
            Tar::new().pax(&[("SCHILY.xattr.trusted.overlay.opaque", "y")]).entry(dir("d"), b""),
            [D, A, B, F],
        ),
        becomes(
            "of a name of 251 bytes",
            "with its prefix as long as a name may be",
            {
                let name = "n".repeat(251);
                let hides = Tar::new().pax(&[("path", &format!(".wh.{name}"))]).file("cut", b"");
                [Tar::new().pax(&[("path", &name)]).file("cut", b"").file("f", b"f"), hides]
            },
            [F],
        ),
        becomes(
            "of a name that is no text",
            "names are bytes",
            {
                let hides = Tar::new().entry(Block::raw(b".wh.\xff\n"), b"");
                [Tar::new().entry(Block::raw(b"\xff\n"), b"").file("f", b"f"), hides]
            },
            [F],
        ),
    ]);
}

#[test]
fn things_take_each_others_place() {
    tried(vec![
        becomes(
            "of directories that nobody may enter",
            "they are opened first",
            {
                let closed = |name: &str| dir(name).mode(0);
                let lower =
                    Tar::new().entry(closed("c"), b"").entry(closed("c/e"), b"").file("c/e/x", b"x").file("f", b"f");
                [lower, hides(".wh.c")]
            },
            [F],
        ),
        becomes(
            "in a directory that may not be written",
            "it is the layer's, not the user's",
            [Tar::new().entry(dir("r").mode(0o555), b"").file("r/x", b"x").file("f", b"f"), hides("r/.wh.x")],
            [("r", "dir 555"), F],
        ),
        becomes(
            "a file after its directory was hidden, in a third layer",
            "each layer begins anew",
            [base(), hides(".wh.d"), Tar::new().file("d/b", b"3")],
            [D, ("d/b", "file 644 3"), F],
        ),
        becomes(
            "a file becomes a directory and a file again",
            "each takes the place of the one before",
            {
                let again = Tar::new().entry(dir("f").mode(0o700), b"").file("f/y", b"3");
                [base(), Tar::new().entry(dir("f"), b"").file("f/x", b"1"), Tar::new().file("f", b"2"), again]
            },
            [D, A, B, ("f", "dir 700"), ("f/y", "file 644 3")],
        ),
        becomes(
            "a directory becomes a file and a directory again, in one layer",
            "what was in it is gone",
            [base().file("d", b"x").entry(dir("d").mode(0o711), b"").file("d/n", b"n")],
            [("d", "dir 711"), ("d/n", "file 644 n"), F],
        ),
        becomes(
            "a directory with content becomes a file",
            "what is in it goes",
            [base(), Tar::new().file("d", b"x")],
            [("d", "file 644 x"), F],
        ),
        becomes("the same name twice", "the later one", [base().file("f", b"2").file("./f", b"3")], {
            [D, A, B, ("f", "file 644 3")]
        }),
        becomes(
            "the same directory twice",
            "the later mode, and what is in it stays",
            [base().entry(dir("d").mode(0o700), b"")],
            [("d", "dir 700"), A, B, F],
        ),
        refused(
            "a file becomes a way without an entry",
            "a file is in the way",
            [base(), Tar::new().file("f/x", b"")],
            "\"f\", which is no directory",
        ),
    ]);
}
