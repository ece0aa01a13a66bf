//! Layouts and archives whose documents lie: JSON that parsers read differently, types that are confused, depth.

use serde_json::{Value, json};

use crate::descriptors::made;
use crate::ordeal::Scope::{Deep, Merge, Reach, Verify};
use crate::ordeal::{case, refused};
use crate::support::image::{CONFIG, INDEX, Images, LAYER, Layer, MANIFEST, ZSTD, config, digest, manifest, on};

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A place whose root is these bytes.
fn raw(media_type: &'static str, bytes: impl AsRef<[u8]>) -> Images {
    made(|images| images.put(media_type, bytes.as_ref()))
}

/// A manifest that was changed after it was made.
fn changed(change: impl FnOnce(&mut Value)) -> Images {
    made(|images| {
        let layer = images.put(LAYER, b"x");
        let config = images.document(CONFIG, &config("linux/amd64", &[Layer::plain(b"x")]));
        let mut document = manifest(&config, &[layer]);
        change(&mut document);
        images.document(MANIFEST, &document)
    })
}

/// An image whose config has this text.
fn configured(text: impl AsRef<[u8]>) -> Images {
    made(|images| {
        let layer = images.put(LAYER, b"x");
        let config = images.put(CONFIG, text.as_ref());
        images.document(MANIFEST, &manifest(&config, &[layer]))
    })
}

#[test]
fn json_that_parsers_read_differently() {
    let good = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let open = |count: usize| format!("{{\"schemaVersion\":2,\"x\":{}", "[".repeat(count));
    let closed = |count: usize| format!("{{\"schemaVersion\":2,\"x\":{}{}}}", "[".repeat(count), "]".repeat(count));
    let objects = |count: usize| format!("{}1{}", "{\"a\":".repeat(count), "}".repeat(count));
    refused(vec![
        case("empty", "what is left of a failed write", raw(MANIFEST, ""), (Reach, 4), "empty"),
        case("only white space", "as empty", raw(MANIFEST, "  \n "), (Reach, 4), "strict JSON"),
        case("only zeros", "what is left after a power cut", raw(MANIFEST, [0; 4096]), (Reach, 4), "strict JSON"),
        case(
            "a byte order mark",
            "skipped by some",
            raw(MANIFEST, format!("\u{feff}{good}")),
            (Reach, 4),
            "byte order mark",
        ),
        case("UTF-16", "detected by some", raw(MANIFEST, utf16), (Reach, 4), "strict JSON"),
        case(
            "UTF-16 with its mark",
            "detected by some",
            raw(MANIFEST, [&b"\xff\xfe"[..], b"{\0}\0"].concat()),
            (Reach, 4),
            "UTF-8",
        ),
        case("Latin 1", "replaced by some", raw(MANIFEST, b"{\"a\":\"\xe9\"}"), (Reach, 4), "not UTF-8"),
        case("overlong UTF-8", "a hidden slash", raw(MANIFEST, b"{\"a\":\"\xc0\xaf\"}"), (Reach, 4), "not UTF-8"),
        case(
            "a surrogate in UTF-8",
            "taken by some",
            raw(MANIFEST, b"{\"a\":\"\xed\xa0\x80\"}"),
            (Reach, 4),
            "not UTF-8",
        ),
        case("a lone surrogate", "replaced by some", raw(MANIFEST, r#"{"a":"\ud800"}"#), (Reach, 4), "hex escape"),
        case(
            "surrogates in the wrong order",
            "replaced by some",
            raw(MANIFEST, r#"{"a":"\udc00\ud800"}"#),
            (Reach, 4),
            "hex escape",
        ),
        case(
            "a key twice",
            "first or last wins",
            raw(MANIFEST, r#"{"schemaVersion":2,"schemaVersion":2}"#),
            (Reach, 4),
            "twice",
        ),
        case(
            "a key twice by an escape",
            "the same key",
            raw(MANIFEST, r#"{"layers":[],"\u006cayers":[]}"#),
            (Reach, 4),
            "twice",
        ),
        case(
            "a key twice but for case",
            "Go takes either",
            raw(MANIFEST, r#"{"config":{},"Config":{}}"#),
            (Reach, 4),
            "upper and lower case",
        ),
        case(
            "a list twice",
            "read item by item",
            raw(INDEX, r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#),
            (Reach, 4),
            "twice",
        ),
        case("more after the end", "ignored by some", raw(MANIFEST, format!("{good} {{}}")), (Reach, 4), "trailing"),
        case("a NUL after the end", "ends a text in C", raw(MANIFEST, format!("{good}\0")), (Reach, 4), "trailing"),
        case("a comment", "JSON5", raw(MANIFEST, format!("/* */{good}")), (Reach, 4), "strict JSON"),
        case("a comma at the end", "JSON5", raw(MANIFEST, r#"{"schemaVersion":2,}"#), (Reach, 4), "strict JSON"),
        case("NaN", "Python writes it", raw(MANIFEST, r#"{"schemaVersion":NaN}"#), (Reach, 4), "strict JSON"),
        case("octal", "other numbers", raw(MANIFEST, r#"{"schemaVersion":02}"#), (Reach, 4), "invalid number"),
        case("cut", "a torn write", raw(MANIFEST, &good[..20]), (Reach, 4), "EOF"),
        case("open lists, deep", "recursion", raw(MANIFEST, open(100_000)), (Reach, 4), "recursion"),
        case("lists, deep", "recursion", raw(MANIFEST, closed(100_000)), (Reach, 4), "recursion"),
        case("objects, deep", "recursion, and in freeing", raw(MANIFEST, objects(100_000)), (Reach, 4), "recursion"),
        case("a list", "another type", raw(MANIFEST, "[]"), (Reach, 4), "an object"),
        case("a text", "another type", raw(MANIFEST, "\"x\""), (Reach, 4), "an object"),
        case("null", "Go's nil", raw(MANIFEST, "null"), (Reach, 4), "an object"),
        case(
            "an escape in a message",
            "a parser quotes it",
            raw(MANIFEST, "{\"\u{1b}[2J\":1}"),
            (Reach, 4),
            "strict JSON",
        ),
        case("YAML", "taken by lenient readers", raw(MANIFEST, "schemaVersion: 2\n"), (Reach, 4), "strict JSON"),
        case("HTML", "a proxy's error page", raw(MANIFEST, "<html></html>"), (Reach, 4), "strict JSON"),
        case("gzip", "a packed document", raw(MANIFEST, Layer::gzip(good.as_bytes()).bytes), (Reach, 4), "UTF-8"),
    ]);
}

#[test]
fn types_that_are_confused() {
    refused(vec![
        case(
            "an index with layers",
            "CVE-2021-41190",
            made(|images| {
                let image = images.image("linux/amd64", &[Layer::plain(b"x")]);
                images.document(INDEX, &json!({"schemaVersion": 2, "manifests": [image], "layers": []}))
            }),
            (Reach, 4),
            "an index and a manifest at once",
        ),
        case(
            "a manifest with manifests",
            "CVE-2021-41190",
            changed(|it| it["manifests"] = json!([])),
            (Reach, 4),
            "an index and a manifest at once",
        ),
        case(
            "a manifest with fsLayers",
            "schema 1 and 2 at once",
            changed(|it| it["fsLayers"] = json!([])),
            (Reach, 4),
            "an index and a manifest at once",
        ),
        case(
            "an index with a config",
            "a manifest at once",
            made(|images| images.document(INDEX, &json!({"schemaVersion": 2, "manifests": [], "config": {}}))),
            (Reach, 4),
            "an index and a manifest at once",
        ),
        case(
            "Docker's type inside OCI's",
            "the type decides how it is read",
            changed(|it| it["mediaType"] = json!(DOCKER)),
            (Reach, 4),
            "the type that refers to it",
        ),
        case(
            "an index's type in a manifest",
            "the type decides how it is read",
            changed(|it| it["mediaType"] = json!(INDEX)),
            (Reach, 4),
            "the type that refers to it",
        ),
        case(
            "a type in other letters",
            "types are compared exactly elsewhere",
            changed(|it| it["mediaType"] = json!(MANIFEST.to_uppercase())),
            (Reach, 4),
            "the type that refers to it",
        ),
        case(
            "a type with a parameter",
            "as HTTP has them",
            changed(|it| it["mediaType"] = json!(format!("{MANIFEST}; charset=utf-8"))),
            (Reach, 4),
            "the type that refers to it",
        ),
        case(
            "a type that is a number",
            "another type",
            changed(|it| it["mediaType"] = json!(2)),
            (Reach, 4),
            "mediaType",
        ),
        case(
            "a manifest called an index",
            "the descriptor decides",
            made(|images| {
                let mut image = images.image("linux/amd64", &[Layer::plain(b"x")]);
                image["mediaType"] = json!(INDEX);
                image
            }),
            (Reach, 4),
            "",
        ),
        case(
            "schema 1",
            "withdrawn",
            raw(MANIFEST, r#"{"schemaVersion":1,"fsLayers":[]}"#),
            (Reach, 4),
            "schemaVersion is 1",
        ),
        case("schema 3", "unknown", changed(|it| it["schemaVersion"] = json!(3)), (Reach, 4), "schemaVersion is 3"),
        case(
            "schema \"2\"",
            "another type",
            changed(|it| it["schemaVersion"] = json!("2")),
            (Reach, 4),
            "schemaVersion",
        ),
        case(
            "no schema",
            "any document",
            changed(|it| it["schemaVersion"] = Value::Null),
            (Reach, 4),
            "schemaVersion is absent",
        ),
        case(
            "layers that are an object",
            "another type",
            changed(|it| it["layers"] = json!({})),
            (Reach, 4),
            "layers is an object",
        ),
        case(
            "layers that are a text",
            "another type",
            changed(|it| it["layers"] = json!("x")),
            (Reach, 4),
            "layers is",
        ),
        case(
            "no config",
            "a manifest needs one",
            changed(|it| it["config"] = Value::Null),
            (Reach, 4),
            "config is absent",
        ),
        case("a config that is a list", "another type", changed(|it| it["config"] = json!([])), (Reach, 4), "config"),
        case(
            "an annotation that is null",
            "another type",
            changed(|it| it["annotations"] = json!({"a": null})),
            (Reach, 4),
            "annotations",
        ),
        case(
            "a subject without a digest",
            "refers to nothing",
            changed(|it| it["subject"] = json!({"mediaType": MANIFEST, "size": 1})),
            (Reach, 4),
            "subject.digest",
        ),
        case(
            "a manifest as a layer's type",
            "documents below documents",
            changed(|it| it["layers"][0]["mediaType"] = json!(MANIFEST)),
            (Reach, 4),
            "",
        ),
    ]);
}

#[test]
fn depth_and_size() {
    let nested = |depth: usize| {
        made(move |images| {
            let image = images.image("linux/amd64", &[Layer::plain(b"x")]);
            (0..depth).fold(on(image, "linux/amd64"), |below, _| images.index(&[below]))
        })
    };
    refused(vec![
        case("indexes 65 deep", "one more than is walked", nested(65), (Reach, 4), "64"),
        case("indexes 3000 deep", "recursion", nested(3000), (Reach, 4), "64"),
        case("a manifest of 9 MiB", "more than is read", raw(MANIFEST, " ".repeat(9 << 20)), (Reach, 4), "8388608"),
        case(
            "itself",
            "a cycle, which right digests cannot make",
            made(|images| {
                let index = images.index(&[]);
                let own = json!({"schemaVersion": 2, "manifests": [index]});
                *images.blobs.get_mut(digest(&index)).unwrap() = own.to_string().into_bytes();
                index
            }),
            (Reach, 4),
            "content is",
        ),
        case(
            "each other",
            "a cycle of two",
            made(|images| {
                let (one, other) =
                    (images.index(&[]), images.document(INDEX, &json!({"schemaVersion": 2, "manifests": null})));
                for (from, to) in [(&one, &other), (&other, &one)] {
                    let document = json!({"schemaVersion": 2, "manifests": [to]});
                    *images.blobs.get_mut(digest(from)).unwrap() = document.to_string().into_bytes();
                }
                one
            }),
            (Reach, 4),
            "content is",
        ),
        case("an empty index", "an image for no platform", made(|images| images.index(&[])), (Merge, 3), ""),
    ]);
}

#[test]
fn configs() {
    let diff_ids = |ids: Value| {
        made(move |images| {
            let layer = images.put(LAYER, &crate::support::tar::Tar::new().file("a", b"x").finished());
            let config = images.document(
                CONFIG,
                &json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids}}),
            );
            images.document(MANIFEST, &manifest(&config, &[layer]))
        })
    };
    let zeros = format!("sha256:{}", "0".repeat(64));
    refused(vec![
        case("no diff_ids", "fewer than layers", diff_ids(json!([])), (Verify, 4), "diff_ids"),
        case("no list of them", "null", diff_ids(Value::Null), (Verify, 4), "diff_ids"),
        case("one too many", "more than layers", diff_ids(json!([zeros, zeros])), (Verify, 4), "diff_ids"),
        case(
            "another diff_id",
            "the content is not what the config says",
            diff_ids(json!([zeros])),
            (Deep, 4),
            "diffid-mismatch",
        ),
    ]);
    // the config is content like any other: only who needs what stands in it reads it
    let mut ordeal = crate::ordeal::Ordeal::new();
    for (what, text) in [
        (
            "malformed diff_ids",
            r#"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["x","sha256:../x"]}}"#.to_owned(),
        ),
        ("diff_ids that are a text", r#"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":"x"}}"#.to_owned()),
        ("rootfs that is a list", r#"{"os":"linux","architecture":"amd64","rootfs":[]}"#.to_owned()),
        ("os that is a number", r#"{"os":1,"architecture":"amd64"}"#.to_owned()),
        ("a list", "[]".to_owned()),
        ("no JSON", "\u{1b}[2J".to_owned()),
        ("a key twice", r#"{"os":"linux","os":"windows","architecture":"amd64"}"#.to_owned()),
        ("deep", format!("{{\"x\":{}", "[".repeat(10_000))),
        (
            "platform with control characters",
            "{\"os\":\"li\\u001b[2Jnux\",\"architecture\":\"am\\nd64\",\"variant\":\"\\u202e\"}".to_owned(),
        ),
    ] {
        for place in ["x", "x.tar"] {
            configured(&text).write(&ordeal.path(place));
            let all = ordeal.try_all(what, place);
            let deep = &all["verify --deep --json PLACE"];
            if deep.code != 4 {
                ordeal.fault(format!("{what}: verify --deep ends with {}: {}", deep.code, deep.stdout));
            }
            ordeal.clear(place);
        }
    }
    ordeal.judge();
}

#[test]
fn layers_that_are_damaged_inside() {
    let tar = crate::support::tar::Tar::new().file("a", &[7; 5000]).finished();
    let packed = |bytes: Vec<u8>, media_type: &'static str| {
        let tar = tar.clone();
        made(move |images| {
            let config = images.document(CONFIG, &config("linux/amd64", &[Layer::plain(&tar)]));
            let layer = images.put(media_type, &bytes);
            images.document(MANIFEST, &manifest(&config, &[layer]))
        })
    };
    let (gzip, zstd) = (Layer::gzip(&tar).bytes, Layer::zstd(&tar).bytes);
    let flipped = |bytes: &[u8], from_end: usize| {
        let mut bytes = bytes.to_vec();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        bytes
    };
    let more = |bytes: &[u8], tail: &[u8]| [bytes, tail].concat();
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let gz = crate::support::image::GZIP;
    refused(vec![
        case(
            "gzip, wrong check sum",
            "found at the very end only",
            packed(flipped(&gzip, 8), gz),
            (Deep, 4),
            "sha256:",
        ),
        case("gzip, wrong length", "found at the very end only", packed(flipped(&gzip, 1), gz), (Deep, 4), "sha256:"),
        case("gzip, cut", "a short write", packed(half(&gzip), gz), (Deep, 4), "sha256:"),
        case("gzip, garbage behind", "ignored by some", packed(more(&gzip, b"garbage"), gz), (Deep, 4), "sha256:"),
        case(
            "gzip, a second member",
            "more content for those who read on",
            packed(more(&gzip, &Layer::gzip(b"more").bytes), gz),
            (Deep, 4),
            "sha256:",
        ),
        case("gzip in gzip", "unpacked once or twice", packed(Layer::gzip(&gzip).bytes, gz), (Deep, 4), "sha256:"),
        case("zstd, cut", "a short write", packed(half(&zstd), ZSTD), (Deep, 4), "sha256:"),
        case("zstd, garbage behind", "ignored by some", packed(more(&zstd, b"garbage"), ZSTD), (Deep, 4), "sha256:"),
        case(
            "zstd, a second frame",
            "more content",
            packed(more(&zstd, &Layer::zstd(b"more").bytes), ZSTD),
            (Deep, 4),
            "sha256:",
        ),
        case("nothing", "no gzip at all", packed(Vec::new(), gz), (Deep, 4), "sha256:"),
    ]);
}
