//! Little that wants to become much: in memory, in time, or on the disk.

use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;

use serde_json::json;

use crate::descriptors::made;
use crate::dialects::whole;
use crate::ordeal::{Ordeal, Ran};
use crate::support::image::{CONFIG, INDEX, Images, Layer, MANIFEST, digest, manifest, named, on, simple};
use crate::support::tar::{Block, Tar};

/// Checks that every command ended as a place deserves it.
fn all(ordeal: &mut Ordeal, what: &str, place: &str, lines: &[&str], codes: &[i32]) -> Vec<Ran> {
    let mut ran = Vec::new();
    for line in lines {
        let one = ordeal.run(what, &line.replace("PLACE", place));
        if !codes.contains(&one.code) {
            ordeal.fault(format!("{what}: {line}: {} {}", one.code, one.stderr.chars().take(600).collect::<String>()));
        }
        ordeal.clear("out");
        ran.push(one);
    }
    ran
}

const FEW: [&str; 3] = ["ls --all PLACE", "verify PLACE", "copy --no-sync PLACE out"];

/// The same thing very often, with commas between.
pub(crate) fn listed(item: &str, count: usize) -> String {
    let mut list = format!("{item},").repeat(count);
    list.pop();
    list
}

fn filled(prefix: &str, item: &str, suffix: &str, bytes: usize) -> Vec<u8> {
    let count = (bytes - prefix.len() - suffix.len() - 16) / (item.len() + 1);
    format!("{prefix}{}{suffix}", listed(item, count)).into_bytes()
}

#[test]
fn an_index_json_as_large_as_it_may_be() {
    let start = r#"{"schemaVersion":2,"manifests":["#;
    let descriptor = format!(r#"{{"mediaType":"a/b","digest":"sha256:{}","size":1}}"#, "0".repeat(64));
    let annotated = descriptor.replace("\"size\":1", "\"size\":1,\"annotations\":{\"a\":\"b\"}");
    let limit = 64 << 20;
    let mut ordeal = Ordeal::new();
    // (what, the text): two bytes of text are a value of seventy bytes
    // each text is for one command: none gets further than opening the place, which is the same for all
    for ((what, text), line) in [
        ("zeros for entries", filled(start, "0", "]}", limit)),
        ("objects for entries", filled(start, r#"{"a":0}"#, "]}", limit)),
        ("descriptors", filled(start, &descriptor, "]}", limit)),
        ("zeros beside", filled(r#"{"schemaVersion":2,"manifests":[],"x":["#, "0", "]}", limit)),
        ("lists beside", filled(r#"{"schemaVersion":2,"manifests":[],"x":["#, "[]", "]}", limit)),
        ("more than that", filled(start, "0", "]}", limit + (1 << 20))),
    ]
    .into_iter()
    .zip(FEW.into_iter().cycle())
    {
        let mut images = Images::new();
        images.index_json = Some(text);
        images.layout(&ordeal.path("x"));
        all(&mut ordeal, what, "x", &[line], &[4]);
    }
    // what just fits, and is all one long text
    for (what, text) in [
        (
            "one annotation",
            format!("{start}{}]}}", annotated.replace("\"b\"", &format!("\"{}\"", "b".repeat(60 << 20)))).into_bytes(),
        ),
        ("42,000 descriptors with annotations", filled(start, &annotated, "]}", 42_000 * (annotated.len() + 1))),
    ] {
        let mut images = Images::new();
        images.index_json = Some(text);
        images.layout(&ordeal.path("x"));
        all(&mut ordeal, what, "x", &FEW, &[0, 4]);
    }
    ordeal.judge();
}

#[test]
fn documents_as_large_as_they_may_be() {
    let mut ordeal = Ordeal::new();
    let limit = 8 << 20;
    let start = r#"{"schemaVersion":2,"manifests":["#;
    let descriptor = format!(r#"{{"mediaType":"a/b","digest":"sha256:{}","size":0}}"#, "0".repeat(64));
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    // `verify` reads all of each, and the others take turns
    for ((what, bytes), line) in [
        ("zeros for entries", filled(start, "0", "]}", limit)),
        ("descriptors for entries", filled(start, &descriptor, "]}", limit)),
        ("nested lists", filled(r#"{"schemaVersion":2,"manifests":[],"x":["#, &nested(100), "]}", limit)),
        ("objects", filled(r#"{"schemaVersion":2,"manifests":[],"x":["#, r#"{"a":0}"#, "]}", limit)),
        (
            "urls",
            filled(
                &format!("{start}{}", descriptor.replace("\"size\":0}", "\"size\":0,\"urls\":[")),
                "\"\"",
                "]}]}",
                limit,
            ),
        ),
    ]
    .into_iter()
    .zip(["tree PLACE", FEW[0], FEW[2]].into_iter().cycle())
    {
        made(|images| images.put(INDEX, &bytes)).write(&ordeal.path("x"));
        all(&mut ordeal, what, "x", &[FEW[1], line], &[0, 4]);
        ordeal.clear("x");
    }
    // many of them: what is reached is bounded, not only what one document holds
    let mut images = Images::new();
    let wide: Vec<_> = (0..4_usize)
        .map(|at| {
            let item = |number: usize| {
                format!(r#"{{"mediaType":"a/b","digest":"sha256:{:064x}","size":0}}"#, at * 100_000 + number)
            };
            let items: Vec<String> = (0..60_000).map(item).collect();
            images.put(INDEX, format!("{start}{}]}}", items.join(",")).as_bytes())
        })
        .collect();
    let top = images.index(&wide);
    images.root(named(top, "v1"));
    images.layout(&ordeal.path("wide"));
    all(&mut ordeal, "240,000 descriptors", "wide", &FEW, &[0, 4]);
    ordeal.judge();
}

#[test]
fn a_diamond_is_walked_in_linear_time() {
    let mut images = Images::new();
    let image = images.image("linux/amd64", &[Layer::gzip(&Tar::new().file("a", b"x").finished())]);
    let mut top = on(image, "linux/amd64");
    for _ in 0..30 {
        top = images.index(&[top.clone(), top]);
    }
    images.root(named(top, "v1"));
    let mut ordeal = Ordeal::new();
    for place in ["x", "x.tar"] {
        images.write(&ordeal.path(place));
        for (line, ran) in ordeal.try_all("a diamond 30 levels deep", place) {
            if ran.code != 0 && !line.starts_with("unpack") && !line.starts_with("merge") {
                ordeal.fault(format!("{line}: {} {}", ran.code, ran.stderr));
            }
        }
    }
    ordeal.judge();
}

#[test]
fn archives_of_very_many_entries() {
    let mut ordeal = Ordeal::new();
    let count = 200_000;
    let mut file = BufWriter::new(File::create(ordeal.path("x.tar")).unwrap());
    for at in 0..count {
        file.write_all(&Block::ustar(&format!("other/{at:08}")).finished()).unwrap();
    }
    file.write_all(&whole().finished()).unwrap();
    file.flush().unwrap();
    all(&mut ordeal, "200,000 entries", "x.tar", &["ls --all PLACE", "verify PLACE", "copy --no-sync PLACE out"], &[0]);
    // the same as a hole: only headers are read
    let file = File::create(ordeal.path("y.tar")).unwrap();
    let mut at = 0;
    for number in 0..20_000 {
        file.write_all_at(&Block::ustar(&format!("other/{number:08}")).size(1 << 20).finished(), at).unwrap();
        at += 512 + (1 << 20);
    }
    file.write_all_at(&whole().finished(), at).unwrap();
    all(&mut ordeal, "20 GB that are a hole", "y.tar", &["ls --all PLACE", "verify PLACE"], &[0]);
    ordeal.judge();
}

#[test]
fn names_that_would_fill_the_memory() {
    let mut ordeal = Ordeal::new();
    let long = "n".repeat(4000);
    let mut file = BufWriter::new(File::create(ordeal.path("x.tar")).unwrap());
    for at in 0..40_000 {
        file.write_all(&Tar::new().extension(b'L', format!("{long}{at}").as_bytes()).file("x", b"").unfinished())
            .unwrap();
    }
    file.write_all(&whole().finished()).unwrap();
    file.flush().unwrap();
    all(&mut ordeal, "160 MB of names", "x.tar", &["ls --all PLACE"], &[4]);
    for (what, tar) in [
        ("an extension of 2 MiB", whole().entry(Block::ustar("x").flag(b'L').size(2 << 20), &vec![b'n'; 2 << 20])),
        (
            "an extension of 2^62 bytes",
            whole().entry(Block::ustar("x").flag(b'x').size_field([0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]), b""),
        ),
        ("a megabyte of PAX records", whole().extension(b'x', "9 a=bcde\n".repeat(100_000).as_bytes()).file("x", b"")),
        ("many PAX headers", (0..2000).fold(whole(), |tar, _| tar.pax(&[("comment", "x")]))),
        ("many global headers", (0..20_000).fold(whole(), |tar, _| tar.extension(b'g', b"9 a=bcde\n"))),
        (
            "a sparse map without end",
            whole().entry(Block::gnu("x").flag(b'S').size_field([0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]), &[b'7'; 512]),
        ),
    ] {
        fs::write(ordeal.path("x.tar"), tar.finished()).unwrap();
        all(&mut ordeal, what, "x.tar", &FEW, &[0, 4]);
    }
    ordeal.judge();
}

/// Zeros that are packed as small as they can be.
fn zeros(packing: &str, size: u64) -> Vec<u8> {
    let mut from = std::io::repeat(0).take(size);
    match packing {
        "gzip" => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            std::io::copy(&mut from, &mut to).unwrap();
            to.finish().unwrap()
        }
        _ => zstd::encode_all(from, 1).unwrap(),
    }
}

#[test]
fn compressed_data_that_unpack_to_too_much() {
    let mut ordeal = Ordeal::new();
    let mut window = zstd::Encoder::new(Vec::new(), 1).unwrap();
    window.window_log(28).unwrap();
    window.write_all(&whole().finished()).unwrap();
    let skippable: Vec<u8> = [&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0][..]].concat().repeat(200_000);
    for (what, bytes) in [
        ("gzip of 2 GiB of zeros", zeros("gzip", 2 << 30)),
        ("zstd of 2 GiB of zeros", zeros("zstd", 2 << 30)),
        ("gzip in gzip", zeros("gzip", 64 << 20)),
        ("a window of 256 MiB", window.finish().unwrap()),
        ("only skippable frames", skippable),
        ("200,000 empty members", Layer::gzip(b"").bytes.repeat(200_000)),
    ] {
        let bytes = if what == "gzip in gzip" { Layer::gzip(&bytes).bytes } else { bytes };
        fs::write(ordeal.path("x.tar"), bytes).unwrap();
        all(&mut ordeal, what, "x.tar", &["ls --all PLACE"], &[4]);
    }
    // compressed documents are no documents
    let index = Layer::gzip(&simple(&["linux/amd64"]).index_json()).bytes;
    let mut images = simple(&["linux/amd64"]);
    images.index_json = Some(index);
    images.layout(&ordeal.path("x"));
    all(&mut ordeal, "a compressed index.json", "x", &FEW, &[4]);
    ordeal.judge();
}

#[test]
fn layers_that_unpack_to_too_much() {
    let mut ordeal = Ordeal::new();
    for packing in ["gzip", "zstd"] {
        let bytes = zeros(packing, 1 << 30);
        let media_type = if packing == "gzip" { crate::support::image::GZIP } else { crate::support::image::ZSTD };
        made(|images| {
            let config = images.document(CONFIG, &json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", "0".repeat(64))]}}));
            let layer = images.put(media_type, &bytes);
            images.document(MANIFEST, &manifest(&config, &[layer]))
        })
        .layout(&ordeal.path("x"));
        all(&mut ordeal, packing, "x", &["verify PLACE"], &[0]);
        all(&mut ordeal, packing, "x", &["unpack --max-size 1M PLACE out"], &[0, 4, 9]);
        ordeal.clear("x");
    }
    ordeal.judge();
}

#[test]
fn ten_thousand_names_are_only_many() {
    let mut ordeal = Ordeal::new();
    let mut images = simple(&["linux/amd64", "linux/arm64"]);
    let roots = images.roots.clone();
    images.roots = (0..10_000).map(|at| named(roots[at % 2].clone(), &format!("app:v{at}"))).collect();
    let _ = digest(&roots[0]);
    let place = "many";
    images.write(&ordeal.path(place));
    all(
        &mut ordeal,
        "10,000 names",
        place,
        &[
            "ls PLACE",
            "tree PLACE",
            "verify PLACE",
            "serve --dry-run PLACE",
            "inspect PLACE:app:v9999",
            "referrers PLACE:app:v9999",
            "save --no-sync -o out.tar PLACE",
            "copy --no-sync PLACE out",
        ],
        &[0],
    );
    ordeal.clear("out.tar");
    all(
        &mut ordeal,
        "a further name",
        place,
        &["merge -o PLACE -t new:v1 PLACE:app:v1 PLACE:app:v2", "merge -o PLACE -t app:v5 PLACE:app:v1"],
        &[0],
    );
    let listed = ordeal.run("10,000 names", &format!("ls --json {place}"));
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let images = listed["results"].as_array().unwrap().iter();
    assert_eq!(images.map(|image| image["names"].as_array().unwrap().len()).sum::<usize>(), 10_002, "{place}");
    // the message about an ambiguous word does not list ten thousand
    all(&mut ordeal, "ambiguous", place, &["merge -o out -t x:v1 PLACE"], &[3]);
    ordeal.judge();
}
