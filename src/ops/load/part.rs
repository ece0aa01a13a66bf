//! One part on its way into a layout.

use std::fs::File;
use std::io::{self, Read};

use crate::blob::{BlobError, BlobReader, CHUNK, Cancel};
use crate::bundle::{Mode, PartNote, Piece, Section};
use crate::content::{Content, Kind};
use crate::digest::Hasher;
use crate::ops::Error;
use crate::ops::open::Context;
use crate::store::archive::{Damage, FoundPart, Identity};
use crate::store::layout::{FrontComing, Intake};
use crate::store::{Location, PutError, StoreError};
use crate::transfer::{Outcome, Piece as Told};

/// More than any part has, in bytes: the largest file of ext4.
const LARGEST_PART: u64 = 1 << 44;

/// A part, and what its note says.
pub(super) struct Part<'a> {
    pub(super) file: &'a FoundPart,
    pub(super) note: &'a PartNote,
    pub(super) about: &'a str,
    /// Where the archive is, for messages.
    pub(super) place: &'a Location,
    pub(super) context: &'a Context<'a>,
}

/// What became of a part.
pub(super) enum Came {
    /// It is what its note says. Content in it may be wrong all the same.
    Right { front: Option<FrontComing>, wrong: Vec<StoreError> },
    /// It is not.
    Damaged(Damage),
}

/// What stands in a part, in its order.
enum Standing<'a> {
    Front(Section),
    Piece(&'a Piece),
}

impl Standing<'_> {
    const fn section(&self) -> Section {
        match self {
            Self::Front(section) => *section,
            Self::Piece(piece) => piece.section,
        }
    }
}

fn standing(note: &PartNote) -> Vec<Standing<'_>> {
    let mut all: Vec<Standing<'_>> = note.front.iter().map(|front| Standing::Front(*front)).collect();
    all.extend(note.pieces.iter().map(Standing::Piece));
    all.sort_by_key(|one| (one.section().at, one.section().length));
    all
}

/// Checks that nothing in a part overlaps: each byte is one thing; and that no content is larger than all parts.
///
/// # Errors
/// When it is not so.
pub(super) fn check_order(note: &PartNote, place: &Location) -> Result<(), StoreError> {
    let wrong = |reason: String| {
        let what = format!("the note on part {}", note.part);
        let hint = Some("get the note again from where the archive was split".to_owned());
        StoreError::Malformed { what, place: place.clone(), reason: reason.into(), hint }
    };
    // A part that is an archive by itself says nothing of how long the others are. There a size alone costs nothing: what is cut is
    // read as a whole only when all of it has come.
    // But no set brings more than its parts can hold, and a file system would be blamed for what a note invents.
    let most = match note.mode {
        Mode::Stream => note.length,
        Mode::Archive => note.parts.saturating_mul(LARGEST_PART),
    };
    let is_too_large = |piece: &&Piece| piece.size > most;
    if let Some(piece) = note.pieces.iter().find(is_too_large) {
        return Err(wrong(format!("{} is larger than all parts together", piece.digest)));
    }
    let mut end = 0;
    for one in standing(note) {
        let section = one.section();
        if section.at < end {
            return Err(wrong(format!("two things overlap at byte {} of the part", section.at)));
        }
        end = section.at + section.length; // checked by the note
    }
    Ok(())
}

impl Part<'_> {
    /// Reads the part from start to end. What in it is not in the layout yet goes there.
    pub(super) fn take_into(&self, intake: &mut Intake) -> Result<Came, Error> {
        let path = &self.file.path;
        let file = File::open(path).map_err(StoreError::io("read", path))?;
        self.check_unchanged(&file)?;
        let content = Content { digest: self.note.digest, size: self.note.size, kind: Kind::Blob };
        let place = Location::File(path.clone());
        let told = Told::start(self.context.observer, &content, self.about, &place);
        let hasher = content.digest.algorithm().hasher();
        let mut reader = Reader { file, hasher, position: 0, cancel: self.context.cancel, told: &told };
        let (mut front, mut wrong) = (None, Vec::new());
        for one in standing(self.note) {
            let section = one.section();
            self.pass(&mut reader, section.at)?;
            match one {
                Standing::Front(section) if !intake.holds_front(self.note)? => {
                    let coming = intake.front(&mut (&mut reader).take(section.length), section.length);
                    front = Some(coming.map_err(|error| self.failed(error))?);
                }
                Standing::Piece(piece) if !intake.holds(piece)? => {
                    let fault = self.bring(&mut reader, piece, intake)?;
                    wrong.extend(fault);
                }
                _ => {}
            }
            self.pass(&mut reader, section.at + section.length)?;
        }
        self.pass(&mut reader, self.note.size)?;
        self.check_unchanged(&reader.file)?;
        let (got, expected) = (reader.hasher.finish(), self.note.digest);
        if got != expected {
            let (number, of) = (self.note.part, self.note.parts);
            return Ok(Came::Damaged(Damage { number, of, path: path.clone(), got, expected }));
        }
        told.finish(Outcome::Checked);
        Ok(Came::Right { front, wrong })
    }

    /// Brings one piece, and returns what is wrong with it.
    fn bring(&self, reader: &mut Reader<'_>, piece: &Piece, intake: &mut Intake) -> Result<Option<StoreError>, Error> {
        let mut bytes = reader.take(piece.section.length);
        if piece.waits() {
            intake.write_range(piece, &mut bytes).map_err(|error| self.failed(error))?;
            return Ok(None);
        }
        let content = Content { digest: piece.digest, size: piece.size, kind: Kind::Blob };
        match intake.put(BlobReader::new(content, bytes)) {
            Ok(()) => Ok(None),
            // whether the part is damaged, or was wrong when it was written, its end will tell
            Err(PutError::From(BlobError::Mismatch(mismatch))) => {
                Ok(Some(StoreError::Wrong { digest: piece.digest, place: self.place.clone(), mismatch }))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Reads on to a position, for the sum of the part alone.
    fn pass(&self, reader: &mut Reader<'_>, to: u64) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK.min(usize::try_from(to.saturating_sub(reader.position)).unwrap_or(CHUNK))];
        while reader.position < to {
            let room = buffer.len().min(usize::try_from(to - reader.position).unwrap_or(usize::MAX));
            let read = reader.read(&mut buffer[..room]);
            let count = read.map_err(|error| self.failed(PutError::From(BlobError::Read(error))))?;
            if count == 0 {
                return Err(self.changed());
            }
        }
        Ok(())
    }

    fn check_unchanged(&self, file: &File) -> Result<(), Error> {
        let metadata = file.metadata().map_err(StoreError::io("read", &self.file.path))?;
        if Identity::of(&metadata) == self.file.identity { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> Error {
        StoreError::Malformed {
            what: self.about.to_owned(),
            place: self.place.clone(),
            reason: "it changed while it was read".into(),
            hint: Some("run the same command again when nobody writes to it".to_owned()),
        }
        .into()
    }

    fn failed(&self, error: PutError) -> Error {
        match error {
            PutError::To(error) => error.into(),
            _ if self.context.cancel.is_cancelled() => StoreError::Cancelled.into(),
            PutError::From(BlobError::Read(error) | BlobError::Write(error)) => {
                StoreError::io("read", &self.file.path)(error).into()
            }
            PutError::From(BlobError::Cancelled) => StoreError::Cancelled.into(),
            // it ended where its length says that it goes on
            PutError::From(BlobError::Mismatch(_)) | PutError::Again { .. } => self.changed(),
        }
    }
}

/// A part that is read from start to end, and hashed on the way.
struct Reader<'a> {
    file: File,
    hasher: Hasher,
    position: u64,
    cancel: &'a Cancel,
    told: &'a Told<'a>,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        let count = loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.hasher.update(&buffer[..count]);
        self.position += count as u64;
        self.told.count(count as u64);
        Ok(count)
    }
}
