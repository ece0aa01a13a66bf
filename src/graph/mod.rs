//! What can be reached from some descriptors: the walk that every task starts with.
//!
//! Documents are read and checked, everything else is only listed. The walk keeps its own stack and a set of what it has
//! seen, so that neither a deep nor a wide nor a tangled image costs more than its documents. Content of a type that is
//! not known is a leaf.

mod node;

use std::collections::HashMap;
use std::sync::Arc;

pub use self::node::{Called, Node, Parents};
use crate::content::{Descriptor, Kind};
use crate::digest::Digest;
use crate::document::Document;
use crate::media::{MediaType, Role};
use crate::positions::Positions;
use crate::store::{Source, StoreError, read_document};
use crate::text::escaped;

/// How deep documents may refer to documents.
pub const DEEPEST: usize = 64;
/// How many descriptors one walk follows.
pub const MOST_DESCRIPTORS: usize = 1_000_000;

/// Pieces that were reached, to be found by their digests.
#[derive(Debug)]
pub struct ByDigest<'a> {
    nodes: &'a [Node],
    /// Where they stand, in the order of their digests.
    order: Vec<u32>,
}

impl<'a> ByDigest<'a> {
    /// Puts pieces in order.
    #[must_use]
    pub fn of(nodes: &'a [Node]) -> Self {
        let mut order: Vec<u32> = (0..).take(nodes.len()).collect();
        order.sort_unstable_by_key(|at| (nodes[*at as usize].content.digest, *at));
        Self { nodes, order }
    }

    /// Returns where a piece stands; of several types of the same, the last.
    #[must_use]
    pub fn position(&self, digest: &Digest) -> Option<usize> {
        let end = self.order.partition_point(|at| self.nodes[*at as usize].content.digest <= *digest);
        let at = *self.order.get(end.checked_sub(1)?)? as usize;
        (self.nodes[at].content.digest == *digest).then_some(at)
    }

    /// Returns a piece; of several types of the same, the last.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<&'a Node> {
        self.position(digest).map(|at| &self.nodes[at])
    }
}

/// Something that stopped the walk at one point; the rest was walked all the same.
#[derive(Debug)]
pub struct Finding {
    /// The content at which it was found.
    pub digest: Digest,
    /// What that is, for people.
    pub about: String,
    /// The documents that refer to it.
    pub referenced_by: Vec<Digest>,
    /// What is wrong.
    pub error: StoreError,
}

/// All that was reached.
#[derive(Debug, Default)]
pub struct Reach {
    /// Every piece once for each type it is referred to by, children before what refers to them.
    pub nodes: Vec<Node>,
    /// What is wrong with documents on the way.
    pub findings: Vec<Finding>,
}

impl Reach {
    /// Returns the first thing that is wrong as an error.
    ///
    /// # Errors
    /// When there was a finding.
    pub fn whole(mut self) -> Result<Self, Finding> {
        if self.findings.is_empty() { Ok(self) } else { Err(self.findings.swap_remove(0)) }
    }

    /// Returns the first thing that is wrong with what is planned: that could be read when the plan was made, and has to be
    /// now. What was not planned is missing by choice.
    ///
    /// # Errors
    /// When there was such a finding.
    pub fn whole_within(mut self, is_planned: impl Fn(&Digest) -> bool) -> Result<Self, Finding> {
        match self.findings.iter().position(|finding| is_planned(&finding.digest)) {
            Some(at) => Err(self.findings.swap_remove(at)),
            None => Ok(self),
        }
    }
}

impl Reach {
    /// Looks for everything that the walk only listed: what is missing or of another size is known before anything is
    /// written.
    ///
    /// # Errors
    /// The first piece that is not there as it was promised.
    pub fn all_there(self, source: &dyn Source) -> Result<Self, Finding> {
        for node in self.nodes.iter().filter(|node| !node.media_type().is_document()) {
            if let Err(error) = source.open(&node.content) {
                let (digest, about, referenced_by) =
                    (node.content.digest, node.describe(), node.referenced_by.to_vec());
                return Err(Finding { digest, about, referenced_by, error });
            }
        }
        Ok(self)
    }
}

struct Frame {
    node: usize,
    digest: Arc<Digest>,
    owner: Arc<str>,
    layers: u32,
    children: std::vec::IntoIter<Descriptor>,
}

/// What leads to a descriptor.
struct Way {
    parent: Option<Arc<Digest>>,
    depth: usize,
    /// Which layer of its parent it is.
    layer: u32,
    /// Whose it is.
    owner: Arc<str>,
    /// Whose is what lies below it.
    below: Arc<str>,
}

struct Walk<'a> {
    source: &'a dyn Source,
    hear: &'a mut dyn FnMut(&Descriptor, &Document),
    /// Where a digest was seen first.
    seen: Positions,
    /// Where it was seen as something of another type.
    otherwise: HashMap<(Digest, MediaType), u32>,
    nodes: Vec<Node>,
    order: Vec<u32>,
    findings: Vec<Finding>,
}

/// Walks from the roots to everything that has to be there for them to be whole. `hear` is told of every document that was
/// read, parents before children.
pub fn reach(source: &dyn Source, roots: &[Descriptor], hear: &mut dyn FnMut(&Descriptor, &Document)) -> Reach {
    let mut walk = Walk {
        source,
        hear,
        seen: Positions::default(),
        otherwise: HashMap::new(),
        nodes: Vec::new(),
        order: Vec::new(),
        findings: Vec::new(),
    };
    for root in roots {
        walk.from(root);
    }
    walk.nodes.iter_mut().for_each(|node| node.referenced_by.settle());
    let Walk { mut nodes, order, findings, .. } = walk;
    put_in_order(&mut nodes, order);
    Reach { nodes, findings }
}

/// Puts items in the order that says of each place which one is to stand there, without a second list of them.
fn put_in_order<T>(items: &mut [T], mut order: Vec<u32>) {
    for start in 0..order.len() {
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut order[at], at as u32) as usize;
            if from == start {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

impl Walk<'_> {
    fn from(&mut self, root: &Descriptor) {
        let owner: Arc<str> = owner_of(root).unwrap_or_else(|| root.digest().short()).into();
        let mut stack = Vec::new();
        stack.extend(
            self.enter(root, Way { parent: None, depth: 0, layer: 0, owner: Arc::clone(&owner), below: owner }),
        );
        while let Some(frame) = stack.last_mut() {
            if let Some(child) = frame.children.next() {
                let role = child.media_type().role();
                let layer = if matches!(role, Role::Layer(_)) { frame.layers + 1 } else { 0 };
                frame.layers = frame.layers.max(layer);
                let above = Arc::clone(&frame.owner);
                let below = owner_of(&child).map_or_else(|| Arc::clone(&above), Arc::from);
                let owner = if role == Role::Manifest || role == Role::Artifact { Arc::clone(&below) } else { above };
                let parent = Some(Arc::clone(&frame.digest));
                let depth = stack.len();
                stack.extend(self.enter(&child, Way { parent, depth, layer, owner, below }));
            } else {
                self.order.push(frame.node as u32);
                stack.pop();
            }
        }
    }

    /// Notes a descriptor, and returns what is to be walked below it.
    fn enter(&mut self, descriptor: &Descriptor, way: Way) -> Option<Frame> {
        let digest = *descriptor.digest();
        let Way { parent, depth, layer, owner, below } = way;
        let at = self.nodes.len();
        let node = Node {
            content: descriptor.content(),
            called: Called::new(descriptor.media_type(), owner, layer),
            referenced_by: Parents::of(parent),
        };
        if let Some(first) = self.seen.get(&digest, |at| &self.nodes[at].content.digest) {
            let known_size = self.nodes[first].content.size;
            if known_size != descriptor.size() {
                let reason = format!("one descriptor says {known_size} bytes, another {}", descriptor.size());
                self.find(&node, StoreError::malformed(digest.to_string(), self.source.location(), reason));
            }
            let known = match self.nodes[first].media_type() == node.media_type() {
                true => Some(first),
                false => self.otherwise.get(&(digest, node.media_type().clone())).map(|at| *at as usize),
            };
            if let Some(known) = known {
                self.nodes[known].referenced_by.extend(node.referenced_by);
                return None;
            }
            self.otherwise.insert((digest, node.media_type().clone()), at as u32);
        }
        self.nodes.push(node);
        self.seen.enter(at, |at| &self.nodes[at].content.digest); // but for what was seen before
        let children = match self.children(descriptor, depth) {
            Ok(children) => children,
            Err(error) => {
                self.find(&self.nodes[at].clone(), error);
                Vec::new()
            }
        };
        if children.is_empty() {
            self.order.push(at as u32);
            return None;
        }
        Some(Frame { node: at, digest: Arc::new(digest), owner: below, layers: 0, children: children.into_iter() })
    }

    fn children(&mut self, descriptor: &Descriptor, depth: usize) -> Result<Vec<Descriptor>, StoreError> {
        if !matches!(descriptor.content().kind, Kind::Manifest(_)) {
            return Ok(Vec::new());
        }
        let what = || descriptor.digest().to_string();
        if depth >= DEEPEST {
            let reason = format!("it lies {depth} documents deep, and {DEEPEST} is the limit");
            return Err(StoreError::malformed(what(), self.source.location(), reason));
        }
        let document = read_document(self.source, descriptor)?;
        (self.hear)(descriptor, &document);
        let children: Vec<Descriptor> = document.children().cloned().collect();
        if self.nodes.len() + children.len() > MOST_DESCRIPTORS {
            let reason =
                format!("with its {} entries there are more than {MOST_DESCRIPTORS} descriptors", children.len());
            return Err(StoreError::malformed(what(), self.source.location(), reason));
        }
        Ok(children)
    }

    fn find(&mut self, node: &Node, error: StoreError) {
        let (digest, about, referenced_by) = (node.content.digest, node.about(), node.referenced_by.to_vec());
        self.findings.push(Finding { digest, about, referenced_by, error });
    }
}

/// Takes out layers that are missing where their media type lets them be fetched from elsewhere, and returns those.
#[must_use]
pub fn without_foreign(source: &dyn Source, mut reach: Reach) -> (Reach, Vec<Digest>) {
    let mut absent = Vec::new();
    reach.nodes.retain(|node| {
        let is_absent = node.media_type().is_foreign_layer() && matches!(source.holds(&node.content), Ok(false));
        if is_absent {
            absent.push(node.content.digest);
        }
        !is_absent
    });
    (reach, absent)
}

/// Returns whose content lies below a descriptor: its platform, else its name.
fn owner_of(descriptor: &Descriptor) -> Option<String> {
    if let Some(of) = descriptor.attestation_of() {
        return Some(format!("the attestation of {}", escaped(of.get(..19).unwrap_or(of))));
    }
    descriptor.platform().filter(|platform| !platform.os.is_empty()).map(ToString::to_string).or_else(|| {
        let name = descriptor.annotation(crate::content::CONTAINERD_NAME);
        name.or_else(|| descriptor.annotation(crate::content::REF_NAME)).map(escaped)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
    use crate::platform::Platform;
    use crate::store::memory::Memory;
    use serde_json::json;

    fn put(store: &mut Memory, media_type: &str, bytes: &[u8]) -> Descriptor {
        store.add(bytes, Kind::Blob);
        Descriptor::of(&media_type.into(), bytes)
    }

    fn index(store: &mut Memory, children: &[Descriptor]) -> Descriptor {
        let manifests: Vec<_> = children.iter().map(Descriptor::to_value).collect();
        let raw = crate::json::encode(&json!({"schemaVersion": 2, "manifests": manifests}));
        put(store, OCI_INDEX, &raw)
    }

    #[test]
    fn children_come_before_what_refers_to_them_and_once() {
        let mut store = Memory::new("test");
        let config = put(&mut store, "a/config", b"{}");
        let layer = put(&mut store, OCI_LAYER, b"layer");
        let manifest = json!({"schemaVersion": 2, "config": config.to_value(),
            "layers": [layer.to_value(), layer.to_value()]});
        let manifest = put(&mut store, OCI_MANIFEST, &crate::json::encode(&manifest));
        let root = index(&mut store, &[manifest.clone(), manifest]);
        let reach = reach(&store, &[root.clone(), root.clone()], &mut |_, _| ()).whole().unwrap();
        let about: Vec<_> =
            reach.nodes.iter().map(|node| node.about().split(" of ").next().unwrap().to_owned()).collect();
        assert_eq!(about, ["a/config", "layer 1", "manifest", "index"]);
        assert_eq!(reach.nodes[1].referenced_by.to_vec(), [reach.nodes[2].content.digest]);
    }

    #[test]
    fn a_diamond_of_thirty_levels_is_walked_in_linear_time() {
        let mut store = Memory::new("test");
        let mut top = put(&mut store, OCI_LAYER, b"leaf");
        for _ in 0..30 {
            top = index(&mut store, &[top.clone(), top]);
        }
        let mut documents = 0;
        let reach = reach(&store, &[top], &mut |_, _| documents += 1).whole().unwrap();
        assert_eq!((documents, reach.nodes.len()), (30, 31));
    }

    #[test]
    fn too_deep_is_refused_without_recursion() {
        let mut store = Memory::new("test");
        let mut top = put(&mut store, OCI_LAYER, b"leaf");
        for _ in 0..5000 {
            top = index(&mut store, &[top]);
        }
        let reach = reach(&store, &[top], &mut |_, _| ());
        assert!(reach.whole().unwrap_err().error.to_string().contains("cannot use sha256:"));
    }

    #[test]
    fn one_bad_document_does_not_hide_another() {
        let mut store = Memory::new("test");
        let missing = Descriptor::of(&OCI_MANIFEST.into(), b"missing");
        let torn = put(&mut store, OCI_MANIFEST, b"{");
        let root = index(&mut store, &[missing, torn]);
        let reach = reach(&store, &[root], &mut |_, _| ());
        assert_eq!(reach.findings.len(), 2);
        assert!(matches!(reach.findings[0].error, StoreError::Missing { .. }));
        assert!(matches!(reach.findings[1].error, StoreError::Malformed { .. }));
        assert_eq!(reach.nodes.len(), 3);
    }

    #[test]
    fn two_sizes_for_one_digest_are_a_finding() {
        let mut store = Memory::new("test");
        let leaf = put(&mut store, OCI_LAYER, b"leaf");
        let lie = Descriptor::new(leaf.media_type(), *leaf.digest(), 5);
        let root = index(&mut store, &[leaf, lie]);
        assert_eq!(reach(&store, &[root], &mut |_, _| ()).findings.len(), 1);
    }

    #[test]
    fn what_is_reached_is_called_by_its_place_and_found_by_its_digest() {
        let mut store = Memory::new("test");
        let [one, two, other] = [&b"one"[..], b"two", b"other"].map(|bytes| put(&mut store, OCI_LAYER, bytes));
        let config = put(&mut store, crate::media::OCI_CONFIG, b"{}");
        let note = put(&mut store, "a/note", b"note");
        let mut image = |layers: &[&Descriptor], os: &str| {
            let layers: Vec<_> = layers.iter().map(|layer| layer.to_value()).collect();
            let manifest = json!({"schemaVersion": 2, "config": config.to_value(), "layers": layers});
            let platform = Platform { os: os.to_owned(), architecture: "arm64".to_owned(), ..Platform::default() };
            put(&mut store, OCI_MANIFEST, &crate::json::encode(&manifest)).with_platform(&platform)
        };
        let first = image(&[&one, &note, &two], "linux");
        // the same content as something of another type is another piece
        let odd = Descriptor::new(&"a/odd".into(), *two.digest(), two.size());
        let second = image(&[&two, &odd, &other], "windows");
        let root = index(&mut store, &[first, second]).with_annotation(crate::content::REF_NAME, "app:v1");
        let reach = reach(&store, &[root], &mut |_, _| ()).whole().unwrap();
        let about: Vec<_> = reach.nodes.iter().map(Node::about).collect();
        let expected = [
            "config of linux/arm64",
            "layer 1 of linux/arm64",
            "a/note of linux/arm64",
            "layer 2 of linux/arm64",
            "manifest of linux/arm64",
            "a/odd of windows/arm64",
            "layer 2 of windows/arm64",
            "manifest of windows/arm64",
            "index of app:v1",
        ];
        assert_eq!(about, expected);
        let nodes = ByDigest::of(&reach.nodes);
        for (at, node) in reach.nodes.iter().enumerate() {
            let expected = if at == 3 { 5 } else { at };
            assert_eq!(nodes.position(&node.content.digest), Some(expected), "{}", node.about());
        }
        assert!(nodes.get(&Digest::of(b"absent")).is_none());
        assert!(ByDigest::of(&[]).get(other.digest()).is_none());
    }

    #[test]
    fn items_are_put_in_any_order() {
        for order in [&[][..], &[0], &[0, 1, 2], &[1, 0], &[2, 0, 1], &[1, 2, 0, 4, 3], &[4, 3, 2, 1, 0]] {
            let mut items: Vec<u32> = (0..).take(order.len()).collect();
            put_in_order(&mut items, order.to_vec());
            assert_eq!(items, order);
        }
    }
}
