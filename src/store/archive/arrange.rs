//! Where everything stands in an archive that is yet to be written: every size is known before the first byte.
//!
//! What a reader wants first (`oci-layout`, `index.json`, `manifest.json`) comes first, then manifests, configs and layers
//! by digest. Nothing here reads or writes: the same inventory gives the same arrangement, on every machine.

use std::borrow::Cow;

use super::align::Alignment;
use super::write::{ArchiveOptions, Companion, Shape};
use crate::content::{Content, Kind};
use crate::digest::{Algorithm, Digest};
use crate::positions::Positions;
use crate::store::{Inventory, Location, Reason, StoreError, names};
use crate::tar::encode::filler;

const BLOCK: u64 = 512;
/// What ends a tar: two empty blocks.
pub(super) const END: [u8; 1024] = [0; 1024];
/// The largest size that a ustar header holds in its eleven octal digits, in bytes.
const LARGEST_USTAR: u64 = 0o777_7777_7777;
/// The longest name that a header holds in itself, in bytes: up to it nothing is split over two fields.
const LONGEST_NAME: usize = 100;

/// All that determines the bytes of an archive but for its content.
#[derive(Debug)]
pub struct Arrangement {
    front: Vec<u8>,
    slots: Vec<Slot>,
    places: Positions,
    length: u64,
}

/// The place of a piece of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What stands there.
    pub content: Content,
    /// Where in the content the bytes begin that stand there: 0 unless it is cut.
    pub from: u64,
    /// How many of its bytes stand there: all of them unless it is cut.
    pub length: u64,
    /// Where its header begins.
    pub header: u64,
    /// Where its bytes begin.
    pub body: u64,
    /// What stands before its header and after the slot before: nothing, unless another archive begins here.
    pub(super) before: Vec<u8>,
    /// How many bytes at the beginning of its header are there only to bring its bytes to where they stand.
    filler: u64,
}

/// Some of the bytes of a piece of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The whole content.
    pub content: Content,
    /// Where in it they begin.
    pub from: u64,
    /// How many they are.
    pub length: u64,
}

impl Arrangement {
    /// Arranges an archive that is yet to be written.
    ///
    /// # Errors
    /// When the `index.json` that is added to is malformed, or the sizes add up to more than a file can have.
    pub fn of(options: &ArchiveOptions, coming: &Inventory) -> Result<Self, StoreError> {
        Self::with_fragments(options, coming, &[])
    }

    /// Arranges an archive that has some content only to a part, under names that no loader looks at.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn with_fragments(
        options: &ArchiveOptions,
        coming: &Inventory,
        fragments: &[Fragment],
    ) -> Result<Self, StoreError> {
        let companions = options.companions.iter().map(Cow::Borrowed);
        let length = options.companions.iter().map(|file| file.bytes.len()).sum();
        let base = (options.base_index.as_deref(), options.shape);
        let front = front(base, companions, length, coming, &no_place())?;
        Self::behind(front, options.alignment, coming, fragments)
    }

    /// As [`Self::of`], and gives up what stands in front of the content one after the other, as soon as it is arranged: it may be as
    /// large as the names of a hundred thousand blobs.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(super) fn of_taken(options: &mut ArchiveOptions, coming: &Inventory) -> Result<Self, StoreError> {
        let (base_index, companions) = (options.base_index.take(), std::mem::take(&mut options.companions));
        let length = companions.iter().map(|file| file.bytes.len()).sum();
        let base = (base_index.as_deref(), options.shape);
        let front = front(base, companions.into_iter().map(Cow::Owned), length, coming, &no_place())?;
        Self::behind(front, options.alignment, coming, &[])
    }

    fn behind(
        front: Vec<u8>,
        alignment: Option<Alignment>,
        coming: &Inventory,
        fragments: &[Fragment],
    ) -> Result<Self, StoreError> {
        let mut order: Vec<&Content> = coming.contents.iter().collect();
        let rank = |content: &Content| match content.kind {
            Kind::Manifest(_) => 0,
            Kind::Config => 1,
            Kind::Blob | Kind::Piece => 2,
        };
        order.sort_by_key(|content| (rank(content), content.digest));
        let whole = |content: &Content| Fragment { from: 0, length: content.size, content: content.clone() };
        let mut length = front.len() as u64;
        let mut slots = Vec::with_capacity(order.len() + fragments.len());
        for Fragment { content, from, length: here } in order.into_iter().map(whole).chain(fragments.iter().cloned()) {
            let mut slot =
                Slot { content, from, length: here, header: length, body: length, before: Vec::new(), filler: 0 };
            slot.body += slot.header_bytes().len() as u64;
            slot.filler = alignment.map_or(0, |alignment| alignment.filler(slot.body));
            slot.body += slot.filler;
            let end = padded(here)
                .checked_add(slot.body)
                .filter(|end| i64::try_from(end.saturating_add(END.len() as u64)).is_ok())
                .ok_or_else(|| {
                    let reason = "the sizes add up to more than 2^63 bytes";
                    StoreError::malformed(slot.content.digest.to_string(), &no_place(), reason)
                })?;
            slots.push(slot);
            length = end;
        }
        let places = Positions::of(slots.len(), |at| &slots[at].content.digest);
        Ok(Self { front, slots, places, length: length + END.len() as u64 })
    }

    /// Puts several archives one behind the other, as if they were one, and returns where each ends. Archives without content
    /// have no place in it.
    ///
    /// # Errors
    /// When one has no content, or all together are larger than a file can be.
    pub fn chain(archives: Vec<Self>) -> Result<(Self, Vec<u64>), StoreError> {
        let place = Location::Memory("the archives to be written".to_owned());
        let refuse = |reason: &str| StoreError::malformed("the archives", &place, reason);
        let mut chain = Self { front: Vec::new(), slots: Vec::new(), places: Positions::default(), length: 0 };
        let mut ends = Vec::new();
        for archive in archives {
            let Self { front, mut slots, length, .. } = archive;
            let start = chain.length;
            chain.length = start
                .checked_add(length)
                .filter(|end| i64::try_from(*end).is_ok())
                .ok_or_else(|| refuse("their sizes add up to more than 2^63 bytes"))?;
            for slot in &mut slots {
                slot.header += start;
                slot.body += start;
            }
            let first = slots.first_mut().ok_or_else(|| refuse("one of them has no content"))?;
            match ends.is_empty() {
                true => chain.front = front,
                false => first.before = [&END, front.as_slice()].concat(),
            }
            chain.slots.extend(slots);
            ends.push(chain.length);
        }
        Ok((chain, ends))
    }

    /// Returns the bytes before the first piece of content.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        &self.front
    }

    /// Gives up the bytes before the first piece of content, once they are written: the names of a hundred thousand blobs are many.
    pub(super) fn forget_front(&mut self) {
        self.front = Vec::new();
    }

    /// Returns where every piece of content stands, in the order of the archive.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Returns the length of the archive in bytes.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Returns the place of a piece of content among the others.
    pub(super) fn place_of(&self, content: &Content) -> Option<usize> {
        let at = self.places.get(&content.digest, |at| &self.slots[at].content.digest);
        at.filter(|at| self.slots[*at].content.size == content.size)
    }

    /// Returns a digest over all that determines the bytes of the archive: equal for two archives that are the same byte for
    /// byte.
    #[must_use]
    pub fn identity(&self) -> Digest {
        let mut hasher = Algorithm::Sha256.hasher();
        hasher.update(b"barge archive 1\n");
        hasher.update(&(self.front.len() as u64).to_le_bytes());
        hasher.update(&self.front);
        for slot in &self.slots {
            hasher.update(format!("{} {} {}\n", slot.content.digest, slot.content.size, slot.header).as_bytes());
            if !slot.is_whole() || !slot.before.is_empty() {
                hasher.update(format!("{} {} {}\n", slot.from, slot.length, slot.before.len()).as_bytes());
                hasher.update(&slot.before);
            }
            if slot.filler > 0 {
                hasher.update(format!("filler {}\n", slot.filler).as_bytes());
            }
        }
        hasher.finish()
    }
}

impl Slot {
    /// Returns its header, as it stands in the archive, with what brings the bytes behind it to their place.
    pub(super) fn header_bytes(&self) -> Vec<u8> {
        let digest = &self.content.digest;
        let name = match self.is_whole() {
            true => digest.blob_path(),
            // under the name of a blob it would be a wrong one
            false => format!("pieces/{}/{}.{}", digest.algorithm().name(), digest.hex(), self.from),
        };
        let header = header(&name, self.length);
        if self.filler == 0 { header } else { [filler(self.filler), header].concat() }
    }

    /// Returns whether all of the content stands there.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.length == self.content.size
    }

    /// Returns where its bytes end.
    #[must_use]
    pub const fn body_end(&self) -> u64 {
        self.body + self.length
    }

    /// Returns what stands between its bytes and the next slot.
    pub(super) fn padding(&self) -> &'static [u8] {
        let length = padded(self.length) - self.length;
        &END[..usize::try_from(length).unwrap_or(0)]
    }

    /// Returns where the next slot begins.
    pub(super) const fn end(&self) -> u64 {
        self.body + padded(self.length)
    }
}

/// Returns where an archive is, for messages, that nobody has asked for yet.
fn no_place() -> Location {
    Location::Memory("the archive to be written".to_owned())
}

/// Returns the start of an archive: everything but the blobs.
fn front<'o>(
    (base, shape): (Option<&[u8]>, Shape),
    companions: impl ExactSizeIterator<Item = Cow<'o, Companion>>,
    length: usize,
    coming: &Inventory,
    place: &Location,
) -> Result<Vec<u8>, StoreError> {
    let malformed = |error| StoreError::malformed("index.json", place, Reason::from(error));
    let mut first = Vec::new();
    if shape == Shape::Layout {
        let edited = names::edit(base, &coming.roots, &coming.gone).map_err(malformed)?;
        let index = edited.or_else(|| base.map(<[u8]>::to_vec)).unwrap_or_default();
        first.push(Companion { name: "oci-layout".to_owned(), bytes: crate::store::OCI_LAYOUT.to_vec() });
        first.push(Companion { name: "index.json".to_owned(), bytes: index });
    }
    let files = first.len() + companions.len();
    // each has a header and is padded
    let length = length + first.iter().map(|file| file.bytes.len()).sum::<usize>() + files * 2 * END.len();
    let mut front = Vec::with_capacity(length);
    for file in first.into_iter().map(Cow::Owned).chain(companions) {
        front.extend_from_slice(&header(&file.name, file.bytes.len() as u64));
        front.extend_from_slice(&file.bytes);
        front.resize(padded(front.len() as u64).try_into().unwrap_or(front.len()), 0);
    }
    Ok(front)
}

/// Returns a size rounded up to whole blocks.
const fn padded(size: u64) -> u64 {
    size.div_ceil(BLOCK) * BLOCK
}

/// Returns the header of a regular file, a whole number of blocks, with everything that could differ between two runs
/// fixed.
fn header(name: &str, size: u64) -> Vec<u8> {
    if name.len() <= LONGEST_NAME {
        return block(name, size, tar::EntryType::Regular).to_vec();
    }
    // a SHA-512 name: as GNU's long name, which every reader knows
    let mut blocks = block("././@LongLink", name.len() as u64 + 1, tar::EntryType::GNULongName).to_vec();
    blocks.extend_from_slice(name.as_bytes());
    blocks.resize(blocks.len() + usize::try_from(BLOCK).unwrap_or(512) - name.len() % 512, 0);
    blocks.extend_from_slice(&block(&name[..LONGEST_NAME], size, tar::EntryType::Regular));
    blocks
}

fn block(name: &str, size: u64, kind: tar::EntryType) -> [u8; 512] {
    // GNU's base-256 size for what ustar cannot say: one block that every reader knows, where a PAX record with a zero in
    // the header makes some lose their way
    let plain = size <= LARGEST_USTAR && kind == tar::EntryType::Regular;
    let mut header = if plain { tar::Header::new_ustar() } else { tar::Header::new_gnu() };
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(kind);
    header.set_cksum();
    *header.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::archive::tar::TarIndex;

    fn options(companion: &str) -> ArchiveOptions {
        ArchiveOptions {
            alignment: None,
            base_index: None,
            shape: Shape::Layout,
            compression: crate::media::Compression::None,
            companions: vec![Companion { name: companion.to_owned(), bytes: b"x".to_vec() }],
            jobs: std::num::NonZeroUsize::MIN,
            durability: crate::store::Durability::Synced,
        }
    }

    fn coming(contents: &[&[u8]]) -> Inventory {
        Inventory {
            contents: contents.iter().map(|bytes| Content::of(bytes, Kind::Blob)).collect(),
            ..Inventory::default()
        }
    }

    #[test]
    fn aligned_content_begins_at_multiples_and_the_same_readers_take_it() {
        let sizes = [0, 1, 511, 512, 513, 3584, 4096, 5000, 100_000];
        let contents: Vec<Vec<u8>> = sizes.iter().map(|size| vec![b'x'; *size]).collect();
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        let of = |companion: &str, alignment| {
            let options = ArchiveOptions { alignment: Alignment::new(alignment), ..options(companion) };
            Arrangement::of(&options, &coming(&contents)).unwrap()
        };
        let plain = of("a", 0);
        for bytes in [1 << 10, 4 << 10, 512 << 10] {
            // whatever stands before
            for companion in ["a", &"a".repeat(101)] {
                let aligned = of(companion, bytes);
                let mut tar = aligned.front().to_vec();
                for slot in aligned.slots() {
                    assert_eq!(slot.body % bytes, 0);
                    assert_eq!(
                        (tar.len() as u64, slot.body),
                        (slot.header, slot.header + slot.header_bytes().len() as u64)
                    );
                    tar.extend(slot.header_bytes());
                    tar.resize(tar.len() + usize::try_from(slot.length).unwrap(), b'x');
                    tar.extend(slot.padding());
                }
                tar.extend(END);
                assert_eq!(tar.len() as u64, aligned.length());
                let place = Location::Memory("a tar".to_owned());
                let index = TarIndex::read(&tar, tar.len() as u64, &place, &crate::blob::Cancel::default()).unwrap();
                assert!(index.warnings().is_empty(), "{:?}", index.warnings());
                for slot in aligned.slots() {
                    let entry = index.find(&slot.content.digest.blob_path()).unwrap();
                    assert_eq!((entry.offset, entry.size), (slot.body, slot.length));
                }
            }
            assert_ne!(of("a", bytes).identity(), plain.identity());
        }
        // what alone tells two apart is the place of the last
        let one = |alignment| {
            let options = ArchiveOptions { alignment: Alignment::new(alignment), ..options("a") };
            Arrangement::of(&options, &coming(&[b"1"])).unwrap()
        };
        assert_ne!(one(8 << 10).identity(), one(16 << 10).identity());
    }

    #[test]
    fn the_identity_follows_every_thing_that_determines_a_byte() {
        let of = |companion, contents| Arrangement::of(&options(companion), &coming(contents)).unwrap();
        let one = of("a", &[b"1", b"2"]);
        assert_eq!(one.identity(), of("a", &[b"2", b"1"]).identity(), "the order of the plan is no matter");
        assert_ne!(one.identity(), of("b", &[b"1", b"2"]).identity());
        assert_ne!(one.identity(), of("a", &[b"1"]).identity());
        let last = one.slots().last().unwrap();
        assert_eq!((last.end() + 1024, last.body_end() + 511 + 1024), (one.length(), one.length()));
        assert_eq!(one.place_of(&last.content), Some(one.slots().len() - 1));
        assert_eq!(one.place_of(&Content { size: 2, ..last.content.clone() }), None, "another size");
    }
}
