//! Which tags of a repository, or of the names in a place, are meant.

use std::cmp::Reverse;
use std::fmt;

use regex_lite::Regex;
use semver::{Version, VersionReq};

use super::version::version_of;

/// Which tags are meant.
#[derive(Clone, Debug)]
pub enum Tags {
    /// These, each of which has to be there.
    Exact(Vec<String>),
    /// Those of which this is true.
    Where(Choice),
}

/// What decides about a tag; what is not said decides nothing.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// It has to match this, anywhere in it. A group `version` in it is what is read as the version.
    pub regex: Option<Regex>,
    /// It must not match this.
    pub exclude: Option<Regex>,
    /// It has to be a version in this range.
    pub semver: Option<VersionReq>,
    /// Of these, only so many: the newest.
    pub newest: Option<usize>,
    /// By what the newest is told.
    pub by: By,
    /// Whether versions before a release count, as the release that they come before.
    pub prereleases: bool,
}

/// By what the newest image is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// By the version that its tag is; tags that are no versions do not count.
    #[default]
    Version,
    /// By the time that its config says it was made at.
    Created,
}

impl Choice {
    /// Returns the tags that match, before only the newest of them are taken: in the order of versions, the newest first, and
    /// those that are no version behind.
    #[must_use]
    pub fn matching(&self, tags: &[String]) -> Vec<String> {
        let mut found: Vec<(Option<Version>, String)> = tags.iter().filter_map(|tag| self.judge(tag)).collect();
        found.sort_by_cached_key(|(version, tag)| (Reverse(version.clone()), tag.clone()));
        found.dedup_by(|one, other| one.1 == other.1);
        found.into_iter().map(|(_, tag)| tag).collect()
    }

    /// Returns the tag and its version when it matches.
    fn judge(&self, tag: &str) -> Option<(Option<Version>, String)> {
        if self.exclude.as_ref().is_some_and(|exclude| exclude.is_match(tag)) {
            return None;
        }
        let version = match &self.regex {
            None => version_of(tag),
            Some(regex) => {
                let found = regex.captures(tag)?;
                version_of(found.name("version").map_or(tag, |version| version.as_str()))
            }
        };
        let counts = self.newest.is_some() && self.by == By::Version;
        let fits = match &version {
            None => self.semver.is_none() && !counts,
            Some(version) => self.is_in_range(version, counts),
        };
        fits.then(|| (version, tag.to_owned()))
    }

    fn is_in_range(&self, version: &Version, counts: bool) -> bool {
        let release = Version { pre: semver::Prerelease::EMPTY, ..version.clone() };
        match &self.semver {
            Some(range) => range.matches(version) || (self.prereleases && range.matches(&release)),
            None => !counts || self.prereleases || version.pre.is_empty(),
        }
    }
}

impl fmt::Display for Tags {
    /// Prints the choice in one line: what a lock knows a source by.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let choice = match self {
            Self::Exact(tags) => return write!(f, "tags {}", tags.join(" ")),
            Self::Where(choice) => choice,
        };
        let mut said = Vec::new();
        said.extend(choice.regex.as_ref().map(|regex| format!("regex {:?}", regex.as_str())));
        said.extend(choice.exclude.as_ref().map(|regex| format!("exclude {:?}", regex.as_str())));
        said.extend(choice.semver.as_ref().map(|range| format!("semver {:?}", range.to_string())));
        said.extend(choice.newest.map(|newest| match choice.by {
            By::Version => format!("newest {newest}"),
            By::Created => format!("newest {newest} by created"),
        }));
        if choice.prereleases {
            said.push("prereleases".to_owned());
        }
        write!(f, "tags {}", said.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(text: &str) -> Option<Regex> {
        Some(Regex::new(text).unwrap())
    }

    #[test]
    fn each_condition_decides_and_all_have_to_hold() {
        let tags = [
            "1.9.9",
            "1.10.0",
            "1.10",
            "1.11.0-rc1",
            "2.0.0-rc1",
            "2.0.0",
            "v2.1.0",
            "latest",
            "1.10.0-alpine",
            "20240923",
            "1.10.1-alpine",
        ];
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let range = |text: &str| Some(VersionReq::parse(text).unwrap());
        let none = Choice::default;
        for (choice, expected) in [
            (Choice { semver: range(">=1.10, <2"), ..none() }, vec!["1.10", "1.10.0"]),
            (
                Choice { semver: range(">=1.10, <2"), prereleases: true, exclude: regex("-alpine$"), ..none() },
                vec!["1.11.0-rc1", "1.10", "1.10.0"],
            ),
            (Choice { newest: Some(2), ..none() }, vec!["v2.1.0", "2.0.0", "1.10", "1.10.0", "1.9.9"]),
            (Choice { regex: regex("^v?2"), ..none() }, vec!["v2.1.0", "2.0.0", "2.0.0-rc1", "20240923"]),
            (Choice { regex: regex("^[a-z]+$"), ..none() }, vec!["latest"]),
            (Choice { regex: regex("^[a-z]+$"), newest: Some(1), ..none() }, vec![]),
            (Choice { regex: regex("^[a-z]+$"), newest: Some(1), by: By::Created, ..none() }, vec!["latest"]),
            (
                Choice { regex: regex("^(?<version>.*)-alpine$"), semver: range("1.10"), ..none() },
                vec!["1.10.1-alpine", "1.10.0-alpine"],
            ),
            (Choice { semver: range("=9"), ..none() }, vec![]),
        ] {
            assert_eq!(choice.matching(&tags), expected, "{choice:?}");
        }
    }
}
