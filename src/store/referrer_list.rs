//! Lists of referrers: an index under a name made of the digest of what they belong to (distribution-spec v1.1.1, spec.md,
//! "Referrers Tag Schema"). How they are called, and how two of them become one.
//!
//! Pure: bytes in, bytes out. What stands in a list keeps its bytes and its order, but for what stands there twice; unknown
//! fields stay.

use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;

use super::names;
use crate::content::{Content, Descriptor, Kind};
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::json::{JsonError, Object};
use crate::media::Role;
use crate::reference::tag_of;
use crate::store::Inventory;

/// Why nothing can be added to what stands under such a name.
#[derive(Debug, thiserror::Error)]
pub enum NoList {
    /// It is something else.
    #[error("it is no index, and something else would be lost")]
    Manifest,
    /// It is not what it must be.
    #[error(transparent)]
    Malformed(#[from] JsonError),
}

/// Returns the digest in `sha256-HEX` and `sha256-HEX.sig`, and what stands behind the dot.
#[must_use]
pub fn digest_in(name: &str) -> Option<(Digest, Option<&str>)> {
    let tag = tag_of(name).unwrap_or(name);
    let (algorithm, rest) = tag.split_once('-')?;
    let (hex, suffix) = match rest.split_once('.') {
        Some((hex, suffix)) => (hex, Some(suffix)),
        None => (rest, None),
    };
    Some((format!("{algorithm}:{hex}").parse().ok()?, suffix))
}

/// Returns whether a name is one of a list of referrers.
#[must_use]
pub fn is_list_name(name: &str) -> bool {
    matches!(digest_in(name), Some((_, None)))
}

/// Returns the names of a descriptor that are those of a list of referrers.
pub fn list_names(root: &Descriptor) -> impl Iterator<Item = &str> {
    names::claims(root).filter(|name| is_list_name(name))
}

/// Returns a list with further entries behind its own; `None` when all of them stand there.
///
/// # Errors
/// When it is no list.
pub fn with_entries(list: &Document, more: Vec<(Digest, Box<RawValue>)>) -> Result<Option<Vec<u8>>, NoList> {
    let mut object = Object::parse(list.raw())?;
    Ok(add(&mut object, list, more)?.then(|| bytes(&object)))
}

/// Returns the list of what two lists name: the first one with what the second one has beside; `None` when that is nothing.
///
/// # Errors
/// When one of them is no list.
pub fn united(first: &Document, second: &Document) -> Result<Option<Vec<u8>>, NoList> {
    let (mut object, other) = (Object::parse(first.raw())?, Object::parse(second.raw())?);
    let more = entries(second)?.iter().map(|entry| *entry.digest()).zip(other.items("manifests"));
    let has_more = add(&mut object, first, more.collect())?;
    let mut says_more = object.add_absent(&other);
    if let (Some(mut held), Some(new)) = (object.object("annotations"), other.object("annotations"))
        && held.add_absent(&new)
    {
        object.set("annotations", held.to_raw());
        says_more = true;
    }
    Ok((has_more || says_more).then(|| bytes(&object)))
}

/// Returns a name of a list that somebody else has written since a plan was made to bring one: what stands there now is in none of
/// what comes, and would be lost.
#[must_use]
pub fn overtaken(held: &[Descriptor], coming: &Inventory) -> Option<Descriptor> {
    let is_index = |content: &&Content| matches!(&content.kind, Kind::Manifest(it) if it.role() == Role::Index);
    let brought: HashSet<&Digest> = coming.contents.iter().filter(is_index).map(|content| &content.digest).collect();
    let mut lists: HashMap<&str, HashSet<&Digest>> = HashMap::new();
    for root in coming.roots.iter().filter(|root| brought.contains(root.digest())) {
        for name in list_names(root) {
            lists.entry(name).or_default().insert(root.digest());
        }
    }
    if lists.is_empty() {
        return None;
    }
    let is_lost = |held: &Descriptor| {
        let of_others = |digests: &HashSet<&Digest>| digests.iter().any(|digest| *digest != held.digest());
        names::claims(held).any(|name| lists.get(name).is_some_and(of_others)) && !coming.gone.contains(held)
    };
    held.iter().find(|held| is_lost(held)).cloned()
}

fn entries(list: &Document) -> Result<&[Descriptor], NoList> {
    match list.body() {
        Body::Index(index) => Ok(&index.manifests),
        Body::Manifest(_) => Err(NoList::Manifest),
    }
}

/// Adds entries to those of a list. Returns whether there were new ones.
fn add(object: &mut Object, list: &Document, more: Vec<(Digest, Box<RawValue>)>) -> Result<bool, NoList> {
    let own = entries(list)?;
    let mut seen: HashSet<Digest> = own.iter().map(|entry| *entry.digest()).collect();
    let new: Vec<_> = more.into_iter().filter(|(digest, _)| seen.insert(*digest)).map(|(_, raw)| raw).collect();
    if new.is_empty() {
        return Ok(false);
    }
    let mut seen = HashSet::new();
    let held = own.iter().zip(object.items("manifests")).filter(|(entry, _)| seen.insert(*entry.digest()));
    let items: Vec<_> = held.map(|(_, raw)| raw).chain(new).collect();
    object.set_items("manifests", &items);
    Ok(true)
}

fn bytes(object: &Object) -> Vec<u8> {
    object.to_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::content::{CONTAINERD_NAME, REF_NAME};
    use crate::media::{OCI_INDEX, OCI_MANIFEST};

    fn one(text: &str) -> Descriptor {
        Descriptor::of(&OCI_MANIFEST.into(), text.as_bytes()).with_artifact_type("a/b")
    }

    fn list(text: &str) -> Document {
        Document::parse(&OCI_INDEX.into(), text.as_bytes().to_vec()).unwrap()
    }

    fn text(bytes: Option<Vec<u8>>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn of_two_lists_everything_stays_and_nothing_stands_there_twice() {
        let (a, b, c) = (one("a").to_value(), one("b").to_value(), one("c").to_value());
        let odd = a.to_string().replace("\"size\":1", "\"size\": 1,\"odd\":[1.50]");
        let first = list(&format!(
            r#"{{"odd":1.50, "schemaVersion":2,"manifests":[{odd},{odd},{b}],"annotations":{{"z":"y"}}}}"#
        ));
        let second = list(&format!(
            r#"{{"schemaVersion":2,"annotations":{{"z":"n","q":"r"}},"manifests":[{a},{c}],"new":[1 ]}}"#
        ));
        let both = text(united(&first, &second).unwrap());
        assert_eq!(
            both,
            format!(
                r#"{{"odd":1.50,"schemaVersion":2,"manifests":[{odd},{b},{c}],"annotations":{{"z":"y","q":"r"}},"new":[1 ]}}"#
            )
        );
        // neither the same again nor one of its parts changes it
        for again in [&first, &second, &list(&both)] {
            assert_eq!(united(&list(&both), again).unwrap(), None);
        }
        assert_eq!(text(united(&second, &first).unwrap()).matches("sha256:").count(), 3);
    }

    #[test]
    fn what_is_no_list_is_not_united() {
        let config = json!({"mediaType": "a/b", "digest": Digest::of(b"{}").to_string(), "size": 2});
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": []}).to_string();
        let manifest = Document::parse(&OCI_MANIFEST.into(), manifest.into_bytes()).unwrap();
        let empty = list(r#"{"schemaVersion":2,"manifests":[]}"#);
        assert!(matches!(united(&manifest, &empty), Err(NoList::Manifest)));
        assert!(matches!(united(&empty, &manifest), Err(NoList::Manifest)));
        assert_eq!(united(&empty, &empty).unwrap(), None);
    }

    #[test]
    fn a_list_that_appeared_meanwhile_is_not_replaced() {
        let name = Digest::of(b"image").to_string().replace(':', "-");
        let index = |text: &str| Descriptor::of(&OCI_INDEX.into(), text.as_bytes());
        let named = |root: Descriptor| root.with_annotation(REF_NAME, &name);
        let content = Content { digest: *index("ours").digest(), size: 4, kind: Kind::Manifest(OCI_INDEX.into()) };
        let coming = |gone: &[Descriptor]| Inventory {
            contents: vec![content.clone()],
            roots: vec![named(index("ours"))],
            gone: gone.to_vec(),
        };
        let (theirs, full) = (named(index("theirs")), index("theirs").with_annotation(CONTAINERD_NAME, &name));
        for held in [&theirs, &full] {
            assert_eq!(overtaken(std::slice::from_ref(held), &coming(&[])).as_ref(), Some(held));
        }
        let others = [one("a"), index("theirs").with_annotation(REF_NAME, "v1"), named(index("ours"))];
        for (held, gone) in [(&others[..], &[][..]), (std::slice::from_ref(&theirs), std::slice::from_ref(&theirs))] {
            assert_eq!(overtaken(held, &coming(gone)), None);
        }
        assert_eq!(overtaken(&[], &coming(&[])), None);
        // a name that is only given to what is there is nobody's list
        let tagged = Inventory { contents: Vec::new(), ..coming(&[]) };
        assert_eq!(overtaken(&[named(one("a"))], &tagged), None);
    }
}
