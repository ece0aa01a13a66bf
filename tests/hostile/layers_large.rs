//! Layers: little that wants to become much, in time, in memory or on the disk.

use std::fs;
use std::io::{Read as _, Write as _};

use crate::layers::{Yard, is_root, seen};
use crate::support::image::{GZIP, LAYER, Layer, ZSTD};
use crate::support::tar::{Block, Tar};

fn dir(name: &str) -> Block {
    Block::ustar(name).flag(b'5').mode(0o755)
}

/// Runs command lines on `x`, as root and as nobody, and checks how they end and what they say.
fn ends(yard: &mut Yard, what: &str, lines: &[&str], code: i32, said: &str) {
    ends_for(yard, &[false, true], what, lines, code, said);
}

/// Does so for some: what takes long is done once.
fn ends_for(yard: &mut Yard, who: &[bool], what: &str, lines: &[&str], code: i32, said: &str) {
    for line in lines {
        for nobody in who.iter().copied() {
            if nobody && !line.starts_with("unpack") {
                continue;
            }
            let ran = if nobody { yard.run_as_nobody(what, line) } else { yard.ordeal.run(what, line) };
            let code = if *line == DIFF && code == 0 { 1 } else { code };
            if ran.code != code || !ran.says(said) {
                let told: String = ran.stderr.chars().take(400).collect();
                let fault = format!("{what}: `{line}` ends with {}, expected {code} {said:?}: {told}", ran.code);
                yard.ordeal.fault(fault);
            }
            if code != 0 && yard.ordeal.path("out").exists() {
                yard.ordeal.fault(format!("{what}: `{line}` failed and left its directory"));
            }
            yard.ordeal.clear("out");
        }
    }
}

const UNPACK: &str = "unpack --no-sync x out";
/// Reads all, and says that it differs.
const DIFF: &str = "diff --files x nothing";
const READ: [&str; 3] = [UNPACK, DIFF, "edit --squash --no-sync -o out -t s:v1 x:v1"];

#[test]
fn very_many_entries() {
    let mut yard = Yard::new();
    // most of them hide what is not there, which costs little on any disk
    let mut layer = Vec::new();
    for at in 0..200_000 {
        let hides = if at % 100 == 0 { "" } else { ".wh." };
        layer.extend(Block::ustar(&format!("d{}/{hides}f{at}", at / 1000)).finished());
    }
    yard.image(std::slice::from_ref(&layer));
    let ran = yard.ordeal.run("200,000 entries", UNPACK);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(fs::read_dir(yard.ordeal.path("out")).unwrap().count(), 200);
    assert_eq!(fs::read_dir(yard.ordeal.path("out/d199")).unwrap().count(), 10);
    yard.ordeal.clear("out");
    ends(&mut yard, "200,000 entries", &[DIFF], 0, "");
    ends(&mut yard, "200,000 entries", &["unpack --no-sync --max-files 999 x out"], 9, "--max-files");
    // in a store of Nix nobody may write to any directory; with long names, few come to as much as there
    let mut layer = Vec::new();
    let above = vec!["n".repeat(250); 15].join("/");
    for at in 0..5000 {
        let name = format!("{above}/{at}/");
        layer.extend(Tar::new().pax(&[("path", &name)]).entry(dir("cut").mode(0o555), b"").unfinished());
    }
    yard.image(&[layer]);
    ends_for(&mut yard, &[true], "20 MB of closed directories", &[UNPACK], 0, "");
    yard.ordeal.judge();
}

#[test]
fn whiteouts_take_no_more_time_than_what_they_hide() {
    const MANY: usize = 4000;
    let mut yard = Yard::new();
    let files = |tar: Tar, directory: &str| (0..MANY).fold(tar, |tar, at| tar.file(&format!("{directory}/{at}"), b""));
    let again = |tar: Tar, name: &str| (0..MANY).fold(tar, |tar, _| tar.file(name, b""));
    for (what, layer) in [
        ("opaque, again and again", again(files(Tar::new(), "d"), "d/.wh..wh..opq")),
        ("opaque, the root again and again", again(files(Tar::new(), "d"), ".wh..wh..opq")),
        ("a directory, again and again", again(files(Tar::new(), "d"), ".wh.d")),
        (
            "opaque, after each file",
            (0..MANY).fold(Tar::new(), |tar, at| tar.file(&format!("d/{at}"), b"").file("d/.wh..wh..opq", b"")),
        ),
        ("each directory of a way", {
            let deep = (0..45).fold(String::from("d"), |way, _| format!("{way}/d"));
            let tar = files(Tar::new(), &deep);
            (0..MANY).fold(tar, |tar, at| tar.file(&format!("{}.wh.d", "d/".repeat(at % 45)), b""))
        }),
    ] {
        yard.image(&[Tar::new().file("d/lower", b"").file("d/d/lower", b"").finished(), layer.finished()]);
        ends_for(&mut yard, &[false], what, &[UNPACK, DIFF], 0, "");
    }
    yard.ordeal.judge();
}

#[test]
fn ways_that_lead_back_and_forth() {
    let mut yard = Yard::new();
    let deep = "d/".repeat(300);
    // each link goes down and up again as often as a target has room for, and leads to the next
    let mut tar = Tar::new().pax(&[("path", &deep)]).entry(dir("cut"), b"");
    for at in 0..39 {
        let next = if at == 38 { String::new() } else { format!("/l{}", at + 1) };
        let target = format!("/{deep}{}{next}", "../d/".repeat(690));
        tar = tar.pax(&[("linkpath", &target)]).symlink(&format!("l{at}"), "cut");
    }
    let through = |name: &str| (0..5000).fold(tar.clone(), |tar, at| tar.file(&format!("l0/{name}{at}"), b""));
    for (what, layer) in [
        ("files", through("f")),
        ("whiteouts", through(".wh.f")),
        ("hard links", (0..5000).fold(tar.clone(), |tar, at| tar.hard_link(&format!("h{at}"), "l0/x"))),
    ] {
        yard.image(&[layer.finished()]);
        ends(&mut yard, what, &READ, 4, "the way to it is too long");
    }
    yard.ordeal.judge();
}

#[test]
fn hard_links_to_the_limit_of_the_file_system() {
    let mut yard = Yard::new();
    let count = 70_000;
    let layer = (0..count).fold(Tar::new().file("a", b""), |tar, at| tar.hard_link(&format!("{at}"), "a"));
    yard.image(&[layer.finished()]);
    // ext4 has 65,000 for one file, others as many as one likes
    let ran = yard.ordeal.run("70,000 hard links", UNPACK);
    let is_told = ran.code == 10 && ran.says("Too many links") && !yard.ordeal.path("out").exists();
    if ran.code != 0 && !is_told {
        yard.ordeal.fault(format!("70,000 hard links: {} {}", ran.code, ran.stderr));
    }
    yard.ordeal.clear("out");
    ends(&mut yard, "70,000 hard links", &[DIFF], 0, "");
    yard.ordeal.judge();
}

#[test]
fn attributes_that_are_many_or_large() {
    let mut yard = Yard::new();
    let many: Vec<String> = (0..1000).map(|at| format!("SCHILY.xattr.user.a{at}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "x")).collect();
    let large = "x".repeat(65_536);
    let lots: Vec<String> = (0..15).map(|at| format!("SCHILY.xattr.user.a{at}")).collect();
    let lots: Vec<(&str, &str)> = lots.iter().map(|name| (name.as_str(), large.as_str())).collect();
    for (what, records) in
        [("a thousand", many), ("one of 64 KiB", vec![("SCHILY.xattr.user.a", large.as_str())]), ("15 of 64 KiB", lots)]
    {
        // what a file system has no room for is left out and told
        yard.image(&[Tar::new().pax(&records).file("f", b"").pax(&records).entry(dir("d"), b"").finished()]);
        ends(&mut yard, what, &READ, 0, "");
    }
    let too_many: Vec<String> = (0..17).map(|at| format!("SCHILY.xattr.user.a{at}")).collect();
    let too_many: Vec<(&str, &str)> = too_many.iter().map(|name| (name.as_str(), large.as_str())).collect();
    yard.image(&[Tar::new().pax(&too_many).file("f", b"").finished()]);
    ends(&mut yard, "17 of 64 KiB", &READ, 4, "expected at most 1048576");
    yard.ordeal.judge();
}

fn packed(packing: &str, start: &[u8], zeros: u64) -> Vec<u8> {
    let mut from = start.chain(std::io::repeat(0).take(zeros));
    if packing == "gzip" {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::copy(&mut from, &mut to).unwrap();
        to.finish().unwrap()
    } else {
        zstd::encode_all(from, 1).unwrap()
    }
}

#[test]
fn bombs() {
    let mut yard = Yard::new();
    let size = 256 << 20;
    let nobodys = format!("sha256:{}", "0".repeat(64));
    let layer = |media_type, bytes| Layer { media_type, bytes, diff_id: nobodys.clone() };
    let mut window = zstd::Encoder::new(Vec::new(), 1).unwrap();
    window.window_log(28).unwrap();
    window.write_all(&Tar::new().file("a", &[0; 1000]).finished()).unwrap();
    let header = |size: u64| Block::ustar("zeros").size(size).finished();
    let limited = "unpack --no-sync --max-size 16M x out";
    let bomb = "it may be a bomb";
    for (what, layer, line, code, said) in [
        ("a file of zeros, gzip", layer(GZIP, packed("gzip", &header(size), size)), limited, 9, bomb),
        ("a file of zeros, zstd", layer(ZSTD, packed("zstd", &header(size), size)), limited, 9, bomb),
        (
            "zeros behind the end, gzip",
            layer(GZIP, packed("gzip", &Tar::new().file("a", b"").finished(), size)),
            limited,
            9,
            bomb,
        ),
        (
            "zeros behind the end, zstd",
            layer(ZSTD, packed("zstd", &Tar::new().file("a", b"").finished(), size)),
            limited,
            9,
            bomb,
        ),
        ("another packing than its type says", layer(LAYER, packed("zstd", &header(size), size)), limited, 9, bomb),
        ("gzip in gzip", layer(GZIP, packed("gzip", &packed("gzip", &header(size), size), 0)), UNPACK, 4, "check sum"),
        ("a window of 256 MiB", layer(ZSTD, window.finish().unwrap()), UNPACK, 4, "cannot be unpacked as zstd"),
        (
            "gzip, cut",
            layer(GZIP, packed("gzip", &header(8), 8)[..20].to_vec()),
            UNPACK,
            4,
            "cannot be unpacked as gzip",
        ),
        (
            "200,000 empty members",
            layer(GZIP, packed("gzip", b"", 0).repeat(200_000)),
            UNPACK,
            4,
            "expected the diff_id",
        ),
        (
            "200,000 skippable frames",
            layer(ZSTD, [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0].repeat(200_000)),
            UNPACK,
            4,
            "expected the diff_id",
        ),
        (
            "zstd with a frame of nothing at its end",
            {
                let tar = Tar::new().file("a", b"x").finished();
                let bytes = [packed("zstd", &tar, 0), vec![0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]].concat();
                Layer { media_type: ZSTD, bytes, ..Layer::plain(&tar) }
            },
            UNPACK,
            0,
            "",
        ),
    ] {
        yard.image_of(&[layer]);
        ends(&mut yard, what, &[line], code, said);
    }
    yard.ordeal.judge();
}

#[test]
fn packings_that_are_not_unpacked() {
    let mut yard = Yard::new();
    // a block whose dictionary is 4 GiB: nobody gets so far as to make room for it
    let xz = [&b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x28\0\0\0"[..], &[0; 2000]].concat();
    for (name, bytes) in [
        ("xz", xz),
        ("bzip2", [&b"BZh91AY&SY"[..], &[0; 2000]].concat()),
        ("lz4", [&b"\x04\x22\x4d\x18"[..], &[0; 600]].concat()),
    ] {
        for media_type in [LAYER, GZIP, ZSTD] {
            let diff_id = Layer::plain(b"what it is unpacked").diff_id;
            yard.image_of(&[Layer { media_type, bytes: bytes.clone(), diff_id }]);
            ends(&mut yard, name, &READ, 9, &format!("it is packed with {name}"));
            let ran = yard.ordeal.run(name, "verify --deep x");
            if ran.code != 4 || !ran.says(&format!("it is packed with {name}")) {
                yard.ordeal.fault(format!("verify {name}: {} {}{}", ran.code, ran.stdout, ran.stderr));
            }
            ends(&mut yard, name, &["verify x", "copy --no-sync x out"], 0, "");
        }
    }
    // a name may begin like that
    yard.image(&[Tar::new().file("BZh9", b"x").finished()]);
    let ran = yard.ordeal.run("a file called BZh9", UNPACK);
    assert!(ran.code == 0 && seen(&yard.ordeal.path("out"), false)["BZh9"] == "file 644 x", "{}", ran.stderr);
    assert!(is_root() || std::env::var_os("CI").is_none(), "in CI this runs as root");
    yard.ordeal.judge();
}
