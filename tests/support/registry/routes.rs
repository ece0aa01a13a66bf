//! Which address means what (distribution-spec v1.1.1, spec.md, "Endpoints"), and what it needs.

use std::collections::BTreeSet;
use std::io;

use serde_json::json;

use super::auth::Needs;
use super::log::lock;
use super::script::Answer;
use super::server::Server;
use super::wire::{Body, Request};

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Token,
    Base,
    Catalog,
    Tags(String),
    /// A repository and a session; without one, a new session.
    Upload(String, String),
    Blob(String, String),
    Manifest(String, String),
    Referrers(String, String),
    Nothing,
}

impl Target {
    pub fn of(path: &str) -> Self {
        let pair = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
        if path == "/token" {
            return Self::Token;
        }
        let Some(rest) = path.strip_prefix("/v2/").or((path == "/v2").then_some("")) else { return Self::Nothing };
        if rest.is_empty() {
            Self::Base
        } else if rest == "_catalog" {
            Self::Catalog
        } else if let Some(repository) = rest.strip_suffix("/tags/list") {
            Self::Tags(repository.to_owned())
        } else if let Some((repository, id)) = rest.rsplit_once("/blobs/uploads/").map(pair) {
            Self::Upload(repository, id)
        } else if let Some((repository, digest)) = rest.rsplit_once("/blobs/").map(pair) {
            Self::Blob(repository, digest)
        } else if let Some((repository, reference)) = rest.rsplit_once("/manifests/").map(pair) {
            Self::Manifest(repository, reference)
        } else if let Some((repository, digest)) = rest.rsplit_once("/referrers/").map(pair) {
            Self::Referrers(repository, digest)
        } else {
            Self::Nothing
        }
    }

    fn repository(&self) -> Option<&str> {
        match self {
            Self::Tags(name)
            | Self::Upload(name, _)
            | Self::Blob(name, _)
            | Self::Manifest(name, _)
            | Self::Referrers(name, _) => Some(name),
            _ => None,
        }
    }

    /// Returns what a token must allow for this; `None`: nothing is asked of anybody.
    pub fn needs(&self, request: &Request) -> Option<Needs> {
        let mut needs = Needs::new();
        if *self == Self::Token {
            return None;
        }
        if *self == Self::Catalog {
            needs.insert("registry:catalog".to_owned(), BTreeSet::from(["*"]));
        }
        if let Some(name) = self.repository() {
            let uploads = matches!(self, Self::Upload(..));
            let actions: &[&str] = match request.method.as_str() {
                "GET" | "HEAD" if !uploads => &["pull"],
                "DELETE" if !uploads => &["delete"],
                _ => &["pull", "push"],
            };
            needs.entry(format!("repository:{name}")).or_default().extend(actions);
        }
        if let (Self::Upload(_, id), Some(from)) = (self, request.parameter("from"))
            && id.is_empty()
        {
            needs.entry(format!("repository:{from}")).or_default().insert("pull");
        }
        Some(needs)
    }
}

/// Whether a name is one (distribution-spec v1.1.1, spec.md, "Pulling manifests").
fn is_name(name: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        let separators: Vec<&str> = part.split(alphanumeric).filter(|between| !between.is_empty()).collect();
        let dashes = |between: &str| between.chars().all(|c| c == '-');
        part.starts_with(alphanumeric)
            && part.ends_with(alphanumeric)
            && separators.iter().all(|between| matches!(*between, "." | "_" | "__") || dashes(between))
    };
    name.split('/').all(part)
}

impl Server {
    /// Answers as a registry.
    pub fn registry(&self, target: Target, request: &Request, body: &mut Body<'_>) -> io::Result<Answer> {
        let method = request.method.as_str();
        if let Some(name) = target.repository() {
            if !is_name(name) {
                return Ok(Answer::error(400, "NAME_INVALID", "invalid repository name"));
            }
            if self.options.unknown_repositories_refused && !lock(&self.store).repositories.contains_key(name) {
                return Ok(Answer::error(404, "NAME_UNKNOWN", "the repository does not exist in the registry"));
            }
        }
        if (method == "HEAD" && self.options.no_head) || (method == "DELETE" && self.deletes_nothing(&target)) {
            return Ok(not_allowed());
        }
        let answer = match (method, target) {
            ("GET" | "HEAD", Target::Base) => {
                Answer::json(200, &json!({})).header("Docker-Distribution-API-Version", "registry/2.0")
            }
            ("GET", Target::Catalog) => self.catalog(request),
            ("GET", Target::Tags(name)) => self.tags(&name, request),
            ("GET", Target::Referrers(name, digest)) => self.referrers(&name, &digest, request),
            ("GET" | "HEAD", Target::Blob(name, digest)) => self.blob(&name, &digest, request),
            ("DELETE", Target::Blob(name, digest)) => self.delete_blob(&name, &digest),
            ("GET" | "HEAD", Target::Manifest(name, reference)) => self.manifest(&name, &reference, request),
            ("PUT", Target::Manifest(name, reference)) => self.put_manifest(&name, &reference, request, body)?,
            ("DELETE", Target::Manifest(name, reference)) => self.delete_manifest(&name, &reference),
            (_, Target::Upload(name, id)) => self.upload(&name, &id, request, body)?,
            (_, Target::Token | Target::Nothing) => Answer::error(404, "UNSUPPORTED", "there is nothing here"),
            _ => not_allowed(),
        };
        Ok(answer)
    }

    fn deletes_nothing(&self, target: &Target) -> bool {
        match target {
            Target::Upload(..) => false,
            Target::Manifest(_, reference) if !reference.contains(':') => {
                self.options.no_delete || self.options.no_tag_delete
            }
            _ => self.options.no_delete,
        }
    }

    /// Writes an address of this registry as a `Location`.
    pub fn location(&self, path: &str) -> String {
        if self.options.relative_locations { path.to_owned() } else { format!("http://{}{path}", self.host) }
    }

    /// Adds the digest, unless this registry does not say it.
    pub fn with_digest(&self, answer: Answer, digest: &str) -> Answer {
        if self.options.no_digest_header { answer } else { answer.header("Docker-Content-Digest", digest) }
    }
}

pub fn not_allowed() -> Answer {
    Answer::error(405, "UNSUPPORTED", "the operation is unsupported")
}
