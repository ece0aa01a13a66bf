//! The places that a path or a pattern of paths means.

use std::path::{Component, Path, PathBuf};

use super::super::Error;
use crate::recipe::pattern::Pattern;
use crate::store::StoreError;
use crate::store::listing::names_in;
use crate::text::escaped;

/// How many names a pattern may look at, and how many places it may mean.
const MOST_NAMES: usize = 100_000;
const MOST_PLACES: usize = 10_000;

/// Returns whether a part of a path has wildcards.
fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?', '['])
}

/// Returns the paths that a pattern means, below a directory, in order: as the pattern spells them, and as they are opened. A
/// name that begins with a dot is meant only by a part that does too. A path without wildcards means itself.
///
/// # Errors
/// When a directory cannot be listed, or there is too much.
pub(super) fn expand(directory: &Path, text: &str) -> Result<Vec<String>, Error> {
    if !is_pattern(text) {
        return Ok(vec![text.to_owned()]);
    }
    let too_many = || Error::Usage {
        message: format!("cannot use {}: more than {MOST_PLACES} places match", escaped(text)),
        hint: Some("write a narrower pattern".to_owned()),
    };
    let mut seen = 0;
    let mut found = vec![if text.starts_with('/') { "/".to_owned() } else { String::new() }];
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    for (number, part) in parts.iter().enumerate() {
        let is_last = number + 1 == parts.len();
        let mut next = Vec::new();
        for above in &found {
            if !is_pattern(part) {
                let path = joined(above, part);
                if directory.join(&path).exists() {
                    next.push(path);
                }
                continue;
            }
            let here = directory.join(above);
            let here = if here.as_os_str().is_empty() { PathBuf::from(".") } else { here };
            if !here.is_dir() {
                continue;
            }
            let pattern = Pattern::new(part).map_err(|reason| Error::Usage {
                message: format!("cannot use the pattern {}: {reason}", escaped(text)),
                hint: None,
            })?;
            let mut names: Vec<String> = names_in(&here)
                .map_err(StoreError::io("list", &here))?
                .into_iter()
                .filter_map(|name| name.into_string().ok())
                .collect();
            seen += names.len();
            if seen > MOST_NAMES {
                return Err(too_many());
            }
            names.retain(|name| pattern.matches(name) && (part.starts_with('.') || !name.starts_with('.')));
            names.sort_unstable();
            next.extend(names.iter().map(|name| joined(above, name)));
        }
        if !is_last {
            next.retain(|path| directory.join(path).is_dir());
        }
        if next.len() > MOST_PLACES {
            return Err(too_many());
        }
        found = next;
    }
    Ok(found)
}

fn joined(above: &str, name: &str) -> String {
    if above.is_empty() || above.ends_with('/') { format!("{above}{name}") } else { format!("{above}/{name}") }
}

/// Returns whether a path could be one of those that a pattern means, as they are spelled: `.` and `..` are followed, links are
/// not.
pub(super) fn means(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (cleaned(pattern), cleaned(path));
    let part = |(pattern, name): (&String, &String)| match is_pattern(pattern) {
        true => Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(name)),
        false => pattern == name,
    };
    pattern.len() == path.len() && pattern.iter().zip(&path).all(part)
}

fn cleaned(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir if parts.last().is_some_and(|last| last != ".." && last != "/") => drop(parts.pop()),
            Component::CurDir => {}
            other => parts.push(other.as_os_str().to_string_lossy().into_owned()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_is_there_in_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            ["in/b.tar", "in/a.tar", "in/.hidden.tar", "in/c.txt", "deep/x/oci-layout", "deep/y/oci-layout", "deep/z"]
        {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let absolute = directory.path().to_str().unwrap();
        for (pattern, expected) in [
            ("in/*.tar", &["in/a.tar", "in/b.tar"][..]),
            ("in/.*.tar", &["in/.hidden.tar"]),
            ("./in/?.t[a-z]*", &["./in/a.tar", "./in/b.tar", "./in/c.txt"]),
            ("deep/*/oci-layout", &["deep/x/oci-layout", "deep/y/oci-layout"]),
            ("d*/[xy]", &["deep/x", "deep/y"]),
            ("no/*", &[]),
            ("in/*.zip", &[]),
            ("not/there", &["not/there"]),
        ] {
            assert_eq!(expand(directory.path(), pattern).unwrap(), expected, "{pattern}");
        }
        let whole = format!("{absolute}/in/*.tar");
        let expected = ["a", "b"].map(|name| format!("{absolute}/in/{name}.tar"));
        assert_eq!(expand(Path::new("elsewhere"), &whole).unwrap(), expected);
    }

    #[test]
    fn a_target_among_its_own_sources_is_seen() {
        for (pattern, path, is_meant) in [
            ("out/*.tar", "out/all.tar", true),
            ("out/*.tar", "./x/../out/all.tar", true),
            ("./dist", "dist", true),
            ("*", "dist", true),
            ("out/*.tar", "all.tar", false),
            ("out/*.tar", "out/sub/all.tar", false),
            ("dist", "dist2", false),
            ("/a/*", "/a/b", true),
            ("a/*", "/a/b", false),
        ] {
            assert_eq!(means(pattern, path), is_meant, "{pattern} {path}");
        }
    }
}
