//! What layers make of each other.

use super::tar::{Block, Tar};
use super::*;

/// The base of most tests: two directories with files.
fn base() -> Tar {
    Tar::new()
        .directory("a/")
        .file("a/one", b"1")
        .file("a/two", b"2")
        .directory("a/b/")
        .file("a/b/deep", b"3")
        .file("top", b"t")
}

#[test]
fn whiteouts_hide_what_lower_layers_have_and_nothing_else() {
    for (reason, upper, expected) in [
        ("nothing", Tar::new(), &["a", "a/b", "a/b/deep", "a/one", "a/two", "top"][..]),
        ("a file", Tar::new().file("a/.wh.one", b""), &["a", "a/b", "a/b/deep", "a/two", "top"]),
        ("a file at the top", Tar::new().file(".wh.top", b""), &["a", "a/b", "a/b/deep", "a/one", "a/two"]),
        ("a directory", Tar::new().file(".wh.a", b""), &["top"]),
        ("what is not there", Tar::new().file("a/.wh.nothing", b"").file("x/y/.wh.z", b""), {
            &["a", "a/b", "a/b/deep", "a/one", "a/two", "top"]
        }),
        ("a file that comes again after it", Tar::new().file(".wh.top", b"").file("top", b"new"), {
            &["a", "a/b", "a/b/deep", "a/one", "a/two", "top"]
        }),
        ("a file that came again before it", Tar::new().file("top", b"new").file(".wh.top", b""), {
            &["a", "a/b", "a/b/deep", "a/one", "a/two", "top"]
        }),
        ("a directory that came again before it", Tar::new().directory("a/").file("a/new", b"").file(".wh.a", b""), {
            &["a", "a/new", "top"]
        }),
        ("as a hard link, as AUFS made them", Tar::new().hard_link(".wh.top", ".wh..wh.aufs"), {
            &["a", "a/b", "a/b/deep", "a/one", "a/two"]
        }),
        ("opaque, before", Tar::new().directory("a/").file("a/.wh..wh..opq", b"").file("a/new", b""), {
            &["a", "a/new", "top"]
        }),
        ("opaque, after", Tar::new().directory("a/").file("a/new", b"").file("a/.wh..wh..opq", b""), {
            &["a", "a/new", "top"]
        }),
        ("opaque, after what only implies a directory", Tar::new().file("a/b/new", b"").file("a/.wh..wh..opq", b""), {
            &["a", "a/b", "a/b/new", "top"]
        }),
        ("opaque, after a file that stood there", Tar::new().file("a/one", b"new").file("a/.wh..wh..opq", b""), {
            &["a", "a/one", "top"]
        }),
        ("opaque, of what is not there", Tar::new().file("x/.wh..wh..opq", b""), {
            &["a", "a/b", "a/b/deep", "a/one", "a/two", "top"]
        }),
        ("opaque, of the root", Tar::new().file("new", b"").file(".wh..wh..opq", b""), &["new"]),
        (
            "AUFS' own files",
            Tar::new().directory(".wh..wh.plnk/").file(".wh..wh.plnk/1.2", b"x").file(".wh..wh.aufs", b""),
            { &["a", "a/b", "a/b/deep", "a/one", "a/two", "top"] },
        ),
    ] {
        let tree = Bench::new().tree(&[base().finished(), upper.finished()]);
        assert_eq!(names(&tree), expected, "{reason}");
        if reason.contains("again") && reason.contains("file") {
            assert_eq!(tree["top"], "file 644 new", "{reason}");
        }
    }
}

#[test]
fn a_whiteout_ends_with_its_layer() {
    let hide = Tar::new().file(".wh.top", b"").finished();
    let again = Tar::new().file("top", b"again").finished();
    let tree = Bench::new().tree(&[base().finished(), hide.clone(), again, Tar::new().finished()]);
    assert_eq!(tree["top"], "file 644 again");
    let tree = Bench::new().tree(&[base().finished(), Tar::new().file("top", b"2").finished(), hide]);
    assert!(!tree.contains_key("top"), "made by a lower layer, whatever its own");
}

#[test]
fn an_entry_takes_the_place_of_what_stands_there() {
    let file = |name: &str| Tar::new().file(name, b"new");
    for (reason, lower, upper, expected) in [
        ("a file of a file", base(), file("top"), ("top", "file 644 new")),
        ("a file of a directory", base(), file("a"), ("a", "file 644 new")),
        ("a directory of a file", base(), Tar::new().directory("top/"), ("top", "directory 644 0")),
        ("a link of a directory", base(), Tar::new().symlink("a", "top"), ("a", "link top")),
        ("a file of a link", Tar::new().symlink("l", "/outside"), file("l"), ("l", "file 644 new")),
        (
            "a directory of a link to one",
            base().symlink("l", "a"),
            Tar::new().directory("l/"),
            ("l", "directory 644 0"),
        ),
        ("a FIFO of a file", base(), Tar::new().entry(Block::ustar("top").flag(b'6'), b""), ("top", "fifo 644")),
        ("the later one of two", base(), file("top").file("top", b"later"), ("top", "file 644 later")),
        ("a file of a directory in one layer", Tar::new(), base().file("a", b"later"), ("a", "file 644 later")),
        (
            "a directory's entry of itself",
            base(),
            Tar::new().entry(Block::ustar("a").flag(b'5').mode(0o700).mtime(9), b""),
            { ("a", "directory 700 9") },
        ),
    ] {
        let tree = Bench::new().tree(&[lower.finished(), upper.finished()]);
        assert_eq!(tree.get(expected.0).map(String::as_str), Some(expected.1), "{reason}");
        assert_eq!(
            tree.contains_key("a/one"),
            reason.contains("directory's") || tree.get("a").is_some_and(|a| a.starts_with("dir")),
            "{reason}"
        );
    }
}

#[test]
fn hard_links_share_a_file_across_layers() {
    let bench = Bench::new();
    let lower = Tar::new().file("a", b"content").symlink("l", "nowhere").file("gone", b"");
    let upper = Tar::new()
        .hard_link("d/b", "a")
        .hard_link("/c", "./a")
        .hard_link("m", "l")
        .hard_link("a", "a")
        .hard_link("c", "d/b")
        .hard_link("gone", "a");
    bench.unpack(&[lower.finished(), upper.finished()]).unwrap();
    let inode = |name: &str| fs::symlink_metadata(bench.root().join(name)).unwrap().ino();
    for name in ["d/b", "c", "gone"] {
        assert_eq!(inode(name), inode("a"), "{name}");
        assert_eq!(fs::read(bench.root().join(name)).unwrap(), b"content");
    }
    assert_eq!(fs::read_link(bench.root().join("m")).unwrap(), Path::new("nowhere"));
    assert_eq!(inode("m"), inode("l"));
}

#[test]
fn links_on_the_way_lead_where_they_would_in_the_image() {
    let lower = Tar::new()
        .directory("usr/bin/")
        .file("usr/bin/old", b"")
        .file("usr/bin/gone", b"")
        .directory("usr/lib/")
        .symlink("bin", "usr/bin")
        .symlink("lib", "/usr/lib")
        .symlink("up", "../../../usr")
        .symlink("chain", "up/../bin")
        .symlink("data", "/srv/./data/");
    let upper = Tar::new()
        .file("bin/new", b"n")
        .file("bin/old", b"replaced")
        .file("bin/.wh.gone", b"")
        .file("lib/x", b"x")
        .file("up/y", b"y")
        .file("chain/z", b"z")
        .file("data/d", b"d")
        .hard_link("bin/hard", "lib/x");
    let bench = Bench::new();
    let tree = bench.tree(&[lower.finished(), upper.finished()]);
    for (name, shown) in [
        ("usr/bin/new", "file 644 n"),
        ("usr/bin/old", "file 644 replaced"),
        ("usr/lib/x", "file 644 x"),
        ("usr/y", "file 644 y"),
        ("usr/bin/z", "file 644 z"),
        ("usr/bin/hard", "file 644 x"),
        ("srv/data/d", "file 644 d"),
        ("bin", "link usr/bin"),
        ("lib", "link /usr/lib"),
        ("data", "link /srv/./data/"),
    ] {
        assert_eq!(tree.get(name).map(String::as_str), Some(shown), "{name}");
    }
    assert!(!tree.contains_key("usr/bin/gone"));
    assert_eq!(fs::metadata(bench.root().join("usr/lib/x")).unwrap().nlink(), 2);
}

#[test]
fn a_way_that_changes_within_a_layer_is_gone_anew() {
    let link = |target: &str| Tar::new().symlink("way", target);
    let tar = Tar::new().directory("one/").directory("two/");
    let tree = Bench::new().tree(&[
        tar.finished(),
        link("one")
            .file("way/a", b"")
            .symlink("way", "two")
            .file("way/b", b"")
            .directory("way/")
            .file("way/c", b"")
            .finished(),
    ]);
    assert_eq!(names(&tree), ["one", "one/a", "two", "two/b", "way", "way/c"]);
    // a link to where it stands itself, replaced by a name that leads through it
    let tree = Bench::new().tree(&[Tar::new().symlink("x", ".").directory("x/x/").file("x/z", b"").finished()]);
    assert_eq!(names(&tree), ["x", "x/z"]);
}

#[test]
fn directories_keep_their_times_whatever_happens_in_them() {
    let dated = |name: &str, mode: u32, time: u64| Block::ustar(name).flag(b'5').mode(mode).mtime(time);
    let lower = Tar::new()
        .entry(dated("./", 0o750, 10), b"")
        .entry(dated("a", 0o755, 20), b"")
        .file("a/one", b"")
        .entry(dated("a/b", 0o1777, 30), b"")
        .file("a/b/two", b"")
        .file("late/x", b"")
        .entry(dated("late", 0o755, 40), b"")
        .file("late/y", b"")
        .file("implied/z", b"");
    let upper = Tar::new()
        .file("a/new", b"")
        .symlink("a/way", "b")
        .file("a/way", b"")
        .directory("a/way/")
        .hard_link("a/way", "a/one")
        .file("a/b/.wh.two", b"")
        .file("a/implied/z", b"")
        .directory("late/sub/")
        .symlink("alias", "a")
        .file("alias/more", b"")
        .file("implied/.wh.z", b"");
    let bench = Bench::new();
    let tree = bench.tree(&[lower.finished(), upper.finished()]);
    for (name, shown) in [
        ("a", "directory 755 20"),
        ("a/b", "directory 1777 30"),
        ("late", "directory 755 40"),
        ("implied", "directory 755 0"),
        ("a/implied", "directory 755 0"),
    ] {
        assert_eq!(tree[name], shown, "{name}");
    }
    assert!(tree.contains_key("a/more"));
    let root = fs::metadata(bench.root()).unwrap();
    assert_eq!((root.mode() & 0o7777, root.mtime()), (0o750, 10));
}

#[test]
fn a_directory_that_its_owner_may_not_enter_still_takes_its_children() {
    let closed = |name: &str, mode: u32| Block::ustar(name).flag(b'5').mode(mode).mtime(5);
    let lower = Tar::new()
        .entry(closed("r", 0o555), b"")
        .file("r/in", b"1")
        .entry(closed("none", 0o000), b"")
        .entry(closed("none/below", 0o000), b"")
        .file("none/below/in", b"2")
        .entry(closed("opened", 0o000), b"")
        .entry(closed("removed", 0o000), b"");
    let upper = Tar::new()
        .file("r/more", b"3")
        .entry(closed("opened", 0o755), b"")
        .file(".wh.removed", b"")
        .file("none/below/.wh.in", b"");
    let bench = Bench::new();
    bench.unpack(&[lower.finished(), upper.finished()]).unwrap();
    let mode = |name: &str| fs::symlink_metadata(bench.root().join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("r"), mode("none"), mode("opened")), (0o555, 0, 0o755));
    assert_eq!(fs::metadata(bench.root().join("r")).unwrap().mtime(), 5);
    assert_eq!(fs::read(bench.root().join("r/more")).unwrap(), b"3");
    fs::set_permissions(bench.root().join("none"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(mode("none/below"), 0);
    fs::set_permissions(bench.root().join("none/below"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(fs::read_dir(bench.root().join("none/below")).unwrap().count(), 0);
    assert!(!bench.root().join("removed").exists());
}

#[test]
fn odd_names_are_names() {
    let long = "n".repeat(255);
    let deep = format!("{}x", "d/".repeat(300));
    let tar = Tar::new()
        .entry(Block::raw(b"latin\xe9"), b"")
        .entry(Block::ustar("new\nline \u{1b}[2J"), b"")
        .file("/absolute", b"")
        .file("..x", b"")
        .file("back\\slash", b"")
        .pax(&[("path", &long)])
        .file("cut", b"")
        .pax(&[("path", &deep)])
        .file("cut", b"");
    let tree = Bench::new().tree(&[tar.finished()]);
    for name in ["latin\\xe9", "new\\nline \\x1b[2J", "absolute", "..x", "back\\\\slash", &long, &deep] {
        assert!(tree.contains_key(name), "{name}: {:?}", names(&tree));
    }
}

#[test]
fn every_packing_unpacks() {
    let layer = base().finished();
    let (one, two) = layer.split_at(700);
    let frame = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let plain = Bench::new().tree(std::slice::from_ref(&layer));
    for (packing, packed) in [
        ("gzip", gzip(&layer)),
        ("gzip members", [gzip(one), gzip(two)].concat()),
        ("zstd", frame(&layer)),
        ("zstd frames", [frame(one), frame(two)].concat()),
    ] {
        let bench = Bench::new();
        let source = image_with(&[packed], &[Digest::of(&layer)]);
        bench.unpack_from(&source, &options(), &Cancel::default()).unwrap();
        assert_eq!(listing(&bench.root()), plain, "{packing}");
    }
}

#[test]
fn a_tar_may_end_in_any_way_that_readers_forgive() {
    for tar in [
        base().unfinished(),
        base().finished(),
        base().bytes(&[0; 10240]).unfinished(),
        base().bytes(&[0; 512]).unfinished(),
    ] {
        assert_eq!(Bench::new().tree(&[tar]).len(), 6);
    }
    // what stands behind the end is part of the layer's digest, and of no file
    let behind = base().bytes(&[0; 1024]).file("behind", b"x").finished();
    assert_eq!(Bench::new().tree(&[behind]).len(), 6);
}

#[test]
fn an_empty_directory_is_taken_and_anything_else_left_alone() {
    let bench = Bench::new();
    fs::create_dir(bench.root()).unwrap();
    fs::set_permissions(bench.root(), fs::Permissions::from_mode(0o700)).unwrap();
    bench.unpack(&[base().finished()]).unwrap();
    assert_eq!(listing(&bench.root()).len(), 6);
    assert_eq!(fs::metadata(bench.root()).unwrap().mode() & 0o777, 0o755, "as the image has it");

    let source = image(&[base().finished()]);
    let chosen = choose_image(&source, None, &PlatformFilter::All).unwrap();
    let to = |path: &Path| unpack(&source, &chosen, path, &options(), &Cancel::default(), &Deaf);
    let error = to(&bench.root()).unwrap_err();
    assert!(told(&error).ends_with("it is not empty"), "{}", told(&error));
    assert_eq!(error.class(), barge::error::Class::Machine);
    assert_eq!(error.hint().unwrap(), "give a directory that is not there yet, or is empty");
    for (path, complaint) in
        [("top", "not a directory"), ("dangling", "a link to nothing"), ("absent/x", "No such file")]
    {
        let _ = std::os::unix::fs::symlink("nothing", bench.root().join("dangling"));
        let error = to(&bench.root().join(path)).unwrap_err();
        assert!(told(&error).contains(complaint), "{path}: {}", told(&error));
    }
    assert!(to(Path::new("/")).is_err());
    // a link to an empty directory is the user's own
    let real = bench.temp.path().join("real");
    fs::create_dir(&real).unwrap();
    let link = bench.temp.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    assert_eq!(to(&link).unwrap().path, fs::canonicalize(&real).unwrap());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(listing(&real).len(), 6);
}
