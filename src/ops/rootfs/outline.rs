//! The names of an image without their content: enough to tell which entry of which layer a path leads to.
//!
//! What `apply` does to a directory is done here to a tree in memory, by the same names and the same rules.

use std::collections::BTreeMap;

use super::names::{self, DEEPEST, Name};
use crate::tar::entry::EntryKind;
use crate::tar::stream::StreamEntry;
use crate::text::quoted;

/// How many links are followed on the way to one thing, as Linux does.
const MOST_HOPS: usize = 40;

/// Which entry holds the content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Held {
    /// The layer, from the base up, starting at 0.
    pub(in crate::ops) layer: usize,
    /// Where the header of the entry starts in it, in bytes.
    pub(in crate::ops) at: u64,
}

#[derive(Debug)]
enum Node {
    Directory(BTreeMap<Box<[u8]>, Child>),
    Link(Box<[u8]>),
    File(Held),
    Other(String),
}

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
struct Child {
    node: usize,
    /// The last layer that had an entry for it.
    layer: usize,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::ops) enum Found {
    /// To a file.
    File(Held),
    /// To nothing.
    Nothing,
    /// To a directory.
    Directory,
    /// To what has no content: what it is.
    Other(String),
}

/// What becomes of directories on the way that are not there.
#[derive(Clone, Copy)]
enum Missing {
    /// They are made, by this layer.
    Make(usize),
    Leave,
}

const ROOT: usize = 0;

/// All names of an image so far.
#[derive(Debug)]
pub(in crate::ops) struct Outline {
    nodes: Vec<Node>,
}

impl Outline {
    pub(in crate::ops) fn new() -> Self {
        Self { nodes: vec![Node::Directory(BTreeMap::new())] }
    }

    /// Takes note of an entry, and returns the number of what it stands for now; none when it stands for nothing.
    ///
    /// # Errors
    /// In words, when no layer may hold it.
    pub(in crate::ops) fn add(&mut self, layer: usize, entry: &StreamEntry) -> Result<Option<usize>, String> {
        match Name::parse(&entry.name)? {
            Name::Meta => Ok(None),
            Name::Root if entry.kind == EntryKind::Directory => Ok(Some(ROOT)),
            Name::Root => Err(format!("it is {} in the place of the root", entry.kind)),
            Name::Opaque(parts) => {
                if let Some(directory) = self.directory(&parts, Missing::Leave)? {
                    self.hide_all(directory, layer);
                }
                Ok(None)
            }
            Name::Whiteout(parts, name) => {
                if let Some(directory) = self.directory(&parts, Missing::Leave)? {
                    self.hide(directory, name, layer);
                }
                Ok(None)
            }
            Name::Entry(parts, name) => {
                let Some(directory) = self.directory(&parts, Missing::Make(layer))? else { return Ok(None) };
                let node = match &entry.kind {
                    EntryKind::Directory => match self.child(directory, name).map(|node| (node, &self.nodes[node])) {
                        Some((node, Node::Directory(_))) => node,
                        _ => self.new_node(Node::Directory(BTreeMap::new())),
                    },
                    EntryKind::Regular => self.new_node(Node::File(Held { layer, at: entry.at })),
                    EntryKind::SymLink(target) => self.new_node(Node::Link(target.clone())),
                    EntryKind::HardLink(target) => self.target(target)?,
                    kind @ EntryKind::Special(b'3' | b'4' | b'6') => self.new_node(Node::Other(kind.to_string())),
                    kind @ EntryKind::Special(_) => return Err(format!("it is {kind}")),
                };
                if let Node::Directory(children) = &mut self.nodes[directory] {
                    children.insert(name.into(), Child { node, layer });
                }
                Ok(Some(node))
            }
        }
    }

    /// Returns every path from the root, and the number of what it leads to: the root first, then in order.
    pub(in crate::ops) fn entries(&self) -> Vec<(Vec<u8>, usize)> {
        let mut entries = Vec::new();
        let mut pending = vec![(b"/".to_vec(), ROOT)];
        while let Some((path, node)) = pending.pop() {
            if let Node::Directory(children) = &self.nodes[node] {
                for (name, child) in children.iter().rev() {
                    let mut below = if node == ROOT { Vec::new() } else { path.clone() };
                    below.push(b'/');
                    below.extend_from_slice(name);
                    pending.push((below, child.node));
                }
            }
            entries.push((path, node));
        }
        entries
    }

    /// Finds where a path leads, through links as a program in the image would go.
    pub(in crate::ops) fn find(&self, parts: &[&[u8]]) -> Found {
        let mut way = vec![ROOT];
        let mut todo: Vec<&[u8]> = parts.iter().rev().copied().collect();
        let mut hops = 0;
        while let Some(part) = todo.pop() {
            let Some(node) = self.step(&mut way, part) else { return Found::Nothing };
            match &self.nodes[node] {
                Node::Link(target) => {
                    hops += 1;
                    if hops > MOST_HOPS {
                        return Found::Nothing;
                    }
                    follow(target, &mut way, &mut todo);
                }
                _ => way.push(node),
            }
        }
        match way.last().map(|node| &self.nodes[*node]) {
            Some(Node::File(held)) => Found::File(*held),
            Some(Node::Other(kind)) => Found::Other(kind.clone()),
            _ => Found::Directory,
        }
    }

    /// Goes one part on; `..` goes back, and stays at the root.
    fn step(&self, way: &mut Vec<usize>, part: &[u8]) -> Option<usize> {
        if part == b".." {
            way.pop();
            return way.pop().or(Some(ROOT));
        }
        self.child(*way.last()?, part)
    }

    fn child(&self, directory: usize, name: &[u8]) -> Option<usize> {
        match &self.nodes[directory] {
            Node::Directory(children) => children.get(name).map(|child| child.node),
            _ => None,
        }
    }

    fn new_node(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Goes to the directory of an entry.
    fn directory(&mut self, parts: &[&[u8]], missing: Missing) -> Result<Option<usize>, String> {
        let mut way = vec![ROOT];
        let mut todo: Vec<Vec<u8>> = parts.iter().rev().map(|part| part.to_vec()).collect();
        let mut hops = 0;
        while let Some(part) = todo.pop() {
            let node = match (self.step(&mut way, &part), missing) {
                (Some(node), _) => node,
                (None, Missing::Leave) => return Ok(None),
                (None, Missing::Make(layer)) => {
                    let node = self.new_node(Node::Directory(BTreeMap::new()));
                    if let Some(Node::Directory(children)) = way.last().map(|last| &mut self.nodes[*last]) {
                        children.insert(part.as_slice().into(), Child { node, layer });
                    }
                    node
                }
            };
            match (&self.nodes[node], missing) {
                (Node::Directory(_), _) => way.push(node),
                (Node::Link(target), _) => {
                    hops += 1;
                    if hops > MOST_HOPS {
                        return Err("the links on its way lead around in a circle".to_owned());
                    }
                    let mut steps = Vec::new();
                    follow(target, &mut way, &mut steps);
                    todo.extend(steps.into_iter().map(<[u8]>::to_vec));
                }
                (_, Missing::Leave) => return Ok(None),
                (_, Missing::Make(_)) => {
                    let part = quoted(&String::from_utf8_lossy(&part));
                    return Err(format!("it lies below {part}, which is no directory"));
                }
            }
            if way.len() > DEEPEST + 1 {
                return Err(format!("it lies more than {DEEPEST} directories deep"));
            }
        }
        Ok(way.pop())
    }

    /// Finds what a hard link leads to.
    fn target(&mut self, target: &[u8]) -> Result<usize, String> {
        let wrong =
            |reason: &str| format!("it is a hard link to {}, which {reason}", quoted(&String::from_utf8_lossy(target)));
        let mut parts = names::parts(target).map_err(|reason| wrong(&reason))?;
        let Some(name) = parts.pop() else { return Err(wrong("is the root")) };
        let directory = self.directory(&parts, Missing::Leave)?;
        match directory.and_then(|directory| self.child(directory, name)) {
            None => Err(wrong("is not there")),
            Some(node) if matches!(self.nodes[node], Node::Directory(_)) => Err(wrong("is a directory")),
            Some(node) => Ok(node),
        }
    }

    fn hide_all(&mut self, directory: usize, layer: usize) {
        let Node::Directory(children) = &self.nodes[directory] else { return };
        let names: Vec<Box<[u8]>> = children.keys().cloned().collect();
        for name in names {
            self.hide(directory, &name, layer);
        }
    }

    /// Removes what lies under a name, but for what the present layer has made. Recurs as deep as directories may lie,
    /// which is bounded.
    fn hide(&mut self, directory: usize, name: &[u8], layer: usize) {
        let Node::Directory(children) = &self.nodes[directory] else { return };
        let Some(child) = children.get(name).copied() else { return };
        self.hide_all(child.node, layer);
        let is_empty = match &self.nodes[child.node] {
            Node::Directory(children) => children.is_empty(),
            _ => true,
        };
        if child.layer < layer
            && is_empty
            && let Node::Directory(children) = &mut self.nodes[directory]
        {
            children.remove(name);
        }
    }
}

/// Puts the way of a link in front of what is still to go.
fn follow<'a>(target: &'a [u8], way: &mut Vec<usize>, todo: &mut Vec<&'a [u8]>) {
    if target.starts_with(b"/") {
        way.truncate(1);
    }
    let steps = target.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    todo.extend(steps.rev());
}
