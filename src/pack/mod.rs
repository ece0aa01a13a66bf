//! Packing a stream with gzip or zstd, on all cores, with the same bytes for any number of them.
//!
//! gzip cuts the stream into blocks of one size. Each is deflated by itself, with the end of the one before as its
//! dictionary, and ends on a byte (a sync flush), so that the blocks one after the other are one gzip member. What comes out
//! depends on the stream and the level, and not on threads, times or the sizes of writes.

mod gzip;

use std::io::{self, Write};
use std::num::NonZeroUsize;

use crate::media::Compression;

/// How to pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackOptions {
    /// With what.
    pub compression: Compression,
    /// How hard: gzip 0 to 9, zstd 1 to 22.
    pub level: u32,
    /// On how many threads at most: more than are of use are not begun.
    pub jobs: NonZeroUsize,
}

impl PackOptions {
    /// Returns the level that is usual: 5 for gzip, 3 for zstd. Of a Debian root file system, level 6 of gzip takes a fifth
    /// more time for a five-hundredth less.
    #[must_use]
    pub const fn usual_level(compression: Compression) -> u32 {
        match compression {
            Compression::Zstd => 3,
            _ => 5,
        }
    }

    /// Returns the levels that there are.
    #[must_use]
    pub const fn levels(compression: Compression) -> std::ops::RangeInclusive<u32> {
        match compression {
            Compression::Zstd => 1..=22,
            _ => 0..=9,
        }
    }

    /// Returns on how many threads it is packed. Each takes memory, and one thread has to hash all that they pack: beyond
    /// these they would wait for it. The high levels of zstd take more memory than anybody expects already with one thread,
    /// and are so slow that all of them have work.
    fn threads(&self) -> NonZeroUsize {
        /// 5 MiB each.
        const MOST_FOR_GZIP: NonZeroUsize = NonZeroUsize::new(20).unwrap();
        /// 20 MiB each, up to level [`FAR`].
        const MOST_FOR_ZSTD: NonZeroUsize = NonZeroUsize::new(6).unwrap();
        /// The last level at which zstd looks back no further than 2 MiB.
        const FAR: u32 = 8;
        match self.compression {
            Compression::Gzip => self.jobs.min(MOST_FOR_GZIP),
            Compression::Zstd if self.level <= FAR => self.jobs.min(MOST_FOR_ZSTD),
            _ => self.jobs,
        }
    }
}

/// Packs what `from` writes, and writes it to `to` in order.
///
/// # Errors
/// What `from` or `to` failed with; a failure of `to` first, because it makes `from` fail too.
pub fn pack<T>(
    options: &PackOptions,
    to: &mut (dyn Write + Send),
    from: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> io::Result<T> {
    match options.compression {
        Compression::Gzip => gzip::pack(options, to, from),
        Compression::Zstd => zstd(options, to, from),
        _ => from(to),
    }
}

/// zstd has threads of its own, and with them the same bytes for any number; without them others.
fn zstd<T>(
    options: &PackOptions,
    to: &mut (dyn Write + Send),
    from: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> io::Result<T> {
    /// The size of the pieces the encoder is given, in bytes: what it writes may depend on them.
    const PIECE: usize = 128 * 1024;
    let level = i32::try_from(options.level).unwrap_or(i32::MAX);
    let mut encoder = zstd::Encoder::new(to, level)?;
    encoder.include_checksum(true)?;
    encoder.multithread(u32::try_from(options.threads().get()).unwrap_or(1))?;
    let mut pieces = Pieces { encoder, piece: Vec::with_capacity(PIECE), size: PIECE };
    let result = from(&mut pieces)?;
    pieces.finish()?;
    Ok(result)
}

/// Gives an encoder pieces of one size, whatever the sizes of the writes.
struct Pieces<W: Write> {
    encoder: zstd::Encoder<'static, W>,
    piece: Vec<u8>,
    size: usize,
}

impl<W: Write> Pieces<W> {
    fn finish(mut self) -> io::Result<()> {
        self.encoder.write_all(&self.piece)?;
        self.encoder.finish()?.flush()
    }
}

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.size - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == self.size {
            self.encoder.write_all(&self.piece)?;
            self.piece.clear();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // a flush in the middle would change the bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use std::io::Read as _;

    /// Text that packs like a file system does: neither noise nor all the same.
    fn sample(size: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut bytes = Vec::with_capacity(size + 16);
        while bytes.len() < size {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.extend_from_slice(format!("{:x} line {} ", state >> 44, (state >> 33) % 97).as_bytes());
        }
        bytes.truncate(size);
        bytes
    }

    fn packed(compression: Compression, jobs: usize, write: usize, bytes: &[u8]) -> Vec<u8> {
        let level = PackOptions::usual_level(compression);
        let options = PackOptions { compression, level, jobs: NonZeroUsize::new(jobs).unwrap() };
        let mut out = Vec::new();
        pack(&options, &mut out, |to| bytes.chunks(write.max(1)).try_for_each(|piece| to.write_all(piece))).unwrap();
        out
    }

    fn unpacked(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match compression {
            Compression::Gzip => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out).unwrap(),
            Compression::Zstd => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut out).unwrap(),
            _ => out.write(bytes).unwrap(),
        };
        out
    }

    #[test]
    fn the_bytes_are_the_same_for_any_threads_and_writes() {
        for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
            for size in [0, 1, 131_071, 524_287, 524_288, 524_289, 1_000_000, 5_000_000] {
                let bytes = sample(size);
                let one = packed(compression, 1, 65_536, &bytes);
                assert_eq!(unpacked(compression, &one), bytes, "{compression:?} {size}");
                for (jobs, write) in [(2, 65_536), (8, 1_000_003), (3, 977)] {
                    let other = packed(compression, jobs, write, &bytes);
                    assert!(one == other, "{compression:?} {size}: {jobs} threads, writes of {write}");
                }
            }
        }
    }

    #[test]
    fn no_more_threads_are_begun_than_are_worth_their_memory() {
        for (compression, level, jobs, expected) in [
            (Compression::Gzip, 6, 1, 1),
            (Compression::Gzip, 6, 20, 20),
            (Compression::Gzip, 9, 1000, 20),
            (Compression::Zstd, 3, 2, 2),
            (Compression::Zstd, 3, 64, 6),
            (Compression::Zstd, 8, 64, 6),
            (Compression::Zstd, 9, 64, 64),
        ] {
            let options = PackOptions { compression, level, jobs: NonZeroUsize::new(jobs).unwrap() };
            assert_eq!(options.threads().get(), expected, "{options:?}");
        }
    }

    /// A new version of the compressor may pack otherwise: then every digest of what is built changes, and a person decides.
    #[test]
    fn the_digests_are_known() {
        let bytes = sample(3_000_000);
        for (compression, expected) in [(Compression::Gzip, GZIP_GOLDEN), (Compression::Zstd, ZSTD_GOLDEN)] {
            let got = Digest::of(&packed(compression, 2, 65_536, &bytes)).to_string();
            assert_eq!(got, expected, "{compression:?}");
        }
    }

    const GZIP_GOLDEN: &str = "sha256:d120facb693cc95c9c18816a0323e2f02a491d43d67b35433caf1b1bf6ae374b";
    const ZSTD_GOLDEN: &str = "sha256:2c6ce1af11902cddd2545d660f130a8473b427e92ab6871683edc337b27fe9b5";

    #[test]
    fn a_failure_on_either_side_ends_it() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let bytes = sample(4_000_000);
        for compression in [Compression::Gzip, Compression::Zstd] {
            let level = PackOptions::usual_level(compression);
            let options = PackOptions { compression, level, jobs: NonZeroUsize::new(2).unwrap() };
            let full = pack(&options, &mut Full(10_000), |to| to.write_all(&bytes)).unwrap_err();
            assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{compression:?}");
            let mut out = Vec::new();
            let failed = pack(&options, &mut out, |to| {
                to.write_all(&bytes)?;
                Err::<(), _>(io::ErrorKind::NotFound.into())
            });
            assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound, "{compression:?}");
        }
    }
}
