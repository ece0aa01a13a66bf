//! Manifests of Kubernetes: the images of every PodSpec in the kinds that have one.
//!
//! The kinds are those of Kubernetes v1.34 (`core/v1`, `apps/v1`, `batch/v1`, and the older groups and versions of the same).
//! Where another kind has its images is not known, and not guessed.

use crate::reference::ImageName;
use crate::text::escaped;
use crate::yaml::{Fault, Node, Value, refuse_template};

/// A kind, its API groups, and where its PodSpec stands.
type Known = (&'static str, &'static [&'static str], &'static [&'static str]);

const TEMPLATE: &[&str] = &["spec", "template", "spec"];
const KNOWN: [Known; 9] = [
    ("Pod", &[""], &["spec"]),
    ("PodTemplate", &[""], &["template", "spec"]),
    ("ReplicationController", &[""], TEMPLATE),
    ("Deployment", &["apps", "extensions"], TEMPLATE),
    ("ReplicaSet", &["apps", "extensions"], TEMPLATE),
    ("DaemonSet", &["apps", "extensions"], TEMPLATE),
    ("StatefulSet", &["apps"], TEMPLATE),
    ("Job", &["batch"], TEMPLATE),
    ("CronJob", &["batch"], &["spec", "jobTemplate", "spec", "template", "spec"]),
];

/// Where containers stand in a PodSpec.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Kinds that hold what others wrote, and never a PodSpec: an `image:` in them is anything.
const DATA: [&str; 2] = ["ConfigMap", "Secret"];

/// What a manifest names.
#[derive(Debug, Default)]
pub(super) struct Images<'a> {
    /// The images, where they stand and as they are written.
    pub(super) images: Vec<(&'a Node, &'a str)>,
    /// Kinds that seem to name images, and are not known.
    pub(super) unknown: Vec<String>,
}

/// Returns whether a document says that it is a manifest.
pub(super) fn is_manifest(document: &Node) -> bool {
    ["apiVersion", "kind"].iter().all(|key| document.get(key).and_then(Node::as_text).is_some())
}

/// Returns the name of an image that a manifest has.
///
/// # Errors
/// When it is none.
pub(super) fn name_of(node: &Node, text: &str) -> Result<ImageName, Fault> {
    refuse_template(node, text)?;
    ImageName::parse(text).map(ImageName::with_default_tag).map_err(|error| super::no_image(node, &error, text))
}

/// Returns whether anywhere in a document an `image:` has a text.
pub(super) fn names_images(document: &Node) -> bool {
    let names = |(key, value): &(Node, Node)| {
        key.as_text() == Some("image") && value.as_text().is_some_and(|text| !text.trim().is_empty())
    };
    document.all().any(|node| matches!(&node.value, Value::Map(entries) if entries.iter().any(names)))
}

/// Group and kind, as an item of a typed list has them without saying so.
type Type<'a> = (&'a str, &'a str);

/// Returns what a manifest names.
///
/// # Errors
/// When it is not of the form that its kind has.
pub(super) fn images(document: &Node) -> Result<Images<'_>, Fault> {
    let mut found = Images::default();
    let mut left: Vec<(&Node, Option<Type<'_>>)> = vec![(document, None)];
    while let Some((node, given)) = left.pop() {
        let text = |key| node.get(key).and_then(Node::as_text);
        let group = text("apiVersion").map(|version| version.split_once('/').map_or("", |(group, _)| group));
        let said = group.zip(text("kind"));
        let Some((group, kind)) = said.or(given) else {
            return Err(Fault::new("an item of a list has to have `apiVersion:` and `kind:`").at(node.position()));
        };
        if let Some(path) = pod_spec(group, kind) {
            let spec = path.iter().try_fold(node, |node, key| node.get(key));
            if let Some(spec) = spec {
                read_spec(spec, &mut found)?;
            }
        } else if let Some(item) = listed_kind(group, kind) {
            let items = node.get("items").map_or(Ok(&[][..]), |items| items.items("items"))?;
            let item = Some((group, item)).filter(|(_, item)| !item.is_empty());
            left.extend(items.iter().rev().map(|node| (node, item)));
        } else if !(group.is_empty() && DATA.contains(&kind)) && names_images(node) {
            let dot = if group.is_empty() { "" } else { "." };
            found.unknown.push(format!("{}{dot}{}", escaped(kind), escaped(group)));
        }
    }
    Ok(found)
}

fn pod_spec(group: &str, kind: &str) -> Option<&'static [&'static str]> {
    KNOWN.iter().find(|(known, groups, _)| *known == kind && groups.contains(&group)).map(|(.., path)| *path)
}

/// Returns the kind of which this is a list: none where it is no list, an empty one where each item says its own.
fn listed_kind<'a>(group: &str, kind: &'a str) -> Option<&'a str> {
    let item = kind.strip_suffix("List")?;
    ((item.is_empty() && group.is_empty()) || pod_spec(group, item).is_some()).then_some(item)
}

fn read_spec<'a>(spec: &'a Node, found: &mut Images<'a>) -> Result<(), Fault> {
    let lists = CONTAINERS.iter().filter_map(|name| spec.get(name).map(|list| (*name, list)));
    for (name, list) in lists {
        for container in list.items(name)? {
            keep(container.get("image"), "image", found)?;
        }
    }
    let Some(volumes) = spec.get("volumes") else { return Ok(()) };
    for volume in volumes.items("volumes")? {
        keep(volume.get("image").and_then(|image| image.get("reference")), "reference", found)?;
    }
    Ok(())
}

/// Keeps an image. An empty one is as good as none: the cluster fills it in.
fn keep<'a>(node: Option<&'a Node>, key: &str, found: &mut Images<'a>) -> Result<(), Fault> {
    let Some(node) = node else { return Ok(()) };
    let Some(text) = node.as_text() else {
        return Err(Fault::new(format!("{key} has to be a text, and is {}", node.what())).at(node.position()));
    };
    let text = text.trim();
    if !text.is_empty() {
        found.images.push((node, text));
    }
    Ok(())
}
