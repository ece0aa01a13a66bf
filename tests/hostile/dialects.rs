//! Archives of every dialect of tar: what all readers take alike is taken, what they differ in is refused.

use crate::ordeal::Scope::Open;
use crate::ordeal::{Case, Ordeal, case, refused};
use crate::support::image::{Images, Layer, named};
use crate::support::tar::{Block, Tar, pax_record};

/// An image, and the files of its layout.
pub(super) fn sample() -> (Images, Vec<(String, Vec<u8>)>) {
    let mut images = Images::new();
    let layer = Layer::gzip(&Tar::new().file("etc/hello", b"hello").finished());
    let root = images.image("linux/amd64", &[layer]);
    images.root(named(root, "v1"));
    let mut files = vec![
        ("oci-layout".to_owned(), barge::store::OCI_LAYOUT.to_vec()),
        ("index.json".to_owned(), images.index_json()),
    ];
    files.extend(
        images.blobs.iter().map(|(digest, bytes)| (format!("blobs/{}", digest.replace(':', "/")), bytes.clone())),
    );
    (images, files)
}

/// A whole archive without its end.
pub(super) fn whole() -> Tar {
    sample().1.iter().fold(Tar::new(), |tar, (name, bytes)| tar.file(name, bytes))
}

/// Base-256, as GNU writes what octal digits cannot say.
fn base_256(size: u64) -> [u8; 12] {
    let mut field = [0; 12];
    field[0] = 0x80;
    field[4..].copy_from_slice(&size.to_be_bytes());
    field
}

type Entry = fn(Tar, &str, &[u8]) -> Tar;

#[test]
fn what_all_readers_take_alike_is_taken() {
    let dialects: [(&str, Entry); 18] = [
        ("v7", |tar, name, bytes| tar.entry(Block::v7(name).size(bytes.len() as u64), bytes)),
        ("ustar", |tar, name, bytes| tar.file(name, bytes)),
        ("ustar with a prefix", |tar, name, bytes| match name.rsplit_once('/') {
            Some((prefix, last)) => tar.entry(Block::ustar(last).prefix(prefix).size(bytes.len() as u64), bytes),
            None => tar.file(name, bytes),
        }),
        ("GNU", |tar, name, bytes| tar.entry(Block::gnu(name).size(bytes.len() as u64), bytes)),
        ("GNU, base 256", |tar, name, bytes| {
            tar.entry(Block::gnu(name).size_field(base_256(bytes.len() as u64)), bytes)
        }),
        ("GNU long names", |tar, name, bytes| {
            tar.extension(b'L', format!("{name}\0").as_bytes()).entry(Block::gnu("cut").size(bytes.len() as u64), bytes)
        }),
        ("GNU long names without NUL", |tar, name, bytes| tar.extension(b'L', name.as_bytes()).file("cut", bytes)),
        ("PAX names", |tar, name, bytes| tar.pax(&[("path", name)]).file("cut", bytes)),
        ("PAX names and sizes", |tar, name, bytes| {
            let size = bytes.len().to_string();
            tar.pax(&[("path", name), ("size", &size)]).entry(Block::ustar("cut").size(0), bytes)
        }),
        ("PAX with other records", |tar, name, bytes| {
            tar.pax(&[
                ("mtime", "1.5"),
                ("LIBARCHIVE.creationtime", "1"),
                ("SCHILY.xattr.user.a", "b"),
                ("comment", ""),
            ])
            .file(name, bytes)
        }),
        ("PAX global headers", |tar, name, bytes| {
            tar.extension(b'g', pax_record("comment", "0123456789abcdef").as_bytes()).file(name, bytes)
        }),
        ("`./` before names", |tar, name, bytes| tar.file(&format!("./{name}"), bytes)),
        ("slashes twice", |tar, name, bytes| tar.file(&name.replace('/', "//"), bytes)),
        ("contiguous files", |tar, name, bytes| {
            tar.entry(Block::ustar(name).flag(b'7').size(bytes.len() as u64), bytes)
        }),
        ("sizes padded with spaces", |tar, name, bytes| {
            let text = format!("{:>11o} ", bytes.len());
            tar.entry(Block::ustar(name).size_field(*text.as_bytes().first_chunk().unwrap()), bytes)
        }),
        ("sizes without an end", |tar, name, bytes| {
            let text = format!("{:012o}", bytes.len());
            tar.entry(Block::ustar(name).size_field(*text.as_bytes().first_chunk().unwrap()), bytes)
        }),
        ("signed check sums", |tar, name, bytes| {
            tar.entry(Block::gnu(name).signed_sum().size(bytes.len() as u64), bytes)
        }),
        ("every entry twice, the same", |tar, name, bytes| tar.file(name, bytes).file(&format!("./{name}"), bytes)),
    ];
    let mut ordeal = Ordeal::new();
    for (dialect, entry) in dialects {
        let tar = sample().1.iter().fold(Tar::new().directory("./"), |tar, (name, bytes)| entry(tar, name, bytes));
        std::fs::write(ordeal.path("x.tar"), tar.finished()).unwrap();
        for (line, ran) in ordeal.try_all(dialect, "x.tar") {
            if ran.code != 0 {
                ordeal.fault(format!("{dialect}: {line}: {}", ran.stderr));
            }
        }
    }
    ordeal.judge();
}

#[test]
fn what_readers_differ_in_is_refused() {
    let pax = |key: &str, value: &str| whole().pax(&[(key, value)]);
    let long = "n".repeat(4097);
    let sized = |field: [u8; 12]| whole().entry(Block::ustar("x").size_field(field), b"").finished();
    let cases: Vec<Case> = vec![
        case(
            "PAX and GNU name one entry",
            "either wins",
            pax("path", "a").extension(b'L', b"b").file("x", b"").finished(),
            (Open, 4),
            "both name it",
        ),
        case(
            "PAX and GNU link one entry",
            "either wins",
            pax("linkpath", "a").extension(b'K', b"b").symlink("x", "y").finished(),
            (Open, 4),
            "both name it",
        ),
        case(
            "PAX twice",
            "the last or both",
            pax("mtime", "1").pax(&[("mtime", "2")]).file("x", b"").finished(),
            (Open, 4),
            "second extension",
        ),
        case(
            "a GNU name twice",
            "the last or both",
            whole().extension(b'L', b"a").extension(b'L', b"b").file("x", b"").finished(),
            (Open, 4),
            "second extension",
        ),
        case(
            "a PAX size below",
            "the rest is taken for headers: TARmageddon",
            pax("size", "1").file("x", b"four").finished(),
            (Open, 4),
            "PAX header says 1 bytes",
        ),
        case(
            "a PAX size above",
            "headers are swallowed",
            pax("size", "9").file("x", b"four").finished(),
            (Open, 4),
            "PAX header says 9 bytes",
        ),
        case(
            "a PAX size of 2^63",
            "negative in Go",
            pax("size", "9223372036854775808").file("x", b"").finished(),
            (Open, 4),
            "size",
        ),
        case(
            "a PAX size that is negative",
            "seeks backwards",
            pax("size", "-1").file("x", b"").finished(),
            (Open, 4),
            "size",
        ),
        case(
            "a PAX size with a plus",
            "parsers of numbers differ",
            pax("size", "+5").file("x", b"hello").finished(),
            (Open, 4),
            "size",
        ),
        case(
            "a PAX size of nothing",
            "deletes the one before",
            pax("size", "").file("x", b"hello").finished(),
            (Open, 4),
            "",
        ),
        case(
            "a PAX record that is too short",
            "malformed",
            whole().extension(b'x', b"9 path=x").file("x", b"").finished(),
            (Open, 4),
            "header at byte",
        ),
        case(
            "a PAX record without a length",
            "malformed",
            whole().extension(b'x', b"path=x\n").file("x", b"").finished(),
            (Open, 4),
            "header at byte",
        ),
        case(
            "a PAX length of 0",
            "loops for ever",
            whole().extension(b'x', b"0 path=x\n").file("x", b"").finished(),
            (Open, 4),
            "header at byte",
        ),
        case(
            "a huge PAX length",
            "overflows",
            whole().extension(b'x', b"99999999999999999999 path=x\n").file("x", b"").finished(),
            (Open, 4),
            "header at byte",
        ),
        case(
            "a global PAX name",
            "for one or for all",
            whole().extension(b'g', pax_record("path", "a").as_bytes()).finished(),
            (Open, 4),
            "to all entries",
        ),
        case(
            "a global PAX size",
            "for one or for all",
            whole().extension(b'g', pax_record("size", "5").as_bytes()).finished(),
            (Open, 4),
            "to all entries",
        ),
        case(
            "GNU sparse",
            "content is elsewhere",
            whole().entry(Block::gnu("x").flag(b'S'), b"").finished(),
            (Open, 4),
            "sparse",
        ),
        case(
            "PAX sparse 1.0",
            "a map in the content",
            pax("GNU.sparse.major", "1").file("x", b"").finished(),
            (Open, 4),
            "sparse",
        ),
        case(
            "PAX sparse 0.1",
            "a map in the header",
            pax("GNU.sparse.map", "0,1000000000000").file("x", b"").finished(),
            (Open, 4),
            "sparse",
        ),
        case(
            "Solaris' extension",
            "known to one vendor",
            whole().entry(Block::ustar("x").flag(b'X'), b"").finished(),
            (Open, 4),
            "old vendor",
        ),
        case(
            "another content under one name",
            "first or last wins",
            whole().file("index.json", b"{}").finished(),
            (Open, 4),
            "twice and differs",
        ),
        case(
            "another content under `./`",
            "first or last wins",
            whole().file("./index.json", b"{}").finished(),
            (Open, 4),
            "twice and differs",
        ),
        case(
            "another content under `//`",
            "first or last wins",
            whole().file(".//index.json", b"{}").finished(),
            (Open, 4),
            "twice and differs",
        ),
        case(
            "another content under `a/..`",
            "normalised by some",
            whole().file("a/../index.json", b"{}").finished(),
            (Open, 4),
            "climbs",
        ),
        case("a size that is negative", "base 256 has a sign", sized([0xff; 12]), (Open, 4), "negative"),
        case("a size of 2^63", "negative in Go", sized(base_256(1 << 63)), (Open, 4), "larger than 2^63"),
        case("a size of 2^63 - 1", "sums overflow", sized(base_256((1 << 63) - 1)), (Open, 4), "9223372036854775807"),
        case(
            "a size of 2^71",
            "cut to 0 by some",
            sized([0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            (Open, 4),
            "larger than 2^63",
        ),
        case("a size with a minus", "taken by strtol", sized(*b"-0000000001\0"), (Open, 4), "octal"),
        case("a size of nines", "no octal digit", sized(*b"00000000009\0"), (Open, 4), "octal"),
        case("a size with a gap", "cut by some", sized(*b"0000 000001\0"), (Open, 4), "octal"),
        case("a size of letters", "no number", sized(*b"hello world\0"), (Open, 4), "octal"),
        case("a size in hexadecimal", "taken by strtol", sized(*b"0x000000001\0"), (Open, 4), "octal"),
        case(
            "a directory with content",
            "skipped or not",
            whole().entry(Block::ustar("d/").flag(b'5').size(3), b"abc").finished(),
            (Open, 4),
            "3 bytes of content",
        ),
        case(
            "a hard link with content",
            "skipped or not",
            whole().entry(Block::ustar("l").flag(b'1').link("index.json").size(3), b"abc").finished(),
            (Open, 4),
            "3 bytes of content",
        ),
        case(
            "a link with content",
            "skipped or not",
            whole().entry(Block::ustar("l").flag(b'2').link("x").size(3), b"abc").finished(),
            (Open, 4),
            "3 bytes of content",
        ),
        case(
            "a name that is too long",
            "bounded",
            pax("path", &long).file("x", b"").finished(),
            (Open, 4),
            "longer than 4096",
        ),
        case(
            "a NUL in a PAX name",
            "ends a text in C",
            pax("path", "index.json\0x").file("x", b"").finished(),
            (Open, 4),
            "NUL",
        ),
        case(
            "a name that is no text",
            "shown otherwise than it is",
            whole().entry(Block::raw(b"a\xff"), b"").finished(),
            (Open, 4),
            "UTF-8",
        ),
        case(
            "no name",
            "the directory itself",
            whole().entry(Block::ustar(""), b"").finished(),
            (Open, 4),
            "without a name",
        ),
        case("an extension at the end", "of nothing", pax("path", "a").finished(), (Open, 4), "without the entry"),
        case(
            "a zero block in between",
            "some stop, some go on",
            whole().bytes(&[0; 512]).file("x", b"").finished(),
            (Open, 4),
            "some readers stop there",
        ),
    ];
    refused(cases);
}
