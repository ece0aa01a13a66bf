//! Layers that want out. Every attack proves that nothing outside was touched: `Bench` compares that on every run.

use super::tar::{Block, Tar};
use super::*;

fn refused(bench: &Bench, layers: &[Vec<u8>], complaint: &str) {
    let error = bench.unpack(layers).unwrap_err();
    let told = told(&error);
    assert!(told.contains(complaint), "{complaint}: {told}");
    assert!(told.contains("layer "), "{told}");
    assert_eq!(error.class(), barge::error::Class::Content, "{told}");
}

#[test]
fn a_name_or_a_target_that_climbs_is_refused() {
    for (reason, tar) in [
        ("a file", Tar::new().file("../../outside/secret", b"evil")),
        ("a file by a way down and up", Tar::new().directory("a/").file("a/../../../outside/secret", b"evil")),
        ("absolute and up", Tar::new().file("/../outside/secret", b"evil")),
        ("a directory", Tar::new().entry(Block::ustar("../../outside").flag(b'5').mode(0o777), b"")),
        ("the parent itself", Tar::new().entry(Block::ustar("..").flag(b'5').mode(0o777), b"")),
        ("a link", Tar::new().symlink("../link", "x")),
        ("a hard link's name", Tar::new().file("a", b"").hard_link("../../outside/new", "a")),
        ("a hard link's target", Tar::new().hard_link("a", "../../outside/secret")),
        ("a whiteout", Tar::new().file("../../outside/.wh.secret", b"")),
        ("an opaque whiteout", Tar::new().file("../../outside/.wh..wh..opq", b"")),
        ("a FIFO", Tar::new().entry(Block::ustar("../../outside/fifo").flag(b'6'), b"")),
        ("a PAX name", Tar::new().pax(&[("path", "../../outside/secret")]).file("x", b"evil")),
        ("a GNU name", Tar::new().extension(b'L', b"../../outside/secret\0").file("x", b"evil")),
    ] {
        let bench = Bench::new();
        let error = bench.unpack(&[tar.finished()]).unwrap_err();
        assert!(told(&error).contains("climbs with `..`"), "{reason}: {}", told(&error));
    }
    for name in [".wh..", ".wh...", "a/.wh..", "a/.wh...", ".wh."] {
        refused(&Bench::new(), &[Tar::new().directory("a/").file(name, b"").finished()], "a whiteout of no name");
    }
}

/// Every way in which a link could lead an entry out: by the name of the link that leads outside, and from where.
fn links(bench: &Bench) -> Vec<(String, String)> {
    let outside = bench.outside().to_str().unwrap().to_owned();
    vec![
        ("absolute".to_owned(), outside.clone()),
        ("relative".to_owned(), "../../outside".to_owned()),
        ("far".to_owned(), format!("{}{}", "../".repeat(40), outside.trim_start_matches('/'))),
        ("twisted".to_owned(), format!("/./a/..//../{outside}/./")),
        ("process".to_owned(), format!("/proc/self/root{outside}")),
    ]
}

#[test]
fn nothing_goes_through_a_link_to_outside() {
    let count = links(&Bench::new()).len();
    for at in 0..count {
        let bench = Bench::new();
        let (name, target) = links(&bench).swap_remove(at);
        let through = |rest: &str| format!("l/{rest}");
        let attack = Tar::new()
            .pax(&[("linkpath", &target)])
            .symlink("l", "cut")
            .file(&through("secret"), b"evil")
            .entry(Block::ustar(&through("directory")).flag(b'5').mode(0o777).mtime(1), b"")
            .file(&through("directory/file"), b"evil")
            .file(&through("new"), b"evil")
            .symlink(&through("link"), "x")
            .entry(Block::ustar(&through("fifo")).flag(b'6'), b"")
            .hard_link(&through("hard"), &through("secret"));
        let later = Tar::new()
            .file(&through(".wh.secret"), b"")
            .file(&through("directory/.wh..wh..opq"), b"")
            .file(&through(".wh.directory"), b"");
        // in the image the link leads to a directory of the image: that is where all of it went
        let tree = bench.tree(&[attack.clone().finished()]);
        assert!(tree.values().any(|shown| shown == "file 644 evil"), "{name}: {tree:?}");
        let bench = Bench::new();
        let tree = bench.tree(&[attack.finished(), later.finished()]);
        assert!(
            !names(&tree).iter().any(|name| name.ends_with("secret") || name.ends_with("directory")),
            "{name}: {tree:?}"
        );
    }
}

#[test]
fn a_link_itself_is_replaced_and_never_written_through() {
    let outside = |rest: &str| format!("../../outside/{rest}");
    for (reason, tar) in [
        ("a file", Tar::new().symlink("l", &outside("secret")).file("l", b"evil")),
        ("a directory", {
            Tar::new().symlink("l", &outside("directory")).entry(Block::ustar("l").flag(b'5').mode(0o777).mtime(1), b"")
        }),
        ("a FIFO", Tar::new().symlink("l", &outside("secret")).entry(Block::ustar("l").flag(b'6').mode(0o777), b"")),
        ("another link", Tar::new().symlink("l", &outside("secret")).symlink("l", &outside("directory"))),
        ("a hard link", Tar::new().file("a", b"evil").symlink("l", &outside("secret")).hard_link("l", "a")),
        ("a whiteout", Tar::new().symlink("l", &outside("directory")).file("x/.wh.y", b"")),
    ] {
        Bench::new().unpack(&[tar.finished()]).unwrap_or_else(|error| panic!("{reason}: {}", told(&error)));
    }
    // a whiteout of a link takes the link, and an opaque one what stands beside it
    let lower = Tar::new().directory("d/").symlink("l", &outside("directory")).symlink("d/l", &outside("directory"));
    let upper = Tar::new().file(".wh.l", b"").file("d/.wh..wh..opq", b"");
    let lower = lower.finished();
    assert_eq!(names(&Bench::new().tree(&[lower, upper.finished()])), ["d"]);
}

#[test]
fn a_hard_link_never_reaches_outside() {
    let bench = Bench::new();
    let outside = bench.outside().to_str().unwrap().to_owned();
    let absolute = format!("{outside}/secret");
    let through = |link: &str, target: &str| {
        Tar::new()
            .pax(&[("linkpath", link)])
            .symlink("l", "x")
            .pax(&[("linkpath", target)])
            .hard_link("h", "x")
            .finished()
    };
    let to = |target: &str| Tar::new().pax(&[("linkpath", target)]).hard_link("h", "x").finished();
    for (layer, complaint) in [
        (to(&absolute), "which is not there"),
        (to("/etc/passwd"), "which is not there"),
        (to("nothing"), "which is not there"),
        (to("h"), "which is not there"),
        (to("/"), "which is the root"),
        (through(&outside, "l/secret"), "which is not there"),
        (through("../../outside", "l/secret"), "which is not there"),
        (Tar::new().directory("d/").hard_link("h", "d").finished(), "which is a directory"),
        (Tar::new().directory("d/").file("d/f", b"").hard_link("d", "d/f").finished(), "which it takes the place of"),
        (Tar::new().file("f", b"").hard_link("h", "f/x").finished(), "which is not there"),
    ] {
        refused(&bench, &[layer], complaint);
    }
    // a hard link to a link is one more name of the link: what comes under that name replaces it
    let tar = Tar::new().symlink("l", "../../outside/secret").hard_link("h", "l").file("h", b"evil");
    let tree = Bench::new().tree(&[tar.finished()]);
    assert_eq!((tree["h"].as_str(), tree["l"].as_str()), ("file 644 evil", "link ../../outside/secret"));
}

#[test]
fn links_that_go_in_circles_or_too_deep_are_refused() {
    let bench = Bench::new();
    refused(&bench, &[Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b"").finished()], "in a circle");
    refused(&bench, &[Tar::new().symlink("a", "a/a").file("a/x", b"").finished()], "in a circle");
    let deep = "d/".repeat(399);
    let nested = Tar::new().pax(&[("linkpath", &deep)]).symlink("l", "x").file("l/a/b/c", b"").finished();
    refused(&bench, &[nested], "400 directories deep");
    let name = format!("{}x", "d/".repeat(401));
    refused(&bench, &[Tar::new().pax(&[("path", &name)]).file("cut", b"").finished()], "400 directories deep");
}

#[test]
fn names_that_no_file_system_takes_are_the_layers_fault() {
    let long = "n".repeat(256);
    let bench = Bench::new();
    for (layer, complaint) in [
        (Tar::new().pax(&[("path", &long)]).file("cut", b""), "a part of more than 255 bytes"),
        (Tar::new().pax(&[("path", &format!("{long}/x"))]).file("cut", b""), "a part of more than 255 bytes"),
        (Tar::new().pax(&[("path", &"x/".repeat(2100))]).file("cut", b""), "longer than 4096 bytes"),
        (Tar::new().pax(&[("path", "a\0b")]).file("cut", b""), "holds a NUL"),
        (Tar::new().pax(&[("linkpath", "a\0b")]).symlink("l", "cut"), "holds a NUL"),
        (Tar::new().symlink("l", ""), "its target is empty"),
        (Tar::new().pax(&[("linkpath", &"x".repeat(4096))]).symlink("l", "cut"), "too long"),
        (Tar::new().file("", b"x"), "in the place of the root"),
        (Tar::new().symlink("./", "../../outside"), "in the place of the root"),
        (Tar::new().file(".", b"x"), "in the place of the root"),
        (Tar::new().file("f", b"").file("f/x", b""), "\"f\", which is no directory"),
        (Tar::new().entry(Block::ustar("f").flag(b'6'), b"").file("f/x", b""), "\"f\", which is no directory"),
        (Tar::new().file("a/.wh.b/c", b""), "below a whiteout"),
        (Tar::new().entry(Block::ustar("v").flag(b'V'), b""), "of the unknown type"),
        (Tar::new().entry(Block::ustar("d").flag(b'3').device(0o10_000, 0), b""), "device number"),
        (Tar::new().pax(&[("SCHILY.xattr.", "x")]).file("f", b""), "no name of an extended attribute"),
    ] {
        refused(&bench, &[layer.finished()], complaint);
    }
    let sparse = Tar::new().entry(Block::gnu("s").flag(b'S'), b"").finished();
    let error = bench.unpack(&[sparse]).unwrap_err();
    assert_eq!(error.class(), barge::error::Class::Unsupported);
    assert_eq!(error.hint().unwrap(), "build the layer again without sparse files");
}

#[test]
fn escape_sequences_in_a_name_do_not_reach_the_terminal() {
    let error = Bench::new().unpack(&[Tar::new().file("../\u{1b}[2J", b"").finished()]).unwrap_err();
    assert!(!told(&error).contains('\u{1b}') && told(&error).contains("\\u{1b}"), "{}", told(&error));
}

#[test]
fn a_tree_that_could_not_be_finished_is_removed_whatever_its_modes() {
    let closed = |name: &str| Block::ustar(name).flag(b'5').mode(0);
    let tar = Tar::new()
        .entry(closed("a"), b"")
        .entry(closed("a/b"), b"")
        .file("a/b/c", b"")
        .symlink("a/b/out", "../../../../outside/directory")
        .entry(Block::ustar("last").flag(b'9'), b"");
    refused(&Bench::new(), &[tar.finished()], "of the unknown type");
}
