//! What is answered to a request: a status, headers, and a body that is at hand or lies in a place.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;

use super::blob::Blob;
use crate::json;
use crate::store::{StoreError, causes};

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// What is to be done.
    pub(super) method: &'a Method,
    /// The path, as it was sent.
    pub(super) path: &'a str,
    /// What stands behind the question mark, as it was sent.
    pub(super) query: Option<&'a str>,
    /// The header fields.
    pub(super) headers: &'a HeaderMap,
}

/// What answers requests. It may take its time: it reads files.
pub(super) trait Respond: Send + Sync + 'static {
    /// Answers a request. Whatever is wrong with it, there is an answer.
    fn respond(&self, request: &Request<'_>) -> Answer;
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its header fields; among them the length of the body, or of what the body would be.
    pub(super) headers: HeaderMap,
    /// Its body.
    pub(super) body: Body,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    /// There is none.
    Empty,
    /// It is at hand.
    Bytes(Bytes),
    /// It is a blob, or the bytes of one from and to these positions. An answer to HEAD has it too: nothing of it is sent, and
    /// it is known whether it is right.
    Blob(Arc<Blob>, Range<u64>),
}

/// What is wrong with a request, or why there is no answer to it: an error code (distribution-spec v1.1.1, "Error Codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// The blob is not known.
    BlobUnknown,
    /// There is no such upload.
    BlobUploadUnknown,
    /// What stands for a digest is none that can be checked.
    DigestInvalid,
    /// The manifest is not known.
    ManifestUnknown,
    /// What stands for a repository's name is none.
    NameInvalid,
    /// The repository is not known.
    NameUnknown,
    /// How many are wanted is no number (distribution's own code).
    PaginationNumberInvalid,
    /// Who asks has not said who they are.
    Unauthorized,
    /// This registry does not do that.
    Unsupported,
    /// The request is too much, or cannot be understood (distribution's own code).
    Unknown,
    /// What is asked for cannot be given now (distribution's own code).
    Unavailable,
}

impl Code {
    /// Returns how it is written.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Unsupported => "UNSUPPORTED",
            Self::Unknown => "UNKNOWN",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// Returns the status that goes with it.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::BlobUnknown | Self::BlobUploadUnknown | Self::ManifestUnknown | Self::NameUnknown => {
                StatusCode::NOT_FOUND
            }
            Self::DigestInvalid | Self::NameInvalid | Self::PaginationNumberInvalid => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Answer {
    /// Answers with some bytes.
    pub(super) fn of(status: StatusCode, media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let mut answer = Self { status, headers: HeaderMap::new(), body: Body::Empty };
        answer.set(CONTENT_TYPE, media_type);
        answer.set(CONTENT_LENGTH, &bytes.len().to_string());
        answer.body = Body::Bytes(bytes);
        answer
    }

    /// Answers that something is wrong (distribution-spec v1.1.1, "Error Codes"). What comes from outside must be escaped in
    /// the message.
    pub(super) fn error(code: Code, message: &str) -> Self {
        Self::error_with(code.status(), code, message)
    }

    /// Answers that something is wrong, with another status than the one that goes with the code.
    pub(super) fn error_with(status: StatusCode, code: Code, message: &str) -> Self {
        let body = json::encode(&json!({"errors": [{"code": code.as_str(), "message": message}]}));
        Self::of(status, "application/json", body)
    }

    /// Sets a header field; a value that cannot stand in one is left out.
    pub(super) fn set(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }

    /// Returns the same answer with a header field.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Takes the body away and leaves the header fields: what is answered to HEAD. A blob stays, and is not sent.
    pub(super) fn without_body(mut self) -> Self {
        if !matches!(self.body, Body::Blob(..)) {
            self.body = Body::Empty;
        }
        self
    }
}

/// Returns what a client is told of content that is there and cannot be given. Where it lies is for the log.
pub(super) fn told(error: &StoreError) -> String {
    match error {
        StoreError::Wrong { digest, mismatch, .. } => format!("{digest} is damaged here: {mismatch}"),
        _ => "it cannot be read: the log of this registry says why".to_owned(),
    }
}

/// Returns what the log has of it.
pub(super) fn logged(error: &StoreError) -> String {
    std::iter::once(error.to_string()).chain(causes(error)).collect::<Vec<_>>().join(": ")
}
