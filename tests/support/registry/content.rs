//! Blobs and manifests: asked for, put and deleted (distribution-spec v1.1.1, spec.md, "Pull", "Pushing manifests").

use std::io;

use barge::digest::Digest;
use serde_json::Value;

use super::log::lock;
use super::script::Answer;
use super::server::Server;
use super::store::digest_like;
use super::wire::{Body, Request};

/// Manifests up to this size must work in every registry (distribution-spec v1.1.1, spec.md, "Pushing Manifests").
const LARGEST_MANIFEST: u64 = 4 * 1024 * 1024;

fn blob_unknown() -> Answer {
    Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry")
}

fn manifest_unknown() -> Answer {
    Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown to registry")
}

fn manifest_invalid(why: &str) -> Answer {
    Answer::error(400, "MANIFEST_INVALID", why)
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(word) && text.chars().all(|c| word(c) || ".-".contains(c))
}

/// The bytes that a `Range` asks for, end exclusive; `None` when it is none of ours, as a server may treat it.
fn range_of(request: &Request, length: usize) -> Option<Result<(usize, usize), ()>> {
    let (start, end) = request.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (start.parse::<usize>(), end.parse::<usize>()) {
        (Ok(start), Ok(end)) => (start, end.saturating_add(1).min(length)),
        (Ok(start), Err(_)) if end.is_empty() => (start, length),
        (Err(_), Ok(last)) if start.is_empty() => (length.saturating_sub(last), length),
        _ => return None,
    };
    Some(if range.0 < range.1 { Ok(range) } else { Err(()) })
}

impl Server {
    pub fn blob(&self, name: &str, digest: &str, request: &Request) -> Answer {
        let mut store = lock(&self.store);
        let found = store.repositories.get_mut(name).and_then(|repository| repository.blobs.get(digest).cloned());
        drop(store);
        let Some(bytes) = found else { return blob_unknown() };
        if let Some(at) = self.options.blobs_at.as_ref().filter(|_| request.method == "GET") {
            return Answer::status(307).header("Location", format!("{at}{}?signature=secret", request.path));
        }
        let length = bytes.len();
        let answer = Answer::status(200).shared_body(bytes).header("Content-Type", "application/octet-stream");
        let answer = self.with_digest(answer, digest);
        if self.options.no_ranges || request.method != "GET" {
            return answer;
        }
        match range_of(request, length) {
            None => answer.header("Accept-Ranges", "bytes"),
            Some(Err(())) => Answer::status(416).header("Content-Range", format!("bytes */{length}")),
            Some(Ok((start, end))) => Answer { status: 206, range: Some((start, end)), ..answer }
                .header("Content-Range", format!("bytes {start}-{}/{length}", end - 1)),
        }
    }

    pub fn delete_blob(&self, name: &str, digest: &str) -> Answer {
        let mut store = lock(&self.store);
        let gone = store.repositories.get_mut(name).and_then(|repository| repository.blobs.remove(digest));
        gone.map_or_else(blob_unknown, |_| Answer::status(202))
    }

    pub fn manifest(&self, name: &str, reference: &str, request: &Request) -> Answer {
        let store = lock(&self.store);
        let Some(repository) = store.repositories.get(name) else { return manifest_unknown() };
        let Some(digest) = repository.resolve(reference) else { return manifest_unknown() };
        let manifest = &repository.manifests[&digest];
        let mut accepted = request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case("accept"));
        let accepts = |value: &str| {
            let mut types = value.split(',').map(|one| one.split(';').next().unwrap_or_default().trim());
            types.any(|one| one == manifest.media_type || one == "*/*")
        };
        if self.options.strict_accept && !accepted.any(|(_, value)| accepts(value)) {
            return manifest_unknown();
        }
        let answer = Answer::status(200).shared_body(manifest.bytes.clone());
        self.with_digest(answer.header("Content-Type", &manifest.media_type), &digest)
    }

    pub fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        request: &Request,
        body: &mut Body<'_>,
    ) -> io::Result<Answer> {
        let most = self.options.max_manifest.unwrap_or(LARGEST_MANIFEST);
        let Some(bytes) = body.read_all(most)? else {
            return Ok(Answer::error(413, "SIZE_INVALID", "the manifest is too large"));
        };
        let Some(media_type) = request.header("content-type") else {
            return Ok(manifest_invalid("the Content-Type is missing"));
        };
        let document: Value = match serde_json::from_slice(&bytes) {
            Ok(document) => document,
            Err(error) => return Ok(manifest_invalid(&error.to_string())),
        };
        if document.get("mediaType").is_some_and(|said| said != media_type) {
            return Ok(manifest_invalid("the mediaType is not the Content-Type"));
        }
        if reference.contains(':') {
            let right = reference.parse::<Digest>().is_ok_and(|digest| digest_like(&digest, &bytes) == digest);
            if !right {
                return Ok(Answer::error(400, "DIGEST_INVALID", "provided digest did not match uploaded content"));
            }
        } else if !is_tag(reference) {
            return Ok(Answer::error(400, "TAG_INVALID", "the tag is not one"));
        }
        let mut store = lock(&self.store);
        let missing = store.repositories.get(name).map(|repository| repository.missing(&document));
        let missing = missing.unwrap_or_else(|| super::store::Repository::default().missing(&document));
        if let Some(digest) = missing.first().filter(|_| self.options.children_must_exist) {
            return Ok(Answer::error(400, "MANIFEST_BLOB_UNKNOWN", &format!("blob unknown to registry: {digest}")));
        }
        let digest = store.put_manifest(name, reference, media_type, &bytes);
        drop(store);
        let location = self.location(&format!("/v2/{name}/manifests/{digest}"));
        let mut answer = Answer::status(201).header("Location", location);
        if let Some(subject) = document["subject"]["digest"].as_str().filter(|_| !self.options.no_referrers_api) {
            answer = answer.header("OCI-Subject", subject);
        }
        Ok(self.with_digest(answer, &digest))
    }

    pub fn delete_manifest(&self, name: &str, reference: &str) -> Answer {
        let mut store = lock(&self.store);
        let Some(repository) = store.repositories.get_mut(name) else { return manifest_unknown() };
        if repository.tags.remove(reference).is_some() {
            return Answer::status(202);
        }
        if repository.manifests.remove(reference).is_none() {
            return manifest_unknown();
        }
        repository.tags.retain(|_, digest| digest != reference);
        Answer::status(202)
    }
}
