//! Where an archive is cut, and what lies in each part: known before anything is written.

use std::ops::Range;

use super::super::arrange::{Arrangement, END};
use crate::bundle::{Mode, PartNames, PartNote, Piece, Section};
use crate::content::Kind;
use crate::digest::{Algorithm, Digest};
use crate::store::{Location, StoreError};
use crate::text::human_size;

/// How an archive is cut into parts: of one size, the last of which may be smaller; or between the archives that follow each
/// other in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    part_size: u64,
    /// Where each part ends, in order.
    ends: Vec<u64>,
    /// How long the front of each part is, where every part is an archive by itself.
    fronts: Option<Vec<u64>>,
}

impl Cut {
    /// The smallest part, in bytes: a set is for people to carry.
    pub const LEAST: u64 = 1 << 20;

    /// Checks that parts are not smaller than a part may be; `place` is where the archive would be as a whole.
    ///
    /// # Errors
    /// When they are.
    pub fn check_size(part_size: u64, place: &Location) -> Result<(), StoreError> {
        if part_size >= Self::LEAST {
            return Ok(());
        }
        let reason = format!("a part has at least {}, and {part_size} bytes were asked for", human_size(Self::LEAST));
        let hint = "give a larger size: K, M and G stand for KiB, MiB and GiB".to_owned();
        Err(refused(place, reason, hint))
    }

    /// Cuts an archive of some length; `place` is where it would be as a whole.
    ///
    /// # Errors
    /// When the parts would be too small, or too many.
    pub fn of(length: u64, part_size: u64, place: &Location) -> Result<Self, StoreError> {
        Self::check_size(part_size, place)?;
        let parts = length.div_ceil(part_size).max(1);
        if parts > PartNames::MOST {
            let enough = length.div_ceil(PartNames::MOST).div_ceil(Self::LEAST);
            let reason = format!(
                "{} in parts of {} are {parts} parts, and a set has at most {}",
                human_size(length),
                human_size(part_size),
                PartNames::MOST
            );
            return Err(refused(place, reason, format!("give at least {enough}M")));
        }
        let ends = (1..=parts).map(|part| part.saturating_mul(part_size).min(length)).collect();
        Ok(Self { part_size, ends, fronts: None })
    }

    /// Cuts a chain of archives where each of them ends.
    ///
    /// # Errors
    /// When they are too many, or one is larger than a part may be.
    pub fn between(
        arrangement: &Arrangement,
        ends: Vec<u64>,
        part_size: u64,
        place: &Location,
    ) -> Result<Self, StoreError> {
        Self::check_size(part_size, place)?;
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let too_large = starts.zip(&ends).any(|(start, end)| end - start > part_size);
        if ends.len() as u64 > PartNames::MOST || too_large {
            let reason = match too_large {
                true => "what stands beside the content does not fit into a part".to_owned(),
                false => format!("there would be {} parts, and a set has at most {}", ends.len(), PartNames::MOST),
            };
            return Err(refused(place, reason, "give a larger size".to_owned()));
        }
        let mut fronts = vec![arrangement.front().len() as u64];
        let firsts = arrangement.slots().iter().filter(|slot| !slot.before.is_empty());
        fronts.extend(firsts.map(|slot| (slot.before.len() - END.len()) as u64));
        Ok(Self { part_size, ends, fronts: Some(fronts) })
    }

    /// Returns the largest size of a part in bytes.
    #[must_use]
    pub const fn part_size(&self) -> u64 {
        self.part_size
    }

    /// Returns how the parts belong together.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        if self.fronts.is_some() { Mode::Archive } else { Mode::Stream }
    }

    /// Returns how many parts there are.
    #[must_use]
    pub const fn parts(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Returns which bytes of the archive a part has. Parts count from 1.
    #[must_use]
    pub fn range(&self, part: u64) -> Range<u64> {
        let last = self.ends.last().copied().unwrap_or(0);
        let end_of = |part: u64| match usize::try_from(part) {
            Ok(0) => 0,
            Ok(part) => self.ends.get(part - 1).copied().unwrap_or(last),
            Err(_) => last,
        };
        end_of(part.saturating_sub(1))..end_of(part)
    }

    /// Returns the part that has a byte of the archive.
    pub(super) fn part_at(&self, position: u64) -> u64 {
        self.ends.partition_point(|end| *end <= position) as u64 + 1
    }

    /// Returns the parts that have bytes of a section of the archive.
    pub(super) fn parts_of(&self, section: &Range<u64>) -> Range<u64> {
        let end = if section.is_empty() { section.start } else { section.end - 1 };
        self.part_at(section.start)..self.part_at(end) + 1
    }

    /// Returns what the set of parts is known by: the same for all that write the same bytes into parts of this size.
    #[must_use]
    pub fn set(&self, arrangement: &Arrangement) -> Digest {
        let mut hasher = Algorithm::Sha256.hasher();
        hasher.update(format!("barge set 1\n{}\n{}\n", arrangement.identity(), self.part_size).as_bytes());
        if self.mode() == Mode::Archive {
            hasher.update(format!("{:?}\n", self.ends).as_bytes());
        }
        hasher.finish()
    }

    /// Returns the content that lies in a part, wholly or to a part, in its order.
    #[must_use]
    pub fn pieces(&self, arrangement: &Arrangement, part: u64) -> Vec<Piece> {
        let range = self.range(part);
        let slots = arrangement.slots();
        let first = slots.partition_point(|slot| slot.body_end() < range.start);
        let inside = slots[first..].iter().take_while(|slot| slot.header < range.end).filter_map(|slot| {
            // content without a byte stands where its header ends
            let is_empty_here = slot.length == 0 && range.contains(&(slot.body - 1));
            let (start, end) = (slot.body.max(range.start), slot.body_end().min(range.end));
            if start >= end && !is_empty_here {
                return None;
            }
            let length = end.saturating_sub(start);
            let at = if length == 0 { slot.body.min(range.end) } else { start };
            Some(Piece {
                digest: slot.content.digest,
                size: slot.content.size,
                from: slot.from + if length == 0 { 0 } else { start - slot.body },
                section: Section { at: at - range.start, length },
                is_stock: slot.content.kind == Kind::Piece,
            })
        });
        inside.collect()
    }

    /// Returns the note on a part.
    pub(super) fn note(
        &self,
        arrangement: &Arrangement,
        (set, archive): (Digest, &str),
        part: u64,
        digest: Digest,
    ) -> PartNote {
        let range = self.range(part);
        let size = range.end - range.start;
        let (front, offset, length) = match &self.fronts {
            None => {
                let end = (arrangement.front().len() as u64).min(range.end);
                (end.saturating_sub(range.start), range.start, self.range(self.parts()).end)
            }
            Some(fronts) => {
                let at = usize::try_from(part.saturating_sub(1)).unwrap_or(usize::MAX);
                (fronts.get(at).copied().unwrap_or(0), 0, size)
            }
        };
        let front = (front > 0).then_some(Section { at: 0, length: front });
        PartNote {
            set,
            archive: archive.to_owned(),
            mode: self.mode(),
            part,
            parts: self.parts(),
            size,
            digest,
            offset,
            length,
            front,
            pieces: self.pieces(arrangement, part),
        }
    }
}

fn refused(place: &Location, reason: String, hint: String) -> StoreError {
    let action = "split".to_owned();
    StoreError::Unsupported { action, place: place.clone(), reason: reason.into(), hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::media::Compression;
    use crate::store::archive::{ArchiveOptions, Shape};
    use crate::store::{Durability, Inventory, causes};

    const MIB: u64 = 1 << 20;

    fn arrangement(sizes: &[u64]) -> Arrangement {
        let content =
            |(at, size): (usize, &u64)| Content { digest: Digest::of(&[at as u8]), size: *size, kind: Kind::Blob };
        let coming = Inventory { contents: sizes.iter().enumerate().map(content).collect(), ..Inventory::default() };
        let options = ArchiveOptions {
            base_index: None,
            alignment: None,
            shape: Shape::Layout,
            compression: Compression::None,
            companions: Vec::new(),
            jobs: std::num::NonZeroUsize::MIN,
            durability: Durability::Synced,
        };
        Arrangement::of(&options, &coming).unwrap()
    }

    #[test]
    fn every_byte_of_every_content_lies_in_one_part() {
        for sizes in [&[][..], &[0], &[3 * MIB, 0, 5, MIB, 2 * MIB - 512], &[0, MIB - 2048 - 512 - 512, 0, 0]] {
            let arrangement = arrangement(sizes);
            let cut = Cut::of(arrangement.length(), MIB, &Location::Stdio).unwrap();
            let (mut next, set) = (0, cut.set(&arrangement));
            let mut found: std::collections::BTreeMap<Digest, u64> = std::collections::BTreeMap::new();
            for part in 1..=cut.parts() {
                let note = cut.note(&arrangement, (set, "x.tar"), part, Digest::of(b""));
                assert_eq!(PartNote::parse(&note.encode()).unwrap(), note, "{sizes:?}");
                assert_eq!((note.offset, cut.range(part).start), (next, next));
                next += note.size;
                for piece in &note.pieces {
                    let reached = found.entry(piece.digest).or_insert(0);
                    assert_eq!(*reached, piece.from, "in order and without a hole");
                    *reached += piece.section.length;
                    let slot = arrangement.slots().iter().find(|slot| slot.content.digest == piece.digest).unwrap();
                    assert_eq!(note.offset + piece.section.at, slot.body + piece.from);
                }
            }
            assert_eq!(next, arrangement.length());
            assert_eq!(found.len(), sizes.len(), "{sizes:?}");
            for slot in arrangement.slots() {
                assert_eq!(found[&slot.content.digest], slot.content.size);
            }
        }
    }

    #[test]
    fn too_small_and_too_many_is_refused_with_what_would_do() {
        let place = Location::Archive("x.tar".into());
        let refused = |length, size| {
            let error = Cut::of(length, size, &place).unwrap_err();
            assert_eq!(error.class().exit_code(), 9);
            format!("{error}: {}; {}", causes(&error).join(": "), error.hint().unwrap())
        };
        assert!(refused(100, MIB - 1).contains("a part has at least 1.0 MiB"));
        let many = refused(9999 * MIB + 1, MIB);
        assert!(many.contains("are 10000 parts") && many.ends_with("give at least 2M"), "{many}");
        assert_eq!(Cut::of(9999 * MIB, MIB, &place).unwrap().parts(), 9999);
        assert_eq!(Cut::of(1, MIB, &place).unwrap().range(1), 0..1);
    }

    #[test]
    fn a_set_is_known_by_its_content_and_its_size() {
        let (one, other) = (arrangement(&[1, 2]), arrangement(&[2, 1]));
        let cut = |size| Cut::of(one.length(), size, &Location::Stdio).unwrap();
        assert_eq!(cut(MIB).set(&one), cut(MIB).set(&arrangement(&[1, 2])));
        assert_ne!(cut(MIB).set(&one), cut(2 * MIB).set(&one));
        assert_ne!(cut(MIB).set(&one), cut(MIB).set(&other));
    }
}
