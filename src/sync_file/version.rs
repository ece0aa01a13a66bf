//! Tags that are versions.

use semver::{BuildMetadata, Prerelease, Version};

/// The longest number that is a version by itself: what has more digits is a date or counts builds.
const LONGEST_ALONE: usize = 4;

/// Reads a version out of a tag, more freely than Semantic Versioning 2.0.0 has it, because tags are: a `v` may stand before
/// it, the second and the third number may be absent and count as 0, numbers may begin with zeros (`22.04`), and `_` stands for
/// `+`, which no tag can have. A single number of more than four digits is a date, and no version.
#[must_use]
pub fn version_of(text: &str) -> Option<Version> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    // what stands behind it orders nothing
    let text = text.split_once(['_', '+']).map_or(text, |(text, _)| text);
    let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
    let mut read = [0_u64; 3];
    let mut count = 0;
    for number in numbers.split('.') {
        let slot = read.get_mut(count)?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *slot = number.parse().ok()?;
        count += 1;
    }
    if count == 1 && numbers.len() > LONGEST_ALONE {
        return None;
    }
    if text.ends_with('-') {
        return None;
    }
    let [major, minor, patch] = read;
    Some(Version { major, minor, patch, pre: Prerelease::new(pre).ok()?, build: BuildMetadata::EMPTY })
}

#[test]
fn versions_are_read_out_of_tags() {
    for (tag, expected) in [
        ("1.2.3", Some("1.2.3")),
        ("v1.2.3", Some("1.2.3")),
        ("1.2", Some("1.2.0")),
        ("3", Some("3.0.0")),
        ("22.04", Some("22.4.0")),
        ("1.2.3-rc.1", Some("1.2.3-rc.1")),
        ("v2.0.0-alpha_build7", Some("2.0.0-alpha")),
        ("2024", Some("2024.0.0")),
        ("20240923", None),
        ("1.2.3.4", None),
        ("1.2.3-", None),
        ("1..2", None),
        ("1.2.3-01", None),
        ("latest", None),
        ("v", None),
        ("", None),
        ("99999999999999999999.1", None),
        ("1.2.3-alpine3.20", Some("1.2.3-alpine3.20")),
    ] {
        assert_eq!(version_of(tag).map(|version| version.to_string()).as_deref(), expected, "{tag}");
    }
}
