//! `fixtures/digests.txt`: everything that can be reached in each fixture, written by another program.

use std::path::{Path, PathBuf};

/// The directory of the fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub fixture: String,
    /// What the config says; `-` for an index.
    pub platform: String,
    /// `index`, `manifest`, `config` or `layer`.
    pub kind: String,
    pub digest: String,
    pub size: u64,
}

/// Reads the whole list.
pub fn lines() -> Vec<Line> {
    let text = std::fs::read_to_string(fixtures().join("digests.txt")).unwrap();
    let parsed = |line: &str| {
        let [fixture, platform, kind, digest, size] = line.split_whitespace().collect::<Vec<_>>().try_into().unwrap();
        let [fixture, platform, kind, digest] = [fixture, platform, kind, digest].map(str::to_owned);
        Line { fixture, platform, kind, digest, size: size.parse().unwrap() }
    };
    text.lines().map(parsed).collect()
}

/// Returns the digests of one kind in one fixture, sorted.
pub fn of(fixture: &str, kind: &str) -> Vec<String> {
    let lines = lines().into_iter().filter(|line| line.fixture == fixture && line.kind == kind);
    let mut digests: Vec<String> = lines.map(|line| line.digest).collect();
    digests.sort();
    digests
}
