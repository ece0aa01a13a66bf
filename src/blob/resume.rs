//! Bytes that can begin in the middle: what a registry can give, so that a transfer that broke off is continued.

use std::io::{self, Read};

/// A reader of content that can begin anywhere in it.
pub trait Resume: Read + Send {
    /// Makes the next read begin at this offset, in bytes. Called at most once, before the first read, with an offset that
    /// is neither the beginning nor the end.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] when the other side can only begin at the beginning: whoever asked then throws away
    /// what it had, and asks for the whole. Any other failure is one like that of a read: what was had stays of use. It may
    /// as well come with the first read.
    fn resume_at(&mut self, offset: u64) -> io::Result<()>;
}

/// Where the bytes of a blob come from.
pub(super) enum Bytes<'a> {
    /// From their beginning only.
    Plain(Box<dyn Read + Send + 'a>),
    /// From anywhere: the next read begins there, unless that is 0.
    Resumable { inner: Box<dyn Resume + 'a>, from: u64 },
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.read(buffer),
            Self::Resumable { inner, from } => {
                let offset = std::mem::take(from);
                if offset > 0 {
                    inner.resume_at(offset).map_err(|error| match error.kind() {
                        // a read that is tried again would begin at the beginning
                        io::ErrorKind::Interrupted => io::Error::other(error),
                        _ => error,
                    })?;
                }
                inner.read(buffer)
            }
        }
    }
}
