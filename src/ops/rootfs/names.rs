//! Names in a layer: paths below the root of the image, and whiteouts.
//!
//! image-spec v1.1.1, layer.md, "Whiteouts". A name is taken apart here and never joined into a path that the system
//! resolves: every part of it is opened on its own.

use crate::layer::LONGEST_PART;

/// The longest name or link target, in bytes: Linux takes no longer path.
pub(in crate::ops) const LONGEST: usize = 4096;
/// How deep directories may lie in one another. Programs hold a directory open for each on the way down.
pub(in crate::ops) const DEEPEST: usize = 400;
/// What the names of whiteouts begin with.
const WHITEOUT: &[u8] = b".wh.";
/// What the names of AUFS' own files begin with, among them the opaque whiteout.
const META: &[u8] = b".wh..wh.";
/// The whiteout of everything that lower layers have in a directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What the name of an entry means. Parts are in order from the root down.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::ops) enum Name<'a> {
    /// The root itself.
    Root,
    /// A thing in a directory.
    Entry(Vec<&'a [u8]>, &'a [u8]),
    /// What lower layers have under a name in a directory is hidden.
    Whiteout(Vec<&'a [u8]>, &'a [u8]),
    /// All that lower layers have in a directory is hidden.
    Opaque(Vec<&'a [u8]>),
    /// AUFS' own: no part of the image.
    Meta,
}

impl<'a> Name<'a> {
    /// Takes the name of an entry apart. A leading slash means the root of the image, as it does for everybody else.
    ///
    /// # Errors
    /// In words, when it climbs, is too long or too deep, holds a NUL, or is no proper whiteout.
    pub(in crate::ops) fn parse(name: &'a [u8]) -> Result<Self, String> {
        let mut parts = parts(name).map_err(|reason| format!("its name {reason}"))?;
        if parts.iter().any(|part| part.starts_with(META) && *part != OPAQUE) {
            return Ok(Self::Meta);
        }
        let Some(last) = parts.pop() else { return Ok(Self::Root) };
        if parts.iter().any(|part| part.starts_with(WHITEOUT)) {
            return Err("it lies below a whiteout".to_owned());
        }
        if last == OPAQUE {
            return Ok(Self::Opaque(parts));
        }
        match last.strip_prefix(WHITEOUT) {
            None => Ok(Self::Entry(parts, last)),
            Some(b"" | b"." | b"..") => Err("it is a whiteout of no name".to_owned()),
            Some(hidden) => Ok(Self::Whiteout(parts, hidden)),
        }
    }
}

/// Takes a path apart, from the root down.
///
/// # Errors
/// In words, when it climbs, is too long or too deep, or holds a NUL.
pub(in crate::ops) fn parts(path: &[u8]) -> Result<Vec<&[u8]>, String> {
    if path.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    if path.contains(&0) {
        return Err("holds a NUL".to_owned());
    }
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&&b".."[..]) {
        return Err("climbs with `..`".to_owned());
    }
    if parts.iter().any(|part| part.len() > LONGEST_PART) {
        return Err(format!("has a part of more than {LONGEST_PART} bytes"));
    }
    if parts.len() > DEEPEST {
        return Err(format!("lies more than {DEEPEST} directories deep"));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Result<Name<'_>, String> {
        Name::parse(name.as_bytes())
    }

    #[test]
    fn different_spellings_are_one_name() {
        for name in ["etc/passwd", "./etc/passwd", "/etc/passwd", "//etc/.//passwd/", "etc/passwd/."] {
            assert_eq!(parse(name), Ok(Name::Entry(vec![b"etc"], b"passwd")), "{name}");
        }
        for name in ["", "/", ".", "./", "./."] {
            assert_eq!(parse(name), Ok(Name::Root), "{name}");
        }
        assert_eq!(parse("..x/.w"), Ok(Name::Entry(vec![b"..x"], b".w")));
        assert_eq!(Name::parse(b"\xff"), Ok(Name::Entry(vec![], b"\xff")), "no text, and a name all the same");
    }

    #[test]
    fn whiteouts_are_known_by_their_last_part() {
        for (name, meaning) in [
            ("a/.wh.b", Name::Whiteout(vec![b"a"], b"b")),
            (".wh.b", Name::Whiteout(vec![], b"b")),
            (".wh...b", Name::Whiteout(vec![], b"..b")),
            (".wh..wh", Name::Whiteout(vec![], b".wh")),
            ("a/.wh..wh..opq", Name::Opaque(vec![b"a"])),
            (".wh..wh..opq", Name::Opaque(vec![])),
            (".wh..wh.plnk/", Name::Meta),
            (".wh..wh.plnk/1.2", Name::Meta),
            ("a/.wh..wh.aufs", Name::Meta),
            (".whx", Name::Entry(vec![], b".whx")),
        ] {
            assert_eq!(parse(name), Ok(meaning), "{name}");
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        let (long, deep) = ("x".repeat(LONGEST + 1), "d/".repeat(DEEPEST + 1));
        let part = format!("d/{}/x", "x".repeat(LONGEST_PART + 1));
        for (name, complaint) in [
            ("..", "climbs"),
            ("../x", "climbs"),
            ("/../x", "climbs"),
            ("a/../b", "climbs"),
            ("../.wh.x", "climbs"),
            (".wh.", "of no name"),
            (".wh..", "of no name"),
            ("a/.wh...", "of no name"),
            ("a/.wh.b/c", "below a whiteout"),
            ("a\0b", "NUL"),
            (&long, "longer"),
            (&part, "a part of more than 255 bytes"),
            (&deep, "deep"),
        ] {
            assert!(parse(name).unwrap_err().contains(complaint), "{name}");
        }
    }
}
