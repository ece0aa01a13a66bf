//! One blob on its way to a registry: which request comes next, and what to do when it fails.
//!
//! An upload that is cut is asked how far it is, and goes on there; the content is read again from its beginning, so that
//! what is proved at the end is the whole. What a registry does not know (pieces, bodies of a size, an upload from before) is
//! found out by its answer, and another way is taken, each once.

use std::io::{self, Read};
use std::sync::PoisonError;
use std::time::Duration;

use super::answer::Complaint;
use super::journal::{Entry, WORTH};
use super::pull::PROGRESS;
use super::push::RegistrySink;
use super::repository::Repository;
use super::retry::{Attempt, Passing};
use super::upload::{Sent, Session};
use crate::blob::{BlobError, BlobReader};
use crate::content::Content;
use crate::digest::Digest;
use crate::error::Class;
use crate::store::{Outcome, PutError, StoreError};

/// The size of a piece for a registry that refuses a blob in one, in bytes. It is halved as long as that is too much.
const PIECE: u64 = 64 * 1024 * 1024;
/// Below this no registry can be meant to refuse a piece for its size.
const SMALLEST_PIECE: u64 = 1024 * 1024;
const MOST_REDIRECTS: u32 = 10;

/// What is known of the upload of one blob.
#[derive(Debug, Default)]
pub(super) struct Upload {
    /// The delivery that it is for.
    at: usize,
    session: Option<Session>,
    /// Whether bytes may have arrived in the session that we do not know of.
    uncertain: bool,
    /// How many bytes had arrived when it was last asked.
    arrived: u64,
    /// How many of them were there before this try.
    began_at: u64,
    /// Whether what had arrived turned out to be of no use.
    restarted: bool,
    failures: u32,
    unauthorized: bool,
    redirects: u32,
    /// The size of pieces; none while it is sent in one.
    piece: Option<u64>,
    /// Whether the registry does not take it in one.
    pieces_only: bool,
    /// Whether the registry takes no pieces.
    whole_only: bool,
    /// Whether an earlier run was looked for.
    looked: bool,
}

/// Why a blob is not there yet.
enum Setback {
    /// It has to be sent once more, at once.
    Again,
    Passing(Passing),
    Final(StoreError),
    /// The content could not be read.
    Content,
}

impl From<StoreError> for Setback {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

impl From<Attempt> for Setback {
    fn from(attempt: Attempt) -> Self {
        match attempt {
            Attempt::Passing(passing) => Self::Passing(passing),
            Attempt::Body => Self::Content,
            Attempt::Final(error) => Self::Final(error),
        }
    }
}

/// A reader that remembers why it failed: HTTP tells only that it did.
struct Tap<'r, 'a> {
    blob: &'r mut BlobReader<'a>,
    error: Option<BlobError>,
}

impl Read for Tap<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.blob.read(buffer).map_err(|error| {
            self.error = Some(BlobError::from_io(error));
            io::Error::other("the content cannot be read")
        })
    }
}

impl RegistrySink {
    pub(super) fn has_session(&self, digest: &Digest, at: usize) -> bool {
        let uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.get(digest).is_some_and(|upload| upload.at == at && upload.session.is_some())
    }

    /// Keeps an upload that was begun before the content is at hand. There is one for each blob: others are given up.
    pub(super) fn keep_session(&self, digest: &Digest, at: usize, session: Session) {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        let upload = uploads.entry(*digest).or_default();
        if upload.session.is_none() {
            *upload = Upload { at, session: Some(session), ..Upload::default() };
            return;
        }
        drop(uploads);
        self.deliveries[at].repository.end_upload(&session);
    }

    /// Sends a blob to one repository that lacks it, and lets its siblings have it from there.
    pub(super) fn send(&self, content: &Content, mut blob: BlobReader<'_>) -> Result<Outcome, PutError> {
        let known = self.uploads.lock().unwrap_or_else(PoisonError::into_inner).remove(&content.digest);
        let at = self.lacking(&content.digest).first().copied();
        let known = match known {
            Some(upload) if Some(upload.at) == at => Some(upload),
            Some(Upload { at, session: Some(session), .. }) => {
                self.deliveries[at].repository.end_upload(&session);
                None
            }
            _ => None,
        };
        // without a place, a sibling gave it in the meantime
        let Some(at) = at else { return Ok(Outcome::Mounted) };
        let mut upload = known.unwrap_or_else(|| Upload { at, ..Upload::default() });
        let repository = &self.deliveries[at].repository;
        let mut tap = Tap { blob: &mut blob, error: None };
        let sent = self.send_to(repository, content, &mut upload, &mut tap);
        let error = tap.error.take();
        match sent {
            Ok(()) => {
                blob.finish().map_err(PutError::From)?;
                self.journal.forget(&self.entry(repository, &content.digest));
                self.has(at, &content.digest);
                let everywhere = self.mount_what_can_be(content)?;
                // a registry that does not mount is given the content once more for the next repository
                if everywhere { Ok(Outcome::Sent) } else { Err(PutError::Again { after: Duration::ZERO }) }
            }
            Err(setback) => Err(self.set_back(repository, content, upload, setback, error)),
        }
    }

    fn set_back(
        &self,
        repository: &Repository,
        content: &Content,
        mut upload: Upload,
        setback: Setback,
        error: Option<BlobError>,
    ) -> PutError {
        let after = match (setback, error) {
            // the next run goes on with it
            (_, Some(BlobError::Cancelled)) => return PutError::From(BlobError::Cancelled),
            (_, Some(error)) => {
                if let Some(session) = &upload.session {
                    repository.end_upload(session);
                    self.journal.forget(&self.entry(repository, &content.digest));
                }
                return PutError::From(error);
            }
            (Setback::Final(error), None) => {
                if upload.session.is_none() {
                    self.journal.forget(&self.entry(repository, &content.digest));
                }
                return PutError::To(error);
            }
            (Setback::Content, None) => return PutError::From(BlobError::Read(io::ErrorKind::UnexpectedEof.into())),
            (Setback::Again, None) => Duration::ZERO,
            (Setback::Passing(passing), None) => {
                upload.unauthorized = false;
                let action = format!("send {} to", content.digest);
                match self.registry.pause(&mut upload.failures, &action, &repository.location, passing) {
                    Ok(pause) => pause,
                    Err(error) => return PutError::To(error),
                }
            }
        };
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).insert(content.digest, upload);
        PutError::Again { after }
    }

    fn entry<'a>(&'a self, repository: &'a Repository, digest: &'a Digest) -> Entry<'a> {
        Entry { registry: self.registry.name(), repository: &repository.path, digest }
    }

    /// Sends what a repository lacks of a blob, as far as one try goes.
    fn send_to(
        &self,
        repository: &Repository,
        content: &Content,
        upload: &mut Upload,
        tap: &mut Tap<'_, '_>,
    ) -> Result<(), Setback> {
        let (session, offset) = self.continued(repository, content, upload)?;
        if content.size >= WORTH {
            self.journal.note(&self.entry(repository, &content.digest), &session.url);
        }
        upload.session = Some(session.clone());
        (upload.uncertain, upload.began_at) = (true, offset);
        let skipped = io::copy(&mut tap.by_ref().take(offset), &mut io::sink());
        if skipped.is_err() {
            return Err(Setback::Content);
        }
        let piece = match (upload.piece, self.registry.options().chunk_size) {
            _ if upload.whole_only => None,
            (Some(piece), _) => Some(piece.max(session.min_chunk)),
            (None, Some(piece)) => Some(piece.max(session.min_chunk)),
            // what goes on goes on in pieces: only those say where they belong
            (None, None) => (offset > 0).then_some(u64::MAX),
        };
        let result = match piece {
            Some(piece) => self.send_pieces(repository, content, upload, tap, piece),
            None => {
                let sent = repository.send_last(&session, &content.digest, content.size, tap)?;
                self.ended(repository, content, upload, sent, None)
            }
        };
        if result.is_ok() {
            let mut tally = self.tally_mut();
            tally.uploaded += 1;
            tally.uploaded_bytes += content.size - offset;
            if offset > 0 {
                tally.resumed += 1;
                tally.resumed_bytes += offset;
            }
        }
        result
    }

    /// Returns the upload that a try goes on with, and from where.
    fn continued(
        &self,
        repository: &Repository,
        content: &Content,
        upload: &mut Upload,
    ) -> Result<(Session, u64), Setback> {
        if !upload.looked {
            upload.looked = true;
            let earlier = self.journal.take(&self.entry(repository, &content.digest));
            if let Some(url) = earlier.filter(|_| !upload.uncertain) {
                let earlier = Session { url, min_chunk: 0 };
                // where it leads nowhere, it is as if there were none
                let status = repository.attempt_upload_status(&earlier).ok().flatten();
                if let Some((arrived, session)) = status.filter(|(arrived, _)| (1..=content.size).contains(arrived)) {
                    if let Some(unused) = upload.session.take() {
                        repository.end_upload(&unused);
                    }
                    upload.arrived = arrived;
                    return Ok((session, arrived));
                }
            }
        }
        match upload.session.take() {
            Some(session) if !upload.uncertain => Ok((session, 0)),
            Some(session) if !upload.whole_only => match repository.upload_status(&session)? {
                // of nothing it may say the same as of one byte
                Some((arrived, session)) if (1..=content.size).contains(&arrived) => {
                    // a way that breaks now and then is walked to its end, as long as it leads on
                    if arrived >= upload.arrived + PROGRESS {
                        upload.failures = 0;
                    }
                    upload.arrived = arrived;
                    Ok((session, arrived))
                }
                Some((_, session)) => {
                    repository.end_upload(&session);
                    self.afresh(repository, upload)
                }
                None => self.afresh(repository, upload),
            },
            _ => self.afresh(repository, upload),
        }
    }

    fn afresh(&self, repository: &Repository, upload: &mut Upload) -> Result<(Session, u64), Setback> {
        upload.arrived = 0;
        Ok((repository.begin_upload()?, 0))
    }

    /// Sends the rest of a blob in pieces, and ends the upload.
    fn send_pieces(
        &self,
        repository: &Repository,
        content: &Content,
        upload: &mut Upload,
        tap: &mut Tap<'_, '_>,
        piece: u64,
    ) -> Result<(), Setback> {
        let mut offset = upload.began_at;
        while offset < content.size {
            let Some(session) = upload.session.clone() else { return Err(Setback::Again) };
            let length = piece.min(content.size - offset);
            let sent = repository.send_chunk(&session, offset, length, &mut tap.by_ref().take(length))?;
            match sent {
                Sent::Taken(next) => {
                    offset += length;
                    if offset < content.size && content.size >= WORTH {
                        self.journal.note(&self.entry(repository, &content.digest), &next.url);
                    }
                    upload.session = Some(next);
                    upload.arrived = offset;
                    (upload.failures, upload.unauthorized) = (0, false);
                }
                other => return self.ended(repository, content, upload, other, Some(piece)),
            }
        }
        // only what is right as a whole gets its name
        if tap.blob.read(&mut [0; 1]).map_err(|error| tap.fail(error))? != 0 {
            return Err(Setback::Content);
        }
        let Some(session) = upload.session.clone() else { return Err(Setback::Again) };
        let sent = repository.send_last(&session, &content.digest, 0, &mut io::empty())?;
        self.ended(repository, content, upload, sent, Some(piece))
    }

    /// Decides what an answer means that is not simply the next step; it was sent in pieces of that size, or in one.
    fn ended(
        &self,
        repository: &Repository,
        content: &Content,
        upload: &mut Upload,
        sent: Sent,
        piece: Option<u64>,
    ) -> Result<(), Setback> {
        let place = &repository.location;
        let action = format!("send {} to", content.digest);
        match sent {
            Sent::Whole(Some(got)) if got != content.digest => {
                let reason = format!("the registry says that it is {got}");
                Err(self.registry.remote(&action, place, Class::Content, reason, None).into())
            }
            Sent::Whole(_) => Ok(()),
            Sent::Taken(session) => {
                upload.session = Some(session);
                Err(Setback::Passing(Passing::because("the upload is not at its end, although all of it was sent")))
            }
            Sent::Unauthorized if !upload.unauthorized => {
                upload.unauthorized = true; // the next try has another token
                upload.uncertain = upload.arrived > 0; // and nothing of this one was taken
                Err(Setback::Again)
            }
            Sent::Unauthorized => {
                let hint = Some(format!("log in with `barge login {}`", self.registry.name()));
                Err(self.registry.remote(&action, place, Class::Refused, "the token is not accepted", hint).into())
            }
            Sent::Elsewhere(url) => {
                upload.redirects += 1;
                if upload.redirects > MOST_REDIRECTS {
                    return Err(self
                        .registry
                        .remote(&action, place, Class::Failed, "it redirects in circles", None)
                        .into());
                }
                let min_chunk = upload.session.as_ref().map_or(0, |session| session.min_chunk);
                upload.session = Some(Session { url: url.without_query("digest"), min_chunk });
                // a request that was sent elsewhere has brought nothing; those before it may have
                upload.uncertain = upload.arrived > 0;
                Err(Setback::Again)
            }
            // a session that was made just now is no older than the registry's knowledge of pieces
            Sent::Vanished if piece.is_some() && upload.arrived == 0 && !upload.pieces_only => {
                (upload.session, upload.uncertain, upload.whole_only) = (None, false, true);
                Err(Setback::Again)
            }
            Sent::Vanished => {
                (upload.session, upload.uncertain) = (None, false);
                Err(Setback::Passing(Passing::because(format!(
                    "{}: the upload is not known any more",
                    self.registry.name()
                ))))
            }
            Sent::OutOfPlace(session) => {
                upload.session = session.or(upload.session.take());
                Err(Setback::Passing(Passing::because(format!(
                    "{}: the upload is at another place",
                    self.registry.name()
                ))))
            }
            Sent::Refused(complaint) => {
                upload.uncertain = false;
                if let Some(session) = upload.session.take() {
                    repository.end_upload(&session);
                }
                if self.may_go_otherwise(upload, content, &complaint, piece) {
                    return Err(Setback::Again);
                }
                Err(self.registry.complain(&action, place, &complaint).into())
            }
        }
    }

    /// Chooses another way to send what was refused in this one. Returns whether there is one that was not tried.
    fn may_go_otherwise(
        &self,
        upload: &mut Upload,
        content: &Content,
        complaint: &Complaint,
        piece: Option<u64>,
    ) -> bool {
        let status = complaint.status.as_u16();
        let has = |codes: &[&str]| codes.iter().any(|code| complaint.has_code(code));
        if matches!(status, 401 | 403) || has(&["NAME_INVALID", "NAME_UNKNOWN", "DENIED", "UNAUTHORIZED"]) {
            return false;
        }
        // too much at once: in pieces, and those smaller as long as that is so
        if status == 413 {
            let at_once = piece.unwrap_or(u64::MAX).min(content.size);
            upload.piece = Some(PIECE.min(at_once / 2).max(SMALLEST_PIECE));
            return at_once > SMALLEST_PIECE && !upload.whole_only;
        }
        // what an earlier try or run had left there may be something else
        if upload.began_at > 0 && !upload.restarted {
            upload.restarted = true;
            return true;
        }
        if !matches!(status, 400 | 404 | 405 | 411 | 501) || has(&["DIGEST_INVALID", "SIZE_INVALID"]) {
            return false;
        }
        match piece {
            // no bodies in the last request: everything in one piece before it
            None if !upload.whole_only => {
                (upload.pieces_only, upload.piece) = (true, Some(content.size.max(1)));
                true
            }
            // no pieces: everything in the last request
            Some(_) if !upload.pieces_only => {
                (upload.whole_only, upload.piece) = (true, None);
                true
            }
            _ => false,
        }
    }
}

impl Tap<'_, '_> {
    fn fail(&mut self, error: io::Error) -> Setback {
        self.error = Some(BlobError::from_io(error));
        Setback::Content
    }
}
