//! What layers of a compact archive are made of, while its parts come: it never has a name among content, and goes with the last part.

use std::io::{self, Read as _};

use super::{Intake, content_name};
use crate::compact::{CompactIndex, Piece, Pieces};
use crate::digest::Digest;
use crate::store::layout::beneath::Directory;

/// The pieces of a compact archive, where they came to.
#[derive(Debug)]
pub struct IntakeStock {
    own: Directory,
    /// By their numbers in the index.
    pieces: Vec<(Digest, u64)>,
}

impl Intake {
    /// Returns what the layers of a compact archive are made of; `None` when something of it has not come.
    #[must_use]
    pub fn stock(&self, index: &CompactIndex) -> Option<IntakeStock> {
        let is_here = |piece: &Piece| {
            self.state.stock.contains(&piece.digest) && self.state.has_range(&piece.digest, piece.size, 0, piece.size)
        };
        let pieces = index.pieces.iter().map(|piece| is_here(piece).then_some((piece.digest, piece.size)));
        Some(IntakeStock { own: self.own.clone(), pieces: pieces.collect::<Option<_>>()? })
    }
}

impl Pieces for IntakeStock {
    fn read(&self, piece: u32) -> io::Result<Vec<u8>> {
        let Some((digest, size)) = self.pieces.get(piece as usize) else { return Ok(Vec::new()) };
        let found = self.own.file_itself(&content_name(digest)).map_err(io::Error::other)?;
        let (file, _) = found.ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = Vec::new();
        // at most 8 MiB and a little, as the index says
        file.take(*size).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
