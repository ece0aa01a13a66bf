//! Names of entries: normalised, and links between them followed, without ever becoming a path on this machine.

use super::tar::TarIndex;
use crate::tar::entry::EntryKind;

/// The longest name or link target that is taken, in bytes.
pub(super) const LONGEST: usize = 4096;
/// How many links are followed to one entry: Linux follows 40, real archives need one.
const MOST_HOPS: usize = 16;

/// Returns the name of an entry without leading `./`, doubled slashes and `.` components; empty for the top itself.
///
/// # Errors
/// In words, when it is too long, no text, absolute, or climbs.
pub(super) fn normalised(name: &[u8]) -> Result<String, &'static str> {
    if name.len() > LONGEST {
        return Err("is longer than 4096 bytes");
    }
    let text = std::str::from_utf8(name).map_err(|_| "is not UTF-8")?;
    if text.contains('\0') {
        return Err("holds a NUL");
    }
    if text.starts_with('/') {
        return Err("is absolute");
    }
    let mut plain = String::with_capacity(text.len());
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err("climbs with `..`"),
            _ => {
                if !plain.is_empty() {
                    plain.push('/');
                }
                plain.push_str(part);
            }
        }
    }
    Ok(plain)
}

/// Follows links inside an archive, by name alone, to a regular entry. `None` when there is none of that name.
///
/// # Errors
/// In words, when a link leaves the archive or leads around in a circle, or at its end is no regular entry.
pub(super) fn resolved(index: &TarIndex, name: &str) -> Result<Option<usize>, String> {
    let mut name = name.to_owned();
    for _ in 0..=MOST_HOPS {
        let Some(at) = index.position(&name) else { return Ok(None) };
        let kind = &index.entries()[at].kind;
        name = match kind {
            EntryKind::Regular => return Ok(Some(at)),
            // a hard link names another entry from the top, a symbolic link from where it stands
            EntryKind::HardLink(target) => {
                normalised(target).map_err(|reason| format!("it is {kind}, which {reason}"))?
            }
            EntryKind::SymLink(target) => {
                joined(&name, target).map_err(|reason| format!("it is {kind}, which {reason}"))?
            }
            EntryKind::Directory | EntryKind::Special(_) => return Err(format!("it is {kind}")),
        };
    }
    Err("its links lead around in a circle".to_owned())
}

/// Returns where a symbolic link at `name` leads.
fn joined(name: &str, target: &[u8]) -> Result<String, &'static str> {
    let target = std::str::from_utf8(target).map_err(|_| "is not UTF-8")?;
    if target.starts_with('/') {
        return Err("is absolute");
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or("leads out of the archive")?;
            }
            _ => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_spellings_are_one_name() {
        for (spelling, name) in [
            ("index.json", "index.json"),
            ("./index.json", "index.json"),
            ("././/blobs//sha256/./x", "blobs/sha256/x"),
            ("blobs/", "blobs"),
            ("./", ""),
            (".", ""),
            ("", ""),
            ("..x/y..", "..x/y.."),
            ("a\\..\\b", "a\\..\\b"),
        ] {
            assert_eq!(normalised(spelling.as_bytes()).unwrap(), name, "{spelling:?}");
        }
        let long = "x".repeat(LONGEST);
        assert_eq!(normalised(long.as_bytes()).unwrap(), long);
    }

    #[test]
    fn a_name_that_could_lead_elsewhere_is_refused() {
        for (name, complaint) in [
            (&b"/etc/passwd"[..], "is absolute"),
            (b"//x", "is absolute"),
            (b"..", "climbs"),
            (b"../x", "climbs"),
            (b"blobs/../x", "climbs"),
            (b"x/..", "climbs"),
            (b"\xff", "not UTF-8"),
            (b"a\0b", "NUL"),
            (&[b'x'; LONGEST + 1], "longer"),
        ] {
            assert!(normalised(name).unwrap_err().contains(complaint), "{name:?}");
        }
    }

    #[test]
    fn a_link_leads_from_where_it_stands_and_never_out() {
        assert_eq!(joined("id/layer.tar", b"../other/layer.tar").unwrap(), "other/layer.tar");
        assert_eq!(joined("layer.tar", b"./x//y").unwrap(), "x/y");
        for target in [&b"/x"[..], b"../../x", b"../x/../../y", b"\xff"] {
            assert!(joined("id/layer.tar", target).is_err(), "{target:?}");
        }
    }
}
