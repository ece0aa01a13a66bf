//! What is published: tags listed, given and taken away in a registry, without a byte of an image on the way.

use std::collections::HashMap;

use super::Error;
use crate::blob::Cancel;
use crate::digest::Digest;
use crate::document::Body;
use crate::plan::Plan;
use crate::reference::{ImageName, is_tag};
use crate::store::registry::{Confirmed, Delivery, Registries, RegistrySink, Removal, Repository, Taken};
use crate::store::{Source as _, StoreError, read_document};
use crate::transfer;

/// How many tags are looked at before a manifest is removed that a tag cannot be taken from.
const MOST_TAGS: usize = 2000;

/// Something that was, or would be, taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpublished {
    /// What was asked for.
    pub name: ImageName,
    /// What it meant.
    pub digest: Digest,
    /// Whether the manifest went, because the registry does not remove tags alone.
    pub manifest: bool,
}

/// Reads the new name of an image that stays in its repository: a tag alone, or a full name.
///
/// # Errors
/// When it is neither, or in another repository.
pub fn sibling_tag(image: &ImageName, word: &str) -> Result<ImageName, Error> {
    let repository = image.full_repository();
    if is_tag(word) {
        return Ok(ImageName::parse(&format!("{repository}:{word}"))?);
    }
    let name = ImageName::parse(word.strip_prefix("docker://").unwrap_or(word))?;
    if name.full_repository() != repository {
        return Err(Error::Usage {
            message: format!("cannot tag docker://{image} as {name}: that is another repository"),
            hint: Some(format!("copy it there: `barge copy docker://{image} docker://{name}`")),
        });
    }
    if name.digest().is_some() {
        return Err(Error::Usage {
            message: format!("cannot give the name {name}: a digest is not given, it follows from the content"),
            hint: Some("give a tag".to_owned()),
        });
    }
    Ok(name.with_default_tag())
}

/// Gives an image of a registry further tags there: one manifest is written, and nothing is fetched or sent besides.
///
/// # Errors
/// When the registry cannot be reached or says no, or a name is in another repository.
pub fn retag(
    registries: &Registries,
    image: &ImageName,
    tags: &[ImageName],
    taken: Taken,
    cancel: &Cancel,
) -> Result<Vec<Confirmed>, Error> {
    let repository = registries.repository(image)?.with_image(image)?;
    let root = repository.roots()?.into_iter().next();
    let root = root.ok_or_else(|| StoreError::malformed("the manifest", repository.location(), "there is none"))?;
    let mut plan = Plan::new();
    plan.add(&repository, &root.content(), format!("manifest of {image}"));
    let names = tags.iter().map(|name| (name.tag().map(str::to_owned), *root.digest())).collect();
    let delivery = Delivery {
        repository: registries.repository(image)?,
        contents: vec![(root.content(), false)],
        turns: HashMap::new(),
        referrers: Vec::new(),
        whole: HashMap::new(),
        names,
        sibling: None,
        taken,
    };
    let Some(mut sink) = RegistrySink::new(vec![delivery]) else { return Ok(Vec::new()) };
    transfer::run(&plan, &mut sink, cancel, &transfer::Deaf)?;
    Ok(sink.confirmed().to_vec())
}

/// Finds what would be taken away, and whether it can be without taking anything else: a registry that removes no tags alone
/// removes manifests, and with them every tag that means them.
///
/// # Errors
/// When it is not there, names a whole repository, or the registry cannot be reached.
pub fn find_published(registries: &Registries, name: &ImageName) -> Result<(Repository, Digest), Error> {
    let repository = registries.repository(name)?;
    let reference = match (name.digest(), name.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.to_owned(),
        (None, None) => {
            return Err(Error::Usage {
                message: format!("cannot remove docker://{name}: it is a whole repository"),
                hint: Some(format!("name a tag or a digest; `barge ls docker://{name}` lists the tags")),
            });
        }
    };
    match repository.published(&reference)? {
        Some(digest) => Ok((repository, digest)),
        None => Err(Error::Absent {
            message: format!("cannot find docker://{name}"),
            cause: None,
            hint: Some(format!("`barge ls docker://{}` lists the tags there are", name.full_repository())),
        }),
    }
}

/// Takes a tag away, or a manifest with all its tags where a digest is named.
///
/// # Errors
/// When it is not there; when the registry does not allow it; when it removes no tag alone and the manifest is needed by
/// another one.
pub fn unpublish(registries: &Registries, name: &ImageName) -> Result<Unpublished, Error> {
    let (repository, digest) = find_published(registries, name)?;
    let done = |manifest| Ok(Unpublished { name: name.clone(), digest, manifest });
    if let (None, Some(tag)) = (name.digest(), name.tag()) {
        match repository.remove_tag(tag)? {
            // some say yes to what they do not do
            Removal::Removed if repository.published(tag)?.is_none() => return done(false),
            Removal::Absent if repository.published(tag)?.is_none() => return done(false),
            _ => refuse_shared(&repository, name, tag, &digest)?,
        }
    }
    match repository.remove_manifest(&digest)? {
        Removal::Removed => done(true),
        Removal::Absent | Removal::Unsupported => Err(Error::Unsupported {
            message: format!("cannot remove docker://{name}"),
            cause: Some("this registry removes nothing: deletion is switched off there".to_owned()),
            hint: Some(
                "ask its owner to allow it (REGISTRY_STORAGE_DELETE_ENABLED=true for docker's registry)".to_owned(),
            ),
        }),
    }
}

/// Refuses to remove a manifest that another tag means or contains.
fn refuse_shared(repository: &Repository, name: &ImageName, tag: &str, digest: &Digest) -> Result<(), Error> {
    let tags = repository.tags()?;
    let refuse = |cause: String| {
        Err(Error::Unsupported {
            message: format!("cannot remove docker://{name}: this registry removes no tag alone"),
            cause: Some(cause),
            hint: Some(format!(
                "to remove it under all its names: `barge rm docker://{}@{digest}`",
                name.full_repository()
            )),
        })
    };
    if tags.len() > MOST_TAGS {
        return refuse(format!("there are {} tags, too many to see whether another one needs {digest}", tags.len()));
    }
    for other in tags.iter().filter(|other| *other != tag) {
        let image = ImageName::parse(&format!("{}:{other}", name.full_repository()))?;
        let root = match repository.clone().with_image(&image) {
            Ok(held) => held.roots()?.into_iter().next().map(|root| (held, root)),
            Err(StoreError::Remote { class: crate::error::Class::Absent, .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let Some((held, root)) = root else { continue };
        if root.digest() == digest {
            return refuse(format!("the tag {other} means {digest} too"));
        }
        if let Body::Index(index) = read_document(&held, &root)?.body()
            && index.manifests.iter().any(|child| child.digest() == digest)
        {
            return refuse(format!("the tag {other} is an index that needs {digest}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_tag_stays_in_its_repository() {
        let image: ImageName = "localhost:5000/org/app:v1".parse().unwrap();
        for (word, expected) in [
            ("v2", Some("localhost:5000/org/app:v2")),
            ("localhost:5000/org/app:v2", Some("localhost:5000/org/app:v2")),
            ("docker://localhost:5000/org/app", Some("localhost:5000/org/app:latest")),
            ("localhost:5000/org/other:v2", None),
            ("org/app:v2", None),
            ("a b", None),
        ] {
            assert_eq!(sibling_tag(&image, word).ok().map(|it| it.to_string()).as_deref(), expected, "{word}");
        }
    }
}
