//! A tar that is read once, from its start to its end: entry after entry, each with its content.
//!
//! Nothing is held but one header and its extensions, whatever the size of the tar.

use std::io::{self, BufRead, Write};

use super::entry::{EntryKind, Extensions, LARGEST_EXTENSION, Role};
use super::header::{Attributes, BLOCK, Block, Header, is_zero};
use super::pax::{Pax, PaxAttributes};
use crate::text::quoted;

/// Why a tar cannot be read on.
#[derive(Debug)]
pub(crate) enum TarError {
    /// Reading failed.
    Read(io::Error),
    /// Writing content failed.
    Write(io::Error),
    /// The tar is not what it must be: where, and what is wrong there.
    Malformed(String),
    /// It holds what is not read: where, and what.
    Unsupported(String),
}

/// One entry of a stream.
#[derive(Debug)]
pub(crate) struct StreamEntry {
    /// Where its header starts, in bytes.
    pub(crate) at: u64,
    /// The name, as it is written.
    pub(crate) name: Vec<u8>,
    /// What it is.
    pub(crate) kind: EntryKind,
    /// How much content follows, in bytes.
    pub(crate) size: u64,
    /// How it is to be kept.
    pub(crate) attributes: Attributes,
}

impl StreamEntry {
    /// Returns the entry as it is called in messages.
    pub(crate) fn what(&self) -> String {
        format!("the entry {} at byte {}", quoted(&String::from_utf8_lossy(&self.name)), self.at)
    }
}

/// A tar under way.
#[derive(Debug)]
pub(crate) struct Stream<R> {
    from: R,
    at: u64,
    content: u64, // what of the current entry's content was not read yet
    padding: u64,
    extensions: Extensions,
    ended: bool,
}

impl<R: BufRead> Stream<R> {
    /// Starts at the first header.
    pub(crate) fn new(from: R) -> Self {
        Self { from, at: 0, content: 0, padding: 0, extensions: Extensions::default(), ended: false }
    }

    /// Returns what it reads from.
    pub(crate) const fn source(&self) -> &R {
        &self.from
    }

    /// Returns the next entry; what was not read of the last one's content is passed over. `None` at the end of the tar,
    /// where the reader may still hold padding.
    ///
    /// # Errors
    /// When reading fails, or the tar ends early or holds anything that readers disagree on.
    pub(crate) fn next(&mut self) -> Result<Option<StreamEntry>, TarError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            self.pass_content()?;
            let at = self.at;
            let Some(block) = self.block()? else {
                // a missing end is forgiven, as everywhere: who reads on to the end sees whether bytes are missing
                self.ended = true;
                return self.no_extensions(at).map(|()| None);
            };
            if is_zero(&block) {
                self.end(at)?;
                return Ok(None);
            }
            let header = Header::decode(&block).map_err(|reason| in_header(at, &reason))?;
            match Role::of(header.flag) {
                Role::Extension => self.extend(at, &header)?,
                Role::Sparse(reason) => {
                    return Err(TarError::Unsupported(format!("the header at byte {at}: {reason}")));
                }
                Role::Foreign(reason) => return Err(in_header(at, reason)),
                Role::Entry => return self.take(at, header, &block).map(Some),
            }
        }
    }

    /// Writes the rest of the current entry's content.
    ///
    /// # Errors
    /// When reading or writing fails, or the tar ends within it.
    pub(crate) fn copy_content(&mut self, to: &mut dyn Write) -> Result<(), TarError> {
        while self.content > 0 {
            let chunk = filled(&mut self.from)?;
            let count = chunk.len().min(usize::try_from(self.content).unwrap_or(usize::MAX));
            if count == 0 {
                return Err(self.cut_off());
            }
            to.write_all(&chunk[..count]).map_err(TarError::Write)?;
            self.from.consume(count);
            self.at += count as u64;
            self.content -= count as u64;
        }
        Ok(())
    }

    /// Passes over the rest of the current entry's content without reading it: whether it is all there is not seen.
    ///
    /// # Errors
    /// When that place cannot be reached.
    pub(crate) fn skip_content(&mut self) -> Result<(), TarError>
    where
        R: io::Seek,
    {
        let rest = std::mem::take(&mut self.content);
        self.at = self.at.saturating_add(rest);
        let offset = i64::try_from(rest).map_err(|_| self.cut_off())?;
        self.from.seek_relative(offset).map_err(TarError::Read)
    }

    /// Goes to the next header.
    fn pass_content(&mut self) -> Result<(), TarError> {
        self.copy_content(&mut io::sink())?;
        while self.padding > 0 {
            let count = filled(&mut self.from)?.len().min(usize::try_from(self.padding).unwrap_or(usize::MAX));
            if count == 0 {
                self.padding = 0; // that of the last entry may be missing
                break;
            }
            self.from.consume(count);
            self.at += count as u64;
            self.padding -= count as u64;
        }
        Ok(())
    }

    /// Reads one block; `None` when nothing is left.
    fn block(&mut self) -> Result<Option<Block>, TarError> {
        let mut block = [0; 512];
        let mut count = 0;
        while count < block.len() {
            let chunk = filled(&mut self.from)?;
            let part = chunk.len().min(block.len() - count);
            if part == 0 {
                // what is not even a block is padding, if it is zero
                return if is_zero(&block[..count]) { Ok(None) } else { Err(self.cut_off()) };
            }
            block[count..count + part].copy_from_slice(&chunk[..part]);
            self.from.consume(part);
            self.at += part as u64;
            count += part;
        }
        Ok(Some(block))
    }

    fn extend(&mut self, at: u64, header: &Header) -> Result<(), TarError> {
        if header.size > LARGEST_EXTENSION {
            let reason = format!("it is an extension of {} bytes, expected at most {LARGEST_EXTENSION}", header.size);
            return Err(in_header(at, &reason));
        }
        let mut body = Vec::with_capacity(usize::try_from(header.size).unwrap_or_default());
        self.begin_content(header.size);
        self.copy_content(&mut body)?;
        let taken = match header.flag {
            b'g' => Pax::check_global(body).and_then(|global| match global.attributes()? {
                // some readers apply these, others pass over them
                said if said != PaxAttributes::default() => {
                    Err("it gives one owner, time or extended attribute to all entries".to_owned())
                }
                _ => Ok(()),
            }),
            flag => self.extensions.add(flag, body),
        };
        taken.map_err(|reason| in_header(at, &reason))
    }

    fn take(&mut self, at: u64, header: Header, block: &Block) -> Result<StreamEntry, TarError> {
        if let Some(reason) = self.extensions.sparse() {
            return Err(TarError::Unsupported(format!("the header at byte {at}: {reason}")));
        }
        let joined = self.extensions.join(header).map_err(|reason| in_header(at, &reason))?;
        let wrong = |reason: String| {
            let name = quoted(&String::from_utf8_lossy(&joined.name));
            TarError::Malformed(format!("the entry {name} at byte {at}: {reason}"))
        };
        joined.check_size().map_err(wrong)?;
        let attributes = Attributes::decode(block, &joined.pax).map_err(wrong)?;
        self.begin_content(joined.size);
        Ok(StreamEntry { at, name: joined.name, kind: joined.kind, size: joined.size, attributes })
    }

    const fn begin_content(&mut self, size: u64) {
        self.content = size;
        self.padding = size.next_multiple_of(BLOCK) - size;
    }

    /// Comes to a block of zeros, where a tar ends.
    fn end(&mut self, at: u64) -> Result<(), TarError> {
        self.no_extensions(at)?;
        self.ended = true;
        match self.block()? {
            Some(second) if !is_zero(&second) => {
                Err(in_header(at, "it is zero, but it does not end the tar: some readers stop there, others go on"))
            }
            _ => Ok(()),
        }
    }

    fn no_extensions(&self, at: u64) -> Result<(), TarError> {
        if self.extensions.is_empty() {
            return Ok(());
        }
        let reason = format!("it ends at byte {at} after an extension header, without the entry that it belongs to");
        Err(TarError::Malformed(reason))
    }

    fn cut_off(&self) -> TarError {
        TarError::Malformed(format!("it ends at byte {}, in the middle of an entry", self.at))
    }
}

fn in_header(at: u64, reason: &str) -> TarError {
    TarError::Malformed(format!("the header at byte {at}: {reason}"))
}

/// Returns what can be read at once; empty at the end.
fn filled(from: &mut impl BufRead) -> Result<&[u8], TarError> {
    loop {
        match from.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(TarError::Read(error)),
            // asked again, since a buffer that is returned from a loop stays borrowed; it is not read again
            Ok(_) => return from.fill_buf().map_err(TarError::Read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::made::{Block as Made, Tar, pax_record};

    fn read(tar: &[u8]) -> Result<Vec<(String, EntryKind, Vec<u8>)>, String> {
        let mut stream = Stream::new(io::BufReader::with_capacity(7, tar));
        let mut found = Vec::new();
        let told = |error| match error {
            TarError::Malformed(reason) | TarError::Unsupported(reason) => reason,
            other => format!("{other:?}"),
        };
        while let Some(entry) = stream.next().map_err(told)? {
            let mut content = Vec::new();
            stream.copy_content(&mut content).map_err(told)?;
            found.push((String::from_utf8(entry.name).unwrap(), entry.kind, content));
        }
        assert!(stream.next().map_err(told)?.is_none(), "an end is an end");
        Ok(found)
    }

    #[test]
    fn entries_come_with_their_content() {
        let long = format!("{}/{}", "d".repeat(120), "n".repeat(180));
        let tar = Tar::new()
            .extension(b'g', pax_record("comment", "a commit").as_bytes())
            .directory("./")
            .file("a", b"hello")
            .file("b", &[7; 512])
            .pax(&[("path", &long), ("linkpath", "x")])
            .symlink("cut", "cut")
            .extension(b'L', format!("{long}\0").as_bytes())
            .extension(b'K', b"y\0")
            .hard_link("cut", "cut")
            .pax(&[("size", "3")])
            .entry(Made::ustar("c"), b"abc");
        let expected = [
            ("./", EntryKind::Directory, vec![]),
            ("a", EntryKind::Regular, b"hello".to_vec()),
            ("b", EntryKind::Regular, vec![7; 512]),
            (&long, EntryKind::SymLink((*b"x").into()), vec![]),
            (&long, EntryKind::HardLink((*b"y").into()), vec![]),
            ("c", EntryKind::Regular, b"abc".to_vec()),
        ]
        .map(|(name, kind, content)| (name.to_owned(), kind, content));
        assert_eq!(read(&tar.clone().finished()).unwrap(), expected);
        assert_eq!(read(&tar.clone().unfinished()).unwrap(), expected, "without its end");
        let unpadded = tar.clone().unfinished();
        assert_eq!(read(&unpadded[..unpadded.len() - 500]).unwrap(), expected, "without its last padding");
        assert_eq!(read(&tar.bytes(&[0; 512]).unfinished()).unwrap(), expected, "with half of its end");
    }

    #[test]
    fn content_that_nobody_wants_is_passed_over() {
        let tar = Tar::new().file("a", &[1; 3000]).file("b", b"x").finished();
        let mut stream = Stream::new(&tar[..]);
        assert_eq!(stream.next().unwrap().unwrap().at, 0);
        let second = stream.next().unwrap().unwrap();
        assert_eq!((second.at, second.what()), (3584, "the entry \"b\" at byte 3584".to_owned()));
    }

    #[test]
    fn what_readers_take_differently_is_refused() {
        let file = || Tar::new().file("first", b"x");
        let x = |records: &[(&str, &str)]| file().pax(records).file("f", b"").finished();
        for (reason, tar, complaint) in [
            ("cut in a header", file().file("f", b"abc").finished()[..1100].to_vec(), "ends at byte 1100"),
            ("cut in content", file().file("f", &[1; 900]).finished()[..2000].to_vec(), "ends at byte 2000"),
            ("garbage", file().bytes(&[b'x'; 512]).finished(), "the header at byte 1024: its check sum is wrong"),
            ("a lone zero block", file().bytes(&[0; 512]).file("f", b"").finished(), "does not end the tar"),
            ("an extension of nothing", file().extension(b'x', b"").finished(), "without the entry"),
            ("a large extension", file().extension(b'x', &[b'x'; (1 << 20) + 1]).finished(), "expected at most"),
            ("two extensions", file().pax(&[]).pax(&[("path", "y")]).file("f", b"").finished(), "a second extension"),
            ("sparse", file().entry(Made::gnu("f").flag(b'S'), b"").finished(), "sparse"),
            ("PAX sparse", x(&[("GNU.sparse.major", "1")]), "sparse"),
            ("an old vendor's", file().entry(Made::gnu("f").flag(b'N'), b"").finished(), "old vendor"),
            (
                "a directory with content",
                file().entry(Made::ustar("d").flag(b'5').size(3), b"abc").finished(),
                "with 3",
            ),
            ("a link with content", file().entry(Made::ustar("d").flag(b'2').size(3), b"abc").finished(), "with 3"),
            ("no time", x(&[("mtime", "now")]), "seconds since 1970"),
            ("an owner twice", x(&[("uid", "1"), ("uid", "2")]), "twice"),
            ("a global owner", file().extension(b'g', pax_record("uid", "1").as_bytes()).finished(), "to all entries"),
        ] {
            let error = read(&tar).unwrap_err();
            assert!(error.contains(complaint), "{reason}: {error}");
        }
    }
}
