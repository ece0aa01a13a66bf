//! Layers: kinds of things, owners, modes, times, sizes and extended attributes, right and wrong.

use crate::layers::{Row, becomes, escaped, refused, tried};
use crate::support::tar::{Block, Tar, pax_record};

/// A file with a PAX header.
fn with(records: &[(&str, &str)]) -> [Tar; 1] {
    [Tar::new().pax(records).file("a", b"x")]
}

fn only(block: Block) -> [Tar; 1] {
    [Tar::new().entry(block, b"")]
}

/// A tar with a record whose value is no text.
fn with_bytes(key: &str, value: &[u8]) -> [Tar; 1] {
    let rest = key.len() + value.len() + 3;
    let length = (rest..).find(|length| rest + length.to_string().len() == *length).unwrap();
    let record = [format!("{length} {key}=").as_bytes(), value, b"\n"].concat();
    [Tar::new().extension(b'x', &record).file("a", b"x")]
}

/// `cap_net_raw+ep` of revision 2, as the kernel stores it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// `u::rw-,u:1:r--,g::r--,m::r--,o::r--`, as the kernel stores it.
const ACL: [u8; 44] = [
    2, 0, 0, 0, 1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 4, 0, 1, 0, 0, 0, 4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, 0x10,
    0, 4, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
];

#[test]
fn kinds_of_things() {
    let flag = |flag: u8| Block::ustar("a").flag(flag);
    let device = |kind, major, minor| only(flag(kind).device(major, minor));
    let unknown = |what, of: u8| refused(what, "what it means differs", only(flag(of)), "of the unknown type");
    tried(vec![
        becomes("a character device", "root may make it", device(b'3', 1, 3), [("a", "char 644 1:3")]),
        becomes("a block device", "root may make it", device(b'4', 7, 300), [("a", "block 644 7:300")]),
        becomes(
            "the largest device",
            "twelve bits and twenty",
            device(b'3', 4095, 1_048_575),
            [("a", "char 644 4095:1048575")],
        ),
        refused("a larger major number", "cut to another device by some", device(b'3', 4096, 0), "less than 2^12"),
        refused("a larger minor number", "cut to another device by some", device(b'4', 8, 1_048_576), "less than 2^20"),
        becomes("a FIFO", "nobody opens it", only(flag(b'6').mode(0o640)), [("a", "fifo 640")]),
        becomes(
            "a contiguous file",
            "a file like others",
            [Tar::new().entry(flag(b'7').size(1), b"x")],
            [("a", "file 644 x")],
        )
        .otherwise("archive/tar leaves it to whoever reads"),
        becomes(
            "a file before POSIX",
            "its type flag is zero",
            [Tar::new().entry(Block::v7("a").size(1), b"x")],
            [("a", "file 644 x")],
        ),
        unknown("a socket", b's'),
        unknown("a directory with its list, GNU", b'D'),
        unknown("a part of a file, GNU", b'M'),
        unknown("the name of a volume, GNU", b'V'),
        unknown("an ACL, Solaris", b'A'),
        unknown("digit eight", b'8'),
        unknown("a vendor's", b'Z'),
        unknown("no text", 0xff),
        refused("an extension of Solaris", "known to one vendor", only(flag(b'X')), "old vendor"),
        refused("a long name of old GNU", "known to one vendor", only(flag(b'N')), "old vendor"),
        refused("GNU sparse", "content is elsewhere", only(Block::gnu("a").flag(b'S')), "sparse").code(9),
        refused(
            "GNU sparse of an exabyte",
            "a hole without end",
            only(Block::gnu("a").flag(b'S').size_field([0x80, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0])),
            "sparse",
        )
        .code(9),
        refused(
            "PAX sparse 0.0",
            "content is elsewhere",
            with(&[("GNU.sparse.size", "1"), ("GNU.sparse.numblocks", "0")]),
            "sparse",
        )
        .code(9),
        refused(
            "PAX sparse 0.1",
            "a map that claims an exabyte",
            with(&[("GNU.sparse.map", "0,1152921504606846976")]),
            "sparse",
        )
        .code(9),
        refused(
            "PAX sparse 1.0",
            "a name in its map",
            {
                with(&[
                    ("GNU.sparse.major", "1"),
                    ("GNU.sparse.minor", "0"),
                    ("GNU.sparse.name", "../../canary/secret"),
                ])
            },
            "sparse",
        )
        .code(9),
        refused(
            "a directory with content",
            "skipped or not",
            [Tar::new().entry(flag(b'5').size(3), b"abc")],
            "3 bytes of content",
        ),
        refused(
            "a device with content",
            "skipped or not",
            [Tar::new().entry(flag(b'3').size(3), b"abc")],
            "3 bytes of content",
        ),
    ]);
}

#[test]
fn owners_modes_and_times() {
    let owner = "expected a whole number below 2^32 - 1";
    let time = "expected seconds since 1970";
    let mode = |mode| Block::ustar("a").mode(mode);
    let taken = |what, why, records: &[(&str, &str)], shown: &str| -> Row {
        becomes(what, why, with(records), [("a", shown)]).timed()
    };
    tried(vec![
        refused("a negative owner", "a large one in C", with(&[("uid", "-1")]), owner),
        refused("the owner 2^32 - 1", "nobody said, to the system", with(&[("uid", "4294967295")]), owner),
        refused("the owner 2^32", "root, when it is cut", with(&[("uid", "4294967296")]), owner),
        refused("the group 2^64", "root, when it is cut", with(&[("gid", "18446744073709551616")]), owner),
        refused("a fraction of an owner", "rounded by some", with(&[("uid", "1.5")]), owner),
        refused("an owner with a plus", "taken by strtol", with(&[("uid", "+1")]), owner),
        refused("an owner in words", "looked up by some", with(&[("gid", "root")]), owner),
        refused("no owner", "the header's or none", with(&[("uid", "")]), owner),
        refused("two owners", "the first or the last", with(&[("uid", "1"), ("uid", "2")]), "twice"),
        refused("a mode in letters", "no number", only(mode(0).field(100, b"rwxr-xr-")), "octal"),
        refused("an owner in letters", "no number", only(mode(0).field(108, b"root\0\0\0\0")), "octal"),
        refused("a negative owner in base 256", "a large one in C", only(mode(0).field(108, &[0xff; 8])), "negative"),
        refused(
            "an owner of 2^32 in base 256",
            "root, when it is cut",
            only(mode(0).field(108, &[0x80, 0, 0, 1, 0, 0, 0, 0])),
            "less than 2^32 - 1",
        ),
        refused(
            "a time of 2^63 in base 256",
            "negative in C",
            only(mode(0).field(136, &[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0])),
            "its time",
        ),
        refused("a time in letters", "no number", only(mode(0).field(136, b"yesterday   ")), "octal"),
        becomes(
            "before 1970 in base 256",
            "negative",
            only(mode(0o644).field(136, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe])),
            [("a", "file 644 at -2.000000000")],
        )
        .timed(),
        becomes(
            "fields of spaces",
            "as some old tars wrote what they did not know",
            only(mode(0o644).field(108, &[b' '; 16]).field(136, &[b' '; 12])),
            [("a", "file 644")],
        ),
        taken(
            "the largest owner",
            "one less than nobody",
            &[("uid", "4294967294"), ("gid", "4294967294")],
            "file 644 x of 4294967294:4294967294",
        ),
        taken(
            "names of users",
            "this machine's or the image's: numbers count",
            &[("uname", "root"), ("gname", "wheel")],
            "file 644 x",
        ),
        becomes(
            "setuid and setgid",
            "with their owner",
            only(mode(0o6755).owner(12, 34)),
            [("a", "file 6755 of 12:34")],
        ),
        becomes("sticky", "kept", only(mode(0o1644)), [("a", "file 1644")]),
        becomes("no rights at all", "kept", only(mode(0)), [("a", "file 0")]),
        becomes("all rights", "whatever the umask", only(mode(0o777)), [("a", "file 777")]),
        becomes("a mode with a kind in it", "as V7 wrote it", only(mode(0o104_755)), [("a", "file 4755")]),
        becomes(
            "a setgid directory",
            "it hands down nothing here",
            {
                [Tar::new()
                    .entry(Block::ustar("d").flag(b'5').mode(0o2775).owner(0, 7), b"")
                    .file("d/a", b"")
                    .file("d/e/a", b"")]
            },
            [("d", "dir 2775 of 0:7"), ("d/a", "file 644"), ("d/e", "dir 755"), ("d/e/a", "file 644")],
        )
        .nobody([("d", "dir 2775"), ("d/a", "file 644"), ("d/e", "dir 755"), ("d/e/a", "file 644")])
        .otherwise("what it makes on the way has the group"),
        refused("no time", "no number", with(&[("mtime", "nan")]), time),
        refused("an endless time", "no number", with(&[("mtime", "inf")]), time),
        refused("a time with an exponent", "taken by strtod", with(&[("mtime", "1e300")]), time),
        refused("a time in hexadecimal", "taken by strtod", with(&[("mtime", "0x10")]), time),
        refused("a time of 2^63", "negative in C", with(&[("mtime", "9223372036854775808")]), time),
        refused("a fraction alone", "a whole number comes first", with(&[("mtime", ".5")]), time),
        refused("a time for the wrong reader", "a comma", with(&[("mtime", "1,5")]), time),
        refused("an empty time", "the header's or none", with(&[("mtime", "")]), time),
        taken(
            "a time with a fraction",
            "to the nanosecond",
            &[("mtime", "1700000000.123456789")],
            "file 644 x at 1700000000.123456789",
        ),
        taken(
            "a finer time",
            "less than a nanosecond is nothing",
            &[("mtime", "1.0000000019")],
            "file 644 x at 1.000000001",
        ),
        taken("before 1970", "negative", &[("mtime", "-1.25")], "file 644 x at -2.750000000"),
        becomes(
            "a time of 2^63 - 1",
            "a file system has an end",
            with(&[("mtime", "9223372036854775807")]),
            [("a", "file 644 x")],
        )
        .otherwise("its times end earlier"),
        becomes(
            "a time of -2^63 + 1",
            "a file system has a beginning",
            with(&[("mtime", "-9223372036854775807")]),
            [("a", "file 644 x")],
        )
        .otherwise("its times begin later"),
        becomes(
            "other times",
            "nothing keeps them",
            with(&[("atime", "nan"), ("ctime", "-"), ("LIBARCHIVE.creationtime", "x")]),
            [("a", "file 644 x")],
        )
        .otherwise("archive/tar refuses them"),
    ]);
}

#[test]
fn sizes_names_and_headers_that_lie() {
    let file = |records: &[(&str, &str)], content: &[u8]| [Tar::new().pax(records).file("a", content)];
    let cut = |tar: Tar, length: usize| {
        let mut bytes = tar.finished();
        bytes.truncate(length);
        [bytes]
    };
    let content = || Tar::new().file("a", &[b'x'; 900]);
    let global =
        |key: &str, value: &str| [Tar::new().extension(b'g', pax_record(key, value).as_bytes()).file("a", b"x")];
    let none = || [Tar::new()];
    tried(vec![
        refused(
            "a PAX size below",
            "the rest is taken for headers: TARmageddon",
            file(&[("size", "1")], b"four"),
            "PAX header says 1 bytes",
        ),
        refused(
            "a PAX size above",
            "headers are swallowed",
            file(&[("size", "1024")], b"four"),
            "PAX header says 1024 bytes",
        ),
        refused("a negative PAX size", "seeks backwards", file(&[("size", "-512")], b""), "size"),
        refused("a PAX size of 2^63", "negative in C", file(&[("size", "9223372036854775808")], b""), "size"),
        refused("an exabyte", "nothing follows", file(&[("size", "1152921504606846976")], b""), "it may be a bomb")
            .code(9),
        refused(
            "8 GiB",
            "nothing follows",
            [Tar::new().entry(Block::ustar("a").size(0o777_7777_7777), b"")],
            "in the middle of an entry",
        ),
        refused("a negative size", "base 256 has a sign", only(Block::ustar("a").size_field([0xff; 12])), "negative"),
        refused(
            "a size of 2^71",
            "cut to 0 by some",
            only(Block::ustar("a").size_field([0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])),
            "larger than 2^63",
        ),
        refused("cut in a header", "the disk was full", none(), "in the middle of an entry")
            .bytes(cut(content().file("b", b""), 1800)),
        refused("cut in content", "the disk was full", none(), "in the middle of an entry").bytes(cut(content(), 1000)),
        refused("a header in letters", "no tar", none(), "check sum").bytes([vec![b'x'; 1024]]),
        refused("one byte of a header", "the check sum says so", none(), "check sum").bytes({
            let mut bytes = content().finished();
            bytes[3] ^= 1;
            [bytes]
        }),
        refused(
            "a tar after one block of zeros",
            "some stop, some go on",
            [content().bytes(&[0; 512]).file("b", b"")],
            "some readers stop there",
        ),
        refused(
            "an extension of nothing",
            "of what comes after the end",
            [content().pax(&[("path", "x")])],
            "without the entry",
        ),
        refused(
            "PAX and GNU name one entry",
            "either wins",
            [Tar::new().pax(&[("path", "x")]).extension(b'L', b"y").file("a", b"")],
            "both name it",
        ),
        refused(
            "PAX and GNU link one entry",
            "either wins",
            [Tar::new().pax(&[("linkpath", "x")]).extension(b'K', b"y").symlink("a", "b")],
            "both name it",
        ),
        refused(
            "two PAX headers",
            "the last or both",
            [Tar::new().pax(&[("mtime", "1")]).pax(&[("uid", "1")]).file("a", b"")],
            "second extension",
        ),
        refused("a name twice in PAX", "the first or the last", file(&[("path", "x"), ("path", "y")], b""), "twice"),
        refused("a global name", "for one or for all", global("path", "x"), "to all entries"),
        refused("a global target", "for one or for all", global("linkpath", "x"), "to all entries"),
        refused("a global size", "for one or for all", global("size", "0"), "to all entries"),
        refused("a global owner", "applied or passed over", global("uid", "1"), "to all entries"),
        refused("a global time", "applied or passed over", global("mtime", "1"), "to all entries"),
        refused("a global attribute", "applied or passed over", global("SCHILY.xattr.user.a", "1"), "to all entries"),
        refused(
            "a global header that is malformed",
            "passed over by some",
            [Tar::new().extension(b'g', b"garbage").file("a", b"")],
            "header at byte",
        ),
        refused(
            "a PAX record without an end",
            "reads on",
            [Tar::new().extension(b'x', b"99 path=x\n").file("a", b"")],
            "header at byte",
        ),
        refused(
            "a PAX length of 0",
            "loops for ever",
            [Tar::new().extension(b'x', b"0 path=x\n").file("a", b"")],
            "header at byte",
        ),
        becomes(
            "a global comment",
            "as `git archive` writes it",
            global("comment", "0123456789abcdef"),
            [("a", "file 644 x")],
        )
        .otherwise("it fails on it"),
        becomes("nothing at all", "an empty layer", none(), [("", ""); 0]),
        becomes("not even its end", "an empty layer, as some write it", none(), [("", ""); 0]).bytes([Vec::new()]),
        becomes("no end", "forgiven everywhere", none(), [("a", "file 644 [900]")]).bytes([content().unfinished()]),
        becomes("a file behind the end", "a part of the digest, and of no file", none(), [("a", "file 644 [900]")])
            .bytes([content().bytes(&[0; 1024]).file("behind", b"x").finished()]),
        becomes("garbage behind the end", "a part of the digest, and of no file", none(), [("a", "file 644 [900]")])
            .bytes([content().bytes(&[0; 1024]).bytes(&[0xaa; 3000]).unfinished()]),
        becomes(
            "a signed check sum",
            "some old tars wrote it",
            [Tar::new().entry(Block::raw(b"\xe9").signed_sum(), b"")],
            [("\\xe9", "file 644")],
        ),
    ]);
}

#[test]
fn extended_attributes() {
    let has = |what, why, key: &'static str, value: &[u8], shown: &str| -> Row {
        becomes(what, why, with_bytes(key, value), [("a", shown)])
    };
    let plain = "file 644 x";
    let no_name = "no name of an extended attribute";
    let not_set = "cannot be set";
    let long = "n".repeat(251);
    let capable = format!("file 644 x security.capability={}", escaped(&CAPABILITY));
    let listed = format!("file 644 x system.posix_acl_access={}", escaped(&ACL));
    tried(vec![
        has("of a user", "kept", "SCHILY.xattr.user.a", b"1", "file 644 x user.a=1"),
        has("empty", "kept", "SCHILY.xattr.user.a", b"", "file 644 x user.a=")
            .otherwise("to archive/tar a record without a value is none"),
        has("binary", "kept", "SCHILY.xattr.user.a", b"\0\n=\xff\x1b", "file 644 x user.a=\\x00\\n=\\xff\\x1b"),
        has("libarchive's", "kept", "LIBARCHIVE.xattr.user.a%20b", b"AAE", "file 644 x user.a\\x20b=\\x00\\x01")
            .otherwise("it does not know them"),
        has(
            "an equals sign in the value",
            "a record ends its name at the first",
            "SCHILY.xattr.user.a",
            b"b=c",
            "file 644 x user.a=b=c",
        ),
        has("of root", "kept as root", "SCHILY.xattr.trusted.a", b"1", "file 644 x trusted.a=1"),
        has("a capability", "a program's rights", "SCHILY.xattr.security.capability", &CAPABILITY, &capable),
        has("an ACL", "names users by number", "SCHILY.xattr.system.posix_acl_access", &ACL, &listed),
        has("a label of SELinux", "it belongs to the host", "SCHILY.xattr.security.selinux", b"x", plain),
        has(
            "overlay's books",
            "they belong to the host",
            "SCHILY.xattr.trusted.overlay.redirect",
            b"../../canary",
            plain,
        ),
        has("of nobody's kind", "no file system has it", "SCHILY.xattr.foreign.a", b"1", plain),
        has("without a kind", "no file system has it", "SCHILY.xattr.a", b"1", plain),
        has("an ACL as text", "left out, as documented", "SCHILY.acl.access", b"user::rwx", plain),
        refused(
            "a capability that is none",
            "the kernel refuses it",
            with_bytes("SCHILY.xattr.security.capability", b"x"),
            not_set,
        )
        .at_unpack(),
        refused(
            "an ACL that is none",
            "the kernel refuses it",
            with_bytes("SCHILY.xattr.system.posix_acl_access", b"x"),
            not_set,
        )
        .at_unpack(),
        refused("a name that is only a kind", "the kernel refuses it", with_bytes("SCHILY.xattr.user.", b"x"), not_set)
            .at_unpack(),
        refused("no name", "nothing to set", with_bytes("SCHILY.xattr.", b"x"), no_name),
        refused(
            "a name of 256 bytes",
            "the kernel has 255",
            with(&[(&format!("SCHILY.xattr.user.{long}"), "")]),
            no_name,
        ),
        refused(
            "a NUL in a name",
            "the end of a text in C",
            with(&[("SCHILY.xattr.user.a\0b", "x")]),
            "no LENGTH KEY=VALUE",
        ),
        refused(
            "a NUL in libarchive's name",
            "the end of a text in C",
            with(&[("LIBARCHIVE.xattr.user.a%00b", "AA")]),
            no_name,
        ),
        refused("libarchive's, no base64", "malformed", with(&[("LIBARCHIVE.xattr.user.a", "!")]), "base64"),
        refused(
            "twice",
            "the first or the last",
            with(&[("SCHILY.xattr.user.a", "1"), ("SCHILY.xattr.user.a", "2")]),
            "twice",
        ),
        refused(
            "a value of 65,537 bytes",
            "the kernel has 65,536",
            with_bytes("SCHILY.xattr.user.a", &[b'x'; 65_537]),
            not_set,
        )
        .at_unpack(),
        becomes(
            "on a file that may not be written",
            "set before it is closed, also without root",
            [Tar::new().pax(&[("SCHILY.xattr.user.a", "1")]).entry(Block::ustar("a").mode(0o444), b"")],
            [("a", "file 444 user.a=1")],
        ),
        becomes(
            "on a directory that may not be written",
            "set before it is closed, also without root",
            {
                let block = |name: &str| Block::ustar(name).flag(b'5').mode(0o555);
                let tar = Tar::new().pax(&[("SCHILY.xattr.user.a", "1")]).entry(block("."), b"");
                [tar.pax(&[("SCHILY.xattr.user.a", "2")]).entry(block("d"), b"")]
            },
            [(".", "dir 555 user.a=1"), ("d", "dir 555 user.a=2")],
        ),
        becomes(
            "on a FIFO",
            "only files and directories have those of users",
            [Tar::new().pax(&[("SCHILY.xattr.user.a", "1")]).entry(Block::ustar("a").flag(b'6'), b"")],
            [("a", "fifo 644")],
        )
        .otherwise("it fails on it"),
        becomes(
            "those of a directory of a lower layer",
            "this layer's has them no more",
            {
                let block = || Block::ustar("d").flag(b'5').mode(0o755);
                let names: Vec<String> = (0..40).map(|at| format!("SCHILY.xattr.user.{at:0>200}")).collect();
                let records: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
                [Tar::new().pax(&records[..12]).entry(block(), b""), Tar::new().entry(block(), b"")]
            },
            [("d", "dir 755")],
        ),
    ]);
}
