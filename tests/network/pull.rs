//! What comes back is what was meant, whole, or has no name here.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::{Bench, Made, image, noise};
use crate::environment::until;
use crate::registry::{Answer, FakeRegistry, Options, Rule};
use crate::support::image::{CONFIG, GZIP, INDEX, Images, LAYER, Layer, MANIFEST, on};

const BLOBS: &str = "/v2/app/blobs/*";

/// Puts all of some images into a repository, the first root of it as `v1`.
pub(crate) fn publish(registry: &FakeRegistry, repository: &str, tag: &str, images: &Images) {
    for (digest, bytes) in &images.blobs {
        let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
        match document["mediaType"].as_str() {
            Some(media_type @ (MANIFEST | INDEX)) => {
                registry.put_manifest(repository, digest, media_type, bytes);
            }
            _ => registry.put_wrong_blob(repository, digest, bytes),
        }
    }
    let root = &images.roots[0];
    let (digest, media_type) = (root["digest"].as_str().unwrap(), root["mediaType"].as_str().unwrap());
    registry.put_manifest(repository, tag, media_type, &images.blobs[digest]);
}

/// A registry with an image with a large layer, whose digest is returned, too.
fn published(options: Options) -> (FakeRegistry, Made, String) {
    let registry = FakeRegistry::with(options);
    let (images, made) = image(&[noise(1, 2000), noise(2, 3_000_000)]);
    publish(&registry, "app", "v1", &images);
    let large = made.blobs.iter().find(|(_, bytes)| bytes.len() == 3_000_000).unwrap().0.clone();
    (registry, made, large)
}

/// Checks that a layout or an archive is not there or names nothing.
#[track_caller]
pub(crate) fn names_nothing(bench: &Bench, place: &str) {
    let path = bench.path(place);
    if !path.exists() {
        return;
    }
    assert!(path.is_dir(), "{place} is there");
    let index = fs::read(path.join("index.json"));
    let named = index.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap()["manifests"].clone());
    assert!(named.as_ref().map_or(true, |named| *named == json!([])), "{place} names {named:?}");
    // and every blob there is what its name says
    for entry in fs::read_dir(path.join("blobs/sha256")).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.len() == 64 {
            assert_eq!(barge::digest::Digest::of(&fs::read(entry.path()).unwrap()).hex(), name);
        }
    }
}

#[track_caller]
fn is_whole(bench: &Bench, place: &str, made: &Made) {
    let _ = bench.run(&format!("verify {place}")).exits(0);
    let _ = bench.run(&format!("ls {place}")).exits(0).prints(&[&made.digest[7..19]]);
}

#[test]
fn an_image_comes_into_a_layout_and_into_an_archive_as_it_was() {
    let (registry, made, _) = published(Options::default());
    let bench = Bench::new();
    for place in ["layout", "archive.tar"] {
        registry.clear_log();
        let done = bench.run(&format!("pull -o {place} {}/app:v1", registry.host())).exits(0);
        assert!(done.stdout().contains(&made.digest), "{}", done.stdout());
        is_whole(&bench, place, &made);
        // everything was asked for once
        assert_eq!(registry.count("GET", "/v2/app/manifests/*"), 1);
        assert_eq!(registry.count("GET", BLOBS), 3);
        assert_eq!(registry.count("HEAD", "*"), 0);
    }
    registry.clear_log();
    let _ = bench.run(&format!("pull -o layout {}/app:v1", registry.host())).exits(0).says(&["nothing to do"]);
    assert!(registry.count("GET", BLOBS) <= 1, "content was fetched again");
}

#[test]
fn a_wrong_blob_gets_no_name() {
    type Spoil = fn(Rule) -> Rule;
    let cases: [(&str, Spoil, i32, &str); 8] = [
        ("another byte", Rule::wrong_bytes, 4, "expected sha256:"),
        ("too long", |rule| rule.body_longer_by(5), 4, "longer than"),
        ("without an end", Rule::endless_body, 4, "longer than"),
        ("too long, in chunks", |rule| rule.body_longer_by(5).chunked(), 4, "longer than"),
        ("too short", |rule| rule.answer(Answer::status(200).body(noise(2, 2_000_000))), 4, "2000000 bytes"),
        (
            "too short, in chunks",
            |rule| rule.answer(Answer::status(200).body(noise(2, 2_000_000))).chunked(),
            4,
            "2000000",
        ),
        ("not there", |rule| rule.answer(Answer::error(404, "BLOB_UNKNOWN", "gone")), 4, "cannot find"),
        ("forbidden", |rule| rule.answer(Answer::error(403, "DENIED", "not for you")), 5, "not for you"),
    ];
    for (case, spoil, exit, said) in cases {
        for place in ["layout", "archive.tar"] {
            let (registry, _, large) = published(Options::default());
            registry.script([spoil(Rule::on("GET", &format!("/v2/app/blobs/{large}")))]);
            let bench = Bench::new();
            let line = format!("pull --retry 1 -o {place} {}/app:v1", registry.host());
            let done = bench.run(&line).exits(exit).says(&[said]);
            assert!(done.stderr().contains(&large) || exit == 5, "{case}: {}", done.stderr());
            names_nothing(&bench, place);
            // what is wrong is not asked for again
            assert_eq!(registry.count("GET", &format!("/v2/app/blobs/{large}")), 1, "{case}");
            registry.clear_script();
            let _ = bench.run(&line).exits(0);
        }
    }
}

#[test]
fn a_small_blob_is_checked_as_well() {
    type Spoil = fn(Rule) -> Rule;
    let cases: [(Spoil, i32); 5] = [
        (Rule::wrong_bytes, 4),
        (|rule| rule.body_longer_by(5), 4),
        (Rule::endless_body, 4),
        (|rule| rule.answer(Answer::status(200).body("short")), 4),
        (|rule| rule.content_length(5), 4),
    ];
    for (spoil, exit) in cases {
        let (registry, made, _) = published(Options::default());
        let small = &made.blobs.iter().find(|(_, bytes)| bytes.len() == 2000).unwrap().0;
        registry.script([spoil(Rule::on("GET", &format!("/v2/app/blobs/{small}")))]);
        let bench = Bench::new();
        let _ = bench.run(&format!("pull -o layout {}/app:v1", registry.host())).exits(exit).says(&[small]);
        names_nothing(&bench, "layout");
    }
}

#[test]
fn what_breaks_off_goes_on_where_it_was() {
    for (options, again) in
        [(Options::default(), 0), (Options { no_ranges: true, ..Options::default() }, 1_200_000_u64)]
    {
        for place in ["layout", "archive.tar"] {
            let (registry, made, large) = published(options.clone());
            let path = format!("/v2/app/blobs/{large}");
            registry.script([Rule::on("GET", &path).once().body_cut_after(1_200_000)]);
            let bench = Bench::new();
            let line = format!("pull -o {place} {}/app:v1", registry.host());
            let _ = bench.run(&line).exits(0).says(&["was cut after 1.1 MiB", "trying again"]);
            is_whole(&bench, place, &made);
            let asked = registry.requests("GET", &path);
            assert_eq!(asked[1].header("range"), Some("bytes=1200000-"));
            assert_eq!(asked[1].answer_bytes, 1_800_000 + again);
            assert_eq!(asked.len(), 2);
        }
    }
}

#[test]
fn a_body_that_ends_before_its_length_is_a_cut_one() {
    let (registry, made, large) = published(Options::default());
    // more is promised than there is: at the second time it is true
    registry.script([Rule::on("GET", &format!("/v2/app/blobs/{large}")).once().chunked().body_cut_after(100_000)]);
    let bench = Bench::new();
    let _ = bench.run(&format!("pull -o layout {}/app:v1", registry.host())).exits(0);
    is_whole(&bench, "layout", &made);
}

#[test]
fn a_length_that_is_not_the_promised_one_is_not_even_read() {
    for lie in ["2999999", "3000001", "18446744073709551615"] {
        let (registry, _, large) = published(Options::default());
        registry.script([Rule::on("GET", &format!("/v2/app/blobs/{large}")).content_length(lie)]);
        let bench = Bench::new();
        let _ = bench.run(&format!("pull -o layout {}/app:v1", registry.host())).exits(4).says(&[&large]);
        names_nothing(&bench, "layout");
    }
    for lie in ["-1", "many", "99999999999999999999999", "5, 6"] {
        let (registry, _, large) = published(Options::default());
        registry.script([Rule::on("GET", &format!("/v2/app/blobs/{large}")).content_length(lie)]);
        let bench = Bench::new();
        let code = bench.run(&format!("pull --retry 0 -o layout {}/app:v1", registry.host())).code();
        assert!(matches!(code, 4 | 6), "{lie}: {code}");
        names_nothing(&bench, "layout");
    }
}

#[test]
fn a_range_that_was_not_asked_for_is_refused() {
    for rule in [
        Rule::on("GET", BLOBS).header("Content-Range", "bytes 0-1799999/3000000"),
        Rule::on("GET", BLOBS).without_header("Content-Range"),
        Rule::on("GET", BLOBS).answer(Answer::status(416)),
        Rule::on("GET", BLOBS).answer(Answer::status(204)),
        // other bytes after the right beginning
        Rule::on("GET", BLOBS).wrong_bytes(),
    ] {
        let (registry, _, large) = published(Options::default());
        registry.script([Rule::on("GET", &format!("/v2/app/blobs/{large}")).once().body_cut_after(1_200_000)]);
        let bench = Bench::new();
        let running = bench.start(&format!("pull -o layout {}/app:v1", registry.host()));
        until("it was cut", || registry.unused_rules().is_empty());
        registry.script([rule]);
        let code = running.output(&bench.0).code();
        assert!(matches!(code, 1 | 4), "{code}");
        names_nothing(&bench, "layout");
    }
}

#[test]
fn a_body_that_gets_nowhere_is_given_up() {
    let (registry, _, large) = published(Options::default());
    registry.script([Rule::on("GET", &format!("/v2/app/blobs/{large}")).body_cut_after(0)]);
    let bench = Bench::new();
    let line = format!("pull --retry 1 -o layout {}/app:v1", registry.host());
    let _ = bench.run(&line).exits(6).says(&["tried 2 times"]);
    names_nothing(&bench, "layout");
    // a few bytes at a time are no progress
    let (registry, _, large) = published(Options::default());
    registry.script([Rule::on("GET", &format!("/v2/app/blobs/{large}")).body_cut_after(10)]);
    let _ = bench.run(&format!("pull --retry 1 -o layout {}/app:v1", registry.host())).exits(6);
    assert_eq!(registry.count("GET", &format!("/v2/app/blobs/{large}")), 2);
}

#[test]
fn a_body_that_pauses_is_waited_for() {
    let (registry, made, large) = published(Options::default());
    let pause = Duration::from_millis(300);
    registry.script([Rule::on("GET", &format!("/v2/app/blobs/{large}")).body_stall_after(1000, pause)]);
    let bench = Bench::new();
    let _ = bench.run(&format!("pull -o layout {}/app:v1", registry.host())).exits(0);
    is_whole(&bench, "layout", &made);
}

#[test]
fn a_passing_failure_of_any_request_is_no_failure() {
    for path in ["/v2/", "/v2/app/manifests/v1", BLOBS] {
        for status in [429, 500, 503] {
            let (registry, made, _) = published(Options::default());
            let answer = Answer::status(status).header("Retry-After", 0);
            registry.script([Rule::on("GET", path).times(2).answer(answer)]);
            let bench = Bench::new();
            let _ = bench.run(&format!("pull -o layout {}/app:v1", registry.host())).exits(0);
            is_whole(&bench, "layout", &made);
            assert_eq!(registry.unused_rules(), [""; 0]);
        }
    }
}

#[test]
fn what_is_decided_is_told_with_its_class() {
    for (status, code, exit) in
        [(401, "UNAUTHORIZED", 5), (403, "DENIED", 5), (404, "MANIFEST_UNKNOWN", 3), (404, "NAME_UNKNOWN", 3)]
    {
        let (registry, _, _) = published(Options::default());
        registry.script([Rule::on("GET", "/v2/app/manifests/v1").answer(Answer::error(status, code, "so it is"))]);
        let bench = Bench::new();
        let done = bench.run(&format!("pull --json -o layout {}/app:v1", registry.host())).exits(exit);
        let json = done.json();
        assert!(json["error"]["hint"].is_string(), "{json}");
        let _ = done.says(&["so it is", "hint: "]);
        assert_eq!(registry.count("GET", "/v2/app/manifests/v1"), 1);
        names_nothing(&bench, "layout");
    }
}

#[test]
fn a_manifest_that_is_not_what_it_should_be_is_refused() {
    let other = format!("sha256:{}", "0".repeat(64));
    let large = format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","x":"{}"}}"#, "x".repeat(9 << 20));
    let manifest = |content_type: &str, body: &str| {
        Rule::on("GET", "/v2/app/manifests/v1")
            .answer(Answer::status(200).header("Content-Type", content_type).body(body))
    };
    let schema_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    for (case, rule, exit, said) in [
        ("another digest", Rule::on("GET", "*").header("Docker-Content-Digest", &other), 4, "expected sha256:0000"),
        ("other bytes", Rule::on("GET", "/v2/app/manifests/v1").wrong_bytes(), 4, "expected sha256:"),
        ("too large", manifest(MANIFEST, &large), 4, "8388608"),
        ("without an end", Rule::on("GET", "/v2/app/manifests/v1").endless_body(), 4, "8388608"),
        ("a lie about its type", Rule::on("GET", "/v2/app/manifests/v1").header("Content-Type", INDEX), 4, "mediaType"),
        ("a page", manifest("text/html", "<html>log in</html>"), 4, "text/html"),
        ("schema 1", manifest(schema_1, r#"{"schemaVersion":1}"#), 9, "schema 1"),
        ("no JSON", manifest(MANIFEST, "{"), 4, "manifest"),
        ("a list", manifest(MANIFEST, "[]"), 4, ""),
        ("nothing", manifest(MANIFEST, ""), 4, ""),
        ("two of a key", manifest(MANIFEST, r#"{"schemaVersion":2,"schemaVersion":2}"#), 4, "schemaVersion"),
        ("an override", manifest("text/\u{202e}evil", "x"), 4, "no manifest's"),
    ] {
        for place in ["layout", "archive.tar"] {
            let (registry, _, _) = published(Options::default());
            registry.script([rule.clone()]);
            let bench = Bench::new();
            let done = bench.run(&format!("pull -o {place} {}/app:v1", registry.host()));
            assert_eq!(done.code(), exit, "{case}");
            let _ = done.exits(exit).says(&[said]).never(&["\u{202e}"]);
            names_nothing(&bench, place);
        }
    }
}

#[test]
fn a_type_that_is_not_said_stands_in_the_manifest() {
    for content_type in ["application/octet-stream", "application/json", "text/plain; charset=utf-8", ""] {
        let (registry, made, _) = published(Options::default());
        registry.script([Rule::on("GET", "/v2/app/manifests/v1").header("Content-Type", content_type)]);
        let bench = Bench::new();
        let _ = bench.run(&format!("pull -o layout {}/app:v1", registry.host())).exits(0);
        is_whole(&bench, "layout", &made);
    }
}

#[test]
fn a_digest_in_a_name_is_what_comes() {
    let (registry, made, _) = published(Options::default());
    let bench = Bench::new();
    let name = format!("{}/app@{}", registry.host(), made.digest);
    let _ = bench.run(&format!("pull -o layout {name}")).exits(0);
    registry.script([Rule::on("GET", "/v2/app/manifests/*").wrong_bytes()]);
    let _ = bench.run(&format!("pull -o other {name}")).exits(4).says(&[&made.digest]);
    names_nothing(&bench, "other");
    registry.clear_script();
    let absent = format!("sha256:{}", "0".repeat(64));
    let _ = bench.run(&format!("pull -o other {}/app@{absent}", registry.host())).exits(3).says(&[&absent]);
}

/// Two platforms and a layer in common.
fn two_platforms() -> Images {
    let mut images = Images::new();
    let common = Layer::plain(&noise(9, 3000));
    let platforms = ["linux/amd64", "linux/arm64"];
    let children: Vec<Value> = platforms
        .iter()
        .map(|platform| on(images.image(platform, &[common.clone(), Layer::plain(platform.as_bytes())]), platform))
        .collect();
    let index = images.index(&children);
    images.root(index);
    images
}

#[test]
fn only_the_platforms_that_are_wanted_come() {
    let registry = FakeRegistry::start();
    publish(&registry, "app", "v1", &two_platforms());
    let bench = Bench::new();
    for place in ["layout", "archive.tar"] {
        registry.clear_log();
        let line = format!("pull --platform linux/arm64 -o {place} {}/app:v1", registry.host());
        let _ = bench.run(&line).exits(0);
        let _ = bench.run(&format!("verify {place}")).exits(0);
        let _ = bench.run(&format!("ls {place}")).exits(0).prints(&["linux/arm64"]).never(&["linux/amd64"]);
        assert_eq!(registry.count("GET", "/v2/app/blobs/*"), 3);
    }
    let line = format!("pull --platform linux/s390x -o other {}/app:v1", registry.host());
    let _ = bench.run(&line).exits(3).says(&["linux/s390x"]);
    names_nothing(&bench, "other");
}

#[test]
fn a_list_names_what_comes() {
    let registry = FakeRegistry::start();
    let made: Vec<Made> = ["a", "b", "c"]
        .iter()
        .map(|name| {
            let (images, made) = image(&[name.as_bytes().to_vec(), noise(5, 3000)]);
            publish(&registry, name, "v1", &images);
            made
        })
        .collect();
    let bench = Bench::new();
    let host = registry.host();
    let list = format!("# ours\r\n\r\n{host}/a:v1\r\n  {host}/b:v1  # the other one\r\n\n{host}/a:v1");
    fs::write(bench.path("list.txt"), list).unwrap();
    for place in ["layout", "archive.tar"] {
        let done = bench.run(&format!("pull -o {place} -f list.txt {host}/c:v1")).exits(0);
        for one in &made {
            assert_eq!(done.stdout().matches(&one.digest).count(), 1, "{}", done.stdout());
        }
        let _ = bench.run(&format!("verify {place}")).exits(0);
        let _ = bench.run(&format!("ls {place}")).exits(0).prints(&["/a:v1", "/b:v1", "/c:v1"]);
    }
    // the layer that all of them have came once for each place
    let common = barge::digest::Digest::of(&noise(5, 3000)).to_string();
    assert_eq!(registry.count("GET", &format!("/v2/*/blobs/{common}")), 2);
    // all or none
    fs::write(bench.path("list.txt"), format!("{host}/a:v1\n{host}/nothing:v1\n")).unwrap();
    let _ = bench.run("pull -o other -f list.txt").exits(3).says(&["nothing"]);
    names_nothing(&bench, "other");
    for (text, exit) in [("# nothing\r\n\r\n", 2), ("not a name at all\n", 2), ("https://host/x\n", 2)] {
        fs::write(bench.path("list.txt"), text).unwrap();
        let code = bench.run("pull -o other -f list.txt").code();
        assert_eq!(code, exit, "{text}");
    }
    let _ = bench.run("pull -o other -f absent.txt").exits(3);
}

#[test]
fn what_manifests_name_is_pulled_and_then_saved_by_the_same_list() {
    let registry = FakeRegistry::start();
    let host = registry.host();
    let made: Vec<Made> = ["a", "b"]
        .iter()
        .map(|name| {
            let (images, made) = image(&[name.as_bytes().to_vec()]);
            publish(&registry, name, "v1", &images);
            made
        })
        .collect();
    let bench = Bench::new();
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: {host}/a:v1\n  - image: {host}/b:v1@{}\n",
        made[1].digest
    );
    fs::create_dir(bench.path("k8s")).unwrap();
    fs::write(bench.path("k8s/pod.yaml"), &pod).unwrap();
    let _ = bench.run("pull -o layout -f k8s").exits(0);
    for list in ["k8s", "k8s/pod.yaml"] {
        let done = bench.run(&format!("--no-network -L layout save -f -o bundle.tar --list {list}")).exits(0);
        for one in &made {
            assert_eq!(done.stdout().matches(&one.digest).count(), 1, "{}", done.stdout());
        }
    }
    fs::write(bench.path("bad.txt"), format!("{host}/a:v1\n./b\n")).unwrap();
    let _ = bench.run("pull -o layout -f bad.txt").exits(2).says(&["cannot use ./b (bad.txt:2)", "looks like a path"]);
}

#[test]
fn what_one_image_lacks_keeps_the_others_without_a_name() {
    let registry = FakeRegistry::start();
    for name in ["a", "b"] {
        let (images, _) = image(&[name.as_bytes().to_vec(), noise(5, 400_000)]);
        publish(&registry, name, "v1", &images);
    }
    registry.remove_blob("b", &barge::digest::Digest::of(b"b").to_string());
    let bench = Bench::new();
    for place in ["layout", "archive.tar"] {
        let _ = bench.run(&format!("pull -o {place} {0}/a:v1 {0}/b:v1", registry.host())).exits(4).says(&["/b:v1"]);
        names_nothing(&bench, place);
    }
}

#[test]
fn what_a_manifest_promises_is_bounded() {
    // a config of many gigabytes, layers beyond number, an index that contains itself by another name
    let registry = FakeRegistry::start();
    let layer = |size: u64| json!({"mediaType": LAYER, "digest": format!("sha256:{}", "1".repeat(64)), "size": size});
    let config = |size: u64| json!({"mediaType": CONFIG, "digest": format!("sha256:{}", "2".repeat(64)), "size": size});
    for (case, document) in [
        ("a config", json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config(1 << 40), "layers": []})),
        (
            "a layer",
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config(2), "layers": [layer(u64::MAX)]}),
        ),
        (
            "a sum",
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config(2),
            "layers": [layer(u64::MAX / 2), {"mediaType": GZIP, "digest": format!("sha256:{}", "3".repeat(64)), "size": u64::MAX / 2}]}),
        ),
        (
            "an index",
            json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": INDEX, "digest": format!("sha256:{}", "4".repeat(64)), "size": 1_u64 << 40}]}),
        ),
    ] {
        let media_type = document["mediaType"].as_str().unwrap().to_owned();
        registry.put_manifest("app", "v1", &media_type, document.to_string().as_bytes());
        let bench = Bench::new();
        for place in ["layout", "archive.tar"] {
            let code = bench.run(&format!("pull -o {place} {}/app:v1", registry.host())).code();
            assert!(matches!(code, 4 | 9 | 10), "{case}: {code}");
            names_nothing(&bench, place);
        }
    }
}

#[test]
fn a_pull_that_is_stopped_leaves_nothing_named() {
    let (registry, made, large) = published(Options::default());
    registry
        .script([Rule::on("GET", &format!("/v2/app/blobs/{large}")).once().trickle(1000, Duration::from_millis(2))]);
    let bench = Bench::new();
    for place in ["layout", "archive.tar"] {
        let before = registry.count("GET", &format!("/v2/app/blobs/{large}"));
        registry.script([Rule::on("GET", &format!("/v2/app/blobs/{large}"))
            .once()
            .trickle(1000, Duration::from_millis(2))]);
        let running = bench.start(&format!("pull -o {place} {}/app:v1", registry.host()));
        until("it has begun", || registry.count("GET", &format!("/v2/app/blobs/{large}")) > before);
        running.signal(rustix::process::Signal::INT);
        let _ = running.output(&bench.0).exits(130).says(&["interrupted"]);
        names_nothing(&bench, place);
        assert!(!Path::new(&bench.path("archive.tar")).exists());
    }
    registry.clear_script();
    let _ = bench.run(&format!("pull -o layout {}/app:v1", registry.host())).exits(0);
    is_whole(&bench, "layout", &made);
}
