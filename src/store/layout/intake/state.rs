//! What came so far, as it is written down.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use serde_json::{Value, json};

use super::{STATE, content_name, front_name, remove_stale};
use crate::bundle::Piece;
use crate::digest::Digest;
use crate::json::{self, JsonError, View};
use crate::store::StoreError;
use crate::store::layout::beneath::Directory;

const SCHEMA: &str = "barge/load/v1";
/// The largest state that is read, in bytes; a larger one counts as none.
const LARGEST: u64 = 64 << 20;
/// How much content is remembered to be right. What is beyond is hashed again.
const MOST_HELD: usize = 100_000;

/// What came so far.
#[derive(Debug)]
pub(super) struct State {
    pub(super) set: Digest,
    /// The parts that were read to their end and were right.
    pub(super) taken: BTreeSet<u64>,
    /// Content of which some ranges came.
    pub(super) ranges: BTreeMap<Digest, Ranges>,
    /// Content in `blobs/` that was hashed and is right.
    pub(super) held: BTreeSet<Digest>,
    /// What layers of a compact archive are made of, as far as it is whole, and was hashed and is right.
    pub(super) stock: BTreeSet<Digest>,
    /// The fronts, by part.
    pub(super) fronts: BTreeMap<u64, Front>,
}

/// Some ranges of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ranges {
    size: u64,
    /// From and to, sorted, with gaps between them.
    list: Vec<(u64, u64)>,
    /// Whether it is what layers of a compact archive are made of.
    is_stock: bool,
}

/// The front of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Front {
    /// Where in the archive it begins, in bytes.
    pub(super) begins: u64,
    pub(super) length: u64,
}

impl State {
    pub(super) fn new(set: Digest) -> Self {
        let (taken, ranges) = (BTreeSet::new(), BTreeMap::new());
        Self { set, taken, ranges, held: BTreeSet::new(), stock: BTreeSet::new(), fronts: BTreeMap::new() }
    }

    /// Reads what was written down. What cannot be used, or is of another set, counts as nothing: parts are then read again.
    pub(super) fn read(own: &Directory, set: &Digest) -> Result<Self, StoreError> {
        remove_stale(own);
        let mut state = match Self::written_down(own)? {
            Some(state) if state.set == *set => state,
            _ => Self::new(*set),
        };
        let mut kept = BTreeMap::new();
        for (digest, ranges) in std::mem::take(&mut state.ranges) {
            let end = ranges.list.last().map_or(0, |(_, to)| *to);
            // a loss of power may have taken some of it
            if own.file_itself(&content_name(&digest))?.is_some_and(|(_, length)| length >= end) {
                kept.insert(digest, ranges);
            }
        }
        state.ranges = kept;
        state.stock.retain(|digest| state.ranges.contains_key(digest));
        for (part, front) in state.fronts.clone() {
            if own.file_itself(&front_name(part))?.is_none_or(|(_, length)| length != front.length) {
                state.fronts.remove(&part);
            }
        }
        Ok(state)
    }

    /// Reads what was written down, whichever set it is of.
    pub(super) fn written_down(own: &Directory) -> Result<Option<Self>, StoreError> {
        let Some((file, size)) = own.file_itself(STATE)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).map_err(StoreError::io("read", own.path_of(STATE)))?;
        Ok(if size <= LARGEST { Self::parse(&bytes).ok() } else { None })
    }

    fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let value = json::parse(bytes)?;
        let view = View::top(&value, STATE);
        let digest = |view: &View<'_>| view.text()?.parse::<Digest>().map_err(|_| view.wrong("a digest"));
        if view.need("schema", SCHEMA)?.text()? != SCHEMA {
            return Err(view.wrong(SCHEMA));
        }
        let mut state = Self::new(digest(&view.need("set", "a digest")?)?);
        for part in view.list_at("taken")? {
            state.taken.insert(part.count()?);
        }
        for held in view.list_at("held")? {
            state.held.insert(digest(&held)?);
        }
        for stock in view.list_at("stock")? {
            state.stock.insert(digest(&stock)?);
        }
        for front in view.list_at("fronts")? {
            let count = |name: &str| front.need(name, "a count")?.count();
            state.fronts.insert(count("part")?, Front { begins: count("begins")?, length: count("length")? });
        }
        for content in view.list_at("ranges")? {
            let name = digest(&content.need("digest", "a digest")?)?;
            let size = content.need("size", "a count")?.count()?;
            let is_stock = content.flag_at("stock", false)?;
            for range in content.list_at("ranges")? {
                match range.list()?.as_slice() {
                    [from, to] if from.count()? <= to.count()? && to.count()? <= size => {
                        state.add((&name, size, is_stock), from.count()?, to.count()?);
                    }
                    _ => return Err(range.wrong("a range of the content")),
                }
            }
        }
        Ok(state)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let front =
            |(part, front): (&u64, &Front)| json!({"part": part, "begins": front.begins, "length": front.length});
        let ranges = |(digest, ranges): (&Digest, &Ranges)| {
            let list: Vec<Value> = ranges.list.iter().map(|(from, to)| json!([from, to])).collect();
            let mut value = json!({"digest": digest.to_string(), "size": ranges.size, "ranges": list});
            if ranges.is_stock {
                value["stock"] = json!(true);
            }
            value
        };
        json::encode(&json!({"schema": SCHEMA, "set": self.set.to_string(), "taken": self.taken,
            "held": self.held.iter().take(MOST_HELD).map(ToString::to_string).collect::<Vec<_>>(),
            "stock": self.stock.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "fronts": self.fronts.iter().map(front).collect::<Vec<_>>(),
            "ranges": self.ranges.iter().map(ranges).collect::<Vec<_>>()}))
    }

    /// Adds a piece of content, which ends at `to`, and returns whether the content is whole now.
    pub(super) fn add_range(&mut self, piece: &Piece, to: u64) -> bool {
        self.add((&piece.digest, piece.size, piece.is_stock), piece.from, to)
    }

    fn add(&mut self, (digest, size, is_stock): (&Digest, u64, bool), from: u64, to: u64) -> bool {
        let ranges = self.ranges.entry(*digest).or_insert_with(|| Ranges { size, list: Vec::new(), is_stock });
        if (ranges.size, ranges.is_stock) != (size, is_stock) {
            *ranges = Ranges { size, list: Vec::new(), is_stock };
        }
        ranges.list.push((from, to));
        ranges.list.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (from, to) in ranges.list.drain(..) {
            match joined.last_mut().filter(|last| from <= last.1) {
                Some(last) => last.1 = last.1.max(to),
                None => joined.push((from, to)),
            }
        }
        ranges.list = joined;
        ranges.list == [(0, size)]
    }

    /// Returns whether some content is what layers are made of.
    pub(super) fn is_stock(&self, digest: &Digest) -> bool {
        self.ranges.get(digest).is_some_and(|ranges| ranges.is_stock)
    }

    /// Returns the content of which every range came and that was not looked at yet, with its size.
    pub(super) fn complete(&self) -> Vec<(Digest, u64)> {
        let is_done =
            |(digest, ranges): &(&Digest, &Ranges)| ranges.list == [(0, ranges.size)] && !self.stock.contains(digest);
        let whole = self.ranges.iter().filter(is_done);
        whole.map(|(digest, ranges)| (*digest, ranges.size)).collect()
    }

    pub(super) fn has_range(&self, digest: &Digest, size: u64, from: u64, to: u64) -> bool {
        let ranges = self.ranges.get(digest).filter(|ranges| ranges.size == size);
        ranges.is_some_and(|ranges| ranges.list.iter().any(|(start, end)| *start <= from && to <= *end))
    }

    pub(super) fn forget_other_size(&mut self, digest: &Digest, size: u64) {
        if self.ranges.get(digest).is_some_and(|ranges| ranges.size != size) {
            self.ranges.remove(digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_in_any_order_are_whole_when_nothing_is_between_them() {
        let digest = Digest::of(b"x");
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for order in orders {
            let mut state = State::new(digest);
            let whole: Vec<bool> = order
                .iter()
                .map(|at| state.add((&digest, 30, false), at * 10, at * 10 + 10 + u64::from(*at == 0)))
                .collect();
            assert_eq!(whole, [false, false, true], "{order:?}");
            assert!(state.has_range(&digest, 30, 5, 25) && !state.has_range(&digest, 31, 5, 25));
        }
        let mut state = State::new(digest);
        state.add((&digest, 30, false), 0, 10);
        state.add((&digest, 30, false), 20, 30);
        assert!(!state.has_range(&digest, 30, 5, 25));
        assert!(!state.add((&digest, 31, false), 10, 20), "another size begins anew");
    }

    #[test]
    fn what_is_written_down_is_read_back_and_what_cannot_be_counts_as_nothing() {
        let mut state = State::new(Digest::of(b"set"));
        state.taken.extend([1, 3]);
        state.held.insert(Digest::of(b"held"));
        state.fronts.insert(1, Front { begins: 0, length: 1024 });
        state.add((&Digest::of(b"a"), 100, false), 10, 20);
        state.add((&Digest::of(b"b"), 7, true), 0, 7);
        state.stock.insert(Digest::of(b"b"));
        let text = String::from_utf8(state.encode()).unwrap();
        let again = State::parse(text.as_bytes()).unwrap();
        assert_eq!(again.encode(), state.encode());
        for (from, to) in [("load/v1", "load/v2"), ("[10,20]", "[20,10]"), ("[10,20]", "[10,101]"), ("[10,20]", "[1]")]
        {
            assert!(text.contains(from), "{text}");
            assert!(State::parse(text.replace(from, to).as_bytes()).is_err(), "{to}");
        }
    }
}
