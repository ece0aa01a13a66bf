//! Uploads (distribution-spec v1.1.1, spec.md, "Pushing blobs").

use std::io;
use std::sync::{Arc, Mutex};

use barge::digest::Digest;

use super::log::lock;
use super::routes::not_allowed;
use super::script::Answer;
use super::server::Server;
use super::store::{Session, digest_like};
use super::wire::{Body, Framing, Request};

/// One session, and where it is.
struct Upload<'a> {
    name: &'a str,
    id: &'a str,
    session: Arc<Mutex<Session>>,
}

/// Returns the bounds of a `Content-Range`: `START-END`, with no unit.
fn content_range(request: &Request) -> Option<Result<(u64, u64), ()>> {
    let text = request.header("content-range")?;
    let bounds = text.split_once('-').and_then(|(start, end)| Some((start.parse().ok()?, end.parse().ok()?)));
    Some(bounds.filter(|(start, end)| start <= end).ok_or(()))
}

fn too_large() -> Answer {
    Answer::error(413, "SIZE_INVALID", "the body of the request is too large")
}

impl Server {
    pub fn upload(&self, name: &str, id: &str, request: &Request, body: &mut Body<'_>) -> io::Result<Answer> {
        let most = self.options.max_body.unwrap_or(u64::MAX);
        if matches!(request.framing, Framing::Length(length) if length > most) {
            return Ok(too_large());
        }
        if id.is_empty() {
            return if request.method == "POST" { self.begin(name, request, body) } else { Ok(not_allowed()) };
        }
        let Some(session) = lock(&self.store).session(name, id) else {
            return Ok(Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"));
        };
        let upload = Upload { name, id, session };
        match request.method.as_str() {
            "GET" if self.options.no_resume => Ok(Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "it cannot be resumed")),
            "GET" => Ok(self.progress(204, &upload)),
            "PATCH" if self.options.no_chunks => Ok(not_allowed()),
            "PATCH" => self.patch(&upload, request, body),
            "PUT" => self.finish(&upload, request, body),
            "DELETE" => {
                lock(&self.store).end_session(name, id);
                Ok(Answer::status(204))
            }
            _ => Ok(not_allowed()),
        }
    }

    fn begin(&self, name: &str, request: &Request, body: &mut Body<'_>) -> io::Result<Answer> {
        if let Some(digest) = request.parameter("mount") {
            let from = request.parameter("from");
            if from.is_none() && self.options.mount_needs_from {
                return Ok(Answer::error(400, "NAME_INVALID", "from is missing"));
            }
            if self.mount(name, &digest, from.as_deref()) {
                return Ok(self.created(name, &digest));
            }
        }
        let digest = request.parameter("digest").filter(|_| !self.options.no_monolithic);
        if digest.is_some() || request.has_body() {
            let Some(bytes) = self.receive_alone(body)? else { return Ok(too_large()) };
            if let Some(digest) = digest {
                return Ok(self.keep(name, &digest, bytes));
            }
        }
        let id = lock(&self.store).begin_session(name);
        let session = lock(&self.store).session(name, &id).unwrap_or_default();
        let mut answer = self.progress(202, &Upload { name, id: &id, session }).header("Docker-Upload-UUID", &id);
        if let Some(least) = self.options.min_chunk {
            answer = answer.header("OCI-Chunk-Min-Length", least);
        }
        Ok(answer)
    }

    fn mount(&self, name: &str, digest: &str, from: Option<&str>) -> bool {
        if self.options.no_mount {
            return false;
        }
        let mut store = lock(&self.store);
        let found = match from {
            Some(from) => store.repositories.get(from).and_then(|from| from.blobs.get(digest)),
            None if !self.options.mount_from_anywhere => None,
            None => store.repositories.values().find_map(|from| from.blobs.get(digest)),
        };
        let Some(bytes) = found.cloned() else { return false };
        store.repository(name).blobs.insert(digest.to_owned(), bytes);
        true
    }

    /// Returns what the session has, and where it goes on. The range of nothing is `0-0`, as the registries say it.
    fn progress(&self, status: u16, upload: &Upload<'_>) -> Answer {
        let session = lock(&upload.session);
        let last = session.bytes.len().saturating_sub(1);
        let path = format!("/v2/{}/blobs/uploads/{}?_state={}", upload.name, upload.id, session.state);
        let location = self.options.uploads_at.as_ref().map_or_else(|| self.location(&path), |at| at.clone() + &path);
        Answer::status(status).header("Location", location).header("Range", format!("0-{last}"))
    }

    /// Refuses what does not go on where the session stands.
    fn misplaced(&self, upload: &Upload<'_>, request: &Request) -> Option<Answer> {
        let session = lock(&upload.session);
        if request.parameter("_state") != Some(session.state.to_string()) {
            let message = "this is not the Location that the last answer gave";
            return Some(Answer::error(400, "BLOB_UPLOAD_INVALID", message));
        }
        let length = session.bytes.len() as u64;
        drop(session);
        match content_range(request)? {
            Err(()) => Some(Answer::error(400, "BLOB_UPLOAD_INVALID", "the Content-Range is not one")),
            Ok((start, _)) if start != length => Some(self.progress(416, upload)),
            Ok((start, end)) if matches!(request.framing, Framing::Length(is) if is != end - start + 1) => {
                Some(Answer::error(400, "SIZE_INVALID", "the Content-Range is not as long as the body"))
            }
            Ok(_) => None,
        }
    }

    fn patch(&self, upload: &Upload<'_>, request: &Request, body: &mut Body<'_>) -> io::Result<Answer> {
        if let Some(refusal) = self.misplaced(upload, request) {
            return Ok(refusal);
        }
        if lock(&upload.session).short_chunk {
            let message = "an earlier chunk was shorter than OCI-Chunk-Min-Length";
            return Ok(Answer::error(400, "BLOB_UPLOAD_INVALID", message));
        }
        let Some(count) = self.receive(upload, body)? else { return Ok(too_large()) };
        let mut session = lock(&upload.session);
        session.short_chunk = self.options.min_chunk.is_some_and(|least| count < least);
        session.state += 1;
        drop(session);
        Ok(self.progress(202, upload))
    }

    fn finish(&self, upload: &Upload<'_>, request: &Request, body: &mut Body<'_>) -> io::Result<Answer> {
        if let Some(refusal) = self.misplaced(upload, request) {
            return Ok(refusal);
        }
        let Some(digest) = request.parameter("digest") else {
            return Ok(Answer::error(400, "DIGEST_INVALID", "the digest is missing"));
        };
        let nothing_yet = lock(&upload.session).bytes.is_empty();
        if self.options.no_monolithic && nothing_yet && request.has_body() {
            return Ok(Answer::error(400, "BLOB_UPLOAD_INVALID", "content must come in chunks"));
        }
        if self.receive(upload, body)?.is_none() {
            return Ok(too_large());
        }
        let bytes = std::mem::take(&mut lock(&upload.session).bytes);
        lock(&self.store).end_session(upload.name, upload.id);
        Ok(self.keep(upload.name, &digest, bytes))
    }

    /// Adds the body to the session as it arrives; `None` when it is too large. What a broken connection has brought stays.
    fn receive(&self, upload: &Upload<'_>, body: &mut Body<'_>) -> io::Result<Option<u64>> {
        let most = self.options.max_body.unwrap_or(u64::MAX);
        let mut buffer = vec![0; 64 * 1024];
        let mut count = 0;
        loop {
            let read = body.read(&mut buffer).inspect_err(|_| {
                if self.options.sessions_vanish {
                    lock(&self.store).end_session(upload.name, upload.id);
                }
            })?;
            if read == 0 {
                return Ok(Some(count));
            }
            count += read as u64;
            if count > most {
                return Ok(None);
            }
            lock(&upload.session).bytes.extend_from_slice(&buffer[..read]);
        }
    }

    fn receive_alone(&self, body: &mut Body<'_>) -> io::Result<Option<Vec<u8>>> {
        body.read_all(self.options.max_body.unwrap_or(u64::MAX))
    }

    /// Keeps a blob when it is what it is said to be.
    fn keep(&self, name: &str, digest: &str, bytes: Vec<u8>) -> Answer {
        let right = digest.parse::<Digest>().is_ok_and(|digest| digest_like(&digest, &bytes) == digest);
        if !right {
            return Answer::error(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
        }
        lock(&self.store).repository(name).blobs.insert(digest.to_owned(), Arc::new(bytes));
        self.created(name, digest)
    }

    fn created(&self, name: &str, digest: &str) -> Answer {
        let location = self.location(&format!("/v2/{name}/blobs/{digest}"));
        self.with_digest(Answer::status(201).header("Location", location), digest)
    }
}
