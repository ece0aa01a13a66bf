//! Where every image goes: its own name, a registry instead of its own, or a name that was given.

use std::str::FromStr;

use super::super::Error;
use super::super::attached::called;
use super::super::carry::Carried;
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::reference::{ImageName, Prefix, is_tag};
use crate::store::Location;
use crate::text::{escaped, quoted};

/// Where a push goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destinations {
    /// Where the names of the images say.
    Own,
    /// To these registries, each image with its own repository.
    Registries(Vec<Prefix>),
    /// One image, to these names.
    Names(Vec<ImageName>),
}

/// An image, and the names that it is to have.
#[derive(Clone, Debug)]
pub struct Routed {
    /// Its top-level descriptor.
    pub root: Descriptor,
    /// Its digest.
    pub digest: Digest,
    /// The names that it goes by in its source.
    pub from: Option<String>,
    /// The names.
    pub names: Vec<ImageName>,
    /// What belongs to it, and goes to where it goes.
    pub referrers: Vec<Descriptor>,
}

/// How names change on the way: the beginning of a name for another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameMap(Vec<(String, String)>);

impl NameMap {
    /// Reads `FROM=TO` as often as it was given: each a name, or whole parts of its beginning.
    ///
    /// # Errors
    /// When one has no `=`, or a side of it is empty.
    pub fn parse(values: &[String]) -> Result<Self, Error> {
        let mut map = Vec::new();
        for value in values {
            match value.split_once('=') {
                Some((from, to)) if !from.is_empty() && !to.is_empty() => {
                    map.push((from.trim_end_matches('/').to_owned(), to.trim_end_matches('/').to_owned()));
                }
                _ => {
                    return Err(Error::Usage {
                        message: format!("cannot read --map {}", quoted(value)),
                        hint: Some("write FROM=TO, such as --map ghcr.io/org=registry.example/mirror".to_owned()),
                    });
                }
            }
        }
        // the longest is the most exact
        map.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        Ok(Self(map))
    }

    fn apply(&self, name: ImageName) -> Result<ImageName, Error> {
        let text = name.to_string();
        for (from, to) in &self.0 {
            let Some(rest) = text.strip_prefix(from.as_str()) else { continue };
            if rest.is_empty() || rest.starts_with(['/', ':', '@']) {
                return Ok(ImageName::from_str(&format!("{to}{rest}"))?);
            }
        }
        Ok(name)
    }
}

/// Decides where every image goes.
///
/// # Errors
/// When an image has no name that says so, one name would stand for two images, or several images are to have one name.
pub fn route(
    images: &[Carried],
    destinations: &Destinations,
    map: &NameMap,
    place: &Location,
) -> Result<Vec<Routed>, Error> {
    let mut routed: Vec<Routed> = Vec::new();
    if let Destinations::Names(names) = destinations {
        let [first, rest @ ..] = images else { return Ok(routed) };
        if rest.iter().any(|other| other.to.digest() != first.to.digest()) {
            return Err(Error::Usage {
                message: format!("cannot push {} images to {}: that is a name for one", images.len(), names[0]),
                hint: Some(
                    "choose one image of the source, as in DIR:NAME, or give a registry: HOST[/PREFIX]".to_owned(),
                ),
            });
        }
        let mut one = from(first);
        for name in names {
            one.names.push(digest_kept(map.apply(name.clone().with_default_tag())?, first)?);
        }
        return Ok(vec![one]);
    }
    for image in images {
        let mut one = from(image);
        match destinations {
            Destinations::Own => one.names.push(map.apply(own_name(image, place)?)?),
            Destinations::Registries(prefixes) => {
                for prefix in prefixes {
                    one.names.push(map.apply(below(prefix, image, place)?)?);
                }
            }
            Destinations::Names(_) => {}
        }
        routed.push(one);
    }
    refuse_a_name_twice(&routed)?;
    Ok(routed)
}

/// Returns where an image of another place would go that has this name.
pub(super) fn would_go(name: &ImageName, destinations: &Destinations, map: &NameMap) -> Vec<ImageName> {
    let below = |prefix: &Prefix| prefix.place(name.repository(), name.tag()).ok();
    let names = match destinations {
        Destinations::Own => vec![name.clone()],
        Destinations::Registries(prefixes) => prefixes.iter().filter_map(below).collect(),
        // a name for one image is for no other
        Destinations::Names(_) => Vec::new(),
    };
    names.into_iter().filter_map(|name| map.apply(name).ok()).collect()
}

fn from(image: &Carried) -> Routed {
    Routed {
        root: image.to.clone(),
        digest: *image.to.digest(),
        from: super::super::lookup::name_of(&image.from).map(str::to_owned),
        names: Vec::new(),
        referrers: image.referrers.clone(),
    }
}

/// A name with a digest is for that content, and no other.
fn digest_kept(name: ImageName, image: &Carried) -> Result<ImageName, Error> {
    match name.digest() {
        Some(digest) if digest != image.to.digest() => Err(Error::Usage {
            message: format!("cannot push {} to {name}", image.to.digest()),
            hint: Some("give a tag: a digest is not given, it follows from the content".to_owned()),
        }),
        _ => Ok(name),
    }
}

/// Returns the full name that a descriptor carries, registry and all.
fn full_name(root: &Descriptor) -> Option<ImageName> {
    let said = root.annotation(CONTAINERD_NAME).or_else(|| root.annotation(REF_NAME))?;
    let name = ImageName::parse(said).ok()?;
    // `app:v1` means Docker Hub to docker, and to a person most often nothing of the kind
    (name.to_string() == said && name.tag().is_some()).then_some(name)
}

fn own_name(image: &Carried, place: &Location) -> Result<ImageName, Error> {
    full_name(&image.to).ok_or_else(|| Error::Usage {
        message: format!("cannot tell where {} of {place} goes: it has no full name", called(&image.to)),
        hint: Some("say where to: a registry as HOST[/PREFIX], or HOST/REPOSITORY:TAG for one image".to_owned()),
    })
}

fn below(prefix: &Prefix, image: &Carried, place: &Location) -> Result<ImageName, Error> {
    let root = &image.to;
    let said = root.annotation(CONTAINERD_NAME).or_else(|| root.annotation(REF_NAME));
    if let Some(tag) = said.filter(|said| is_tag(said))
        && let Some(name) = prefix.itself(tag)
    {
        return Ok(name);
    }
    match said.filter(|said| !is_tag(said)).map(ImageName::parse) {
        Some(Ok(name)) if name.digest().is_none() => {
            Ok(prefix.place(name.repository(), Some(name.tag().unwrap_or("latest")))?)
        }
        _ => Err(Error::Usage {
            message: format!("cannot tell what {} of {place} is to be called at {prefix}", called(root)),
            hint: Some(format!("push it by itself, with a full name: {prefix}/REPOSITORY:TAG")),
        }),
    }
}

fn refuse_a_name_twice(routed: &[Routed]) -> Result<(), Error> {
    let mut seen: std::collections::HashMap<&ImageName, &Routed> = std::collections::HashMap::new();
    for one in routed {
        for name in &one.names {
            let before = seen.insert(name, one);
            if let Some(before) = before.filter(|before| before.digest != one.digest) {
                let from = |it: &Routed| it.from.as_deref().map_or_else(|| it.digest.to_string(), escaped);
                return Err(Error::Absent {
                    message: format!("cannot tell which image {name} is to be"),
                    cause: Some(format!("{} is {}, {} is {}", from(before), before.digest, from(one), one.digest)),
                    hint: Some("push them one by one, or give one of them another name with --map FROM=TO".to_owned()),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::OCI_INDEX;

    fn image(name: &str, annotation: &str) -> Carried {
        let root = Descriptor::of(&OCI_INDEX.into(), name.as_bytes());
        let root = if name.is_empty() { root } else { root.with_annotation(annotation, name) };
        Carried {
            from: root.clone(),
            to: root,
            taken: Vec::new(),
            left_out: Vec::new(),
            sparse: false,
            referrers: Vec::new(),
            is_referrer: false,
            counted: Vec::new(),
            own: Vec::new(),
            behind: Vec::new(),
        }
    }

    fn routes(images: &[Carried], destinations: &Destinations, map: &[&str]) -> Result<Vec<String>, Error> {
        let map = NameMap::parse(&map.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())?;
        let routed = route(images, destinations, &map, &Location::Memory("test".to_owned()))?;
        Ok(routed.iter().flat_map(|one| one.names.iter().map(ToString::to_string)).collect())
    }

    fn prefix(word: &str) -> Destinations {
        let Ok(crate::reference::Destination::Prefix(prefix)) = crate::reference::parse_destination(word) else {
            panic!("{word}")
        };
        Destinations::Registries(vec![prefix])
    }

    #[test]
    fn an_image_goes_where_its_name_says() {
        let full = image("ghcr.io/org/app:v1", CONTAINERD_NAME);
        for (destinations, map, expected) in [
            (Destinations::Own, &[][..], "ghcr.io/org/app:v1"),
            (prefix("localhost:5000"), &[], "localhost:5000/org/app:v1"),
            (prefix("quay.io/mirror"), &[], "quay.io/mirror/org/app:v1"),
            (Destinations::Own, &["ghcr.io/org=quay.io/team"], "quay.io/team/app:v1"),
            (Destinations::Own, &["ghcr.io=quay.io", "ghcr.io/org/app=r.example/x"], "r.example/x:v1"),
            (Destinations::Own, &["ghcr.io/or=quay.io"], "ghcr.io/org/app:v1"),
            (Destinations::Own, &["ghcr.io/org/app:v1=quay.io/app:v2"], "quay.io/app:v2"),
            (prefix("localhost:5000"), &["localhost:5000/org=localhost:5000/dev"], "localhost:5000/dev/app:v1"),
        ] {
            assert_eq!(routes(std::slice::from_ref(&full), &destinations, map).unwrap(), [expected]);
            let map = NameMap::parse(&map.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()).unwrap();
            let name = "ghcr.io/org/app:v1".parse().unwrap();
            assert_eq!(would_go(&name, &destinations, &map), [expected.parse().unwrap()]);
        }
        let tag = image("v1", REF_NAME);
        assert_eq!(
            routes(std::slice::from_ref(&tag), &prefix("quay.io/team/app"), &[]).unwrap(),
            ["quay.io/team/app:v1"]
        );
        let short = image("app:v1", REF_NAME);
        assert_eq!(routes(std::slice::from_ref(&short), &prefix("quay.io"), &[]).unwrap(), ["quay.io/library/app:v1"]);
        for (image, destinations) in [
            (&tag, Destinations::Own),
            (&short, Destinations::Own),
            (&tag, prefix("quay.io")),
            (&image("", REF_NAME), Destinations::Own),
            (&image("", REF_NAME), prefix("quay.io")),
        ] {
            let error = routes(std::slice::from_ref(image), &destinations, &[]).unwrap_err();
            assert!(matches!(error, Error::Usage { .. }), "{error}");
        }
    }

    #[test]
    fn two_images_never_share_a_name() {
        let images = [image("ghcr.io/a/app:v1", CONTAINERD_NAME), image("quay.io/a/app:v1", CONTAINERD_NAME)];
        assert!(routes(&images, &Destinations::Own, &[]).is_ok());
        let error = routes(&images, &prefix("localhost:5000"), &[]).unwrap_err();
        assert!(error.to_string().contains("localhost:5000/a/app:v1"), "{error}");
        let names = Destinations::Names(vec!["quay.io/x:v1".parse().unwrap()]);
        assert!(routes(&images, &names, &[]).is_err());
        assert_eq!(routes(&images[..1], &names, &[]).unwrap(), ["quay.io/x:v1"]);
    }
}
