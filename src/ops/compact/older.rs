//! The files of older layers by their names: which of them a file of a new layer may resemble.

use std::collections::{BTreeMap, HashMap};

use crate::compact::Span;

/// How many files of one name are kept: as many images as that may share a base, whose own file is found again.
const MOST: usize = 16;

/// An older file: whose it is, and where its bytes are.
pub(super) struct Old {
    pub(super) owner: usize,
    pub(super) spans: Vec<Span>,
}

/// The files of bases, and of the layers that were taken so far.
#[derive(Default)]
pub(super) struct OldFiles {
    /// Of each name the files, those of later owners last.
    files: HashMap<Vec<u8>, Vec<Old>>,
    /// The last name of those that differ in their numbers alone: a library is called otherwise in each version.
    alike: HashMap<Vec<u8>, Vec<u8>>,
}

/// How many files a layer has in common with each owner.
#[derive(Default)]
pub(super) struct Kinship(BTreeMap<usize, u64>);

impl OldFiles {
    /// Adds a file. A tar may have a name twice: the last counts.
    pub(super) fn add(&mut self, name: Vec<u8>, owner: usize, spans: Vec<Span>) {
        self.alike.insert(numberless(&name), name.clone());
        let all = self.files.entry(name).or_default();
        all.retain(|old| old.owner != owner);
        if all.len() == MOST {
            all.remove(0);
        }
        all.push(Old { owner, spans });
    }

    /// Returns those that a file may resemble: of the same name, or, if it is worth the time, of one that is alike.
    fn like(&self, name: &[u8], size: u64) -> &[Old] {
        const WORTH_IT: u64 = 4 << 10;
        let alike =
            || self.alike.get(&numberless(name)).filter(|_| size >= WORTH_IT).and_then(|name| self.files.get(name));
        self.files.get(name).or_else(alike).map_or(&[], Vec::as_slice)
    }

    /// Counts what a layer of these files, by name and size in bytes, has in common with whom.
    pub(super) fn kinship<'a>(&self, files: impl Iterator<Item = (&'a [u8], u64)>) -> Kinship {
        let mut kinship = Kinship::default();
        for old in files.flat_map(|(name, size)| self.like(name, size)) {
            *kinship.0.entry(old.owner).or_default() += 1;
        }
        kinship
    }

    /// Returns the one that a file most likely resembles: the next of kin's.
    pub(super) fn nearest(&self, name: &[u8], size: u64, kinship: &Kinship) -> Option<&Old> {
        self.like(name, size).iter().max_by_key(|old| kinship.to(old.owner))
    }
}

impl Kinship {
    /// Returns how near an owner is; of those that are equally near the last is nearest.
    fn to(&self, owner: usize) -> (u64, usize) {
        (self.0.get(&owner).copied().unwrap_or_default(), owner)
    }

    /// Returns the next of kin.
    pub(super) fn nearest(&self) -> Option<usize> {
        self.0.keys().copied().max_by_key(|owner| self.to(*owner))
    }
}

/// Returns a name with a zero in the place of each number.
fn numberless(name: &[u8]) -> Vec<u8> {
    let mut without: Vec<u8> = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'0'..=b'9' if without.last() == Some(&b'0') => {}
            b'0'..=b'9' => without.push(b'0'),
            byte => without.push(*byte),
        }
    }
    without
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner_of(files: &OldFiles, layer: &[&str], name: &str) -> Option<usize> {
        let kinship = files.kinship(layer.iter().map(|name| (name.as_bytes(), 10_000)));
        files.nearest(name.as_bytes(), 10_000, &kinship).map(|old| old.owner)
    }

    #[test]
    fn a_file_resembles_that_of_the_layer_with_most_in_common() {
        let mut files = OldFiles::default();
        for (owner, names) in [&["bin/app", "etc/app", "lib/a-1.2.so"][..], &["bin/db", "etc/app"]].iter().enumerate() {
            names.iter().for_each(|name| files.add(name.as_bytes().to_vec(), owner, Vec::new()));
        }
        // both have it, and which was added last says nothing
        assert_eq!(owner_of(&files, &["bin/app", "etc/app"], "etc/app"), Some(0));
        assert_eq!(owner_of(&files, &["bin/db", "etc/app"], "etc/app"), Some(1));
        assert_eq!(owner_of(&files, &["etc/app"], "etc/app"), Some(1));
        assert_eq!(owner_of(&files, &["lib/a-1.10.so"], "lib/a-1.10.so"), Some(0));
        assert_eq!(owner_of(&files, &["new"], "new"), None);
        let kinship = files.kinship([(&b"bin/app"[..], 1), (b"etc/app", 1)].into_iter());
        assert_eq!(kinship.nearest(), Some(0));
    }

    #[test]
    fn many_of_one_name_are_few() {
        let mut files = OldFiles::default();
        (0..40).for_each(|owner| files.add(b"etc/passwd".to_vec(), owner / 2, Vec::new()));
        let owners: Vec<usize> = files.files[&b"etc/passwd"[..]].iter().map(|old| old.owner).collect();
        assert_eq!(owners, (4..20).collect::<Vec<_>>());
    }

    #[test]
    fn names_differ_in_numbers() {
        assert_eq!(numberless(b"usr/lib/libz.so.1.2.13"), b"usr/lib/libz.so.0.0.0");
        assert_eq!(numberless(b"none"), b"none");
    }
}
