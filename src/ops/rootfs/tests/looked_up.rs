//! Where paths and patterns lead.

use super::*;
use crate::layer::Standing;
use crate::ops::build::origin::Found;

#[test]
fn a_path_leads_where_a_program_in_the_image_would_go() {
    let source = image(&zoo());
    let rootfs = read(&source).unwrap();
    for (path, expected) in [
        ("/etc/a", Some("another a")),
        ("etc/a-again", Some("a")),
        ("zz-a", Some("a")),
        ("etc/link", Some("another a")),
        ("etc/same-link", Some("another a")),
        ("bin/tool", Some("new tool")),
        ("lib/x", Some("x")),
        ("usr/lib/sub/y", Some("y")),
        ("etc/../bin//./tool", Some("new tool")),
        ("../../etc/b", Some("b of the upper layer")),
        ("late-b", Some("b")),
        ("twice", Some("second!")),
        ("replaced/late", Some("late")),
        ("becomes/directory/inside", Some("i")),
        ("becomes/file", Some("f")),
        ("empty", Some("")),
        ("becomes/file/x", None),
        ("bin/gone", None),
        ("opaque/lower", None),
        ("opaque/deep/lower", None),
        ("replaced/by-link", None),
        ("etc/dangling", None),
        ("etc/circle", None),
        ("etc", None),
        ("null", None),
        ("", None),
    ] {
        let content = rootfs.read_file(Path::new(path), 100).unwrap();
        assert_eq!(content.as_deref(), expected.map(str::as_bytes), "{path}");
    }
    let error = rootfs.read_file(Path::new("/bin/tool"), 7).unwrap_err();
    assert_eq!(
        told(&error),
        "cannot read \"/bin/tool\" in layer 2 of linux/amd64, 12.0 KiB: it has 8 B, expected at most 7 B"
    );
    assert!(rootfs.read_file(Path::new("/bin/tool"), 8).unwrap().is_some());
}

#[test]
fn what_stands_is_told_without_following_links() {
    let source = image(&zoo());
    let rootfs = read(&source).unwrap();
    for (path, expected) in [
        ("", Some(Standing::Directory)),
        ("usr/bin", Some(Standing::Directory)),
        ("bin", Some(Standing::Symlink(b"usr/bin".to_vec()))),
        ("bin/tool", None),
        ("usr/bin/tool", Some(Standing::Other)),
        ("fifo", Some(Standing::Other)),
        ("opaque/lower", None),
        ("usr/../usr", None),
    ] {
        assert_eq!(rootfs.standing(Path::new(path)), expected, "{path}");
    }
}

#[test]
fn an_origin_tells_what_it_has() {
    let source = image(&zoo());
    let rootfs = read(&source).unwrap();
    let origin = Picking::new(&rootfs, "base", "/nowhere");
    for (path, expected) in [
        ("/", Some(Found::Directory)),
        ("", Some(Found::Directory)),
        ("bin", Some(Found::Directory)),
        ("bin/tool", Some(Found::File)),
        ("/etc/link", Some(Found::File)),
        ("../etc", Some(Found::Directory)),
        ("null", Some(Found::Other)),
        ("etc/dangling", Some(Found::Other)),
        ("etc/circle", Some(Found::Other)),
        ("etc/circle/x", None),
        ("bin/gone", None),
    ] {
        assert_eq!(origin.look(Path::new(path)).unwrap(), expected, "{path}");
    }
    assert_eq!(origin.describe(), "base");
}

#[test]
fn a_pattern_means_what_it_means_to_docker() {
    let source = image(&zoo());
    let rootfs = read(&source).unwrap();
    let origin = Picking::new(&rootfs, "base", "/nowhere");
    for (pattern, expected) in [
        ("etc/a", &["etc/a"][..]),
        ("/etc//./a/", &["etc/a"]),
        ("etc/dangling", &["etc/dangling"]),
        ("nothing", &[]),
        ("etc/a*", &["etc/a", "etc/a-again"]),
        ("/etc/?", &["etc/a", "etc/b"]),
        ("etc/[^ab]*", &["etc/circle", "etc/dangling", "etc/late", "etc/link", "etc/same-link", "etc/xattrs"]),
        // links on the way to the first wildcard are followed, and the path stays as it was written
        ("bin/*", &["bin/ping", "bin/su", "bin/tool"]),
        ("replaced/l*", &["replaced/late", "replaced/link"]),
        // but none that only a wildcard or what comes after it leads to
        ("*/tool", &[]),
        ("*/*/tool", &["usr/bin/tool"]),
        ("u*/bin/su", &["usr/bin/su"]),
        ("b*", &["becomes", "bin"]),
        ("*/../etc/a", &["etc/a"]),
        ("opaque/*", &["opaque/deep"]),
        ("no-text-*", &["no-text-\\xff\\xfe"]),
        ("no-text-??", &["no-text-\\xff\\xfe"]),
        ("/", &[""]),
        ("et\\c/a", &["etc/a"]),
    ] {
        let found: Vec<String> = origin.matches(pattern).unwrap().iter().map(|path| escaped(path)).collect();
        assert_eq!(found, expected, "{pattern}");
    }
    for (pattern, complaint) in [("nothing/[a", "a [ has no ]"), ("etc\\/a", "a backslash ends it")] {
        let error = origin.matches(pattern).unwrap_err();
        assert!(error.hint().unwrap().contains(complaint), "{pattern}: {}", told(&error));
        assert_eq!(error.class(), crate::error::Class::Usage);
    }
}
