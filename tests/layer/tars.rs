//! Tars that are added are unpacked, and those that are wrong are refused.

use std::fs;
use std::path::Path;

use barge::layer::{AddOptions, Context, Owner, Packed, Source, Tree, sniff};
use barge::media::Compression;
use barge::store::StoreError;

use super::add::context;
use super::tar::{Block, Tar};
use super::{at, fact, names, refused, tar_of};

fn packed(tar: &[u8], compression: Compression) -> Vec<u8> {
    let mut out = Vec::new();
    barge::pack::pack(&super::options(compression, 1), &mut out, |to| to.write_all(tar)).unwrap();
    out
}

fn add_tar(context: &Context, temp: &Path, options: &AddOptions<'_>) -> Result<Tree, StoreError> {
    let mut tree = Tree::new();
    tree.add(options, &Source::Tar { context, path: Path::new("a.tar"), spool: temp })?;
    Ok(tree)
}

#[test]
fn a_tar_is_unpacked_however_it_is_packed() {
    let (temp, root, context) = context();
    let long = format!("{}/{}", "d".repeat(150), "n".repeat(150));
    let tar = Tar::new()
        .directory("./")
        .entry(Block::ustar("z").mode(0o4755).owner(7, 8).mtime(5000).size(3), b"zed")
        .directory("d")
        .hard_link("d/hard", "./z")
        .symlink("link", "d")
        .file("link/through", b"link")
        .pax(&[("path", &long), ("SCHILY.xattr.user.x", "1"), ("SCHILY.xattr.security.selinux", "no")])
        .file("cut", b"long")
        .entry(Block::ustar("null").flag(b'3').device(1, 3).mode(0o666), b"")
        .file("/d/again", b"first")
        .file("d/again", b"second")
        .finished();
    let mut results = Vec::new();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        fs::write(root.join("a.tar"), packed(&tar, compression)).unwrap();
        assert_eq!(sniff(&context, Path::new("a.tar")).unwrap(), Packed::Tar(compression));
        let options = AddOptions { owner: Owner::Keep, epoch: Some(1000), ..at("/to") };
        results.push(tar_of(&add_tar(&context, temp.path(), &options).unwrap()));
    }
    assert!(results[0] == results[1] && results[0] == results[2]);
    let got = &results[0];
    let names = names(got);
    assert_eq!(names[..4], ["to/", "to/d/", "to/d/again", "to/d/hard"]);
    assert_eq!(
        names[4..],
        ["to/d/through", &format!("to/{}/", "d".repeat(150)), &format!("to/{long}"), "to/link", "to/null", "to/z"]
    );
    assert_eq!(fact(got, "to/d/hard"), "0 4755 7:8 1000 3 ", "the first by order has the content");
    assert_eq!(fact(got, "to/z"), "1 4755 7:8 1000 0 to/d/hard");
    assert!(fact(got, "to/d/again").ends_with(" 6 "), "the last of two holds");
    assert!(fact(got, "to/null").starts_with("3 666 "));
    let text = String::from_utf8_lossy(got);
    assert!(text.contains("SCHILY.xattr.user.x=1") && !text.contains("selinux"));
}

#[test]
fn a_tar_that_is_wrong_is_refused() {
    let (temp, root, context) = context();
    let file = || Tar::new().file("first", b"x");
    let gzip = |bytes: &[u8]| packed(bytes, Compression::Gzip);
    let mut wrong_sum = gzip(&file().finished());
    let length = wrong_sum.len();
    wrong_sum[length - 8] ^= 1;
    for (reason, bytes, complaint) in [
        ("climbs", file().file("../x", b"").finished(), "climbs"),
        ("whiteout", file().file("d/.wh.x", b"").finished(), ".wh."),
        ("socket", file().entry(Block::ustar("s").flag(b's'), b"").finished(), "unknown type"),
        ("link to nothing", file().hard_link("l", "nothing").finished(), "no such file comes before it"),
        ("link that climbs", file().hard_link("l", "../first").finished(), "climbs"),
        ("below a file", file().file("first/x", b"").finished(), "no directory"),
        ("sparse", file().entry(Block::gnu("s").flag(b'S'), b"").finished(), "sparse"),
        ("cut", file().file("f", &[1; 3000]).finished()[..2000].to_vec(), "ends within it"),
        ("cut and packed", gzip(&file().file("f", &[1; 3000]).finished()[..2000]), "ends at byte"),
        ("check sum", wrong_sum, "cannot be unpacked"),
        ("cut gzip", gzip(&file().finished())[..40].to_vec(), "cannot be unpacked"),
        ("no tar", vec![b'x'; 2000], "check sum"),
    ] {
        fs::write(root.join("a.tar"), bytes).unwrap();
        let error = refused(add_tar(&context, temp.path(), &at("/")).map(drop));
        assert!(error.contains(complaint) && error.contains("a.tar"), "{reason}: {error}");
    }
    assert!(fs::read_dir(temp.path()).unwrap().count() == 1, "a spool file stayed");
}

#[test]
fn other_files_are_no_tars() {
    let (_temp, root, context) = context();
    for (name, bytes, expected) in [
        ("text", b"hello".to_vec(), Packed::No),
        ("empty", Vec::new(), Packed::No),
        ("zeros", vec![0; 4096], Packed::No),
        ("gzip of text", packed(&[b'x'; 2000], Compression::Gzip), Packed::No),
        ("gzip of nothing", packed(b"", Compression::Gzip), Packed::No),
        ("broken gzip", b"\x1f\x8b\x08garbage".to_vec(), Packed::No),
        ("xz", b"\xfd7zXZ\0rest".to_vec(), Packed::Foreign("xz")),
        ("bzip2", b"BZh9rest".to_vec(), Packed::Foreign("bzip2")),
    ] {
        fs::write(root.join("file"), bytes).unwrap();
        assert_eq!(sniff(&context, Path::new("file")).unwrap(), expected, "{name}");
    }
    assert_eq!(sniff(&context, Path::new("")).unwrap(), Packed::No, "a directory");
}
