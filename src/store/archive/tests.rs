//! What the index takes and refuses, and how a file becomes a tar: tables of tars made by hand.

use std::io::{Read as _, Write as _};
use std::path::Path;

use proptest::prelude::*;

use super::bytes::ReadAt;
use super::tar::TarIndex;
use super::{ReadOptions, outer};
use crate::blob::Cancel;
use crate::media::Compression;
use crate::store::{Location, StoreError, causes};
use crate::tar::entry::EntryKind;
use crate::tar::made::{Block, Tar, pax_record};

fn index(tar: impl Into<Vec<u8>>) -> Result<TarIndex, String> {
    let tar = tar.into();
    let place = Location::Archive("x.tar".into());
    let length = tar.len() as u64;
    TarIndex::read(&tar, length, &place, &Cancel::default()).map_err(|error| told(&error))
}

fn told(error: &StoreError) -> String {
    assert_eq!(error.class().name(), "content");
    format!("{error}: {}", causes(error).join(": "))
}

fn names(index: &TarIndex) -> Vec<&str> {
    index.entries().iter().map(|entry| &*entry.name).collect()
}

#[test]
fn content_is_found_under_every_way_to_write_a_name() {
    let long = format!("{}/{}", "d".repeat(120), "n".repeat(180));
    let with_nul = format!("{long}\0");
    let pax_name = [("path", &*long), ("mtime", "1.5")];
    for (reason, tar) in [
        ("v7", Tar::new().entry(Block::v7("name").size(5), b"hello")),
        ("v7, from an old tar that pads with spaces", {
            Tar::new().entry(Block::v7("name").size_field(*b"          5 "), b"hello")
        }),
        ("ustar", Tar::new().file("name", b"hello")),
        ("ustar with a prefix", Tar::new().entry(Block::ustar("name").prefix("a").size(5), b"hello")),
        ("a contiguous file", Tar::new().entry(Block::ustar("name").flag(b'7').size(5), b"hello")),
        ("GNU, base 256", {
            Tar::new().entry(Block::gnu("name").size_field([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]), b"hello")
        }),
        ("GNU long name", Tar::new().extension(b'L', with_nul.as_bytes()).file("cut", b"hello")),
        ("GNU long name without its NUL", Tar::new().extension(b'L', long.as_bytes()).file("cut", b"hello")),
        ("PAX name", Tar::new().pax(&pax_name).file("cut", b"hello")),
        ("PAX without a name", Tar::new().pax(&[("mtime", "1")]).file("name", b"hello")),
        ("PAX and GNU that say different things", {
            Tar::new().pax(&[("mtime", "1")]).extension(b'L', long.as_bytes()).file("cut", b"hello")
        }),
        ("PAX size, zero in the header", {
            Tar::new().pax(&[("size", "5")]).entry(Block::ustar("name").size(0), b"hello")
        }),
        ("a global header first", {
            Tar::new().extension(b'g', pax_record("comment", "commit").as_bytes()).file("name", b"hello")
        }),
        ("between others", Tar::new().directory("d/").file("d/a", b"x").file("name", b"hello").file("z", &[7; 700])),
    ] {
        let tar = tar.finished();
        let index = index(tar.clone()).unwrap_or_else(|error| panic!("{reason}: {error}"));
        let entry = index.entries().iter().find(|entry| entry.size == 5).expect(reason);
        let expected = match reason {
            _ if reason.contains("prefix") => "a/name",
            _ if reason.contains("long") || reason == "PAX name" || reason.contains("different") => &long,
            _ => "name",
        };
        assert_eq!(&*entry.name, expected, "{reason}");
        let mut content = String::new();
        entry.reader(&tar).read_to_string(&mut content).unwrap();
        assert_eq!(content, "hello", "{reason}");
        assert_eq!(index.warnings(), &[] as &[String], "{reason}");
    }
}

#[test]
fn entries_are_of_the_kind_that_tar_means() {
    let tar = Tar::new()
        .directory("./")
        .directory("d/")
        .entry(Block::v7("old/"), b"")
        .symlink("link", "../x")
        .hard_link("hard", "d/x")
        .pax(&[("linkpath", "pax target")])
        .symlink("pax", "cut")
        .extension(b'K', b"gnu target\0")
        .symlink("gnu", "cut")
        .entry(Block::ustar("null").flag(b'3'), b"")
        .entry(Block::ustar("fifo").flag(b'6'), b"")
        .entry(Block::ustar("label").flag(b'V'), b"")
        .entry(Block::ustar("dump").flag(b'D').size(3), b"abc")
        .file("after", b"");
    let index = index(tar.finished()).unwrap();
    assert_eq!(names(&index), ["after", "d", "dump", "fifo", "gnu", "hard", "label", "link", "null", "old", "pax"]);
    for (name, kind, shown) in [
        ("d", EntryKind::Directory, "a directory"),
        ("old", EntryKind::Directory, "a directory"),
        ("link", EntryKind::SymLink((*b"../x").into()), "a symbolic link to \"../x\""),
        ("hard", EntryKind::HardLink((*b"d/x").into()), "a hard link to \"d/x\""),
        ("pax", EntryKind::SymLink((*b"pax target").into()), "a symbolic link to \"pax target\""),
        ("gnu", EntryKind::SymLink((*b"gnu target").into()), "a symbolic link to \"gnu target\""),
        ("null", EntryKind::Special(b'3'), "a device"),
        ("fifo", EntryKind::Special(b'6'), "a FIFO"),
        ("label", EntryKind::Special(b'V'), "of the unknown type \"V\""),
        ("after", EntryKind::Regular, "a regular file"),
    ] {
        assert_eq!(index.find(name).unwrap().kind, kind, "{name}");
        assert_eq!(kind.to_string(), shown);
    }
    assert!(index.find("absent").is_none());
}

#[test]
fn what_readers_take_differently_is_refused_with_its_place() {
    let file = || Tar::new().file("first", b"x"); // so that what is wrong stands at byte 1024
    let climbing = |name: &str| file().entry(Block::ustar(name), b"").finished();
    let mut broken = file().file("second", b"y").finished();
    broken[1024 + 3] ^= 1;
    let long = "n".repeat(4097);
    let pax = |key: &str, value: &str| file().pax(&[(key, value)]);
    for (reason, tar, complaint) in [
        ("a wrong check sum", broken, "the header at byte 1024 in oci-archive:x.tar: its check sum is wrong"),
        (
            "an absolute name",
            climbing("/etc/x"),
            "the entry \"/etc/x\" at byte 1024 in oci-archive:x.tar: its name is absolute",
        ),
        ("a climbing name", climbing("a/../../x"), "its name climbs with `..`"),
        ("a name that moves the terminal", climbing("../\u{1b}[2J"), "the entry \"../\\u{1b}[2J\""),
        ("a name that is no text", file().entry(Block::raw(b"a\xff"), b"").finished(), "its name is not UTF-8"),
        ("an empty name", climbing(""), "a regular file without a name"),
        ("a NUL in a PAX name", pax("path", "a\0b").file("x", b"").finished(), "its name holds a NUL"),
        ("a NUL in a GNU name", file().extension(b'L', b"a\0b").file("x", b"").finished(), "its name holds a NUL"),
        ("a long name", pax("path", &long).file("x", b"").finished(), "its name is longer than 4096"),
        ("a long link", pax("linkpath", &long).symlink("x", "y").finished(), "its link is longer than 4096"),
        ("two names", pax("path", "a").extension(b'L', b"b").file("x", b"").finished(), "both name it"),
        ("two targets", pax("linkpath", "a").extension(b'K', b"b").symlink("x", "y").finished(), "both name it"),
        ("PAX twice", pax("mtime", "1").pax(&[("mtime", "2")]).file("x", b"").finished(), "a second extension"),
        (
            "GNU twice",
            file().extension(b'L', b"a").extension(b'L', b"b").file("x", b"").finished(),
            "a second extension",
        ),
        (
            "a PAX size below",
            pax("size", "1").file("x", b"four").finished(),
            "its PAX header says 1 bytes, the header itself 4",
        ),
        ("a PAX size above", pax("size", "9").file("x", b"four").finished(), "its PAX header says 9 bytes"),
        ("malformed PAX", file().extension(b'x', b"9 path=x").file("x", b"").finished(), "the header at byte 1024"),
        ("a global name", file().extension(b'g', pax_record("path", "a").as_bytes()).finished(), "to all entries"),
        ("a sparse file, GNU", file().entry(Block::gnu("x").flag(b'S'), b"").finished(), "it is a sparse file"),
        ("a sparse file, PAX", pax("GNU.sparse.major", "1").file("x", b"").finished(), "sparse"),
        ("an old extension", file().extension(b'X', b"").finished(), "old vendor"),
        (
            "a large extension",
            file().entry(Block::ustar("x").flag(b'L').size(1 << 21), b"").finished(),
            "at most 1048576",
        ),
        (
            "a directory with content",
            file().entry(Block::ustar("d/").flag(b'5').size(3), b"abc").finished(),
            "3 bytes of content",
        ),
        (
            "a file named as a directory",
            file().entry(Block::ustar("d/").size(3), b"abc").finished(),
            "3 bytes of content",
        ),
        (
            "a link with content",
            file().entry(Block::ustar("l").flag(b'1').size(3), b"abc").finished(),
            "3 bytes of content",
        ),
        (
            "a negative size",
            file().entry(Block::ustar("x").size_field([0xff; 12]), b"").finished(),
            "its size is negative",
        ),
        ("a zero block between", file().bytes(&[0; 512]).file("x", b"").finished(), "some readers stop there"),
        ("an extension at the end", pax("path", "a").finished(), "without the entry that it belongs to"),
        ("another content", file().file("x", b"1").file("./x", b"2").finished(), "at byte 1024 and at byte 2048"),
        ("another size", file().file("x", b"1").file("x", b"").finished(), "twice and differs"),
        ("another kind", file().file("x", b"").directory("x").finished(), "twice and differs"),
        ("another target", file().symlink("x", "a").symlink("x", "b").finished(), "twice and differs"),
    ] {
        let error = index(tar).map(|index| format!("{index:?}")).expect_err(reason);
        assert!(error.contains(complaint), "{reason}: {error}");
    }
}

#[test]
fn what_changes_no_content_is_warned_of() {
    let one = || Tar::new().file("x", b"hello");
    for (reason, tar, warning) in [
        ("blocks of zeros to fill a tape's", one().bytes(&[0; 10240]).unfinished(), None),
        ("one block of zeros", one().bytes(&[0; 512]).unfinished(), Some("one block of zeros")),
        ("a block of zeros and a half", one().bytes(&[0; 700]).unfinished(), Some("one block of zeros")),
        ("no end", one().unfinished(), Some("ends without the blocks of zeros")),
        ("no end, no padding", one().unfinished()[..517].to_vec(), Some("ends without the blocks of zeros")),
        ("half a block of zeros", one().bytes(&[0; 100]).unfinished(), Some("ends without the blocks of zeros")),
        ("bytes after the end", [one().finished(), b"PK".to_vec()].concat(), Some("2 bytes are ignored")),
        ("another tar after the end", [one().finished(), one().finished()].concat(), Some("2048 bytes are ignored")),
        (
            "the same again",
            one().file("./x", b"hello").finished(),
            Some("twice with the same content, at byte 0 and at byte 1024"),
        ),
        ("a link again", one().symlink("l", "x").symlink("l", "x").finished(), Some("\"l\" twice")),
        ("a directory again", one().directory("d").directory("./d/").finished(), None),
    ] {
        let index = index(tar).unwrap_or_else(|error| panic!("{reason}: {error}"));
        assert_eq!(index.find("x").unwrap().size, 5, "{reason}");
        match (index.warnings(), warning) {
            ([], None) => {}
            ([got], Some(expected)) => assert!(got.contains(expected), "{reason}: {got}"),
            (got, expected) => panic!("{reason}: {got:?}, expected {expected:?}"),
        }
    }
    let many = (0..20).fold(Tar::new(), |tar, _| tar.file("x", b"hello")).finished();
    assert_eq!(index(many).unwrap().warnings().len(), 6, "warnings are counted, not listed without end");
}

#[test]
fn a_tar_cut_anywhere_is_refused_or_taken_whole_with_a_warning() {
    let tar = Tar::new()
        .file("first", b"hello")
        .pax(&[("path", "second")])
        .file("cut", &[b'x'; 1500])
        .extension(b'L', b"third\0")
        .file("cut", &[b'y'; 512])
        .finished();
    let ends = [(512 + 5, 1), (4 * 512 + 1500 + 512, 2)]; // the content of the first two ends here
    for length in 0..tar.len() {
        let cut = tar[..length].to_vec();
        match index(cut) {
            Err(error) => assert!(error.contains("ends"), "cut at {length}: {error}"),
            Ok(index) => {
                let whole = index.entries().len();
                let expected = match length {
                    0 => 0,
                    _ if length < ends[1].0 => 1,
                    _ if length < tar.len() - 1024 => 2,
                    _ => 3,
                };
                assert_eq!(whole, expected, "cut at {length}");
                assert_eq!(index.warnings().len(), 1, "cut at {length}");
            }
        }
    }
}

#[test]
fn what_is_cut_off_says_what_and_how_much_there_is() {
    let tar = Tar::new().file("blobs/x", &[1; 2048]).unfinished();
    let error = index(tar[..1000].to_vec()).unwrap_err();
    let expected = "cannot use the tar in oci-archive:x.tar: it ends in the middle of \"blobs/x\" at byte 0: it has 488 bytes of it, expected 2048";
    assert_eq!(error, expected);
    // a size that no file has does not make it look further than the file
    let huge =
        Tar::new().entry(Block::gnu("x").size_field([0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255]), b"");
    assert!(index(huge.finished()).unwrap_err().contains("expected 9223372036854775807"));
}

#[test]
fn a_request_to_stop_is_heard() {
    let cancel = Cancel::default();
    cancel.cancel();
    let tar = Tar::new().file("x", b"").finished();
    let error = TarIndex::read(&tar, 1536, &Location::Stdio, &cancel).unwrap_err();
    assert!(matches!(error, StoreError::Cancelled));
}

#[test]
fn a_tar_whose_names_would_fill_the_memory_is_refused() {
    /// A tar that repeats itself for ever.
    struct Endless(Vec<u8>);
    impl ReadAt for Endless {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
            let start = usize::try_from(offset).unwrap() % self.0.len();
            let count = buffer.len().min(self.0.len() - start);
            buffer[..count].copy_from_slice(&self.0[start..][..count]);
            Ok(count)
        }
    }
    let name = "n".repeat(4096);
    let endless = Endless(Tar::new().extension(b'L', name.as_bytes()).file("x", b"").unfinished());
    let error = TarIndex::read(&endless, 1 << 40, &Location::Stdio, &Cancel::default()).unwrap_err();
    assert!(told(&error).contains("more than 1000000 entries, or their names"), "{error}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

fn opened(bytes: &[u8]) -> Result<outer::Opened, StoreError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.tar");
    std::fs::write(&path, bytes).unwrap();
    let result = outer::open(&path, &Location::Archive("x.tar".into()), &ReadOptions::default(), &Cancel::default());
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 1, "a temporary file has a name");
    result
}

#[test]
fn a_compressed_tar_is_unpacked_to_its_end() {
    let tar = Tar::new().file("x", &[7; 100_000]).finished();
    let (head, tail) = tar.split_at(5000);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd(&tar)].concat();
    for (reason, packed, compression) in [
        ("plain", tar.clone(), Compression::None),
        ("gzip", gzip(&tar), Compression::Gzip),
        ("gzip in two members", [gzip(head), gzip(tail)].concat(), Compression::Gzip),
        ("zstd", zstd(&tar), Compression::Zstd),
        ("zstd in two frames", [zstd(head), zstd(tail)].concat(), Compression::Zstd),
        ("zstd after a skippable frame", skippable, Compression::Zstd),
    ] {
        let opened = opened(&packed).unwrap_or_else(|error| panic!("{reason}: {error}"));
        assert_eq!(opened.bytes.length(), tar.len() as u64, "{reason}");
        assert_eq!(opened.compression, compression, "{reason}");
        assert_eq!(opened.identity.unwrap().length, packed.len() as u64, "{reason}");
        let notice = opened.notice.unwrap_or_default();
        match compression {
            Compression::None => assert_eq!(notice, ""),
            packing => assert!(notice.starts_with(&format!("is compressed with {packing}: unpacked once")), "{notice}"),
        }
    }
}

#[test]
fn compressed_data_that_are_spoilt_anywhere_are_refused() {
    let tar = Tar::new().file("x", &(0..9000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).finished();
    let flipped = |mut packed: Vec<u8>, from_end: usize| {
        let at = packed.len() - from_end;
        packed[at] ^= 1;
        packed
    };
    let two = [gzip(&tar), gzip(b"tail")].concat();
    let mut window = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
    window.window_log(28).unwrap();
    window.write_all(&tar).unwrap();
    let window = window.finish().unwrap();
    for (reason, packed) in [
        ("gzip, wrong check sum", flipped(gzip(&tar), 8)),
        ("gzip, wrong length", flipped(gzip(&tar), 1)),
        ("gzip, in the middle", flipped(gzip(&tar), 1000)),
        ("gzip, cut off", gzip(&tar)[..500].to_vec()),
        ("gzip, without its last byte", gzip(&tar)[..gzip(&tar).len() - 1].to_vec()),
        ("gzip, wrong in its second member", flipped(two, 8)),
        ("gzip, garbage after it", [gzip(&tar), b"garbage".to_vec()].concat()),
        ("zstd, cut off", zstd(&tar)[..500].to_vec()),
        ("zstd, without its last byte", zstd(&tar)[..zstd(&tar).len() - 1].to_vec()),
        ("zstd, garbage after it", [zstd(&tar), b"garbage".to_vec()].concat()),
        ("zstd, a window of 256 MiB", window),
    ] {
        let error = told(&opened(&packed).expect_err(reason));
        assert!(error.contains("data are spoilt or cut off"), "{reason}: {error}");
    }
}

#[test]
fn what_is_no_tar_says_what_it_is() {
    let mut iso = vec![0; 32769];
    iso.extend(b"CD001");
    for (bytes, complaint) in [
        (&b""[..], "it is empty"),
        (&[b'x'; 2000], "it is neither a tar nor gzip or zstd"),
        (b"short", "it is neither a tar nor gzip or zstd"),
        (b"\xfd7zXZ\0\0", "compressed with xz"),
        (b"BZh91AY", "compressed with bzip2"),
        (b"PK\x03\x04", "a zip file"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"{\"schemaVersion\":2}", "a JSON document"),
        (&gzip(b"hello"), "what its gzip data unpack to is no tar: it is neither"),
        (&gzip(&gzip(&[0; 1024])), "is gzip again"),
        (&zstd(b""), "is no tar: it is empty"),
    ] {
        let error = told(&opened(bytes).expect_err(complaint));
        assert!(error.contains(complaint), "{complaint}: {error}");
    }
    assert!(index(iso).unwrap_err().contains("starts with zeros and is no tar"));
    let error =
        outer::open(Path::new("/"), &Location::Archive("/".into()), &ReadOptions::default(), &Cancel::default());
    assert!(told(&error.unwrap_err()).contains("it is a directory"));
    let place = Location::Archive("/nowhere/x.tar".into());
    let error = outer::open(Path::new("/nowhere/x.tar"), &place, &ReadOptions::default(), &Cancel::default());
    assert_eq!(error.unwrap_err().class().name(), "absent");
}

#[test]
fn a_temporary_directory_that_cannot_be_used_says_which_option_helps() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.tar");
    std::fs::write(&path, gzip(&Tar::new().finished())).unwrap();
    let options = ReadOptions { tmpdir: Some("/nowhere".into()), ..ReadOptions::default() };
    let error = outer::open(&path, &Location::Archive(path.clone()), &options, &Cancel::default()).unwrap_err();
    assert!(error.to_string().contains("a temporary file in /nowhere"), "{error}");
    assert!(error.hint().unwrap().contains("--tmpdir"));
}

proptest! {
    #[test]
    fn spoilt_bytes_never_panic(at in proptest::collection::vec((0_usize..6000, any::<u8>()), 1..6), cut in 0_usize..6000) {
        let mut tar = Tar::new()
            .pax(&[("path", "first"), ("size", "5")])
            .file("cut", b"hello")
            .extension(b'L', b"second\0")
            .entry(Block::gnu("cut").size(700), &[3; 700])
            .symlink("link", "second")
            .hard_link("hard", "second")
            .file("first", b"hello")
            .finished();
        for (at, value) in at {
            let length = tar.len();
            tar[at % length] = value;
        }
        let whole = index(tar.clone());
        tar.truncate(cut);
        let _ = (whole, index(tar));
    }

    #[test]
    fn a_header_with_a_right_sum_and_any_fields_never_panics(block in proptest::collection::vec(any::<u8>(), 512), flag in any::<u8>()) {
        let mut made = Block::raw(&block[..100]).prefix("p").flag(flag);
        made = made.size_field(*block[124..].first_chunk().unwrap());
        let tar = Tar::new().entry(made.clone(), &block).entry(made, &block).finished();
        let _ = index(tar);
    }
}
