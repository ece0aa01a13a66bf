//! What was found out, remembered as long as there is room.

use std::collections::HashMap;
use std::hash::Hash;

/// A map that never holds more than twice a number of entries: when it is full, those that were not asked for since it was
/// half full are forgotten.
#[derive(Debug)]
pub(super) struct Remembered<K, V> {
    room: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Clone, V: Clone> Remembered<K, V> {
    /// Makes an empty one.
    pub(super) fn with_room(room: usize) -> Self {
        Self { room, young: HashMap::new(), old: HashMap::new() }
    }

    /// Returns what is remembered of a key.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.insert(key.clone(), value.clone());
        Some(value)
    }

    /// Remembers something of a key.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.room && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes_when_there_is_no_room() {
        let mut remembered = Remembered::with_room(2);
        remembered.insert(0, 'a');
        for key in 1..100 {
            remembered.insert(key, 'b');
            assert_eq!(remembered.get(&0), Some('a'), "after {key}");
            assert!(remembered.young.len() <= 2 && remembered.old.len() <= 2);
        }
        assert_eq!(remembered.get(&1), None);
        remembered.insert(0, 'c');
        assert_eq!(remembered.get(&0), Some('c'));
        remembered.clear();
        assert_eq!(remembered.get(&0), None);
    }
}
