//! Looking up an image in a place by name, digest or position.
//!
//! A name is looked up by these rules, and the first with a hit wins: the full name that containerd wrote; the layout's
//! own reference name; both sides normalised (`docker.io/library/`, `:latest`); the tag alone; a digest or the start of one.
//! Where two digests answer under the winning rule nothing is guessed. With a digest beside it a name without a tag is a
//! repository, and what stands in an index is found too: `quay.io/org/app@sha256:...` is the image that a registry gives for it.

use std::collections::HashSet;

use super::Error;
use crate::content::{CONTAINERD_NAME, CONTAINERD_SUBJECT, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::graph;
use crate::reference::{DigestPrefix, ImageName, Selector, same_name, tag_of};
use crate::store::{Source, read_document};
use crate::text::escaped;

/// Returns the name that a top-level descriptor goes by: the full one, else the layout's own.
#[must_use]
pub fn name_of(root: &Descriptor) -> Option<&str> {
    root.annotation(CONTAINERD_NAME).or_else(|| root.annotation(REF_NAME)).filter(|name| !name.is_empty())
}

/// Returns whether a top-level descriptor belongs to another image instead of being one: a signature, an attestation or
/// another referrer, by any of the conventions in use.
#[must_use]
pub fn is_attached(root: &Descriptor) -> bool {
    let by_tag = || {
        // cosign's tags and the fallback tag of distribution-spec v1.1.1, "Referrers Tag Schema"
        root.annotation(REF_NAME).is_some_and(|name| {
            let tag = tag_of(name).unwrap_or(name);
            tag.strip_prefix("sha256-").is_some_and(|rest| {
                let hex = rest.split('.').next().unwrap_or_default();
                hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        })
    };
    root.annotation(CONTAINERD_SUBJECT).is_some() || root.attestation_of().is_some() || by_tag()
}

/// Returns whether a document says itself that it belongs to another image; one that cannot be read does not.
fn has_subject(source: &dyn Source, root: &Descriptor) -> bool {
    root.media_type().is_document() && read_document(source, root).is_ok_and(|document| document.subject().is_some())
}

/// Returns the descriptors that a selector means: more than one only when one name stands at several digests.
/// Without a selector all images are meant, not what is attached to them.
///
/// # Errors
/// [`Error::Absent`] when nothing answers, with what is there instead.
pub fn select(source: &dyn Source, selector: Option<&Selector>) -> Result<Vec<Descriptor>, Error> {
    let Some(selector) = selector else {
        let roots = source.roots()?;
        let mut images = distinct(roots.into_iter().filter(|root| !is_attached(root)).collect());
        if images.len() > 1 {
            images.retain(|root| !has_subject(source, root));
        }
        return Ok(images);
    };
    matching(source, selector, &source.roots()?).map(distinct)
}

/// Returns the top-level descriptors that are meant when names are to change: all names of a digest, else the one that is
/// named, which several share only where the platforms of one image stand side by side.
///
/// # Errors
/// [`Error::Absent`] when nothing at the top answers, or several names do.
pub fn select_names(source: &dyn Source, selector: &Selector) -> Result<Vec<Descriptor>, Error> {
    let roots = source.roots()?;
    let found = matching(source, selector, &roots)?;
    if let Some(inner) = found.iter().find(|found| !roots.iter().any(|root| root.digest() == found.digest())) {
        return Err(Error::Absent {
            message: format!("cannot find {} at the top of {}", inner.digest(), source.location()),
            cause: Some("it is a part of an image there, and has no name of its own".to_owned()),
            hint: Some("name the whole image, and the platform with --platform".to_owned()),
        });
    }
    let digests: HashSet<&Digest> = found.iter().map(Descriptor::digest).collect();
    let by_digest = match selector {
        Selector::Digest(_) => true,
        Selector::Name(name) => by_name(&roots, name).is_empty(),
        Selector::Pinned { .. } | Selector::Position(_) => false,
    };
    if by_digest && digests.len() == 1 {
        return Ok(roots.iter().filter(|root| digests.contains(root.digest())).cloned().collect());
    }
    if by_digest || found.iter().any(|root| name_of(root) != name_of(&found[0])) {
        return Err(Error::Absent {
            message: format!("cannot tell which name is meant by {selector} in {}", source.location()),
            cause: Some(candidates(&found)),
            hint: Some("give the full name, or the position as in @N".to_owned()),
        });
    }
    Ok(found)
}

/// Returns every descriptor that answers to a selector under the first rule with a hit.
fn matching(source: &dyn Source, selector: &Selector, roots: &[Descriptor]) -> Result<Vec<Descriptor>, Error> {
    let found = match selector {
        Selector::Name(name) => match (by_name(roots, name), name.parse()) {
            (found, Ok(digest)) if found.is_empty() => by_digest(source, roots, &digest)?,
            (found, _) => found,
        },
        Selector::Pinned { name, digest } => {
            let whole = selector.name().map(|whole| by_name(roots, &whole)).unwrap_or_default();
            if whole.is_empty() { pinned(source, roots, name, digest)? } else { whole }
        }
        Selector::Position(position) => roots.get(*position).cloned().into_iter().collect(),
        Selector::Digest(digest) => by_digest(source, roots, digest)?,
    };
    if found.is_empty() {
        return Err(absent(source, selector, roots));
    }
    Ok(found)
}

/// Returns the one top-level descriptor that a selector means.
///
/// # Errors
/// [`Error::Absent`] when nothing answers, or several do, with the candidates.
pub fn select_one(source: &dyn Source, selector: Option<&Selector>) -> Result<Descriptor, Error> {
    let mut found = select(source, selector)?;
    match (found.len(), selector) {
        (1, _) => Ok(found.swap_remove(0)),
        (0, _) => Err(Error::Absent {
            message: format!("cannot find an image in {}: it holds none", source.location()),
            cause: None,
            hint: None,
        }),
        (count, _) => {
            let asked = selector.map_or_else(String::new, |selector| format!(" {selector}"));
            Err(Error::Absent {
                message: format!("cannot choose among {count} images{asked} in {}", source.location()),
                cause: Some(candidates(&found)),
                hint: Some("name one of them, by `:NAME`, `@DIGEST` or `@N`".to_owned()),
            })
        }
    }
}

/// Returns the top-level descriptors that a source contributes to a merge: one image, or several that stand side by side
/// under one name (or under none), as a flat `index.json` holds the platforms of one image.
///
/// # Errors
/// [`Error::Absent`] when nothing answers, or images of different names do.
pub fn select_for_merge(source: &dyn Source, selector: Option<&Selector>) -> Result<Vec<Descriptor>, Error> {
    let found = select(source, selector)?;
    let flat = found
        .iter()
        .all(|root| name_of(root) == name_of(&found[0]) && root.media_type().role() == crate::media::Role::Manifest);
    if found.len() > 1 && flat { Ok(found) } else { select_one(source, selector).map(|root| vec![root]) }
}

fn by_name(roots: &[Descriptor], name: &str) -> Vec<Descriptor> {
    let full = |root: &&Descriptor| root.annotation(CONTAINERD_NAME) == Some(name);
    let own = |root: &&Descriptor| root.annotation(REF_NAME) == Some(name);
    let normalised = |root: &&Descriptor| {
        [CONTAINERD_NAME, REF_NAME].iter().any(|key| root.annotation(key).is_some_and(|held| same_name(held, name)))
    };
    let tag = |root: &&Descriptor| {
        [CONTAINERD_NAME, REF_NAME].iter().any(|key| root.annotation(key).and_then(tag_of) == Some(name))
    };
    let rules: [&dyn Fn(&&Descriptor) -> bool; 4] = [&full, &own, &normalised, &tag];
    rules
        .into_iter()
        .map(|rule| roots.iter().filter(rule).cloned().collect::<Vec<_>>())
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// Looks for the digest among what a name means, and in the indexes that it means; a name without a tag is a repository, of
/// which all images are meant.
fn pinned(
    source: &dyn Source,
    roots: &[Descriptor],
    name: &str,
    digest: &DigestPrefix,
) -> Result<Vec<Descriptor>, Error> {
    let mut among = by_name(roots, name);
    let repository = ImageName::parse(name).ok().filter(|name| name.tag().is_none() && name.digest().is_none());
    if let Some(repository) = repository {
        let full = repository.full_repository();
        let of_it = |held: &str| ImageName::parse(held).is_ok_and(|held| held.full_repository() == full);
        let held =
            |root: &&Descriptor| [CONTAINERD_NAME, REF_NAME].iter().any(|key| root.annotation(key).is_some_and(of_it));
        among.extend(roots.iter().filter(held).cloned());
    }
    if among.is_empty() {
        return Ok(among);
    }
    let mut found = by_digest(source, &among, digest)?;
    // of a manifest alone, not of a config
    found.retain(|found| digest.matches(found.digest()));
    Ok(found)
}

/// Looks for a manifest by its digest or its config's, at the top first, then inside indexes.
fn by_digest(source: &dyn Source, roots: &[Descriptor], wanted: &DigestPrefix) -> Result<Vec<Descriptor>, Error> {
    let top: Vec<_> = roots.iter().filter(|root| wanted.matches(root.digest())).cloned().collect();
    if !top.is_empty() {
        return Ok(top);
    }
    let mut found = Vec::new();
    let reach = graph::reach(source, roots, &mut |descriptor: &Descriptor, document: &Document| {
        if let Body::Index(index) = document.body() {
            found.extend(index.manifests.iter().filter(|child| wanted.matches(child.digest())).cloned());
        } else if let Body::Manifest(manifest) = document.body()
            && manifest.config.as_ref().is_some_and(|config| wanted.matches(config.digest()))
        {
            found.push(descriptor.clone());
        }
    });
    if found.is_empty() {
        reach.whole()?; // what cannot be read may hide it
    }
    Ok(found)
}

/// Keeps the first descriptor of each digest.
fn distinct(roots: Vec<Descriptor>) -> Vec<Descriptor> {
    let mut seen: HashSet<Digest> = HashSet::new();
    roots.into_iter().filter(|root| seen.insert(*root.digest())).collect()
}

fn absent(source: &dyn Source, selector: &Selector, roots: &[Descriptor]) -> Error {
    let images: Vec<_> = roots.iter().filter(|root| !is_attached(root)).cloned().collect();
    Error::Absent {
        message: format!("cannot find {selector} in {}", source.location()),
        cause: Some(if images.is_empty() { "it holds no image".to_owned() } else { candidates(&images) }),
        hint: selector.name().and_then(|name| nearest(&images, &name)).map(|name| format!("did you mean :{name} ?")),
    }
}

/// Lists what is there for a message, at most ten.
fn candidates(images: &[Descriptor]) -> String {
    const MOST: usize = 10;
    let describe = |root: &Descriptor| {
        let platform = root.platform().map(|platform| format!(" {platform}")).unwrap_or_default();
        match name_of(root) {
            Some(name) => format!("{}{platform} ({})", escaped(name), root.digest().short()),
            None => format!("{}{platform}", root.digest()),
        }
    };
    let mut list = images.iter().take(MOST).map(describe).collect::<Vec<_>>().join(", ");
    if images.len() > MOST {
        list.push_str(&format!(" and {} more", images.len() - MOST));
    }
    format!("it holds {list}")
}

/// Returns the name in a place that a mistyped one most likely means, as a reference to the current layout; none
/// when the place cannot be read.
pub(super) fn near_name(source: &dyn Source, typed: &str) -> Option<String> {
    let images: Vec<_> = source.roots().ok()?.into_iter().filter(|root| !is_attached(root)).collect();
    nearest(&images, typed).map(|name| format!(":{name}"))
}

/// Returns the name that one without its registry, or a mistyped one, most likely means.
fn nearest(images: &[Descriptor], typed: &str) -> Option<String> {
    // what was added to a short name says nothing of what was typed
    let typed = typed.strip_prefix("docker.io/library/").unwrap_or(typed);
    let ends = |name: &&str| name.strip_suffix(typed).is_some_and(|before| before.ends_with('/'));
    if let Some(name) = images.iter().filter_map(name_of).find(ends) {
        return Some(escaped(name));
    }
    let names = images.iter().flat_map(|root| {
        let full = name_of(root);
        full.into_iter().chain(full.and_then(tag_of))
    });
    crate::text::nearest(typed, names).map(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Kind;
    use crate::media::OCI_LAYER;
    use crate::store::memory::Memory;

    fn store(names: &[(&str, &str)]) -> Memory {
        let mut store = Memory::new("test");
        for (at, (full, own)) in names.iter().enumerate() {
            let bytes = format!("image {at}").into_bytes();
            store.add(&bytes, Kind::Blob);
            let mut root = Descriptor::of(&OCI_LAYER.into(), &bytes);
            for (key, value) in [(CONTAINERD_NAME, full), (REF_NAME, own)] {
                if !value.is_empty() {
                    root = root.with_annotation(key, value);
                }
            }
            store.add_root(root);
        }
        store
    }

    fn positions(store: &Memory, selector: &str) -> Vec<usize> {
        let all = store.roots().unwrap();
        let found = select(store, Some(&Selector::parse(selector).unwrap())).unwrap_or_default();
        found.iter().map(|root| all.iter().position(|other| other == root).unwrap()).collect()
    }

    #[test]
    fn the_first_rule_with_a_hit_wins() {
        let names = [
            ("docker.io/library/app:v1", "v1"),
            ("ghcr.io/org/app:v1", "ghcr.io/org/app:v1"),
            ("", "docker.io/library/app:v1"),
            ("", "app"),
            ("quay.io/x/y:v2", "v2"),
        ];
        let store = store(&names);
        for (selector, expected) in [
            (":docker.io/library/app:v1", vec![0]),
            (":ghcr.io/org/app:v1", vec![1]),
            (":v1", vec![0]), // its own reference name comes before the tag of a full one
            (":app:v1", vec![0, 2]),
            (":app:latest", vec![3]),
            (":v2", vec![4]),
            (":x/y:v2", vec![]),
            ("@4", vec![4]),
            ("@5", vec![]),
        ] {
            assert_eq!(positions(&store, selector), expected, "{selector}");
        }
        let digest = store.roots().unwrap()[3].digest().to_string();
        assert_eq!(positions(&store, &format!("@{digest}")), [3]);
        assert_eq!(positions(&store, &format!("@{}", &digest[7..15])), [3]);
        assert_eq!(positions(&store, &format!(":{}", &digest[7..15])), [3], "the last rule");
        assert_eq!(positions(&store, &format!(":app@{digest}")), [3]);
        assert!(positions(&store, &format!(":v1@{digest}")).is_empty());
        let tagged = store.roots().unwrap()[1].digest().to_string();
        assert_eq!(positions(&store, &format!(":ghcr.io/org/app@{tagged}")), [1], "of a repository any tag");
        for other in ["quay.io/x/y", "ghcr.io/org/app:v2", "app"] {
            assert!(positions(&store, &format!(":{other}@{tagged}")).is_empty(), "{other}");
        }
    }

    #[test]
    fn several_answers_are_an_error_that_lists_them() {
        let store = store(&[("", "v1"), ("", "v1"), ("", "sha256-x")]);
        let error = select_one(&store, Some(&Selector::Name("v1".to_owned()))).unwrap_err();
        assert_eq!(error.class(), crate::error::Class::Absent);
        assert_eq!(error.causes()[0].matches("v1 (").count(), 2);
        let error = select_one(&store, Some(&Selector::Name("v2".to_owned()))).unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean :v1 ?");
        let qualified = self::store(&[("quay.io/org/app:v1", "v1")]);
        let error = select_one(&qualified, Some(&Selector::Name("app:v1".to_owned()))).unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean :quay.io/org/app:v1 ?");
    }

    #[test]
    fn what_is_attached_to_an_image_is_not_an_image() {
        let cosign = format!("sha256-{}.sig", "0".repeat(64));
        let store = store(&[("", "v1"), ("", &cosign)]);
        assert_eq!(select(&store, None).unwrap().len(), 1);
        assert_eq!(positions(&store, &format!(":{cosign}")), [1]);
    }
}
