//! A repository as a source: content is asked for when it is first read, and what breaks off goes on where it was.

use std::io::{self, Read};
use std::sync::Arc;

use ureq::http::Method;
use ureq::http::header;

use super::client::{Ask, To};
use super::documents::{accept, header_of};
use super::repository::Repository;
use super::retry::{Attempt, Passing};
use crate::blob::{BlobReader, Mismatch, Resume};
use crate::content::{Content, Descriptor, Kind};
use crate::digest::Digest;
use crate::store::{Location, Source, StoreError, Wanted};

/// Up to which size content that was read is kept, in bytes: configs are read when a plan is made, and again when it is
/// carried out.
const LARGEST_KEPT: u64 = 256 * 1024;

/// How many bytes in a row make up for the failures before, so that a way that breaks now and then is walked to its end,
/// and one that gives a byte at a time is not.
pub(super) const PROGRESS: u64 = 1024 * 1024;

impl Source for Repository {
    fn location(&self) -> &Location {
        &self.location
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        Ok(self.roots.clone())
    }

    fn unlisted(&self, subjects: &[Digest], wanted: &Wanted<'_>) -> Result<Vec<Descriptor>, StoreError> {
        self.belonging(subjects, wanted)
    }

    /// Asks nothing yet: what is not there is found when it is read.
    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        let small = matches!(content.kind, Kind::Manifest(_)) || content.size <= LARGEST_KEPT;
        if let Some(bytes) = self.cached(&content.digest) {
            return Ok(BlobReader::new(content.clone(), io::Cursor::new(bytes)));
        }
        if small {
            return Ok(BlobReader::new(
                content.clone(),
                Small { repository: self, content: content.clone(), read: None },
            ));
        }
        let remote =
            Remote { repository: self, content: content.clone(), offset: 0, body: None, failures: 0, since: 0 };
        Ok(BlobReader::resumable(content.clone(), remote))
    }

    fn holds(&self, content: &Content) -> Result<bool, StoreError> {
        Ok(self.cached(&content.digest).is_some() || self.holds_content(content)?)
    }
}

/// Content that is read at once, and kept when it is right.
struct Small<'a> {
    repository: &'a Repository,
    content: Content,
    read: Option<io::Cursor<Arc<[u8]>>>,
}

impl Read for Small<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read.is_none() {
            let bytes = self.repository.fetch(&self.content).map_err(io::Error::other)?;
            if bytes.len() as u64 == self.content.size && self.content.digest.is_of(&bytes) {
                self.repository.keep(self.content.digest, Arc::clone(&bytes));
            }
            self.read = Some(io::Cursor::new(bytes));
        }
        self.read.as_mut().map_or(Ok(0), |read| read.read(buffer))
    }
}

impl Repository {
    /// Returns whether content is there, of the size that was promised.
    pub(super) fn holds_content(&self, content: &Content) -> Result<bool, StoreError> {
        let action = format!("look for {} in", content.digest);
        let path = self.path_of(content);
        let ask = Ask { method: Method::HEAD, ..self.asking(content, &path, &action) };
        let mut failures = 0;
        let answer = self.registry.persist(&action, &self.location, || match self.registry.attempt(&ask) {
            // a registry that stumbles over a broken entry does so for ever, and the content sent again may mend it
            Err(Attempt::Passing(Passing { status: Some(500), .. })) if failures == self.registry.options().retries => {
                Ok(None)
            }
            answer => {
                failures += 1;
                answer.map(Some)
            }
        })?;
        let Some(answer) = answer else { return Ok(false) };
        match answer.code() {
            200 => {
                let length = answer.header("content-length").and_then(|text| text.parse::<u64>().ok());
                Ok(length.is_none_or(|length| length == content.size))
            }
            404 => Ok(false),
            // a registry without HEAD: nothing is known to be there
            400 | 405 | 501 => Ok(false),
            // a content network to which the address that we were sent to is good for reading only
            _ if answer.url.origin() != self.registry.origin()? => Ok(false),
            _ => Err(self.registry.complain(&action, &self.location, &answer.into_complaint())),
        }
    }

    /// Looks for a blob by its digest. `None` when it is not there.
    ///
    /// # Errors
    /// When the registry cannot be reached, or does not say how large it is.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Content>, StoreError> {
        let action = format!("look for {digest} in");
        let path = self.blob_path(digest);
        let unsized_blob = Content { digest: *digest, size: 0, kind: Kind::Blob };
        let ask = Ask { method: Method::HEAD, ..self.asking(&unsized_blob, &path, &action) };
        let answer = self.registry.ask(&ask)?;
        match answer.code() {
            200 => {
                let size = answer.header("content-length").and_then(|text| text.parse().ok());
                let size = size.ok_or_else(|| StoreError::malformed(path, &self.location, "its size is not said"))?;
                Ok(Some(Content { size, ..unsized_blob }))
            }
            404 => Ok(None),
            _ => Err(self.registry.complain(&action, &self.location, &answer.into_complaint())),
        }
    }

    fn path_of(&self, content: &Content) -> String {
        match content.kind {
            Kind::Manifest(_) => self.manifest_path(&content.digest.to_string()),
            Kind::Blob | Kind::Config | Kind::Piece => self.blob_path(&content.digest),
        }
    }

    fn asking<'a>(&'a self, content: &Content, path: &'a str, action: &'a str) -> Ask<'a> {
        let headers = match &content.kind {
            Kind::Manifest(media_type) => vec![(header::ACCEPT, accept(media_type.as_str()))],
            Kind::Blob | Kind::Config | Kind::Piece => Vec::new(),
        };
        let scopes = self.reading();
        Ask {
            method: Method::GET,
            to: To::Path(path),
            headers,
            body: None,
            scopes,
            action,
            repository: Some(&self.path),
        }
    }

    /// Reads small content whole; one byte more than was promised shows that it is longer.
    fn fetch(&self, content: &Content) -> Result<Arc<[u8]>, StoreError> {
        let action = format!("read {} in", content.digest);
        let path = self.path_of(content);
        let ask = self.asking(content, &path, &action);
        self.registry.persist(&action, &self.location, || {
            let answer = self.registry.attempt(&ask)?;
            if answer.code() != 200 {
                return Err(self.no_content(content, &action, answer));
            }
            let mut bytes = Vec::new();
            let most = content.size.saturating_add(1);
            let mut body = answer.body.take(most);
            body.read_to_end(&mut bytes).map_err(|error| self.cut(&path, &error))?;
            Ok(Arc::from(bytes))
        })
    }

    fn no_content(&self, content: &Content, action: &str, answer: super::answer::Answer) -> Attempt {
        Attempt::Final(match answer.code() {
            404 => StoreError::Missing { digest: content.digest, place: self.location.clone() },
            _ => self.registry.complain(action, &self.location, &answer.into_complaint()),
        })
    }
}

/// Content on its way.
struct Remote<'a> {
    repository: &'a Repository,
    content: Content,
    offset: u64,
    body: Option<ureq::BodyReader<'static>>,
    failures: u32,
    /// Bytes that came since the last failure.
    since: u64,
}

impl Remote<'_> {
    /// Asks for what is still to come.
    fn connect(&self) -> Result<ureq::BodyReader<'static>, Attempt> {
        let (repository, content, offset) = (self.repository, &self.content, self.offset);
        let action = format!("read {} in", content.digest);
        let path = repository.path_of(content);
        let mut ask = repository.asking(content, &path, &action);
        if offset > 0 {
            ask.headers.extend(header_of(header::RANGE, &format!("bytes={offset}-")));
        }
        let mut answer = repository.registry.attempt(&ask)?;
        let wrong = |mismatch| {
            let place = repository.location.clone();
            Attempt::Final(StoreError::Wrong { digest: content.digest, place, mismatch })
        };
        let length = answer.header("content-length").and_then(|text| text.parse::<u64>().ok());
        let skip = match answer.code() {
            206 if starts_at(answer.header("content-range"), offset) => 0,
            // a registry that knows no ranges sends everything once more
            200 => offset,
            206 => {
                let reason = "it sent another range than was asked for";
                return Err(repository
                    .registry
                    .remote(&action, &repository.location, crate::error::Class::Content, reason, None)
                    .into());
            }
            416 => return Err(wrong(Mismatch::Short { got: offset, expected: content.size })),
            _ => return Err(repository.no_content(content, &action, answer)),
        };
        let expected = content.size - (offset - skip);
        match length {
            Some(length) if length < expected => {
                let got = content.size - expected + length;
                return Err(wrong(Mismatch::Short { got, expected: content.size }));
            }
            Some(length) if length > expected => return Err(wrong(Mismatch::Long { expected: content.size })),
            _ => {}
        }
        let skipped = io::copy(&mut answer.body.by_ref().take(skip), &mut io::sink());
        match skipped {
            Ok(count) if count == skip => Ok(answer.body),
            Ok(_) => Err(repository.cut(&path, &io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(repository.cut(&path, &error)),
        }
    }

    /// Waits after a failure; fails when there were too many without a byte in between.
    fn recover(&mut self, attempt: Attempt) -> io::Result<()> {
        (self.body, self.since) = (None, 0);
        let registry = &self.repository.registry;
        let passing = match attempt {
            Attempt::Passing(passing) => passing,
            Attempt::Final(error) => return Err(io::Error::other(error)),
            Attempt::Body => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let action = format!("read {} in", self.content.digest);
        let pause = registry.pause(&mut self.failures, &action, &self.repository.location, passing);
        let pause = pause.map_err(io::Error::other)?;
        if registry.cancel().sleep(pause) { Ok(()) } else { Err(io::Error::other(StoreError::Cancelled)) }
    }
}

/// Returns whether a `Content-Range` begins at an offset (RFC 9110, section 14.4).
fn starts_at(range: Option<&str>, offset: u64) -> bool {
    let first = range.and_then(|range| range.trim().strip_prefix("bytes ")).and_then(|range| range.split_once('-'));
    first.is_some_and(|(first, _)| first.trim().parse() == Ok(offset))
}

impl Read for Remote<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(body) = &mut self.body else {
                if self.offset >= self.content.size && self.offset > 0 {
                    return Ok(0); // the whole came from elsewhere
                }
                match self.connect() {
                    Ok(body) => self.body = Some(body),
                    Err(attempt) => self.recover(attempt)?,
                }
                continue;
            };
            let limit = self.repository.registry.http().limit();
            let room = buffer.len().min(limit.map_or(usize::MAX, super::RateLimit::at_once));
            match body.read(&mut buffer[..room]) {
                Ok(0) if room > 0 && self.offset < self.content.size => {
                    // an end that the framing allows, and that the size does not
                    let mismatch = Mismatch::Short { got: self.offset, expected: self.content.size };
                    let (digest, place) = (self.content.digest, self.repository.location.clone());
                    return Err(io::Error::other(StoreError::Wrong { digest, place, mismatch }));
                }
                Ok(count) => {
                    self.offset += count as u64;
                    self.since += count as u64;
                    if self.since >= PROGRESS {
                        self.failures = 0;
                    }
                    if let Some(limit) = limit {
                        limit.pay(count as u64);
                    }
                    return Ok(count);
                }
                Err(error) => {
                    let host = self.repository.registry.name();
                    let at = crate::text::human_size(self.offset);
                    let reason = format!("{host}: {} was cut after {at}: {error}", self.content.digest.short());
                    self.recover(Attempt::Passing(Passing::because(reason)))?;
                }
            }
        }
    }
}

impl Resume for Remote<'_> {
    fn resume_at(&mut self, offset: u64) -> io::Result<()> {
        self.offset = offset;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_one_that_was_asked_for() {
        for (range, offset, expected) in [
            (Some("bytes 100-199/200"), 100, true),
            (Some("bytes 100-199/*"), 100, true),
            (Some("bytes 0-199/200"), 100, false),
            (Some("bytes */200"), 100, false),
            (Some("100-199/200"), 100, false),
            (None, 0, false),
        ] {
            assert_eq!(starts_at(range, offset), expected, "{range:?}");
        }
    }
}
