//! Paths as text: joined and cleaned as Go's `path.Clean` does it, with no look at any file.

/// The longest path, in bytes: Linux's limit.
pub(super) const LONGEST: usize = 4096;

/// Returns the names of a path, `.` and `..` worked off; `..` at the top stays there.
fn names<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in paths.iter().flat_map(|path| path.split('/')) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names
}

/// Returns a path as an absolute one, seen from a directory.
pub(super) fn absolute(directory: &str, path: &str) -> String {
    let paths: &[&str] = if path.starts_with('/') { &[path] } else { &[directory, path] };
    format!("/{}", names(paths).join("/"))
}

/// Returns whether a path, seen from any directory, can only be one: it ends in a slash, or in a dot or two.
pub(super) fn is_directory(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("" | "." | ".."))
}

/// Returns whether a path leads above the directory it is seen from.
pub(super) fn leaves(path: &str) -> bool {
    let mut depth = 0_usize;
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

/// Returns a pattern of an ignore file without what says nothing: slashes in front, at the end and in twos, dots.
pub(crate) fn relative(pattern: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for name in pattern.split('/') {
        match name {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => drop(kept.pop()),
            ".." if kept.is_empty() && pattern.starts_with('/') => {}
            name => kept.push(name),
        }
    }
    if kept.is_empty() { ".".to_owned() } else { kept.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (directory, path, expected) in [
            ("/", "a", "/a"),
            ("/w", "a/../b/./c//", "/w/b/c"),
            ("/w", "/a", "/a"),
            ("/w", "../../x", "/x"),
            ("/w", ".", "/w"),
            ("", "", "/"),
        ] {
            assert_eq!(absolute(directory, path), expected, "{directory} {path}");
        }
        for (path, expected) in
            [("/a/", "a"), ("./a//b", "a/b"), ("a/../..", ".."), ("/..", "."), ("", "."), ("../a", "../a")]
        {
            assert_eq!(relative(path), expected, "{path}");
        }
        for (path, expected) in [("a/", true), (".", true), ("a/..", true), ("", true), ("a", false), ("a/.b", false)] {
            assert_eq!(is_directory(path), expected, "{path}");
        }
        for (path, expected) in [("../a", true), ("a/../../b", true), ("/..", true), ("a/..", false), ("a", false)] {
            assert_eq!(leaves(path), expected, "{path}");
        }
    }
}
