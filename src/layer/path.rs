//! The rules for names in a layer: bytes between slashes, without a leading or a trailing one; empty for the root.

/// The longest name or link target, in bytes: Linux takes no longer path.
pub(super) const LONGEST: usize = 4096;
/// The longest part of a path, in bytes: no file system of Linux takes a longer name.
pub(crate) const LONGEST_PART: usize = 255;
/// How deep directories may lie in one another: programs that unpack hold a directory open for each on the way down.
const DEEPEST: usize = 400;
/// What the names of whiteouts begin with.
const WHITEOUT: &[u8] = b".wh.";

/// Returns a path in the one spelling that it has in a layer.
///
/// # Errors
/// In words, when it climbs, is too long or too deep, holds a NUL, or means a whiteout.
pub(super) fn cleaned(path: &[u8]) -> Result<Vec<u8>, String> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    let clean = parts.join(&b'/');
    check(&clean)?;
    Ok(clean)
}

/// Checks a path that is in that spelling already.
///
/// # Errors
/// As [`cleaned`].
pub(super) fn check(path: &[u8]) -> Result<(), String> {
    if path.len() > LONGEST {
        return Err(format!("its name has {} bytes, expected at most {LONGEST}", path.len()));
    }
    if path.contains(&0) {
        return Err("its name holds a NUL".to_owned());
    }
    let mut depth = 0;
    for part in path.split(|byte| *byte == b'/') {
        depth += 1;
        if part == b".." {
            return Err("its name climbs with `..`".to_owned());
        }
        if part.len() > LONGEST_PART {
            return Err(format!("a part of its name has {} bytes, expected at most {LONGEST_PART}", part.len()));
        }
        if part.starts_with(WHITEOUT) {
            return Err("a name that begins with `.wh.` removes a file in a layer, and cannot be one".to_owned());
        }
    }
    if depth > DEEPEST {
        return Err(format!("it lies more than {DEEPEST} directories deep"));
    }
    Ok(())
}

/// Returns a name in a directory.
pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() || name.is_empty() {
        return [directory, name].concat();
    }
    [directory, b"/", name].concat()
}

/// Returns the directory that a path stands in; `None` for the root.
pub(super) fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    Some(path.iter().rposition(|byte| *byte == b'/').map_or(&[], |slash| &path[..slash]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn different_spellings_are_one_path() {
        for path in ["etc/passwd", "./etc/passwd", "/etc/passwd", "//etc/.//passwd/", "etc/passwd/."] {
            assert_eq!(cleaned(path.as_bytes()).unwrap(), b"etc/passwd", "{path}");
        }
        for path in ["", "/", ".", "./", "/./."] {
            assert_eq!(cleaned(path.as_bytes()).unwrap(), b"", "{path}");
        }
        assert_eq!(cleaned(b"\xff/..x").unwrap(), b"\xff/..x");
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        let (long, deep) = ("x".repeat(LONGEST + 1), "d/".repeat(DEEPEST + 1));
        let part = "x".repeat(LONGEST_PART + 1);
        for (path, complaint) in [
            ("..", "climbs"),
            ("a/../b", "climbs"),
            ("/a/..", "climbs"),
            ("a\0b", "NUL"),
            (&long, "expected at most"),
            (&part, "256 bytes, expected at most 255"),
            (&deep, "deep"),
            ("a/.wh.b", "removes a file"),
            (".wh..wh..opq", "removes a file"),
            (".wh.a/b", "removes a file"),
        ] {
            assert!(cleaned(path.as_bytes()).unwrap_err().contains(complaint), "{path}");
        }
        assert!(cleaned("d/".repeat(DEEPEST).as_bytes()).is_ok());
        assert!(cleaned(&[b'x'; LONGEST_PART]).is_ok());
        assert!(cleaned(&b"x/".repeat(LONGEST / 2 / 16)).is_ok());
    }

    proptest! {
        /// Whatever is asked for: what is taken has one spelling, does not climb, and its parents have the same.
        #[test]
        fn a_path_that_is_taken_is_clean(path in proptest::collection::vec(
            prop_oneof![Just(b'/'), Just(b'.'), Just(b'a'), Just(b'w'), Just(b'h'), Just(0), any::<u8>()], 0..40,
        )) {
            let Ok(clean) = cleaned(&path) else {
                let climbs = path.split(|byte| *byte == b'/').any(|part| part == b".." || part.starts_with(b".wh."));
                prop_assert!(climbs || path.contains(&0));
                return Ok(());
            };
            prop_assert_eq!(&cleaned(&clean).unwrap(), &clean);
            prop_assert!(!clean.starts_with(b"/") && !clean.ends_with(b"/"));
            let mut at = &clean[..];
            while let Some(above) = parent(at) {
                prop_assert!(above.len() < at.len() && at.starts_with(above));
                let name = &at[above.len() + usize::from(!above.is_empty())..];
                prop_assert!(!name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/'));
                prop_assert_eq!(join(above, name), at);
                at = above;
            }
            prop_assert_eq!(join(b"", &clean), clean);
        }
    }
}
