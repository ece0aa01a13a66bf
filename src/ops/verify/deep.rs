//! Unpacking a layer to learn its `diff_id` while its own digest is checked: one pass over the bytes.

use std::io::{self, Read};

use super::super::layer::unpacked;
use crate::blob::{BlobReader, CHUNK};
use crate::digest::{Algorithm, Digest};
use crate::store::{Location, StoreError};

/// Reads a whole layer and returns the digest of its unpacked form.
///
/// # Errors
/// When the layer is not what its digest says, or cannot be unpacked. The first is found even where the second comes
/// first, since it is the reason.
pub(super) fn diff_id(
    reader: BlobReader<'_>,
    place: &Location,
    algorithm: Algorithm,
) -> Result<Option<Digest>, StoreError> {
    unpacked(reader, place, |from: &mut dyn Read| hash(from, algorithm)).map(Some)
}

fn hash(from: &mut dyn Read, algorithm: Algorithm) -> io::Result<Digest> {
    let mut hasher = algorithm.hasher();
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Content, Kind};
    use std::io::Write as _;

    fn check(bytes: &[u8]) -> Result<Digest, String> {
        let reader = BlobReader::new(Content::of(bytes, Kind::Blob), bytes);
        let result = diff_id(reader, &Location::Memory("test".to_owned()), Algorithm::Sha256);
        result.map(Option::unwrap).map_err(|error| crate::store::causes(&error).join(": "))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_packing_gives_the_same_diff_id() {
        let plain = Digest::of(b"layerlayer");
        assert_eq!(check(b"layerlayer"), Ok(plain));
        assert_eq!(check(&gzip(b"layerlayer")), Ok(plain));
        assert_eq!(check(&[gzip(b"layer"), gzip(b"layer")].concat()), Ok(plain), "several members");
        let frame = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
        assert_eq!(check(&frame(b"layerlayer")), Ok(plain));
        assert_eq!(check(&[frame(b"layer"), frame(b"layer")].concat()), Ok(plain), "several frames");
    }

    #[test]
    fn damage_inside_a_right_digest_is_found() {
        let mut torn = gzip(b"layer");
        let last = torn.len() - 5;
        torn[last] ^= 1; // the check sum
        assert!(check(&torn).unwrap_err().contains("cannot be unpacked as gzip"));
        torn.truncate(last);
        assert!(check(&torn).unwrap_err().contains("cannot be unpacked as gzip"));
    }

    #[test]
    fn a_wrong_digest_is_named_before_what_follows_from_it() {
        let right = gzip(&[7; 100_000]);
        let mut wrong = right.clone();
        wrong[20] ^= 0xff;
        let reader = BlobReader::new(Content::of(&right, Kind::Blob), wrong.as_slice());
        let error = diff_id(reader, &Location::Memory("test".to_owned()), Algorithm::Sha256).unwrap_err();
        assert!(matches!(error, StoreError::Wrong { .. }), "{error:?}");
    }
}
