//! The fixtures, and what barge says about images.

use barge::digest::Digest;
use serde_json::Value;

use crate::support::digests;
use crate::work::Work;

/// One image for each of six platforms, in the order that a merge gives them, made by four programs: what barge calls
/// the platform, and the fixture.
pub(crate) const SIX: [(&str, &str); 6] = [
    ("linux/amd64", "umoci-amd64"),
    ("linux/arm/v7", "docker-armv7.tar"),
    ("linux/arm64", "skopeo-arm64.tar"),
    ("linux/ppc64le", "hybrid-ppc64le.tar"),
    ("linux/riscv64", "skopeo-docker-riscv64.tar"),
    ("linux/s390x", "containerd-s390x"),
];

/// The platform of this machine, as [`SIX`] has it: what loaders choose by themselves.
pub(crate) fn host() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        "aarch64" => "linux/arm64",
        "powerpc64" => "linux/ppc64le",
        "riscv64" => "linux/riscv64",
        "s390x" => "linux/s390x",
        "arm" => "linux/arm/v7",
        other => panic!("no fixture is for {other}"),
    }
}

/// The config of the image in [`SIX`] for a platform: what docker and podman call the image's id.
pub(crate) fn config_of(platform: &str) -> String {
    let (_, fixture) = SIX.iter().find(|(of, _)| *of == platform).unwrap();
    digests::of(fixture, "config").remove(0)
}

/// The sources of [`SIX`] as words of a command, in another order than the result has.
pub(crate) fn six() -> String {
    let mut sources: Vec<String> = SIX.iter().map(|(_, fixture)| format!("fixtures/{fixture}")).collect();
    sources.rotate_left(2);
    sources.join(" ")
}

/// An image as `barge ls` sees it: names, platforms, digest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) names: Vec<String>,
    pub(crate) platforms: Vec<String>,
    pub(crate) digest: String,
}

/// Checks every byte of a place, and returns its images.
pub(crate) fn seen(work: &Work, place: &str) -> Vec<Seen> {
    work.run(&format!("barge verify --deep {place}"));
    let listed = work.json(&format!("barge ls --json {place}"));
    let image = |image: &Value| {
        assert_eq!(image["complete"], true, "{place}: {image}");
        Seen {
            names: strings(&image["names"]),
            platforms: strings(&image["platforms"]),
            digest: image["digest"].as_str().unwrap().to_owned(),
        }
    };
    listed["results"].as_array().unwrap().iter().map(image).collect()
}

/// The names and platforms of every image of a place, as text: `app:v1 linux/amd64,linux/arm64`.
pub(crate) fn seen_as_text(work: &Work, place: &str) -> Vec<String> {
    let text = |image: Seen| format!("{} {}", image.names.join(","), image.platforms.join(","));
    seen(work, place).into_iter().map(text).collect()
}

pub(crate) fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}
