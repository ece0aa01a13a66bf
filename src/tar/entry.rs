//! An entry: a header, with what the extensions before it say in its place.

use std::fmt;

use super::header::Header;
use super::pax::Pax;
use crate::text::quoted;

/// The largest extension header, in bytes.
pub(crate) const LARGEST_EXTENSION: u64 = 1 << 20;

/// What kind of entry it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// Content.
    Regular,
    /// A directory.
    Directory,
    /// Another name of the entry that is named here, as it is written.
    HardLink(Box<[u8]>),
    /// A pointer from its own directory, as it is written.
    SymLink(Box<[u8]>),
    /// A device, a FIFO, or a type that barge does not know: the type flag.
    Special(u8),
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regular => f.write_str("a regular file"),
            Self::Directory => f.write_str("a directory"),
            Self::HardLink(target) => write!(f, "a hard link to {}", quoted(&String::from_utf8_lossy(target))),
            Self::SymLink(target) => write!(f, "a symbolic link to {}", quoted(&String::from_utf8_lossy(target))),
            Self::Special(b'3' | b'4') => f.write_str("a device"),
            Self::Special(b'6') => f.write_str("a FIFO"),
            Self::Special(flag) => write!(f, "of the unknown type {}", quoted(&char::from(*flag).to_string())),
        }
    }
}

/// Whether a header is an entry of its own.
pub(crate) enum Role {
    /// It is.
    Entry,
    /// It says something of the entry that follows, or of all.
    Extension,
    /// Its content lies elsewhere than a plain reader takes it to be: why.
    Sparse(&'static str),
    /// Its meaning was only ever known to one vendor: why.
    Foreign(&'static str),
}

impl Role {
    /// Returns what a type flag means.
    pub(crate) const fn of(flag: u8) -> Self {
        match flag {
            b'x' | b'g' | b'L' | b'K' => Self::Extension,
            b'S' => Self::Sparse("it is a sparse file, not in one piece"),
            b'X' | b'N' => Self::Foreign("it is an extension of an old vendor's tar"),
            _ => Self::Entry,
        }
    }
}

/// Extension headers that wait for the entry that they belong to.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

/// A header and its extensions, put together.
#[derive(Debug)]
pub(crate) struct Joined {
    /// The name, as it is written.
    pub(crate) name: Vec<u8>,
    /// What it is.
    pub(crate) kind: EntryKind,
    /// How much content follows, in bytes.
    pub(crate) size: u64,
    /// What the PAX header said, if there was one.
    pub(crate) pax: Pax,
}

impl Extensions {
    /// Returns whether no extension waits for an entry.
    pub(crate) const fn is_empty(&self) -> bool {
        self.pax.is_none() && self.name.is_none() && self.link.is_none()
    }

    /// Returns why the next entry cannot be read, when its content is not in one piece.
    pub(crate) fn sparse(&self) -> Option<&'static str> {
        let is_sparse = self.pax.as_ref().is_some_and(|pax| pax.is_sparse);
        is_sparse.then_some("it describes a sparse file, whose content is not in one piece")
    }

    /// Takes the body of an extension for the next entry: of type `x`, `L` or `K`.
    ///
    /// # Errors
    /// In words, when it is malformed or the second of its kind.
    pub(crate) fn add(&mut self, flag: u8, mut body: Vec<u8>) -> Result<(), String> {
        let second = if flag == b'x' {
            self.pax.replace(Pax::parse(body)?).is_some()
        } else {
            while body.pop_if(|last| *last == 0).is_some() {}
            let long = if flag == b'L' { &mut self.name } else { &mut self.link };
            long.replace(body).is_some()
        };
        if second { Err("it is a second extension of one kind for one entry".to_owned()) } else { Ok(()) }
    }

    /// Puts a header together with the extensions that came before it, which are used up.
    ///
    /// # Errors
    /// In words, when they contradict each other.
    pub(crate) fn join(&mut self, header: Header) -> Result<Joined, String> {
        if let Some(reason) = self.sparse() {
            return Err(reason.to_owned());
        }
        let Self { pax, name: long_name, link: long_link } = std::mem::take(self);
        let mut pax = pax.unwrap_or_default();
        let size = pax.size_beside(header.size)?;
        if (pax.path.is_some() && long_name.is_some()) || (pax.linkpath.is_some() && long_link.is_some()) {
            return Err("a PAX and a GNU extension both name it".to_owned());
        }
        let name = pax.path.take().or(long_name).unwrap_or(header.name);
        let link = pax.linkpath.take().or(long_link).unwrap_or(header.link);
        let kind = match header.flag {
            // before POSIX, a directory was a file whose name ends in a slash
            b'0' | 0 | b'7' if name.ends_with(b"/") => EntryKind::Directory,
            b'0' | 0 | b'7' => EntryKind::Regular,
            b'5' => EntryKind::Directory,
            b'1' => EntryKind::HardLink(link.into()),
            b'2' => EntryKind::SymLink(link.into()),
            flag => EntryKind::Special(flag),
        };
        Ok(Joined { name, kind, size, pax })
    }
}

impl Joined {
    /// Checks that only what has content says that content follows. Some readers skip what such a header speaks of, others
    /// take it for the next header.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn check_size(&self) -> Result<(), String> {
        let may_have_content = match self.kind {
            EntryKind::Regular => true,
            EntryKind::Special(flag) => !matches!(flag, b'1'..=b'6'),
            _ => false,
        };
        if may_have_content || self.size == 0 {
            return Ok(());
        }
        Err(format!("it is {} with {} bytes of content", self.kind, self.size))
    }
}
