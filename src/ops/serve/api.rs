//! The API: a request becomes an answer (distribution-spec v1.1.1, "API", and what of distribution's own API clients ask
//! for: the catalog).

use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, LINK,
};
use hyper::{Method, StatusCode};
use serde_json::json;

use super::answer::{Answer, Body, Code, Request, Respond, logged, told};
use super::catalog::Catalog;
use super::event::{Event, Observer, Offered};
use super::page::page;
use super::place::{Broken, Place};
use super::range::{self, Wanted};
use super::repository::{Found, Member, Repository, Whole};
use super::route::{self, Reference, Refusal, Route, field};
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::Document;
use crate::json;
use crate::media::OCI_INDEX;
use crate::store::{StoreError, read_small};
use crate::text::escaped;

/// The digest of what is answered (distribution-spec v1.1.1, "Pulling manifests").
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// That referrers were left out that were not asked for (distribution-spec v1.1.1, "Listing Referrers").
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// How many full names a message about an unclear one repeats.
const MOST_TOLD: usize = 5;

/// A registry over some places.
pub(super) struct Api {
    places: Vec<Place>,
    join: bool,
    catalog: Mutex<Option<Arc<Catalog>>>,
    observer: Arc<dyn Observer>,
}

/// What is served at this moment.
struct Now {
    catalog: Arc<Catalog>,
    broken: Vec<Broken>,
}

impl Api {
    /// Makes a registry of places, in the order in which they were given.
    pub(super) fn new(places: Vec<Place>, join: bool, observer: Arc<dyn Observer>) -> Self {
        Self { places, join, catalog: Mutex::new(None), observer }
    }

    /// Returns how much is served now, and warns of what is odd about it.
    pub(super) fn offered(&self) -> Offered {
        self.now().catalog.offered()
    }

    /// Looks at the places again, and reads their names again if one has changed.
    fn now(&self) -> Now {
        let mut broken = Vec::new();
        let mut snapshots = Vec::new();
        for place in &self.places {
            match place.now(&*self.observer) {
                Ok(snapshot) => snapshots.push(snapshot),
                Err(place) => broken.push(place),
            }
        }
        let mut held = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(catalog) = held.as_ref().filter(|catalog| catalog.is_of(&snapshots)) {
            return Now { catalog: Arc::clone(catalog), broken };
        }
        let catalog = Arc::new(Catalog::new(snapshots, self.join));
        for warning in catalog.warnings_after(held.as_deref()) {
            self.observer.hear(Event::Warning(&warning));
        }
        *held = Some(Arc::clone(&catalog));
        Now { catalog, broken }
    }

    fn answer(&self, request: &Request<'_>) -> Result<Answer, Refusal> {
        let route = route::route(request.path);
        if !route::only_asks(request.method) {
            let message = "this registry is read-only: it is served from a layout or an archive";
            return Ok(Answer::error(Code::Unsupported, message).with(ALLOW, "GET, HEAD"));
        }
        let namespace = field(request.query, "ns").filter(|namespace| !namespace.is_empty());
        let task = Task { api: self, now: self.now(), request, namespace };
        match route? {
            Route::Base => Ok(Answer::of(StatusCode::OK, "application/json", "{}")),
            Route::Catalog => task.catalog(),
            Route::Tags(name) => task.tags(&name),
            Route::Manifest(name, reference) => task.manifest(&name, &reference),
            Route::Blob(name, digest) => task.blob(&name, &digest),
            Route::Referrers(name, digest) => task.referrers(&name, &digest),
            Route::Upload => {
                Err((Code::BlobUploadUnknown, "there are no uploads: this registry is read-only".to_owned()))
            }
        }
    }
}

impl Respond for Api {
    fn respond(&self, request: &Request<'_>) -> Answer {
        let answer = self.answer(request).unwrap_or_else(|(code, message)| Answer::error(code, &message));
        if request.method == Method::HEAD { answer.without_body() } else { answer }
    }
}

/// A request under way.
struct Task<'a> {
    api: &'a Api,
    now: Now,
    request: &'a Request<'a>,
    namespace: Option<String>,
}

impl Task<'_> {
    fn catalog(&self) -> Result<Answer, Refusal> {
        let names = self.now.catalog.names(self.namespace.as_deref());
        self.list(&names, |items| json!({"repositories": items}))
    }

    fn tags(&self, name: &str) -> Result<Answer, Refusal> {
        let mut tags: Vec<String> = Vec::new();
        for repository in self.repositories(name)? {
            tags.extend(repository.tags().cloned());
            if self.now.catalog.has_belonging_tags() {
                tags.extend(self.whole(repository).tags().cloned());
            }
        }
        tags.sort_unstable();
        tags.dedup();
        self.list(&tags, |items| json!({"name": name, "tags": items}))
    }

    fn list(&self, list: &[String], body: impl FnOnce(&[String]) -> serde_json::Value) -> Result<Answer, Refusal> {
        let page = page(list, self.request.path, self.request.query)?;
        let mut answer = Answer::of(StatusCode::OK, "application/json", json::encode(&body(page.items)));
        if let Some(link) = page.link {
            answer.set(LINK, &link);
        }
        Ok(answer)
    }

    fn manifest(&self, name: &str, reference: &Reference) -> Result<Answer, Refusal> {
        let repositories = self.repositories(name)?;
        match reference {
            Reference::Tag(tag) => self.by_tag(name, tag, &repositories),
            Reference::Digest(digest) => {
                let is_manifest = |member: &&Member| member.media_type.is_document();
                match self.member(&repositories, digest).filter(is_manifest) {
                    Some(Member { made: Some(bytes), media_type, .. }) => {
                        Ok(self.document(media_type.as_str(), digest, bytes.clone()))
                    }
                    Some(Member { content, media_type, .. }) => {
                        match read_small(self.now.catalog.everywhere(), content) {
                            Ok(bytes) => Ok(self.document(media_type.as_str(), digest, bytes.into())),
                            Err(error) => Err(self.failed(Code::ManifestUnknown, &error)),
                        }
                    }
                    None => {
                        let message = format!("{digest} is no manifest in {name}");
                        Err(self.unless_broken(Code::ManifestUnknown, message))
                    }
                }
            }
        }
    }

    fn by_tag(&self, name: &str, tag: &str, repositories: &[&Repository]) -> Result<Answer, Refusal> {
        let catalog = &self.now.catalog;
        let mut found: Vec<(u8, &Repository, Found<'_>)> = Vec::new();
        for repository in repositories {
            if let Some(one) = repository.tag(tag, catalog.everywhere()) {
                found.push((repository.name().rank(name), repository, one));
            }
        }
        let Some(rank) = found.iter().map(|(rank, ..)| *rank).min() else {
            // cosign's tags and the like belong to an image by what they say
            let belonging = repositories.iter().find_map(|repository| self.whole(repository).tag(tag));
            return match belonging {
                Some(root) => self.image(root),
                None => Err(self.unless_broken(Code::ManifestUnknown, format!("{name} has no tag {tag}"))),
            };
        };
        found.retain(|(other, ..)| *other == rank);
        // the same image under several registries' names is one
        let digests: Vec<Option<Digest>> = found.iter().map(|(_, _, one)| one.digest()).collect();
        if digests.iter().any(|digest| digest != &digests[0]) {
            let names = found.iter().map(|(_, repository, _)| escaped(&repository.name().full()));
            let names: Vec<String> = names.take(MOST_TOLD).collect();
            let message = format!("{name}:{tag} may mean several images: ask for {}", names.join(" or "));
            return Err((Code::ManifestUnknown, message));
        }
        match &found[0].2 {
            Found::Image(root) => self.image(root),
            Found::Made(document) => Ok(self.made(document)),
            Found::Unclear(count) => {
                let message = format!("{name}:{tag} is {count} images side by side: ask for one by its digest");
                Err((Code::ManifestUnknown, message))
            }
        }
    }

    fn made(&self, document: &Document) -> Answer {
        let bytes = document.raw().to_vec();
        self.document(document.media_type().as_str(), document.descriptor().digest(), bytes.into())
    }

    fn image(&self, root: &Descriptor) -> Result<Answer, Refusal> {
        match read_small(self.now.catalog.everywhere(), &root.content()) {
            Ok(bytes) => Ok(self.document(root.media_type().as_str(), root.digest(), bytes.into())),
            Err(error) => Err(self.failed(Code::ManifestUnknown, &error)),
        }
    }

    /// Answers with a document, which is small and was checked.
    fn document(&self, media_type: &str, digest: &Digest, bytes: bytes::Bytes) -> Answer {
        let etag = etag_of(digest);
        let answer = match range::is_held(self.request.headers, &etag) {
            true => not_modified(),
            false => Answer::of(StatusCode::OK, media_type, bytes),
        };
        answer.with(CONTENT_DIGEST, &digest.to_string()).with(ETAG, &etag)
    }

    fn blob(&self, name: &str, digest: &Digest) -> Result<Answer, Refusal> {
        let repositories = self.repositories(name)?;
        let etag = etag_of(digest);
        let dressed = |answer: Answer| {
            let answer = answer.with(CONTENT_DIGEST, &digest.to_string()).with(ETAG, &etag);
            answer.with(ACCEPT_RANGES, "bytes").with(CONTENT_TYPE, "application/octet-stream")
        };
        let member = self.member(&repositories, digest);
        let Some(member) = member else {
            return Err(self.unless_broken(Code::BlobUnknown, format!("{digest} is no blob in {name}")));
        };
        if range::is_held(self.request.headers, &etag) {
            return Ok(dressed(not_modified()));
        }
        let size = member.content.size;
        let (status, part) = match range::wanted(self.request.headers, size, &etag) {
            Wanted::Whole => (StatusCode::OK, 0..size),
            Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
            Wanted::Unsatisfiable => {
                let message = format!("{digest} has {size} bytes, and none of those that are asked for");
                let answer = Answer::error_with(StatusCode::RANGE_NOT_SATISFIABLE, Code::Unknown, &message);
                return Ok(answer.with(CONTENT_RANGE, &format!("bytes */{size}")));
            }
        };
        let body = match &member.made {
            Some(bytes) => {
                let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
                Body::Bytes(bytes.slice(at(part.start)..at(part.end)))
            }
            None => match self.now.catalog.everywhere().find(&member.content) {
                Ok(Some(blob)) => Body::Blob(Arc::new(blob), part.clone()),
                Ok(None) => {
                    let message = format!("{digest} belongs to {name}, and is in none of the places that are served");
                    return Err(self.unless_broken(Code::BlobUnknown, message));
                }
                Err(error) => return Err(self.failed(Code::BlobUnknown, &error)),
            },
        };
        let mut answer = dressed(Answer { status, headers: HeaderMap::new(), body });
        answer.set(CONTENT_LENGTH, &(part.end - part.start).to_string());
        if status == StatusCode::PARTIAL_CONTENT {
            answer.set(CONTENT_RANGE, &format!("bytes {}-{}/{size}", part.start, part.end - 1));
        }
        Ok(answer)
    }

    fn referrers(&self, name: &str, digest: &Digest) -> Result<Answer, Refusal> {
        let wanted = field(self.request.query, "artifactType").filter(|kind| !kind.is_empty());
        let mut manifests: Vec<serde_json::Value> = Vec::new();
        for repository in self.repositories(name)? {
            for (kind, value) in self.whole(repository).referrers(digest) {
                let is_wanted = wanted.as_ref().is_none_or(|wanted| kind.as_ref() == Some(wanted));
                if is_wanted && !manifests.iter().any(|other| other["digest"] == value["digest"]) {
                    manifests.push(value.clone());
                }
            }
        }
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
        let answer = Answer::of(StatusCode::OK, OCI_INDEX, json::encode(&index));
        Ok(if wanted.is_some() { answer.with(FILTERS_APPLIED, "artifactType") } else { answer })
    }

    /// Returns the repositories that a name may mean.
    fn repositories(&self, name: &str) -> Result<Vec<&Repository>, Refusal> {
        let found = self.now.catalog.find(name, self.namespace.as_deref());
        if found.is_empty() {
            let of = self.namespace.as_ref().map(|namespace| format!(" of {}", escaped(namespace))).unwrap_or_default();
            return Err(self.unless_broken(Code::NameUnknown, format!("no image {name}{of} is served here")));
        }
        Ok(found)
    }

    fn whole<'a>(&'a self, repository: &'a Repository) -> &'a Whole {
        self.now.catalog.whole(repository, &*self.api.observer)
    }

    /// Finds content by its digest in one of several repositories.
    fn member<'a>(&'a self, repositories: &[&'a Repository], digest: &Digest) -> Option<&'a Member> {
        repositories.iter().find_map(|repository| self.whole(repository).member(digest))
    }

    /// Says that something is not there, unless it may be in a place that cannot be used now.
    fn unless_broken(&self, code: Code, message: String) -> Refusal {
        match self.now.broken.first() {
            Some(broken) => (Code::Unavailable, broken.to_string()),
            None => (code, message),
        }
    }

    /// Says that something that should be there cannot be given. The log has more of it than the client.
    fn failed(&self, missing: Code, error: &StoreError) -> Refusal {
        if let StoreError::Missing { digest, .. } = error {
            return self.unless_broken(missing, format!("{digest} is in none of the places that are served"));
        }
        self.api.observer.hear(Event::Warning(&logged(error)));
        (Code::Unknown, told(error))
    }
}

fn etag_of(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

fn not_modified() -> Answer {
    Answer { status: StatusCode::NOT_MODIFIED, headers: HeaderMap::new(), body: Body::Empty }
}
