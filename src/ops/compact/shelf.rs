//! The stock while it grows: pools of new content, and packs of frames.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::press::{each, pressed};
use super::staged::Spool;
use crate::compact::{Frame, LARGEST_FRAME, LARGEST_PIECE, Piece, Space, Span};
use crate::ops::Error;
use crate::store::lacking::unnamed_file;
use crate::store::{StoreError, TEMPORARY};

/// Pools and packs, as far as they are. Pools are compressed when there is one for each thread.
pub(super) struct Shelf {
    spool: Spool,
    path: PathBuf,
    /// The pieces by their numbers; those that are not written yet have theirs already.
    pieces: Vec<Option<Piece>>,
    /// All pools, unpacked: what comes later is made against them.
    plain: File,
    pool_length: u64,
    pool: Vec<u8>,
    /// Pools that are full, and their numbers.
    full: Vec<(usize, Vec<u8>)>,
    pack: Vec<u8>,
    /// The number of the pack that is being filled.
    pack_number: Option<u32>,
}

impl Shelf {
    pub(super) fn new(directory: &Path) -> Result<Self, Error> {
        Ok(Self {
            spool: Spool::new(directory)?,
            path: directory.to_owned(),
            pieces: Vec::new(),
            plain: unnamed_file(directory).map_err(StoreError::io(TEMPORARY, directory))?,
            pool_length: 0,
            pool: Vec::new(),
            full: Vec::new(),
            pack: Vec::new(),
            pack_number: None,
        })
    }

    /// Puts content into the pools, and returns where it is.
    pub(super) fn add(&mut self, mut bytes: &[u8]) -> Result<Span, Error> {
        let span = Span { space: Space::Pool, from: self.pool_length, length: bytes.len() as u64 };
        self.plain.write_all(bytes).map_err(StoreError::io(TEMPORARY, &self.path))?;
        self.pool_length += span.length;
        while !bytes.is_empty() {
            let room = LARGEST_FRAME as usize - self.pool.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.pool.extend_from_slice(now);
            bytes = later;
            if self.pool.len() as u64 == LARGEST_FRAME {
                self.close_pool();
            }
        }
        Ok(span)
    }

    /// Returns how large the pieces are that are made, with those that are being filled as they are.
    pub(super) fn length(&self) -> u64 {
        let filled = self.full.iter().map(|(_, pool)| pool.len()).sum::<usize>() + self.pool.len() + self.pack.len();
        self.spool.length() + filled as u64
    }

    fn close_pool(&mut self) {
        let pool = std::mem::take(&mut self.pool);
        self.full.push((self.pieces.len(), pool));
        self.pieces.push(None);
    }

    /// Reads what was put into the pools.
    pub(super) fn read(&self, buffer: &mut [u8], from: u64) -> std::io::Result<()> {
        self.plain.read_exact_at(buffer, from)
    }

    /// Compresses the pools that are full, if there is work for all threads.
    pub(super) fn press(&mut self, threads: usize) -> Result<(), Error> {
        if self.full.len() < threads.max(1) { Ok(()) } else { self.press_all(threads) }
    }

    fn press_all(&mut self, threads: usize) -> Result<(), Error> {
        let full = std::mem::take(&mut self.full);
        // not all at once: what is compressed is held until it is its turn
        for group in full.chunks(threads.max(1)) {
            for ((number, plain), packed) in group.iter().zip(each(threads, group, |(_, plain)| pressed(plain))) {
                let packed = packed.map_err(StoreError::io(TEMPORARY, &self.path))?;
                let digest = self.spool.add(&packed)?;
                let pool = Some(plain.len() as u64);
                self.pieces[*number] = Some(Piece { digest, size: packed.len() as u64, pool });
            }
        }
        Ok(())
    }

    /// Puts a frame into a pack, and returns where it is.
    pub(super) fn frame(&mut self, packed: &[u8], plain: u64) -> Result<Frame, Error> {
        if (self.pack.len() + packed.len()) as u64 > LARGEST_PIECE {
            self.close_pack()?;
        }
        let piece = match self.pack_number {
            Some(number) => number,
            None => {
                let number = u32::try_from(self.pieces.len()).unwrap_or(u32::MAX);
                self.pieces.push(None);
                self.pack_number = Some(number);
                number
            }
        };
        let offset = self.pack.len() as u64;
        self.pack.extend_from_slice(packed);
        Ok(Frame { piece, offset, length: packed.len() as u64, plain })
    }

    fn close_pack(&mut self) -> Result<(), Error> {
        if let Some(number) = self.pack_number.take() {
            let digest = self.spool.add(&self.pack)?;
            self.pieces[number as usize] = Some(Piece { digest, size: self.pack.len() as u64, pool: None });
            self.pack.clear();
        }
        Ok(())
    }

    /// Ends all pieces.
    pub(super) fn finish(mut self, threads: usize) -> Result<(Spool, Vec<Piece>), Error> {
        if !self.pool.is_empty() {
            self.close_pool();
        }
        self.press_all(threads)?;
        self.close_pack()?;
        Ok((self.spool, self.pieces.into_iter().flatten().collect()))
    }
}
