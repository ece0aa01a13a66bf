//! Parts of a file system in a layer.

use std::cell::RefCell;

use super::*;
use crate::layer::{Choice, Context, Modes, Owner, Source as From, Standing, write};

fn at(to: &str) -> AddOptions<'_> {
    AddOptions { owner: Owner::Keep, ..AddOptions::new(Path::new(to)) }
}

fn names(listed: &BTreeMap<String, FileFacts>) -> Vec<&str> {
    listed.keys().map(String::as_str).collect()
}

#[test]
fn a_directory_is_copied_with_all_that_it_is() {
    let source = image(&zoo());
    let all = files(&zoo());
    let got = added(&source, &at("/to"), "/").unwrap();
    let expected: Vec<String> = all.keys().filter(|name| *name != "/").map(|name| format!("/to{name}")).collect();
    assert_eq!(names(&got), ["/to"].iter().copied().chain(expected.iter().map(String::as_str)).collect::<Vec<_>>());
    for (name, facts) in &all {
        let copied = &got[&if name == "/" { "/to".to_owned() } else { format!("/to{name}") }];
        let mode = if facts.kind.starts_with("link") { 0o777 } else { facts.mode };
        let expected = FileFacts { mtime: (facts.mtime.0, 0), mode, ..facts.clone() };
        assert_eq!(copied.unlike(&expected), "", "{name}");
    }
}

#[test]
fn hard_links_stay_within_what_is_copied() {
    let source = image(&zoo());
    let links = |path: &str, to: &str| {
        let mut tree = Tree::new();
        add(&mut tree, &source, &at(to), Path::new(path)).unwrap();
        let mut tar = Vec::new();
        write(&tree, &mut tar).unwrap();
        let mut stream = crate::tar::stream::Stream::new(&tar[..]);
        let mut found = Vec::new();
        while let Some(entry) = stream.next().unwrap() {
            if let crate::tar::entry::EntryKind::HardLink(target) = entry.kind {
                let name = String::from_utf8(entry.name).unwrap();
                found.push((name, String::from_utf8(target.into_vec()).unwrap(), entry.attributes.xattrs.len()));
            }
        }
        found
    };
    let link = |name: &str, target: &str, xattrs| (name.to_owned(), target.to_owned(), xattrs);
    assert_eq!(
        links("/", "/"),
        [link("usr/bin/ping", "ping", 1), link("zz-a", "etc/a-again", 0)],
        "empty files are not one file"
    );
    assert_eq!(links("etc", "/"), [], "the other name lies outside");
    assert_eq!(links("zz-a", "/alone"), []);
}

#[test]
fn one_thing_becomes_what_stands_there() {
    let source = image(&zoo());
    for (path, name, fact) in [
        ("etc/link", "/x/y", "file 0644 0:0 9 bytes"),
        ("/bin/su", "/x/y", "file 4755 3:4 2 bytes"),
        ("null", "/x/y", "device 1:3 0666 0:0"),
        ("disk", "/x/y", "device 8:17 0660 0:6"),
        ("fifo", "/x/y", "FIFO 0600 0:0"),
        ("../../usr/bin/ping", "/x/y", "file 0755 9:9 4 bytes"),
    ] {
        let got = added(&source, &at(name), path).unwrap();
        assert_eq!(names(&got), ["/x", name]);
        assert!(got[name].to_string().starts_with(fact), "{path}: {}", got[name]);
        assert_eq!(got[name].xattrs.len(), usize::from(path.ends_with("ping")));
    }
    for (path, to, complaint) in [
        ("nothing", "/x", "cannot copy \"nothing\" from the stage \"base\": it is not there"),
        ("bin/gone", "/x", "it is not there"),
        ("etc/dangling", "/x", "it is a link to nothing"),
        ("etc/circle", "/x", "it is a link to nothing"),
        ("etc/a", "/", "it is no directory, and the root of a layer is one"),
        ("etc", "/a/.wh.b", "removes a file"),
    ] {
        let error = added(&source, &at(to), path).unwrap_err();
        assert!(error.contains(complaint), "{path}: {error}");
    }
}

#[test]
fn the_options_hold_as_they_do_for_files() {
    let layer = Tar::new()
        .entry(Block::ustar("d/").flag(b'5').mode(0o700).owner(5, 6).mtime(50), b"")
        .entry(Block::ustar("d/su").mode(0o4710).owner(5, 6).mtime(5000).size(1), b"x")
        .entry(Block::ustar("d/link").flag(b'2').link("su").owner(5, 6), b"")
        .pax(&[("SCHILY.xattr.user.x", "1"), ("SCHILY.xattr.security.selinux", "2"), ("SCHILY.xattr.trusted.y", "3")])
        .file("d/x", b"");
    let source = image(&[layer.finished()]);
    let with = |options: &AddOptions<'_>| added(&source, options, "d").unwrap();
    let kept = with(&at("/"));
    assert_eq!(names(&kept), ["/link", "/su", "/x"], "the root itself is no entry");
    assert_eq!((kept["/su"].mode, kept["/su"].owner, kept["/su"].mtime.0), (0o4710, (5, 6), 5000));
    assert_eq!(kept["/x"].xattrs.keys().collect::<Vec<_>>(), [b"user.x"]);
    let others = AddOptions {
        owner: Owner::Is { uid: 1, gid: 2 },
        modes: Modes::Are(0o640),
        epoch: Some(1000),
        xattrs: &["trusted.y"],
        ..at("/to/")
    };
    let got = with(&others);
    assert!(got.iter().filter(|(name, _)| name.starts_with("/to/")).all(|(_, facts)| facts.owner == (1, 2)));
    assert_eq!((got["/to"].mode, got["/to"].owner, got["/to"].mtime.0), (0o640, (1, 2), 50));
    assert_eq!((got["/to/su"].mode, got["/to/su"].mtime.0), (0o640, 1000));
    assert_eq!(got["/to/link"].mode, 0o777);
    assert_eq!(got["/to/x"].xattrs.len(), 2);
    let plain = with(&AddOptions { modes: Modes::Plain, ..at("/to") });
    assert_eq!([plain["/to"].mode, plain["/to/su"].mode, plain["/to/x"].mode], [0o755, 0o755, 0o644]);
}

#[test]
fn what_is_chosen_is_asked_by_its_path_from_the_root() {
    let source = image(&zoo());
    let asked = RefCell::new(Vec::new());
    let choose = |path: &Path, is_directory: bool| {
        asked.borrow_mut().push((escaped(path), is_directory));
        match escaped(path).as_str() {
            "replaced/a" | "replaced/link" => Choice::Take,
            "replaced/xattrs" => Choice::Below,
            _ => Choice::Leave,
        }
    };
    let got = added(&source, &AddOptions { choose: &choose, ..at("/") }, "/etc/../replaced/").unwrap();
    assert_eq!(names(&got), ["/a", "/link"], "nothing was wanted of a directory");
    let asked = asked.into_inner();
    assert!(
        asked.contains(&("replaced/xattrs".to_owned(), true)) && asked.contains(&("replaced/link".to_owned(), false))
    );
    assert!(asked.iter().all(|(path, _)| path.starts_with("replaced/")));

    let below = |path: &Path, is_directory: bool| match (escaped(path).as_str(), is_directory) {
        (path, false) if path.ends_with("/tool") || path.ends_with("inside") => Choice::Take,
        ("etc", true) => Choice::Leave,
        _ => Choice::Below,
    };
    let got = added(&source, &AddOptions { choose: &below, ..at("/") }, "/").unwrap();
    assert_eq!(
        names(&got),
        ["/becomes", "/becomes/directory", "/becomes/directory/inside", "/usr", "/usr/bin", "/usr/bin/tool"]
    );
    assert_eq!(got["/usr"].owner, (1, 2), "it comes as it is");
}

/// The same files, once in a directory and once in an image, into the same layer: whatever stands there.
#[test]
fn a_destination_is_treated_as_for_a_directory() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(temp.path().join("s/d/e")).unwrap();
    std::fs::write(temp.path().join("s/d/e/f"), "f").unwrap();
    std::fs::write(temp.path().join("s/g"), "g").unwrap();
    let context = Context::open(temp.path()).unwrap();
    let layer =
        Tar::new().directory("s/").directory("s/d/").directory("s/d/e/").file("s/d/e/f", b"f").file("s/g", b"g");
    let source = image(&[layer.finished()]);
    let below = |path: &Path| match escaped(path).as_str() {
        "usr" | "usr/lib" => Some(Standing::Directory),
        "lib" => Some(Standing::Symlink(b"usr/lib".to_vec())),
        "up" => Some(Standing::Symlink(b"../../..".to_vec())),
        "circle" => Some(Standing::Symlink(b"circle".to_vec())),
        "dir/d" => Some(Standing::Symlink(b"/usr".to_vec())),
        "file" | "usr/lib/d" => Some(Standing::Other),
        _ => None,
    };
    let mut refused = 0;
    for to in ["/", "a", "a/b/", "lib", "lib/x", "up", "up/x", "circle", "circle/x", "dir", "file", "file/x", "../x"] {
        for path in ["s", "s/d", "s/g", "s/nothing"] {
            let options = AddOptions {
                owner: Owner::Is { uid: 0, gid: 0 },
                modes: Modes::Plain,
                epoch: Some(0),
                below: &below,
                ..AddOptions::new(Path::new(to))
            };
            let tar = |tree: &Tree| {
                let mut tar = Vec::new();
                write(tree, &mut tar).unwrap();
                tar
            };
            let (mut one, mut other) = (Tree::new(), Tree::new());
            let first = one.add(&options, &From::Path(&context, Path::new(path)));
            let second = add(&mut other, &source, &options, Path::new(path));
            match (first, second) {
                (Ok(()), Ok(())) => assert!(tar(&one) == tar(&other), "{path} to {to}"),
                (Err(_), Err(_)) => refused += 1,
                (first, second) => panic!("{path} to {to}: {first:?} {second:?}"),
            }
        }
    }
    assert!((20..40).contains(&refused), "{refused}");
}
