//! Where something stands in a list that is looked through by digest: four bytes for each, and no second copy of the digests.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::digest::Digest;

/// The positions of a list's items. The list belongs to somebody else, who hands out the digest at a position.
#[derive(Clone, Default)]
pub(crate) struct Positions {
    table: HashTable<u32>,
    /// Digests come from outside: nobody may choose them so that all fall into one place.
    state: RandomState,
}

impl Positions {
    /// Finds the positions of a whole list; of several with one digest, the first.
    pub(crate) fn of<'d>(length: usize, digest_at: impl Fn(usize) -> &'d Digest) -> Self {
        let mut positions = Self { table: HashTable::with_capacity(length), state: RandomState::new() };
        for at in 0..length {
            positions.enter(at, &digest_at);
        }
        positions
    }

    /// Returns where a digest stands.
    pub(crate) fn get<'d>(&self, digest: &Digest, digest_at: impl Fn(usize) -> &'d Digest) -> Option<usize> {
        let is_it = |at: &u32| digest_at(*at as usize) == digest;
        self.table.find(self.state.hash_one(digest), is_it).map(|at| *at as usize)
    }

    /// Notes the item at a position; returns where its digest stands already, if it does: nothing is noted then.
    pub(crate) fn enter<'d>(&mut self, at: usize, digest_at: impl Fn(usize) -> &'d Digest) -> Option<usize> {
        let digest = digest_at(at);
        let hash = |at: &u32| self.state.hash_one(digest_at(*at as usize));
        match self.table.entry(self.state.hash_one(digest), |other| digest_at(*other as usize) == digest, hash) {
            Entry::Occupied(held) => Some(*held.get() as usize),
            Entry::Vacant(free) => {
                // four thousand million items do not fit into memory
                free.insert(at as u32);
                None
            }
        }
    }
}

impl fmt::Debug for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Positions").field("length", &self.table.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_digest_is_found_among_many() {
        let list: Vec<Digest> = (0..1000_u32).chain(500..1500).map(|at| Digest::of(&at.to_le_bytes())).collect();
        let whole = Positions::of(list.len(), |at| &list[at]);
        let mut growing = Positions::default();
        for (at, digest) in list.iter().enumerate() {
            let first = list.iter().position(|other| other == digest).unwrap();
            assert_eq!(growing.enter(at, |at| &list[at]), (first != at).then_some(first));
            assert_eq!(whole.get(digest, |at| &list[at]), Some(first));
        }
        for (at, digest) in list.iter().enumerate().step_by(7) {
            assert_eq!(growing.get(digest, |at| &list[at]), whole.get(digest, |at| &list[at]), "{at}");
        }
        assert_eq!(growing.get(&Digest::of(b"another"), |at| &list[at]), None);
    }
}
