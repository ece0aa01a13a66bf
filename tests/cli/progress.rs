//! What is shown while images are on their way: on a terminal, to a program, piece by piece.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::registry::FakeRegistry;
use super::support::image::{CONFIG, Images, Layer, MANIFEST, config, manifest, named};
use super::support::screen::Screen;
use super::*;

/// So large that a layer is shown, in bytes.
const LARGE: usize = 12 << 20;
const COLUMNS: usize = 40;

/// An image with a large layer, in a layout.
fn layout(barge: &Barge, name: &str) {
    let mut images = Images::new();
    let image = images.image("linux/amd64", &[Layer::plain(b"small"), Layer::plain(&vec![7; LARGE])]);
    images.root(named(image, "example.com/app:v1")).layout(&barge.path(name));
}

/// The same image, or one of which the layer is wrong, in a registry.
fn publish(registry: &FakeRegistry, wrong: bool) {
    let layers = [Layer::plain(&vec![7; LARGE])];
    let mut images = Images::new();
    let put = |bytes: &[u8]| registry.put_blob("app", bytes);
    let layer = put(&layers[0].bytes);
    if wrong {
        registry.put_wrong_blob("app", &layer, &vec![8; LARGE]);
    }
    let config = config("linux/amd64", &layers).to_string();
    put(config.as_bytes());
    let descriptors = (images.put(CONFIG, config.as_bytes()), images.put(layers[0].media_type, &layers[0].bytes));
    let manifest = manifest(&descriptors.0, &[descriptors.1]).to_string();
    registry.put_manifest("app", "v1", MANIFEST, manifest.as_bytes());
}

#[test]
fn a_terminal_is_clean_at_the_end_however_it_ends() {
    let barge = Barge::new();
    let script = std::process::Command::new("script").arg("--version").output().is_ok();
    if !available("script (util-linux)", script) {
        return;
    }
    for (at, (wrong, typed, code, said)) in [
        (false, "", 0, &["oci:out0: wrote 3 blobs, 12.0 MiB", "sha256:"][..]),
        (true, "", 4, &["error: cannot read sha256:", "  caused by: content is sha256:"]),
        (false, "\u{3}", 130, &["error: interrupted"]),
    ]
    .into_iter()
    .enumerate()
    {
        let registry = FakeRegistry::start();
        publish(&registry, wrong);
        let line = format!(
            "stty cols {COLUMNS} rows 12; exec {} pull --limit-rate 3M -o out{at} {}/app:v1",
            env!("CARGO_BIN_EXE_barge"),
            registry.host()
        );
        let mut command = barge.around("script");
        command.args(["-q", "-e", "-c", &line, "/dev/null"]).env("TERM", "xterm").stdin(Stdio::piped());
        let mut running = Running::start(&mut command);
        let mut keyboard = running.stdin();
        // a bar stands there by then with the time that is left, and everything is not there yet
        thread::sleep(Duration::from_millis(2700));
        keyboard.write_all(typed.as_bytes()).unwrap();
        let output = running.output(&barge).exits(code);
        drop(keyboard);
        let shown = output.stdout().to_owned();
        assert!(shown.contains("pull [") && shown.contains(" left"), "no bar: {shown:?}");
        assert!(shown.contains(" layer 1 of"), "no line for the layer: {shown:?}");
        assert!(!shown.contains("\u{1b}[3") && !shown.contains("\u{1b}[0m"), "colours: {shown:?}");
        let lines = Screen::after(&shown, COLUMNS).lines();
        let whole = lines.concat();
        assert!(!whole.contains("pull [") && !whole.contains(" left"), "a bar stayed: {lines:#?}");
        for part in said {
            let part: String = part.split(' ').collect();
            assert!(whole.replace(' ', "").contains(&part), "not said: {part}: {lines:#?}");
        }
    }
}

#[test]
fn a_terminal_that_obeys_nothing_is_sent_nothing_to_obey() {
    let barge = Barge::new();
    let script = std::process::Command::new("script").arg("--version").output().is_ok();
    if !available("script (util-linux)", script) {
        return;
    }
    let registry = FakeRegistry::start();
    publish(&registry, false);
    let line = format!("{} pull --limit-rate 16M -o out {}/app:v1", env!("CARGO_BIN_EXE_barge"), registry.host());
    let mut command = barge.around("script");
    command.args(["-q", "-e", "-c", &line, "/dev/null"]).env("TERM", "dumb");
    let output = barge.finish(&mut command).exits(0);
    assert!(!output.stdout().contains('\u{1b}'), "{:?}", output.stdout());
}

#[test]
fn a_program_is_told_of_every_piece_at_every_place() {
    let barge = Barge::new();
    layout(&barge, "dist");
    let registries = [FakeRegistry::start(), FakeRegistry::start()];
    let [one, two] = registries.each_ref().map(FakeRegistry::host);
    let line = format!("push --progress json --limit-rate 16M dist {one} {two}");
    let pushed = barge.line(&line).exits(0);
    let events: Vec<Value> =
        pushed.stderr().lines().filter(|line| line.starts_with('{')).map(|line| line.parse().unwrap()).collect();
    let of = |kind: &str| -> Vec<&Value> { events.iter().filter(|event| event["event"] == kind).collect() };
    let pieces = |events: &[&Value]| -> BTreeSet<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        events.iter().map(|event| (text(&event["digest"]), text(&event["place"]))).collect()
    };
    let (started, finished) = (of("started"), of("finished"));
    // two layers, a config and a manifest, in both registries
    assert_eq!((started.len(), pieces(&started).len()), (8, 8), "{events:#?}");
    assert_eq!(pieces(&started), pieces(&finished));
    assert!(finished.iter().all(|event| event["outcome"] == "sent"), "{finished:#?}");
    let (whole, single): (Vec<&Value>, Vec<&Value>) =
        of("progress").into_iter().partition(|event| event.get("digest").is_none());
    let total: u64 = started.iter().map(|event| event["total"].as_u64().unwrap()).sum();
    assert!(whole.iter().any(|event| event["total"] == total && event["rate"].is_u64()), "{whole:#?}");
    let last = whole.last().unwrap();
    assert_eq!((&last["bytes"], &last["total"], &last["secondsLeft"]), (&json!(total), &json!(total), &json!(0)));
    assert!(!single.is_empty() && single.iter().all(|event| event["total"] == LARGE), "{single:#?}");

    // what is there is told as well, and for people by the same words
    let again = barge.line(&format!("push --progress json dist {one}")).exits(0);
    let outcomes: Vec<Value> = again.stderr().lines().filter_map(|line| line.parse::<Value>().ok()).collect();
    let there = outcomes.iter().filter(|event| event["outcome"] == "there").count();
    assert_eq!(there, 4, "{outcomes:#?}");
    let (place, other) = (format!("docker://{one}/app"), format!("docker://{one}"));
    barge.line(&format!("push -v dist {one}")).exits(0).says(&[
        "there sha256:",
        "(layer 2 of example.com/app:v1",
        &place,
    ]);
    let mounted = barge.line(&format!("push -v dist:v1 {one}/app:v2 {one}/other:v1")).exits(0);
    mounted.says(&["mounted sha256:", "sent sha256:", &other, "(manifest of "]);
}

#[test]
fn every_field_is_documented() {
    let barge = Barge::new();
    layout(&barge, "dist");
    let registry = FakeRegistry::start();
    let host = registry.host();
    let documentation = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md")).unwrap();
    let section = |name: &str| {
        let text = documentation.split(&format!("## {name}\n")).nth(1).unwrap_or_else(|| panic!("no {name}"));
        text.split("\n## ").next().unwrap().to_owned()
    };
    let documented = |name: &str, object: &Value| {
        for field in object.as_object().unwrap().keys().filter(|field| *field != "seconds") {
            assert!(section(name).contains(&format!("`{field}`")), "docs/json.md, {name}, says nothing of {field}");
        }
    };
    for (name, line) in [
        ("push", format!("push --dry-run dist {host}")),
        ("push", format!("push dist {host}")),
        ("push", format!("push --keep-going dist {host} 127.0.0.1:1")),
        ("copy, save, load", format!("pull -o back {host}/app:v1")),
        ("tag", format!("tag docker://{host}/app:v1 v2")),
        ("ls", format!("ls docker://{host}")),
        ("ls", format!("ls docker://{host}/app")),
        ("rm", format!("rm docker://{host}/app:v2")),
    ] {
        let output = barge.line(&format!("--json {line}"));
        let code = output.code();
        let said = output.exits(code).json();
        assert_eq!(said["ok"], code == 0, "{line}: {said}");
        let results = said["results"].as_array().unwrap();
        assert!(!results.is_empty(), "{line}");
        results.iter().chain([&said["stats"]]).for_each(|object| documented(name, object));
    }
    let events = barge.line(&format!("push --progress json dist {host}/again")).exits(0);
    let events: Vec<Value> = events.stderr().lines().filter_map(|line| line.parse().ok()).collect();
    assert!(events.len() > 4, "{events:?}");
    events.iter().for_each(|event| documented("Progress", event));
}

#[test]
fn what_became_of_each_name_is_a_table() {
    let barge = Barge::new();
    layout(&barge, "dist");
    let mut images = Images::new();
    let image = images.image("linux/arm64", &[Layer::plain(b"another")]);
    images.root(named(image, "example.com/app:v1")).layout(&barge.path("other"));
    let registry = FakeRegistry::start();
    let host = registry.host();
    let name = format!("{host}/app:v1");
    let words =
        |text: &str, line: usize| text.lines().nth(line).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let digest = |digest: &str| digest["sha256:".len()..][..12].to_owned();

    let would = barge.line(&format!("push --dry-run dist {host}")).exits(0);
    assert!(would.stderr().starts_with(&format!("would send 3 blobs, 12.0 MiB, and 1 manifest to {host}\n")));
    assert_eq!(words(would.stderr(), 1), "NAME DIGEST STATE");
    let first = barge.line(&format!("push dist {host}")).exits(0);
    let old = digest(first.stdout());
    for (text, line) in [(would.stderr(), 2), (first.stderr(), 1)] {
        assert_eq!(words(text, line), format!("{name} {old} new"));
    }
    assert!(first.stderr().contains("sent 3 blobs, 12.0 MiB in "), "{}", first.stderr());
    assert_eq!(first.stdout(), would.stdout());
    let would = barge.line(&format!("push --dry-run --json other {host}")).exits(0).json();
    let moved = barge.line(&format!("push other {host}")).exits(0);
    let new = digest(moved.stdout());
    assert_eq!(words(moved.stderr(), 1), format!("{name} {new} moved from {old}"));
    let previous = would["results"][0]["previous"].as_str().unwrap();
    assert_eq!((digest(previous), &would["results"][0]["unchanged"]), (old, &json!(false)));
    barge.line(&format!("push other {host}")).exits(0).says(&["nothing to do"]).never(&["NAME"]);

    // one that is as it was beside one that fails
    let output = barge.line(&format!("push --keep-going other:v1 {name} 127.0.0.1:1/app:v1"));
    let failed = output.exits(7);
    assert_eq!(words(failed.stderr(), 1), format!("{name} {new} unchanged"));
    assert_eq!(words(failed.stderr(), 2), format!("127.0.0.1:1/app:v1 {new} failed"));
    assert_eq!(failed.stdout().lines().count(), 1);
    barge.line(&format!("push -q dist {host}")).exits(0).silent();
}
