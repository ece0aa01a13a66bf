//! Which images go into which part, when every part is to be an archive by itself.
//!
//! An image goes into a part as a whole, with all its layers, also those that another part has: so each part can be loaded
//! alone. What shares layers goes together where it fits. Only an image that is larger than a medium is spread over parts of
//! its own, and only a blob that is larger than a medium is cut.

use std::collections::HashSet;

use crate::content::{Content, Kind};
use crate::digest::{Algorithm, Digest};

/// What an archive has beside its content: `oci-layout`, `index.json`, and the ends, in bytes.
const FRAME: u64 = 16 * 1024;
/// What one more name takes in `index.json`, `manifest.json` and `bundle.json`, at most, in bytes.
const PER_NAME: u64 = 4 * 1024;
/// What a piece of content takes beside its bytes: its header, and its line in `bundle.json`.
const PER_CONTENT: u64 = 512 + 256;
/// A name of SHA-512 takes two blocks more.
const LONG_NAME: u64 = 1024;

/// A part of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SpreadPart {
    /// The images that it names, by their numbers, in order.
    pub(super) images: Vec<usize>,
    /// What lies in it.
    pub(super) pieces: Vec<SpreadPiece>,
    /// Whether every image that it names is whole in it.
    pub(super) is_whole: bool,
}

/// Content in a part, or some of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SpreadPiece {
    /// The whole content.
    pub(super) content: Content,
    /// Where in it the piece begins, in bytes.
    pub(super) from: u64,
    /// How many bytes of it lie here.
    pub(super) length: u64,
}

impl SpreadPiece {
    fn whole(content: &Content) -> Self {
        Self { content: content.clone(), from: 0, length: content.size }
    }

    /// Returns whether it is all of the content.
    #[must_use]
    pub(super) const fn is_whole(&self) -> bool {
        self.length == self.content.size
    }
}

/// Spreads images, each with all its content, over parts of at most `capacity` bytes. The same images give the same parts.
///
/// `None` when not even the documents of an image fit into one part.
#[must_use]
pub(super) fn spread(images: &[Vec<Content>], capacity: u64) -> Option<Vec<SpreadPart>> {
    let mut order: Vec<usize> = (0..images.len()).collect();
    let size = |image: &usize| -> u64 { images[*image].iter().map(cost).sum() };
    // the largest first; those of one size in their order
    order.sort_by_cached_key(|image| (std::cmp::Reverse(size(image)), *image));
    let mut bins: Vec<Bin> = Vec::new();
    let mut parts: Vec<SpreadPart> = Vec::new();
    for image in order {
        if FRAME + PER_NAME + size(&image) > capacity {
            parts.extend(spread_one(image, &images[image], capacity)?);
            continue;
        }
        let added = |bin: &Bin| PER_NAME + bin.lacking(&images[image]).map(cost).sum::<u64>();
        let fitting = bins.iter().enumerate().filter(|(_, bin)| bin.filled + added(bin) <= capacity);
        let best = fitting.min_by_key(|(at, bin)| (added(bin), *at)).map(|(at, _)| at);
        let at = best.unwrap_or_else(|| {
            bins.push(Bin { filled: FRAME, ..Bin::default() });
            bins.len() - 1
        });
        bins[at].add(image, &images[image]);
    }
    parts.extend(bins.into_iter().map(|bin| SpreadPart { is_whole: true, ..bin.part }));
    for part in &mut parts {
        part.images.sort_unstable();
    }
    Some(parts)
}

/// A part under way.
#[derive(Debug, Default)]
struct Bin {
    part: SpreadPart,
    held: HashSet<Digest>,
    filled: u64,
}

impl Bin {
    fn lacking<'a>(&self, contents: &'a [Content]) -> impl Iterator<Item = &'a Content> {
        contents.iter().filter(|content| !self.held.contains(&content.digest))
    }

    fn add(&mut self, image: usize, contents: &[Content]) {
        self.part.images.push(image);
        self.filled += PER_NAME;
        for content in contents {
            if self.held.insert(content.digest) {
                self.filled += cost(content);
                self.part.pieces.push(SpreadPiece::whole(content));
            }
        }
    }
}

/// Returns what a piece of content takes in a part, in bytes.
fn cost(content: &Content) -> u64 {
    overhead(content) + content.size.next_multiple_of(512)
}

const fn overhead(content: &Content) -> u64 {
    match content.digest.algorithm() {
        Algorithm::Sha256 => PER_CONTENT,
        Algorithm::Sha512 => PER_CONTENT + LONG_NAME,
    }
}

/// Spreads one image that is larger than a part over several; the last of them names it, and holds its documents.
fn spread_one(image: usize, contents: &[Content], capacity: u64) -> Option<Vec<SpreadPart>> {
    let (mut blobs, small): (Vec<&Content>, Vec<&Content>) =
        contents.iter().partition(|content| content.kind == Kind::Blob);
    let named = FRAME + PER_NAME + small.iter().map(|content| cost(content)).sum::<u64>();
    if named > capacity {
        return None;
    }
    blobs.sort_by_key(|content| (std::cmp::Reverse(content.size), content.digest));
    let mut parts: Vec<(u64, Vec<SpreadPiece>)> = Vec::new();
    let last = (named, small.into_iter().map(SpreadPiece::whole).collect());
    let mut pieces: Vec<SpreadPiece> = Vec::new();
    for content in blobs {
        // whole blocks, so that a piece takes what it is counted for
        let room = capacity.checked_sub(FRAME + overhead(content))? / 512 * 512;
        let mut from = 0;
        while content.size - from > room {
            let piece = SpreadPiece { content: content.clone(), from, length: room };
            parts.push((capacity, vec![piece]));
            from += room;
        }
        pieces.push(SpreadPiece { content: content.clone(), from, length: content.size - from });
    }
    pieces.sort_by_key(|piece| (std::cmp::Reverse(piece.length), piece.content.digest));
    parts.push(last);
    for piece in pieces {
        let cost = overhead(&piece.content) + piece.length.next_multiple_of(512);
        let is_there = |pieces: &[SpreadPiece]| pieces.iter().any(|held| held.content.digest == piece.content.digest);
        let fits = |(filled, held): &&mut (u64, Vec<SpreadPiece>)| *filled + cost <= capacity && !is_there(held);
        match parts.iter_mut().find(fits) {
            Some((filled, held)) => {
                *filled += cost;
                held.push(piece);
            }
            None => parts.push((FRAME + cost, vec![piece])),
        }
    }
    // what names the image comes last: whoever has taken in that one has had the others
    let at = parts.iter().position(|(_, pieces)| pieces.iter().any(|piece| piece.content.kind != Kind::Blob))?;
    let last = parts.remove(at);
    parts.push(last);
    let number = parts.len();
    let part = |(at, (_, pieces)): (usize, (u64, Vec<SpreadPiece>))| SpreadPart {
        images: if at + 1 == number { vec![image] } else { Vec::new() },
        pieces,
        is_whole: false,
    };
    Some(parts.into_iter().enumerate().map(part).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn blob(name: &str, size: u64) -> Content {
        Content { digest: Digest::of(name.as_bytes()), size, kind: Kind::Blob }
    }

    fn image(name: &str, layers: &[(&str, u64)]) -> Vec<Content> {
        let mut contents: Vec<Content> = layers.iter().map(|(name, size)| blob(name, *size)).collect();
        contents.push(Content { kind: Kind::Config, ..blob(&format!("config of {name}"), 2000) });
        contents
    }

    fn images_of(parts: &[SpreadPart]) -> Vec<Vec<usize>> {
        parts.iter().map(|part| part.images.clone()).collect()
    }

    #[test]
    fn what_shares_layers_goes_together() {
        let images = [
            image("a", &[("debian", 30 * MIB), ("a", MIB)]),
            image("b", &[("alpine", 30 * MIB), ("b", 2 * MIB)]),
            image("c", &[("debian", 30 * MIB), ("c", 3 * MIB)]),
            image("d", &[("alpine", 30 * MIB), ("d", 4 * MIB)]),
        ];
        let parts = spread(&images, 40 * MIB).unwrap();
        assert_eq!(images_of(&parts), [vec![1, 3], vec![0, 2]]);
        assert!(parts.iter().all(|part| part.is_whole));
        assert_eq!(images_of(&spread(&images, 100 * MIB).unwrap()), [vec![0, 1, 2, 3]]);
    }

    #[test]
    fn an_image_that_is_too_large_has_parts_of_its_own_and_no_blob_is_cut() {
        let images = [
            image("large", &[("one", 30 * MIB), ("two", 30 * MIB), ("three", 5 * MIB)]),
            image("small", &[("four", MIB)]),
        ];
        let parts = spread(&images, 40 * MIB).unwrap();
        assert_eq!(images_of(&parts), [vec![], vec![0], vec![1]]);
        assert!(parts.iter().flat_map(|part| &part.pieces).all(SpreadPiece::is_whole));
        assert!(!parts[1].is_whole && parts[2].is_whole);
    }

    #[test]
    fn only_a_blob_that_is_too_large_is_cut() {
        let images = [image("large", &[("huge", 100 * MIB), ("two", 10 * MIB)])];
        let parts = spread(&images, 40 * MIB).unwrap();
        assert_eq!(parts.len(), 3);
        let cut: Vec<u64> = parts
            .iter()
            .flat_map(|part| &part.pieces)
            .filter(|piece| !piece.is_whole())
            .map(|piece| piece.length)
            .collect();
        assert_eq!((cut.len(), cut.iter().sum::<u64>()), (3, 100 * MIB));
        assert_eq!(spread(&images, FRAME), None);
        assert_eq!(spread(&[], MIB), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn everything_is_somewhere_and_nothing_is_too_large(
            sizes in proptest::collection::vec(proptest::collection::vec((0_u64..20, 0..30 * MIB), 1..6), 1..8),
            capacity in MIB..40 * MIB,
        ) {
            // one name has one size
            let mut known = BTreeMap::new();
            let images: Vec<Vec<Content>> = sizes
                .iter()
                .enumerate()
                .map(|(at, layers)| {
                    let layers: Vec<(String, u64)> = layers
                        .iter()
                        .map(|(name, size)| (format!("layer {name}"), *known.entry(*name).or_insert(*size)))
                        .collect();
                    let mut seen = HashSet::new();
                    let layers: Vec<(&str, u64)> = layers
                        .iter()
                        .filter(|(name, _)| seen.insert(name.clone()))
                        .map(|(name, size)| (name.as_str(), *size))
                        .collect();
                    image(&at.to_string(), &layers)
                })
                .collect();
            let parts = spread(&images, capacity).unwrap();
            for part in &parts {
                let pieces: u64 =
                    part.pieces.iter().map(|piece| overhead(&piece.content) + piece.length.next_multiple_of(512)).sum();
                prop_assert!(FRAME + PER_NAME * part.images.len() as u64 + pieces <= capacity);
                let digests: HashSet<_> = part.pieces.iter().map(|piece| piece.content.digest).collect();
                prop_assert_eq!(digests.len(), part.pieces.len());
                prop_assert!(!part.pieces.is_empty());
                for image in part.images.iter().filter(|_| part.is_whole) {
                    let is_whole = |content: &Content| {
                        part.pieces.iter().any(|piece| piece.content == *content && piece.is_whole())
                    };
                    prop_assert!(images[*image].iter().all(is_whole));
                }
            }
            for (at, image) in images.iter().enumerate() {
                prop_assert_eq!(parts.iter().filter(|part| part.images.contains(&at)).count(), 1);
                for content in image {
                    let mut here: Vec<(u64, u64)> = parts
                        .iter()
                        .flat_map(|part| &part.pieces)
                        .filter(|piece| piece.content == *content)
                        .map(|piece| (piece.from, piece.length))
                        .collect();
                    here.sort_unstable();
                    here.dedup();
                    let whole = here.contains(&(0, content.size));
                    let mut end = 0;
                    let joined = here.iter().all(|(from, length)| {
                        let fits = *from == end;
                        end += length;
                        fits
                    }) && end == content.size;
                    prop_assert!(whole || joined, "{:?} of {}", here, content.size);
                }
            }
        }
    }
}
