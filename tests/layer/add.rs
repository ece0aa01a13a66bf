//! What is added where, and what is refused.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use barge::blob::Cancel;
use barge::layer::{AddOptions, ChangedOwners, Choice, Context, Modes, Owner, Source, Standing, Tree};
use barge::media::Compression;
use barge::store::StoreError;
use proptest::prelude::*;

use super::tar::Tar;
use super::{at, fact, has_user_xattrs, names, path, refused, skip, tar_of, tree_of, unwritten, xattr};

/// A directory to work in, and a context in it.
pub(crate) fn context() -> (tempfile::TempDir, PathBuf, Context) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("context");
    fs::create_dir(&root).unwrap();
    let context = Context::open(&root).unwrap();
    (temp, root, context)
}

#[test]
fn a_directory_goes_below_its_destination_and_a_file_becomes_it() {
    let (_temp, root, context) = context();
    fs::create_dir_all(root.join("app/lib")).unwrap();
    fs::write(root.join("app/lib/a"), "a").unwrap();
    fs::write(root.join("one"), "one").unwrap();
    let mut tree = Tree::new();
    tree.add(&at("/opt/app/"), &Source::Path(&context, Path::new("app"))).unwrap();
    tree.add(&at("etc/one.conf"), &Source::Path(&context, Path::new("./one"))).unwrap();
    tree.add(&at("etc/heredoc"), &Source::Bytes(b"text\n")).unwrap();
    tree.add_directory(&at("/srv/dir")).unwrap();
    let tar = tar_of(&tree);
    let expected = [
        "etc/",
        "etc/heredoc",
        "etc/one.conf",
        "opt/",
        "opt/app/",
        "opt/app/lib/",
        "opt/app/lib/a",
        "srv/",
        "srv/dir/",
    ];
    assert_eq!(names(&tar), expected);
    assert_eq!(fact(&tar, "opt/"), "5 755 0:0 0 0 ", "what is made on the way");
    assert_eq!(fact(&tar, "etc/heredoc"), "0 644 0:0 0 5 ");
    assert_eq!(tree.size(), 9);
    for source in [Source::Bytes(b"x"), Source::Path(&context, Path::new("one"))] {
        assert!(refused(tree.add(&at("/"), &source)).contains("root of a layer"));
    }
}

#[test]
fn owners_modes_and_times_are_as_the_options_say() {
    let (_temp, root, context) = context();
    fs::write(root.join("file"), "").unwrap();
    fs::write(root.join("tool"), "").unwrap();
    symlink("file", root.join("link")).unwrap();
    fs::set_permissions(root.join("file"), fs::Permissions::from_mode(0o660)).unwrap();
    fs::set_permissions(root.join("tool"), fs::Permissions::from_mode(0o6700)).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(500, 999_999_999);
    fs::File::open(root.join("tool")).unwrap().set_modified(old).unwrap();
    let own = fs::metadata(root.join("file")).unwrap();
    let keep = format!("{}:{}", own.uid(), own.gid());
    let facts = |options: AddOptions<'_>| {
        let mut tree = Tree::new();
        tree.add(&options, &path(&context)).unwrap();
        let tar = tar_of(&tree);
        ["d/", "d/file", "d/tool", "d/link"]
            .map(|name| fact(&tar, name).split(' ').take(4).collect::<Vec<_>>().join(" "))
    };
    let epoch = Some(1000);
    let [directory, file, tool, link] = facts(AddOptions { epoch, ..at("d") });
    assert_eq!((&*file, &*tool, &*link), ("0 660 0:0 1000", "0 6700 0:0 500", "2 777 0:0 1000"));
    assert!(directory.starts_with("5 ") && directory.ends_with("0:0 1000"), "{directory}");
    let owner = Owner::Is { uid: 7, gid: 3_000_000_000 };
    assert_eq!(facts(AddOptions { epoch, owner, ..at("d") })[1], "0 660 7:0 1000", "the group is in the PAX header");
    let [_, file, ..] = facts(AddOptions { epoch, owner: Owner::Keep, ..at("d") });
    assert_eq!(file, format!("0 660 {keep} 1000"));
    let modes =
        |modes| facts(AddOptions { epoch, modes, ..at("d") }).map(|fact| fact.split(' ').nth(1).unwrap().to_owned());
    assert_eq!(modes(Modes::Plain), ["755", "644", "755", "777"]);
    assert_eq!(modes(Modes::Are(0o4711)), ["4711", "4711", "4711", "777"]);
    let [_, file, tool, _] = facts(at("d"));
    assert_eq!(file, format!("0 660 0:0 {}", own.mtime()), "without an epoch times are as they are");
    assert_eq!(tool, "0 6700 0:0 500", "whole seconds, rounded down");
}

#[test]
fn owners_that_are_lost_are_noted() {
    let (_temp, root, context) = context();
    fs::create_dir(root.join("d")).unwrap();
    fs::write(root.join("d/tool"), "").unwrap();
    fs::write(root.join("d/file"), "").unwrap();
    let own = fs::metadata(root.join("d/file")).unwrap();
    let own = Owner::Is { uid: own.uid(), gid: own.gid() };
    let other = Owner::Is { uid: 3_000_000, gid: 7 };
    let noted = |owner, modes| {
        let mut tree = Tree::new();
        tree.add(&AddOptions { owner, modes, ..at("/") }, &path(&context)).unwrap();
        tree.changed_owners().cloned()
    };
    assert_eq!(noted(other, Modes::Keep), None, "all of them had one owner");
    fs::set_permissions(root.join("d/tool"), fs::Permissions::from_mode(0o4755)).unwrap();
    let lost = ChangedOwners { several: false, set_id: Some(PathBuf::from("d/tool")) };
    assert_eq!(noted(other, Modes::Keep), Some(lost));
    for (owner, modes) in [(own, Modes::Keep), (Owner::Keep, Modes::Keep), (other, Modes::Plain)] {
        assert_eq!(noted(owner, modes), None, "{owner:?} {modes:?}");
    }
    if !rustix::process::geteuid().is_root() {
        return skip("files of several owners: not root");
    }
    chown(root.join("d/file"), Some(33), Some(34)).unwrap();
    assert!(noted(other, Modes::Plain).unwrap().several);
    assert_eq!(noted(Owner::Keep, Modes::Plain), None);
}

#[test]
fn later_adds_replace_earlier_ones() {
    let (_temp, root, context) = context();
    for file in ["one/a/x", "one/a/y", "one/a-b", "two/a/x", "three/a"] {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), file).unwrap();
    }
    fs::set_permissions(root.join("two"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(root.join("one"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(root.join("two/a"), fs::Permissions::from_mode(0o711)).unwrap();
    let mut tree = Tree::new();
    let add = |tree: &mut Tree, from| tree.add(&at("d"), &Source::Path(&context, Path::new(from))).unwrap();
    add(&mut tree, "one");
    add(&mut tree, "two");
    let tar = tar_of(&tree);
    assert_eq!(names(&tar), ["d/", "d/a/", "d/a-b", "d/a/x", "d/a/y"], "directories are merged");
    assert!(String::from_utf8_lossy(&tar).contains("two/a/x") && !String::from_utf8_lossy(&tar).contains("one/a/x"));
    assert!(fact(&tar, "d/").starts_with("5 750 "), "the destination stays as it was");
    assert!(fact(&tar, "d/a/").starts_with("5 711 "), "what is below takes over");
    add(&mut tree, "three");
    assert_eq!(names(&tar_of(&tree)), ["d/", "d/a", "d/a-b"], "a file replaces a directory and all in it");
    add(&mut tree, "one");
    assert_eq!(names(&tar_of(&tree)), ["d/", "d/a/", "d/a-b", "d/a/x", "d/a/y"], "and the other way round");
}

#[test]
fn links_in_the_destination_stay_inside() {
    let mut tree = Tree::new();
    let (_temp, root, context) = context();
    fs::create_dir_all(root.join("links")).unwrap();
    for (link, target) in
        [("in", "real/dir"), ("abs", "/real"), ("up", "../../../../real"), ("loop", "loop"), ("late", "nowhere")]
    {
        symlink(target, root.join("links").join(link)).unwrap();
    }
    tree.add_directory(&at("real/dir")).unwrap();
    tree.add(&at("/"), &Source::Path(&context, Path::new("links"))).unwrap();
    for (to, expected) in [
        ("in/a", "real/dir/a"),
        ("abs/dir/b", "real/dir/b"),
        ("up/c", "real/c"),
        ("abs/../abs2/d", ""),
        ("late/e", "nowhere/e"),
        ("in", "in"),
    ] {
        let result = tree.add(&at(to), &Source::Bytes(b"x"));
        if expected.is_empty() {
            assert!(refused(result).contains("climbs"));
            continue;
        }
        result.unwrap();
        assert!(tree.paths().any(|path| path == Path::new(expected)), "{to}");
    }
    assert!(fact(&tar_of(&tree), "in").starts_with("0 "), "a file replaces a link at the very end");
    assert!(refused(tree.add(&at("loop/x"), &Source::Bytes(b"x"))).contains("too many symbolic links"));
    tree.add(&at("real/file"), &Source::Bytes(b"x")).unwrap();
    assert!(refused(tree.add(&at("real/file/x"), &Source::Bytes(b"x"))).contains("no directory"));
    // a directory follows the link at the end, and never takes the place of one
    fs::create_dir_all(root.join("more/abs")).unwrap();
    tree.add(&at("abs"), &Source::Path(&context, Path::new("more"))).unwrap();
    assert!(tree.paths().any(|path| path == Path::new("real/abs")));
    let error = refused(tree.add(&at("/"), &Source::Path(&context, Path::new("more"))));
    assert!(error.contains("context/more/abs: it is a directory, and \"abs\" is a symbolic link"), "{error}");
}

#[test]
fn what_lower_layers_hold_is_neither_made_again_nor_run_over() {
    let below = |path: &Path| match path.to_str().unwrap() {
        "usr" | "usr/bin" | "tmp" => Some(Standing::Directory),
        "bin" => Some(Standing::Symlink(b"usr/bin".to_vec())),
        "etc" => Some(Standing::Other),
        _ => None,
    };
    let options = |to| AddOptions { below: &below, ..at(to) };
    let mut tree = Tree::new();
    tree.add(&options("/bin/tool"), &Source::Bytes(b"x")).unwrap();
    tree.add(&options("/tmp/new/file"), &Source::Bytes(b"x")).unwrap();
    assert_eq!(names(&tar_of(&tree)), ["tmp/new/", "tmp/new/file", "usr/bin/tool"]);
    assert!(refused(tree.add(&options("/etc/x"), &Source::Bytes(b"x"))).contains("no directory"));
}

#[test]
fn only_what_is_chosen_is_taken() {
    let (_temp, root, context) = context();
    for file in ["keep/a", "keep/secret", "some/deep/wanted", "some/other", "none/x", ".wh.odd"] {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), "").unwrap();
    }
    fs::create_dir_all(root.join("some/hollow")).unwrap();
    fs::create_dir_all(root.join("some/deep/empty")).unwrap();
    let asked = RefCell::new(Vec::new());
    let choose = |path: &Path, is_directory: bool| {
        asked.borrow_mut().push(path.to_str().unwrap().to_owned());
        match path.to_str().unwrap() {
            "none" | "keep/secret" | "some/other" | ".wh.odd" => Choice::Leave,
            path if path.starts_with("some") && is_directory => Choice::Below,
            _ => Choice::Take,
        }
    };
    let mut tree = Tree::new();
    tree.add(&AddOptions { choose: &choose, ..at("/to") }, &path(&context)).unwrap();
    let expected = ["to/", "to/keep/", "to/keep/a", "to/some/", "to/some/deep/", "to/some/deep/wanted"];
    assert_eq!(names(&tar_of(&tree)), expected);
    assert!(!asked.borrow().contains(&"none/x".to_owned()), "nothing below what is left out is looked at");
}

#[test]
fn hard_links_hold_on_to_what_is_left() {
    let (_temp, root, context) = context();
    fs::write(root.join("b"), "shared content").unwrap();
    for name in ["a", "c"] {
        fs::hard_link(root.join("b"), root.join(name)).unwrap();
    }
    let mut tree = tree_of(&root);
    assert_eq!(
        ["a", "b", "c"].map(|name| fact(&tar_of(&tree), name).rsplit(' ').next().unwrap().to_owned()),
        ["", "a", "a"]
    );
    tree.add(&at("a"), &Source::Bytes(b"other")).unwrap();
    let tar = tar_of(&tree);
    assert!(fact(&tar, "b").starts_with("0 ") && fact(&tar, "b").ends_with(" 14 "), "{}", fact(&tar, "b"));
    assert!(fact(&tar, "c").starts_with("1 ") && fact(&tar, "c").ends_with(" 0 b"));
    // another add knows nothing of it
    tree.add(&at("d"), &Source::Path(&context, Path::new("b"))).unwrap();
    assert!(fact(&tar_of(&tree), "d").starts_with("0 "));
}

#[test]
fn what_cannot_be_in_a_layer_is_named() {
    let (_temp, root, context) = context();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let error = refused(Tree::new().add(&at("/"), &path(&context)));
    assert!(error.contains("cannot add") && error.contains("context/socket: it is a socket"), "{error}");
    fs::remove_file(root.join("socket")).unwrap();
    fs::create_dir(root.join("d")).unwrap();
    fs::write(root.join("d/.wh.gone"), "").unwrap();
    let error = refused(Tree::new().add(&at("/"), &path(&context)));
    assert!(error.contains("context/d/.wh.gone: a name that begins with `.wh.`"), "{error}");
    for (to, complaint) in
        [("a/../b", "climbs"), (".wh.x", ".wh."), (&"x".repeat(5000), "expected at most"), (&"d/".repeat(500), "deep")]
    {
        assert!(refused(Tree::new().add(&at(to), &Source::Bytes(b""))).contains(complaint), "{to}");
    }
}

#[test]
fn nothing_outside_a_context_is_reached() {
    let (temp, root, context) = context();
    fs::write(temp.path().join("secret"), "secret").unwrap();
    symlink("../secret", root.join("out")).unwrap();
    symlink(temp.path().join("secret"), root.join("absolute")).unwrap();
    fs::create_dir(root.join("d")).unwrap();
    fs::write(root.join("d/file"), "inside").unwrap();
    symlink("/d/file", root.join("in")).unwrap();
    for name in ["out", "absolute", "../secret", "nothing"] {
        let mut tree = Tree::new();
        let result = tree.add(&at("x"), &Source::Path(&context, Path::new(name)));
        assert!(result.is_err(), "{name} was added");
    }
    let mut tree = Tree::new();
    tree.add(&at("x"), &Source::Path(&context, Path::new("in"))).unwrap();
    assert!(fact(&tar_of(&tree), "x").ends_with(" 6 "), "a link in the path leads where it would in an image");
    // what is swapped for a link between adding and writing is not followed
    let tree = tree_of(&root);
    fs::remove_dir_all(root.join("d")).unwrap();
    symlink("..", root.join("d")).unwrap();
    fs::write(temp.path().join("file"), "secret").unwrap();
    assert!(unwritten(&tree).contains("context/d/file"), "{}", unwritten(&tree));
}

#[test]
fn a_file_that_changes_is_named() {
    let (_temp, root, _) = context();
    let file = root.join("file");
    for (change, complaint) in [
        (Some("shorter"), "it has 7 bytes, expected 12 as before"),
        (Some("longer than before"), "it has 18 bytes, expected 12 as before"),
        (None, "No such file"),
    ] {
        fs::write(&file, "as it was 12").unwrap();
        let tree = tree_of(&root);
        match change {
            Some(content) => fs::write(&file, content).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let error = unwritten(&tree);
        assert!(error.contains("context/file") && error.contains(complaint), "{error}");
    }
    fs::write(&file, "as it was 12").unwrap();
    let tree = tree_of(&root);
    fs::write(root.join("other"), "as it was 12").unwrap();
    fs::rename(root.join("other"), &file).unwrap();
    assert!(unwritten(&tree).contains("another file took its place"));
}

/// A writer that changes a file once so many bytes have passed.
struct Meanwhile<'a>(u64, &'a dyn Fn());

impl std::io::Write for Meanwhile<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0 > 0 {
            self.0 = self.0.saturating_sub(bytes.len() as u64);
            if self.0 == 0 {
                (self.1)();
            }
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_named() {
    let (_temp, root, _) = context();
    let file = root.join("file");
    for (size, complaint) in [(300_000, "it ends after"), (900_000, "it has more than the 700000 bytes")] {
        fs::write(&file, vec![1; 700_000]).unwrap();
        let tree = tree_of(&root);
        let change = || fs::File::options().write(true).open(&file).unwrap().set_len(size).unwrap();
        let error = barge::layer::write(&tree, &mut Meanwhile(200_000, &change)).unwrap_err();
        let barge::layer::LayerError::From(error) = error else { panic!("{error}") };
        let error = super::told(&error);
        assert!(error.contains("context/file") && error.contains(complaint), "{error}");
    }
}

#[test]
fn attributes_of_the_machine_stay_there() {
    let (temp, root, context) = context();
    if !has_user_xattrs(temp.path()) {
        return skip("files here have no user attributes");
    }
    fs::create_dir(root.join("d")).unwrap();
    fs::write(root.join("d/file"), "").unwrap();
    xattr(&root.join("d/file"), "user.note", b"kept\n=\0");
    xattr(&root.join("d"), "user.directory", b"kept");
    let asked_for = ["trusted.ours"];
    if super::is_root() {
        xattr(&root.join("d/file"), "trusted.ours", b"not kept");
    }
    let records = |options| {
        let mut tree = Tree::new();
        tree.add(&options, &path(&context)).unwrap();
        String::from_utf8_lossy(&tar_of(&tree)).into_owned()
    };
    let usual = records(at("/"));
    assert!(usual.contains("SCHILY.xattr.user.note=kept\n=\0\n") && usual.contains("SCHILY.xattr.user.directory=kept"));
    assert!(!usual.contains("trusted"));
    let asked = records(AddOptions { xattrs: &asked_for, ..at("/") });
    assert_eq!(asked.contains("SCHILY.xattr.trusted.ours"), super::is_root());
}

#[test]
fn a_request_to_stop_is_heard() {
    let (_temp, root, context) = context();
    fs::write(root.join("file"), "x").unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    let result = Tree::new().cancelled_by(&cancel).add(&at("/"), &path(&context));
    assert!(matches!(result, Err(StoreError::Cancelled)));
    let tree = tree_of(&root);
    let mut out = Vec::new();
    let mut making = barge::blob::Making::new(barge::content::Kind::Blob, "out", &mut out);
    let result = barge::layer::build(&tree, &super::options(Compression::Gzip, 2), &mut making, &cancel, &|_| ());
    assert!(matches!(result, Err(StoreError::Cancelled)), "{result:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// Whatever is added where, through whatever links: the tar names directories before what is in them, in order, each path
    /// once, never a path that climbs, and never something below what is no directory.
    #[test]
    fn a_layer_is_a_tree(adds in proptest::collection::vec(
        ("[ab./]{1,6}", prop_oneof![Just(None), "[ab./]{1,5}".prop_map(Some)]), 1..12,
    )) {
        let temp = tempfile::tempdir().unwrap();
        let context = Context::open(temp.path()).unwrap();
        let mut tree = Tree::new();
        for (to, link) in &adds {
            let options = at(to);
            let _ = match link {
                None => tree.add(&options, &Source::Bytes(b"x")),
                Some(target) => {
                    let _ = fs::remove_file(temp.path().join("link"));
                    fs::write(temp.path().join("a.tar"), Tar::new().symlink("l", target).directory("m").finished()).unwrap();
                    tree.add(&options, &Source::Tar { context: &context, path: Path::new("a.tar"), spool: temp.path() })
                }
            };
        }
        let tar = tar_of(&tree);
        let mut directories = std::collections::BTreeSet::from([String::new()]);
        let mut last = String::new();
        for name in names(&tar) {
            let plain = name.trim_end_matches('/').to_owned();
            prop_assert!(last < plain, "{last} {plain}");
            let parent = plain.rsplit_once('/').map_or("", |(parent, _)| parent);
            prop_assert!(directories.contains(parent), "{name} lies in no directory");
            prop_assert!(plain.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
            if name.ends_with('/') {
                directories.insert(plain.clone());
            }
            last = plain;
        }
    }
}
