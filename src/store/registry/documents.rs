//! Manifests of a repository: read, asked for, written, removed (distribution-spec v1.1.1, spec.md).

use std::sync::Arc;
use std::time::Duration;

use ureq::http::Method;
use ureq::http::header::{self, HeaderName, HeaderValue};

use super::answer::{Answer, Complaint};
use super::client::{Ask, To};
use super::repository::Repository;
use super::retry::{Attempt, Passing};
use crate::blob::Mismatch;
use crate::content::Descriptor;
use crate::digest::{Algorithm, Digest};
use crate::document::LARGEST_DOCUMENT;
use crate::error::Class;
use crate::media::{DOCKER_INDEX, DOCKER_MANIFEST, MediaType, OCI_ARTIFACT, OCI_INDEX, OCI_MANIFEST};
use crate::reference::ImageName;
use crate::store::StoreError;

/// The media types of documents, indexes first: some registries give the first that they can.
const DOCUMENTS: [&str; 5] = [OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT];
/// What Docker's old registries give for images that nobody has pushed since 2016.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";
const CONTENT_DIGEST: &str = "docker-content-digest";

/// How long a manifest waits when the registry does not know what was sent or found there a moment ago: as when somebody
/// else writes the same just now, or its parts tell each other late.
const SETTLING: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1500)];

/// A document as it was read.
pub(super) struct Read {
    pub(super) media_type: MediaType,
    pub(super) bytes: Arc<[u8]>,
    /// The digest that the registry says it has.
    said: Option<Digest>,
    /// What it says of this version of it (RFC 9110, section 8.8.3).
    pub(super) etag: Option<String>,
}

/// What a registry says of a document that it took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stored {
    /// The digest that it has stored.
    pub(super) digest: Option<Digest>,
    /// The manifest of which it lists this as a referrer (distribution-spec v1.1.1, spec.md, "Pushing Manifests with
    /// Subject").
    pub(super) subject: Option<Digest>,
}

#[cfg(test)]
impl Read {
    pub(super) fn of(media_type: &MediaType, bytes: &[u8]) -> Self {
        Self { media_type: media_type.clone(), bytes: Arc::from(bytes), said: None, etag: None }
    }
}

impl Repository {
    /// Reads the manifest that a name means now.
    ///
    /// # Errors
    /// When it is not there, is no manifest, or is another one than the digest in the name.
    pub(super) fn resolve(&self, name: &ImageName) -> Result<Descriptor, StoreError> {
        let reference = match (name.digest(), name.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let read = self.fetch_document(&reference)?;
        self.keep_document(read, name.digest())
    }

    /// Checks what was read, keeps it, and returns a descriptor of it.
    pub(super) fn keep_document(&self, read: Read, pinned: Option<&Digest>) -> Result<Descriptor, StoreError> {
        let Read { media_type, bytes, said, .. } = read;
        let expected = pinned.copied().or(said);
        let got = expected.map_or(Algorithm::Sha256, |expected| expected.algorithm()).digest_of(&bytes);
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            let mismatch = Mismatch::Digest { got, expected };
            return Err(StoreError::Wrong { digest: expected, place: self.location.clone(), mismatch });
        }
        let descriptor = Descriptor::new(&media_type, got, bytes.len() as u64);
        self.keep(got, bytes);
        Ok(descriptor)
    }

    /// Asks about a document of any type.
    fn about_document<'a>(&'a self, method: Method, path: &'a str, action: &'a str) -> Ask<'a> {
        let headers = vec![(header::ACCEPT, accept(&DOCUMENTS.join(", ")))];
        let (to, scopes, repository) = (To::Path(path), self.reading(), Some(self.path.as_str()));
        Ask { method, to, headers, body: None, scopes, action, repository }
    }

    /// Reads the document that a tag or a digest means.
    pub(super) fn fetch_document(&self, reference: &str) -> Result<Read, StoreError> {
        let action = "read the manifest of";
        let path = self.manifest_path(reference);
        let ask = self.about_document(Method::GET, &path, action);
        let (content_type, said, etag, bytes) = self.registry.persist(action, &self.location, || {
            let answer = self.registry.attempt(&ask)?;
            if answer.code() != 200 {
                return Err(Attempt::Final(self.not_there(action, reference, answer)));
            }
            let content_type = answer.header("content-type").unwrap_or_default().to_owned();
            let said = answer.header(CONTENT_DIGEST).and_then(|text| text.parse::<Digest>().ok());
            let etag = answer.header("etag").map(str::to_owned);
            Ok((content_type, said, etag, self.read_document_body(answer)?))
        })?;
        let media_type = self.type_of(&content_type, &bytes)?;
        Ok(Read { media_type, bytes, said, etag })
    }

    /// Reads a body that is a document; one that breaks off is a passing failure.
    pub(super) fn read_document_body(&self, answer: Answer) -> Result<Arc<[u8]>, Attempt> {
        let what = answer.url.path().to_owned();
        let bytes = answer.read_at_most(LARGEST_DOCUMENT).map_err(|error| self.cut(&what, &error))?;
        bytes.map(Arc::from).ok_or_else(|| {
            let reason = format!("it has more than {LARGEST_DOCUMENT} bytes, the most that a document has");
            Attempt::Final(StoreError::malformed(what, &self.location, reason))
        })
    }

    /// Returns the type of a document: what the registry says, or else what it says of itself.
    fn type_of(&self, content_type: &str, bytes: &[u8]) -> Result<MediaType, StoreError> {
        let said = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if said.starts_with(SCHEMA_1) {
            return Err(StoreError::Unsupported {
                action: "read the manifest of".to_owned(),
                place: self.location.clone(),
                reason: "it is of Docker's schema 1, which names its layers by no digest that could be kept".into(),
                hint: Some("push the image again with a current docker, podman or skopeo".to_owned()),
            });
        }
        if DOCUMENTS.contains(&said.as_str()) {
            return Ok(MediaType::new(&said));
        }
        let value = crate::json::parse(bytes).ok();
        let own = value.as_ref().and_then(|value| value.get("mediaType")).and_then(serde_json::Value::as_str);
        match own.filter(|own| DOCUMENTS.contains(own)) {
            Some(own) => Ok(MediaType::new(own)),
            None => {
                let reason = format!("its type is {}, which is no manifest's", crate::text::quoted(content_type));
                Err(StoreError::malformed("the manifest", &self.location, reason))
            }
        }
    }

    fn not_there(&self, action: &str, reference: &str, answer: Answer) -> StoreError {
        let complaint = answer.into_complaint();
        if complaint.class() != Class::Absent {
            return self.registry.complain(action, &self.location, &complaint);
        }
        let hint = if complaint.has_code("NAME_UNKNOWN") {
            "check the name of the repository; `barge ls docker://HOST` lists them where the registry allows it"
                .to_owned()
        } else {
            format!("`barge ls docker://{}/{}` lists the tags there are", self.registry.name(), self.path)
        };
        StoreError::Remote {
            action: format!("find {} in", crate::text::escaped(reference)),
            place: self.registry.place(Some(&self.path)),
            class: Class::Absent,
            reason: complaint.reason().into(),
            hint: Some(hint),
        }
    }

    /// Returns the digest that a tag has, or a digest when the manifest is there; `None` when it is not.
    ///
    /// # Errors
    /// When the registry cannot be reached or does not say.
    pub fn published(&self, reference: &str) -> Result<Option<Digest>, StoreError> {
        let action = "look for a manifest in";
        let path = self.manifest_path(reference);
        let answer = self.registry.ask(&self.about_document(Method::HEAD, &path, action))?;
        match answer.code() {
            200 => {
                if let Some(digest) = answer.header(CONTENT_DIGEST).and_then(|text| text.parse().ok()) {
                    return Ok(Some(digest));
                }
            }
            404 => return Ok(None),
            // a registry without HEAD, or without the header: what it has says so itself
            400 | 405 | 501 => {}
            _ => {
                return Err(self.registry.complain(action, &self.location, &answer.into_complaint()));
            }
        }
        match self.fetch_document(reference) {
            Ok(read) => Ok(Some(Digest::of(&read.bytes))),
            Err(StoreError::Remote { class: Class::Absent, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a manifest under a tag or its digest, its bytes as they are. Returns what the registry says of it.
    ///
    /// # Errors
    /// When the registry cannot be reached or does not take it.
    pub(super) fn put_document(
        &self,
        reference: &str,
        media_type: &MediaType,
        bytes: &[u8],
    ) -> Result<Stored, StoreError> {
        Ok(self.replace_document(reference, media_type, bytes, None)?.unwrap_or_default())
    }

    /// As [`Self::put_document`], over one version alone where the registry says versions: `None` when there is another one
    /// now (RFC 9110, section 13.1.1).
    pub(super) fn replace_document(
        &self,
        reference: &str,
        media_type: &MediaType,
        bytes: &[u8],
        version: Option<&str>,
    ) -> Result<Option<Stored>, StoreError> {
        let action = format!("write the manifest {} to", crate::text::escaped(reference));
        let path = self.manifest_path(reference);
        let content_type = HeaderValue::from_str(media_type.as_str()).map_err(|_| {
            StoreError::malformed(
                reference,
                &self.location,
                format!("its media type {media_type} is no header's value"),
            )
        })?;
        let mut headers = vec![(header::CONTENT_TYPE, content_type)];
        // a weak one says nothing about bytes, and matches nothing
        if let Some(version) = version.filter(|version| !version.starts_with("W/")) {
            headers.extend(header_of(header::IF_MATCH, version));
        }
        let ask = Ask {
            method: Method::PUT,
            to: To::Path(&path),
            headers,
            body: Some(bytes),
            scopes: self.pushing(),
            action: &action,
            repository: Some(&self.path),
        };
        let mut left = SETTLING.iter();
        loop {
            let answer = self.registry.ask(&ask)?;
            if matches!(answer.code(), 200..=202) {
                let digest_in = |name: &str| answer.header(name).and_then(|text| text.parse().ok());
                return Ok(Some(Stored { digest: digest_in(CONTENT_DIGEST), subject: digest_in("oci-subject") }));
            }
            if answer.code() == 412 && ask.headers.len() > 1 {
                return Ok(None);
            }
            let complaint = answer.into_complaint();
            let is_settling = complaint.has_code("MANIFEST_BLOB_UNKNOWN") || complaint.has_code("BLOB_UNKNOWN");
            let Some(pause) = left.next().filter(|_| is_settling) else {
                return Err(self.not_written(&action, &complaint));
            };
            if !self.registry.cancel().sleep(*pause) {
                return Err(StoreError::Cancelled);
            }
        }
    }

    fn not_written(&self, action: &str, complaint: &Complaint) -> StoreError {
        let own = match complaint.status.as_u16() {
            413 => Some("the manifest is larger than this registry takes (4 MiB is the least that one must)"),
            _ if complaint.has_code("MANIFEST_BLOB_UNKNOWN") => {
                Some("this registry wants all that an index lists: leave out --index keep, or push the whole image")
            }
            _ => None,
        };
        match (self.registry.complain(action, &self.location, complaint), own) {
            (StoreError::Remote { action, place, class, reason, .. }, Some(hint)) => {
                StoreError::Remote { action, place, class, reason, hint: Some(hint.to_owned()) }
            }
            (other, _) => other,
        }
    }

    /// Asks to remove a manifest or a tag, and returns the answer: what it means is for the caller, who knows which it is.
    pub(super) fn delete(&self, reference: &str) -> Result<Answer, StoreError> {
        let path = self.manifest_path(reference);
        self.registry.ask(&Ask {
            method: Method::DELETE,
            to: To::Path(&path),
            headers: Vec::new(),
            body: None,
            scopes: std::collections::BTreeSet::from([super::auth::Scope::delete(&self.path)]),
            action: "remove from",
            repository: Some(&self.path),
        })
    }

    pub(super) fn cut(&self, what: &str, error: &std::io::Error) -> Attempt {
        let (host, what) = (self.registry.name(), crate::text::escaped(what));
        Attempt::Passing(Passing::because(format!("{host}: {what} broke off: {error}")))
    }
}

/// Returns an `Accept` header; the types are ours.
pub(super) fn accept(types: &str) -> HeaderValue {
    HeaderValue::from_str(types).unwrap_or(HeaderValue::from_static("*/*"))
}

/// Returns a header of ours.
pub(super) fn header_of(name: HeaderName, text: &str) -> Vec<(HeaderName, HeaderValue)> {
    HeaderValue::from_str(text).map(|value| (name, value)).into_iter().collect()
}
