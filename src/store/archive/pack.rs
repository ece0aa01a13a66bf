//! Packing a whole archive on its way out: gzip or zstd, the same bytes on every run.
//!
//! What an encoder writes may depend on the sizes of the pieces that it is given, so it is given blocks of one size.

use std::io::{self, Write};

use crate::media::Compression;

/// The size of the blocks that an encoder is given, in bytes.
const BLOCK: usize = 128 * 1024;
/// gzip's usual level: a bundle is mostly layers that are packed already.
const GZIP_LEVEL: flate2::Compression = flate2::Compression::new(6);
/// zstd's usual level.
const ZSTD_LEVEL: i32 = 3;

enum Encoder<W: Write> {
    None(W),
    Gzip(flate2::write::GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

/// Packs what is written to it.
pub(super) struct Packer<W: Write> {
    /// None once it is finished.
    encoder: Option<Encoder<W>>,
    block: Vec<u8>,
}

impl<W: Write> Packer<W> {
    /// Begins.
    pub(super) fn new(compression: Compression, to: W) -> io::Result<Self> {
        let encoder = match compression {
            Compression::None => Encoder::None(to),
            // without a name and a time in its header
            Compression::Gzip => Encoder::Gzip(flate2::GzBuilder::new().write(to, GZIP_LEVEL)),
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(to, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Encoder::Zstd(encoder)
            }
        };
        Ok(Self { encoder: Some(encoder), block: Vec::with_capacity(BLOCK) })
    }

    /// Writes all that is left. Nothing can be written after it.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.pass()?;
        match self.encoder.take() {
            None => Ok(()),
            Some(Encoder::None(mut to)) => to.flush(),
            Some(Encoder::Gzip(encoder)) => encoder.finish()?.flush(),
            Some(Encoder::Zstd(encoder)) => encoder.finish()?.flush(),
        }
    }

    fn pass(&mut self) -> io::Result<()> {
        match &mut self.encoder {
            Some(Encoder::None(to)) => to.write_all(&self.block)?,
            Some(Encoder::Gzip(encoder)) => encoder.write_all(&self.block)?,
            Some(Encoder::Zstd(encoder)) => encoder.write_all(&self.block)?,
            None => return Err(io::Error::other("it is finished")),
        }
        self.block.clear();
        Ok(())
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == BLOCK {
            self.pass()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // blocks of one size: only the end flushes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_size_of_writes_does_not_show() {
        let input: Vec<u8> = (0..600_000_u32).flat_map(|at| (at / 7).to_le_bytes()).collect();
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let packed = |piece: usize| {
                let shared = Shared::default();
                let mut packer = Packer::new(compression, shared.clone()).unwrap();
                for bytes in input.chunks(piece) {
                    packer.write_all(bytes).unwrap();
                }
                packer.finish().unwrap();
                shared.0.lock().unwrap().clone()
            };
            let one = packed(usize::MAX);
            assert_eq!(Compression::sniffed(&one), compression);
            for piece in [1, 1000, BLOCK, BLOCK + 1] {
                assert!(packed(piece) == one, "{compression} in pieces of {piece}");
            }
        }
    }
}
