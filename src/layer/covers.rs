//! What a layer holds at a path, for whoever puts another layer on top of it.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::resolve::Standing;
use super::tree::{Kind, Tree};

/// What a layer has to say of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Covered {
    /// This stands there.
    Here(Standing),
    /// Nothing can stand there: a directory on the way is something else in this layer.
    Hidden,
    /// Nothing: the layers below decide.
    No,
}

impl Tree {
    /// Returns what this layer has to say of a path without a leading slash, no link followed.
    #[must_use]
    pub fn covers(&self, path: &Path) -> Covered {
        let path = path.as_os_str().as_bytes();
        let kind = |path: &[u8]| self.entries.get(path).map(|entry| &entry.kind);
        match kind(path) {
            Some(Kind::Directory) => return Covered::Here(Standing::Directory),
            Some(Kind::Symlink(target)) => return Covered::Here(Standing::Symlink(target.to_vec())),
            Some(_) => return Covered::Here(Standing::Other),
            None => {}
        }
        let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(slash, _)| &path[..slash]);
        let blocks = |above: &[u8]| kind(above).is_some_and(|kind| !matches!(kind, Kind::Directory));
        if above.into_iter().any(blocks) { Covered::Hidden } else { Covered::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{AddOptions, Source};

    #[test]
    fn a_file_hides_what_was_below_it() {
        let mut tree = Tree::new();
        for path in ["a/file", "b"] {
            tree.add(&AddOptions::new(Path::new(path)), &Source::Bytes(b"x")).unwrap();
        }
        for (path, expected) in [
            ("a", Covered::Here(Standing::Directory)),
            ("a/file", Covered::Here(Standing::Other)),
            ("a/other", Covered::No),
            ("a/file/below", Covered::Hidden),
            ("b/c/d", Covered::Hidden),
            ("bb", Covered::No),
            ("", Covered::No),
        ] {
            assert_eq!(tree.covers(Path::new(path)), expected, "{path}");
        }
    }
}
