//! What other programs make of it: they pull what was merged, saved and split, and digests stay what they were.
//!
//! The settings of `docs/serve.md` are taken from the page itself. A test whose programs are not installed fails in CI, and
//! elsewhere says that it is skipped.

mod barge;
pub(crate) mod joined;
mod podman;
pub(crate) mod refused;
mod skopeo;

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::harness::Serving;
use crate::images::{sha256, six};
use crate::work::Work;

/// The image that is served, for six platforms.
pub(crate) const APP: &str = "ghcr.io/org/app:v1";

/// Merges six images into one layout, and returns the digest.
pub(crate) fn app(work: &Work) -> String {
    work.run(&format!("barge merge -o lib -t {APP} {}", six()))
}

/// Serves places at any free port.
#[track_caller]
pub(crate) fn serve(work: &Work, words: &str) -> Serving {
    // not by `timeout`, which would leave it behind when a test fails
    let mut command = Command::new(env!("CARGO_BIN_EXE_barge"));
    work.isolate(&mut command);
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "text"]).args(words.split_whitespace());
    Serving::start(&mut command)
}

/// Returns every blob of a layout by its digest, each of which was checked.
pub(crate) fn blobs(work: &Work, layout: &str) -> BTreeMap<String, usize> {
    let files = std::fs::read_dir(work.path(&format!("{layout}/blobs/sha256"))).unwrap();
    let blob = |file: std::io::Result<std::fs::DirEntry>| {
        let file = file.unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        let digest = format!("sha256:{}", file.file_name().to_str().unwrap());
        assert_eq!(sha256(&bytes), digest, "{layout}");
        (digest, bytes.len())
    };
    files.map(blob).collect()
}

/// Returns the digest of each image of a place by its name.
pub(crate) fn digests(work: &Work, place: &str) -> BTreeMap<String, String> {
    let listed = work.json(&format!("barge ls --json {place}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let image = |image: &Value| (text(&image["names"][0]), text(&image["digest"]));
    listed["results"].as_array().unwrap().iter().map(image).collect()
}

/// Returns a file that `docs/serve.md` shows, the first or a later one of its name, for a server that listens at `authority`.
pub(crate) fn shown(path: &str, nth: usize, authority: &str) -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/serve.md")).unwrap();
    let head = format!("    # {path}");
    let begins = |line: &str| line.strip_prefix(&head).is_some_and(|rest| rest.is_empty() || rest.starts_with(';'));
    let after = page.lines().enumerate().filter(|(_, line)| begins(line)).nth(nth);
    let (at, _) = after.unwrap_or_else(|| panic!("{path} is not shown"));
    let lines = page.lines().skip(at + 1).take_while(|line| line.is_empty() || line.starts_with("    "));
    let text: String = lines.map(|line| format!("{}\n", line.trim_start_matches("    "))).collect();
    assert!(text.contains("10.0.0.5:5000"), "{text}");
    text.replace("10.0.0.5:5000", authority)
}

/// Returns the settings that `docs/serve.md` shows below the name of their file, which cannot stand in JSON.
pub(crate) fn shown_json(path: &str, authority: &str) -> Value {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/serve.md")).unwrap();
    let after = page.split_once(&format!("`{path}`")).unwrap_or_else(|| panic!("{path} is not shown")).1;
    let lines = after.lines().skip_while(|line| *line != "    {").take_while(|line| line.starts_with("    "));
    let text = lines.collect::<String>();
    serde_json::from_str(&text.replace("10.0.0.5:5000", authority)).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Returns what a log has of requests: `GET /v2/ 200`, without the times.
pub(crate) fn requests(said: &str) -> Vec<String> {
    let request = |line: &str| {
        let (_, rest) = line.split_once("] \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        Some(format!("{request} {}", rest.split(' ').next()?))
    };
    said.lines().filter_map(request).collect()
}
