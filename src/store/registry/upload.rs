//! How a blob gets into a repository: the requests of an upload (distribution-spec v1.1.1, spec.md, "Pushing blobs").

use std::io::Read;

use ureq::http::Method;
use ureq::http::header::{self, HeaderName, HeaderValue};

use super::address::Url;
use super::answer::{Answer, Complaint};
use super::auth::Scope;
use super::client::{Ask, To};
use super::documents::header_of;
use super::http::Body;
use super::repository::Repository;
use super::retry::Attempt;
use crate::digest::Digest;
use crate::store::StoreError;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const MIN_CHUNK: &str = "oci-chunk-min-length";
const STATUS: &str = "ask for the state of an upload to";

/// An upload that a repository has begun.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) url: Url,
    /// The least that a piece may have, in bytes; the last one may have less.
    pub(super) min_chunk: u64,
}

/// What became of the request to take a blob from a sibling.
#[derive(Debug)]
pub(super) enum Mount {
    Done,
    /// It wants the bytes instead, and has begun an upload for them.
    Session(Session),
    Refused,
}

/// What became of bytes that were sent.
#[derive(Debug)]
pub(super) enum Sent {
    /// They are there; what follows goes to this session.
    Taken(Session),
    /// The whole is there, under its digest.
    Whole(Option<Digest>),
    /// They were not authorized, and there may be a fresh token.
    Unauthorized,
    /// They are wanted elsewhere.
    Elsewhere(Url),
    /// The upload is not known any more.
    Vanished,
    /// They are not what the upload goes on with, or not all of them were taken.
    OutOfPlace(Option<Session>),
    /// Any other answer.
    Refused(Complaint),
}

impl Repository {
    fn uploads_path(&self) -> String {
        format!("/v2/{}/blobs/uploads/", self.path)
    }

    /// Begins an upload. Shows also, before any byte is sent, whether the repository is there and may be written.
    pub(super) fn begin_upload(&self) -> Result<Session, StoreError> {
        let action = "begin an upload to";
        let path = self.uploads_path();
        let answer = self.registry.ask(&self.writing(Method::POST, To::Path(&path), action))?;
        if answer.code() != 202 {
            return Err(self.registry.complain(action, &self.location, &answer.into_complaint()));
        }
        self.session(&answer).ok_or_else(|| {
            let reason = match answer.location() {
                Some(_) => "it wants it sent without TLS, where anybody could read it",
                None => "it does not say where to send it to",
            };
            self.registry.remote(action, &self.location, crate::error::Class::Failed, reason, None)
        })
    }

    /// Asks for a blob that a sibling repository has (distribution-spec v1.1.1, spec.md, "Mounting a blob from another
    /// repository").
    pub(super) fn mount(&self, digest: &Digest, from: &str) -> Result<Mount, StoreError> {
        let action = format!("mount {digest} to");
        let path = format!("{}?mount={digest}&from={}", self.uploads_path(), super::address::percent_encoded(from));
        let mut ask = self.writing(Method::POST, To::Path(&path), &action);
        ask.scopes.insert(Scope::pull(from));
        let answer = self.registry.ask(&ask)?;
        Ok(match answer.code() {
            201 => Mount::Done,
            202 => self.session(&answer).map_or(Mount::Refused, Mount::Session),
            // who may not read there, or cannot mount at all, may still upload
            _ => Mount::Refused,
        })
    }

    /// Returns how many bytes of an upload have arrived, and where it goes on; `None` when it is not known any more.
    pub(super) fn upload_status(&self, session: &Session) -> Result<Option<(u64, Session)>, StoreError> {
        self.registry.persist(STATUS, &self.location, || self.attempt_upload_status(session))
    }

    /// As [`Self::upload_status`], once.
    pub(super) fn attempt_upload_status(&self, session: &Session) -> Result<Option<(u64, Session)>, Attempt> {
        let ask = self.writing(Method::GET, To::Url(session.url.clone()), STATUS);
        let answer = self.registry.attempt(&ask)?;
        if !matches!(answer.code(), 200 | 202 | 204) {
            return Ok(None);
        }
        // "0-0" is said of nothing as well as of one byte: less is assumed
        let arrived = arrived(&answer).unwrap_or(0);
        Ok(Some((arrived, self.next_session(&answer, session))))
    }

    /// Gives up an upload; that it fails is no matter.
    pub(super) fn end_upload(&self, session: &Session) {
        let _ = self.registry.attempt(&self.writing(Method::DELETE, To::Url(session.url.clone()), "end an upload to"));
    }

    /// Sends a piece of a blob.
    pub(super) fn send_chunk(
        &self,
        session: &Session,
        offset: u64,
        length: u64,
        reader: &mut dyn Read,
    ) -> Result<Sent, Attempt> {
        let mut ask = self.writing(Method::PATCH, To::Url(session.url.clone()), "send a blob to");
        ask.headers.push((header::CONTENT_TYPE, OCTETS));
        let last = (offset + length).saturating_sub(1);
        ask.headers.extend(header_of(header::CONTENT_RANGE, &format!("{offset}-{last}")));
        let answer = self.registry.attempt_stream(&ask, Body::Stream { reader, length })?;
        match answer.code() {
            201 | 202 | 204 => {
                let next = self.next_session(&answer, session);
                Ok(match arrived(&answer) {
                    Some(arrived) if arrived < offset + length => Sent::OutOfPlace(Some(next)),
                    _ => Sent::Taken(next),
                })
            }
            _ => self.not_taken(answer, &ask),
        }
    }

    /// Ends an upload under its digest, with its last bytes or with all of them.
    pub(super) fn send_last(
        &self,
        session: &Session,
        digest: &Digest,
        length: u64,
        reader: &mut dyn Read,
    ) -> Result<Sent, Attempt> {
        let action = "send a blob to";
        let url = session.url.with_query("digest", &digest.to_string());
        let url = url.ok_or_else(|| Attempt::Final(self.unusable_location(action)))?;
        let mut ask = self.writing(Method::PUT, To::Url(url), action);
        if length > 0 {
            ask.headers.push((header::CONTENT_TYPE, OCTETS));
        }
        let body = if length > 0 { Body::Stream { reader, length } } else { Body::None };
        let answer = self.registry.attempt_stream(&ask, body)?;
        match answer.code() {
            200 | 201 | 204 => {
                Ok(Sent::Whole(answer.header("docker-content-digest").and_then(|text| text.parse().ok())))
            }
            _ => self.not_taken(answer, &ask),
        }
    }

    fn not_taken(&self, answer: Answer, ask: &Ask<'_>) -> Result<Sent, Attempt> {
        Ok(match answer.code() {
            401 if self.registry.refused(&answer, ask)? => Sent::Unauthorized,
            307 | 308 => match answer.location() {
                Some(url) if !answer.url.origin().https || url.origin().https => Sent::Elsewhere(url),
                _ => Sent::Refused(answer.into_complaint()),
            },
            416 => Sent::OutOfPlace(self.session(&answer)),
            _ => {
                let complaint = answer.into_complaint();
                if complaint.status.as_u16() == 404 && !complaint.has_code("NAME_UNKNOWN") {
                    Sent::Vanished
                } else {
                    Sent::Refused(complaint)
                }
            }
        })
    }

    /// Returns where an upload goes on that an answer tells of; none where that is without TLS, and the answer came with it.
    fn session(&self, answer: &Answer) -> Option<Session> {
        let min_chunk = answer.header(MIN_CHUNK).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let url = answer.location().filter(|url| !answer.url.origin().https || url.origin().https)?;
        Some(Session { url, min_chunk })
    }

    /// Returns where an upload goes on after an answer that may say so.
    fn next_session(&self, answer: &Answer, session: &Session) -> Session {
        let next = self.session(answer).unwrap_or_else(|| session.clone());
        Session { min_chunk: next.min_chunk.max(session.min_chunk), ..next }
    }

    fn writing<'a>(&'a self, method: Method, to: To<'a>, action: &'a str) -> Ask<'a> {
        let headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
        Ask { method, to, headers, body: None, scopes: self.pushing(), action, repository: Some(&self.path) }
    }

    fn unusable_location(&self, action: &str) -> StoreError {
        let reason = "the address it gave for the upload is too long or malformed";
        self.registry.remote(action, &self.location, crate::error::Class::Failed, reason, None)
    }
}

/// Returns how many bytes a registry says that it has; `None` when it does not say, or says of nothing what is said of one.
fn arrived(answer: &Answer) -> Option<u64> {
    answer.header("range").and_then(end_of_range).filter(|last| *last > 0).map(|last| last.saturating_add(1))
}

/// Returns the last byte of `0-LAST`, with or without `bytes=` before it.
fn end_of_range(range: &str) -> Option<u64> {
    let range = range.trim().trim_start_matches("bytes").trim_start_matches(['=', ' ']);
    let (first, last) = range.split_once('-')?;
    let last = last.split('/').next()?;
    (first.trim() == "0").then(|| last.trim().parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_how_far_an_upload_is() {
        for (range, last) in [
            ("0-99", Some(99)),
            ("bytes=0-99", Some(99)),
            ("bytes 0-99/200", Some(99)),
            ("0-0", Some(0)),
            ("0--1", None),
            ("5-99", None),
            ("99", None),
            ("", None),
        ] {
            assert_eq!(end_of_range(range), last, "{range}");
        }
    }
}
