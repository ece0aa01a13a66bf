//! What a list refers to and its layout does not hold.
//!
//! The descriptor of the list in `index.json` says where it is, in the words in which containerd notes where content came
//! from (`containerd.io/distribution.source.HOST`, repositories with commas between them).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::blob::BlobReader;
use crate::content::{Content, Descriptor, Kind};
use crate::digest::Digest;
use crate::ops::Error;
use crate::ops::open::Store;
use crate::reference::ImageName;
use crate::store::registry::{Registries, Repository};
use crate::store::{Location, Source, StoreError, Wanted};
use crate::text::escaped;

/// What the annotations begin with; the host follows.
const SOURCE: &str = "containerd.io/distribution.source.";
/// How many repositories are believed of one descriptor.
const MOST: usize = 64;

/// Repositories by their hosts.
pub(super) type Repositories = BTreeMap<String, BTreeSet<String>>;

/// Returns whether some of what a top-level descriptor leads to may be in a registry alone.
#[must_use]
pub fn is_elsewhere(root: &Descriptor) -> bool {
    root.annotations().keys().any(|name| name.starts_with(SOURCE))
}

/// Returns the registries that have what a top-level descriptor leads to and its place does not, for a message; none when there
/// are none.
#[must_use]
pub fn elsewhere(root: &Descriptor) -> Option<String> {
    let repositories = told(root);
    let places: Vec<String> = repositories
        .iter()
        .flat_map(|(host, paths)| paths.iter().map(move |path| format!("docker://{}/{}", escaped(host), escaped(path))))
        .collect();
    (!places.is_empty()).then(|| places.join(", "))
}

/// Reads where the content of a top-level descriptor is.
pub(super) fn told(root: &Descriptor) -> Repositories {
    let mut repositories = Repositories::new();
    for (name, value) in root.annotations() {
        if let Some(host) = name.strip_prefix(SOURCE) {
            let paths = value.split(',').map(str::trim).filter(|path| !path.is_empty()).take(MOST);
            repositories.entry(host.to_owned()).or_default().extend(paths.map(str::to_owned));
        }
    }
    repositories
}

/// Writes where content is, beside a name.
pub(super) fn tell(mut root: Descriptor, repositories: &Repositories) -> Descriptor {
    for (host, paths) in repositories {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        root = root.with_annotation(&format!("{SOURCE}{host}"), &paths.join(","));
    }
    root
}

/// A place together with the registries that hold what it does not: for what opens connections anyway.
pub struct Lent<'a> {
    own: &'a dyn Source,
    others: Vec<Repository>,
}

impl<'a> Lent<'a> {
    /// Adds to a place the registries that some of its top-level descriptors name. Nothing is asked yet.
    ///
    /// # Errors
    /// When a name is none, or registries are forbidden.
    pub fn new(own: &'a dyn Source, roots: &[Descriptor], registries: &Registries) -> Result<Self, Error> {
        let mut others = Vec::new();
        for root in roots {
            for (host, paths) in told(root) {
                for path in paths {
                    let repository = registries.repository(&ImageName::parse(&format!("{host}/{path}"))?)?;
                    let is_new =
                        |other: &Repository| (other.host(), other.path()) != (repository.host(), repository.path());
                    if others.iter().all(is_new) {
                        others.push(repository);
                    }
                }
            }
        }
        Ok(Self { own, others })
    }

    /// Returns host and path of the repositories.
    pub fn repositories(&self) -> impl Iterator<Item = (&str, &str)> {
        self.others.iter().map(|repository| (repository.host(), repository.path()))
    }

    fn nowhere(&self, digest: Digest, place: Location) -> StoreError {
        let places: Vec<String> = self.repositories().map(|(host, path)| format!("docker://{host}/{path}")).collect();
        StoreError::Absent {
            what: digest.to_string(),
            place,
            hint: Some(format!(
                "the list refers to what should be in {}, and is not: push it there again, or make the list from where it is",
                places.join(", ")
            )),
        }
    }
}

/// Says why a registry is asked that nobody has named.
fn needed(error: StoreError, repository: &Repository) -> StoreError {
    let why =
        format!("docker://{}/{} has what the list refers to and is not here", repository.host(), repository.path());
    match error {
        StoreError::Remote { action, place, class, reason, hint } => {
            let hint = hint.map_or_else(|| why.clone(), |hint| format!("{why}: {hint}"));
            StoreError::Remote { action, place, class, reason, hint: Some(hint) }
        }
        other => other,
    }
}

impl fmt::Debug for Lent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("others", &self.others).finish_non_exhaustive()
    }
}

impl Source for Lent<'_> {
    fn location(&self) -> &Location {
        self.own.location()
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        self.own.roots()
    }

    fn unlisted(&self, subjects: &[Digest], wanted: &Wanted<'_>) -> Result<Vec<Descriptor>, StoreError> {
        self.own.unlisted(subjects, wanted)
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        match self.own.open(content) {
            Err(StoreError::Missing { digest, place }) if !self.others.is_empty() => {
                let mut failed = None;
                for repository in &self.others {
                    match repository.holds(content) {
                        Ok(true) => return repository.open(content),
                        Ok(false) => {}
                        Err(error @ StoreError::Cancelled) => return Err(error),
                        // another one may have it
                        Err(error) => failed = failed.or_else(|| Some(needed(error, repository))),
                    }
                }
                Err(failed.unwrap_or_else(|| self.nowhere(digest, place)))
            }
            opened => opened,
        }
    }

    fn holds(&self, content: &Content) -> Result<bool, StoreError> {
        // a registry is asked when something is to be read: where it goes to it is there already more often than not
        Ok(self.own.holds(content)? || (content.kind == Kind::Blob && !self.others.is_empty()))
    }
}

/// A place of whose layers it is believed that they are somewhere: a list refers to them, and nobody reads them now.
#[derive(Debug)]
pub(super) struct Believed<'a>(pub(super) &'a Store);

impl Source for Believed<'_> {
    fn location(&self) -> &Location {
        self.0.location()
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        self.0.roots()
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        self.0.open(content)
    }

    fn holds(&self, content: &Content) -> Result<bool, StoreError> {
        if content.kind == Kind::Blob { Ok(true) } else { self.0.holds(content) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{MediaType, OCI_INDEX};

    #[test]
    fn where_content_is_stands_beside_the_name_and_is_read_back() {
        let bare = Descriptor::new(&MediaType::new(OCI_INDEX), Digest::of(b"x"), 1);
        assert!(!is_elsewhere(&bare) && told(&bare).is_empty());
        let mut repositories = Repositories::new();
        for (host, path) in [("quay.io", "org/b"), ("quay.io", "org/a"), ("localhost:5000", "c")] {
            repositories.entry(host.to_owned()).or_default().insert(path.to_owned());
        }
        let root = tell(bare, &repositories);
        assert_eq!(root.annotation("containerd.io/distribution.source.quay.io"), Some("org/a,org/b"));
        assert!(is_elsewhere(&root));
        assert_eq!(told(&root), repositories);
    }
}
