//! One file of an image: the same that unpacking all of it gives.

use barge::ops::unpack::{Taken, take_file};

use super::command::{barge, text};
use super::tar::{Block, Tar};
use super::*;

/// Takes a file, with the directory that it is kept in meanwhile.
fn take(source: &Memory, path: &str) -> Result<(Taken, tempfile::TempDir), Error> {
    let image = choose_image(source, None, &PlatformFilter::All)?;
    let directory = tempfile::tempdir().unwrap();
    let taken = take_file(source, &image, path, directory.path(), &options(), &Cancel::default(), &Deaf);
    let left = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, usize::from(taken.is_ok()), "a failure leaves nothing");
    Ok((taken?, directory))
}

fn content(source: &Memory, path: &str) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let (taken, _directory) = take(source, path).map_err(|error| told(&error))?;
    taken.copy_to(&mut content).unwrap();
    Ok(content)
}

/// Layers with everything that decides where a path leads.
fn layers() -> Vec<Vec<u8>> {
    let lower = Tar::new()
        .directory("usr/bin/")
        .file("usr/bin/tool", b"old tool")
        .file("usr/bin/gone", b"gone")
        .symlink("bin", "usr/bin")
        .symlink("lib", "/usr/lib")
        .file("etc/a", b"a")
        .file("etc/b", b"b")
        .hard_link("etc/hard", "etc/a")
        .symlink("etc/abs", "/etc/../etc/b")
        .symlink("etc/up", "../../../usr/bin/tool")
        .symlink("etc/circle", "circle")
        .symlink("etc/dangling", "nothing")
        .file("opaque/lower", b"l")
        .file("opaque/deep/lower", b"l")
        .file("replaced/by-link", b"1")
        .file("twice", b"first")
        .file("twice", b"second")
        .entry(Block::ustar("fifo").flag(b'6'), b"");
    let middle = Tar::new()
        .file("bin/tool", b"new tool")
        .file("bin/.wh.gone", b"")
        .file("lib/x", b"x")
        .file("etc/a", b"another a")
        .file("opaque/deep/upper", b"u")
        .file("opaque/.wh..wh..opq", b"")
        .symlink("replaced", "etc");
    let upper = Tar::new().file("replaced/late", b"late").file(".wh.nothing", b"").file("lib/sub/y", b"y");
    vec![lower.finished(), middle.finished(), upper.finished()]
}

#[test]
fn every_file_is_the_one_that_unpacking_gives() {
    let bench = Bench::new();
    let tree = bench.tree(&layers());
    let source = image(&layers());
    let mut files = 0;
    for name in names(&tree) {
        let path = bench.root().join(name);
        if fs::symlink_metadata(&path).unwrap().is_file() {
            assert_eq!(content(&source, name).as_ref(), Ok(&fs::read(&path).unwrap()), "{name}");
            files += 1;
        }
    }
    assert_eq!(files, 9);
    for (path, expected) in [
        ("/bin/tool", "new tool"),
        ("./lib//x", "x"),
        ("etc/hard", "a"),
        ("etc/abs", "b"),
        ("etc/up", "new tool"),
        ("etc/late", "late"),
        ("replaced/abs", "b"),
        ("twice", "second"),
    ] {
        assert_eq!(content(&source, path).unwrap(), expected.as_bytes(), "{path}");
    }
}

#[test]
fn what_is_no_file_is_not_taken() {
    let source = image(&layers());
    for (path, complaint) in [
        ("usr/bin/gone", "no layer has it, or an upper one hides it"),
        ("bin/gone", "no layer has it"),
        ("opaque/lower", "no layer has it"),
        ("opaque/deep/lower", "no layer has it"),
        ("replaced/by-link", "no layer has it"),
        ("etc/circle", "no layer has it"),
        ("etc/dangling", "no layer has it"),
        ("etc/a/below", "no layer has it"),
        ("etc", "it is a directory"),
        ("bin", "it is a directory"),
        ("/", "it is a directory"),
        ("fifo", "it is a FIFO"),
    ] {
        let error = take(&source, path).unwrap_err();
        assert!(told(&error).contains(complaint), "{path}: {}", told(&error));
        assert_eq!(error.class(), barge::error::Class::Absent, "{path}");
    }
    assert_eq!(take(&source, "../etc/a").unwrap_err().class(), barge::error::Class::Usage);
}

#[test]
fn nothing_is_handed_out_before_all_of_it_is_right() {
    let layer = Tar::new().file("a", &[7; 100_000]).finished();
    let wrong = image_with(std::slice::from_ref(&layer), &[Digest::of(b"other")]);
    assert!(told(&take(&wrong, "a").unwrap_err()).contains("expected the diff_id"));
    let evil = image(&[layer, Tar::new().hard_link("h", "../../a").finished()]);
    assert!(told(&take(&evil, "a").unwrap_err()).contains("climbs"));
    let sized = Options { size: 1000, ..options() };
    let source = image(&layers());
    let chosen = choose_image(&source, None, &PlatformFilter::All).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let error = take_file(&source, &chosen, "etc/a", directory.path(), &sized, &Cancel::default(), &Deaf).unwrap_err();
    assert!(told(&error).contains("it may be a bomb"));
}

#[test]
fn the_command_saves_a_file_or_writes_it_out() {
    let bench = Bench::new();
    let place = bench.temp.path().join("layout");
    layout(&place, &[Tar::new().entry(Block::ustar("su").mode(0o4750).mtime(77).size(3), b"abc").finished()]);
    let (place, out) = (place.to_str().unwrap(), bench.root().to_str().unwrap().to_owned());
    let done = barge(&["unpack", place, &out, "--file", "/su"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stdout).starts_with("sha256:"));
    let metadata = fs::metadata(bench.root()).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.mtime(), metadata.len()), (0o750, 77, 3), "without setuid");
    let again = barge(&["unpack", place, &out, "--file", "/su"]);
    assert_eq!(again.status.code(), Some(10));
    assert!(text(&again.stderr).contains("it is there already") && text(&again.stderr).contains("a name that is free"));
    let done = barge(&["unpack", place, "-", "--file", "su"]);
    assert_eq!((done.stdout.as_slice(), done.status.code()), (&b"abc"[..], Some(0)));
    assert_eq!(barge(&["unpack", place, "-", "--file", "su", "--json"]).status.code(), Some(2));
    assert_eq!(barge(&["unpack", place, "-", "--file", "nothing"]).status.code(), Some(3));
    assert_eq!(fs::read_dir(bench.temp.path().join("work")).unwrap().count(), 1);
}
