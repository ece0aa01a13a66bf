//! The names of an image and what stands under them, without their content.
//!
//! What `unpack` does to a directory is done here to a tree in memory, by the same names and the same rules.

use std::collections::{BTreeMap, HashSet, btree_map};

use super::names::{self, DEEPEST, LONGEST, Name};
use crate::layer::Way;
use crate::tar::entry::EntryKind;
use crate::tar::header::Attributes;
use crate::tar::stream::StreamEntry;
use crate::text::{human_size, quoted};

/// How many bytes the names and attributes of an image may take. Three million files with usual names take less.
const LARGEST: u64 = 1 << 30;
/// What one name takes beside its own bytes, in bytes, and rather too much.
const EACH: usize = 200;
/// The permissions of a directory that no layer has an entry for, as `unpack` makes it.
const IMPLIED: u32 = 0o755;

/// Which entry holds the content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::ops) struct Held {
    /// The layer, from the base up, starting at 0.
    pub(in crate::ops) layer: usize,
    /// Where the header of the entry starts in it, in bytes.
    pub(in crate::ops) at: u64,
}

/// What stands under a name, or under several.
#[derive(Debug)]
pub(in crate::ops) struct Node {
    /// What it is.
    pub(in crate::ops) kind: NodeKind,
    /// How it is to be kept.
    pub(in crate::ops) attributes: Attributes,
}

/// What a thing in an image is.
#[derive(Debug)]
pub(in crate::ops) enum NodeKind {
    /// A directory.
    Directory(Names),
    /// A symbolic link, and its target as it is written.
    Link(Box<[u8]>),
    /// A file, where its content is, and of how many bytes.
    File(Held, u64),
    /// A device or a FIFO: the type flag.
    Special(u8),
}

type Names = BTreeMap<Box<[u8]>, Child>;

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Child {
    node: usize,
    /// The last layer that had an entry for it.
    layer: usize,
}

/// What becomes of a link at the very end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum Last {
    /// It is followed.
    Followed,
    /// It is what is looked for.
    Itself,
}

/// What becomes of directories on the way that are not there.
#[derive(Clone, Copy)]
enum Missing {
    /// They are made, by this layer.
    Make(usize),
    Leave,
}

/// A name that a walk comes to.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Visit<'w, 'o> {
    /// The path from where the walk began.
    pub(in crate::ops) path: &'w [u8],
    /// The directory.
    pub(in crate::ops) directory: usize,
    /// The name in it.
    pub(in crate::ops) name: &'o [u8],
    /// What stands there.
    pub(in crate::ops) node: usize,
}

/// Where a walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) enum Onward {
    /// In what lies below, if it is a directory.
    Into,
    /// With the next name.
    Past,
}

/// The number of the root.
pub(in crate::ops) const ROOT: usize = 0;

/// All names of an image so far.
#[derive(Debug)]
pub(in crate::ops) struct Outline {
    nodes: Vec<Node>,
    /// Whether a layer has an entry for the root itself.
    root_is_said: bool,
    /// How many bytes all of this may still take.
    left: u64,
    /// Directories in which a layer has hidden what lower ones have, and that layer: it needs not look there again.
    emptied: (usize, HashSet<usize>),
}

impl Outline {
    pub(in crate::ops) fn new() -> Self {
        Self { nodes: vec![Node::implied()], root_is_said: false, left: LARGEST, emptied: Default::default() }
    }

    /// Takes note of an entry, and returns the number of what it stands for now; none when it stands for nothing.
    ///
    /// # Errors
    /// In words, when no layer may hold it.
    pub(in crate::ops) fn add(&mut self, layer: usize, entry: &StreamEntry) -> Result<Option<usize>, String> {
        match Name::parse(&entry.name)? {
            Name::Meta => Ok(None),
            Name::Root if entry.kind == EntryKind::Directory => {
                self.nodes[ROOT].attributes = self.attributes_of(entry)?;
                self.root_is_said = true;
                Ok(Some(ROOT))
            }
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
                    EntryKind::Directory => self.directory_of(directory, name, entry)?,
                    EntryKind::Regular => {
                        let held = Held { layer, at: entry.at };
                        self.new_node(NodeKind::File(held, entry.size), entry)?
                    }
                    EntryKind::SymLink(target) => {
                        if target.is_empty() || target.contains(&0) || target.len() >= LONGEST {
                            return Err("its target is empty, holds a NUL, or is too long".to_owned());
                        }
                        self.take_room(target.len())?;
                        self.new_node(NodeKind::Link(target.clone()), entry)?
                    }
                    EntryKind::HardLink(target) => self.linked(directory, name, target)?,
                    EntryKind::Special(flag @ (b'3' | b'4' | b'6')) => {
                        self.new_node(NodeKind::Special(*flag), entry)?
                    }
                    kind @ EntryKind::Special(_) => return Err(format!("it is {kind}")),
                };
                self.name(directory, name, Child { node, layer })?;
                Ok(Some(node))
            }
        }
    }

    /// Returns what has a number.
    pub(in crate::ops) fn node(&self, number: usize) -> &Node {
        &self.nodes[number]
    }

    /// Returns how many numbers there are: below this, all of them are.
    pub(in crate::ops) const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns whether a layer has an entry for the root itself.
    pub(in crate::ops) const fn root_is_said(&self) -> bool {
        self.root_is_said
    }

    /// Returns the names in a directory; none of anything else.
    pub(in crate::ops) fn names(&self, node: usize) -> impl Iterator<Item = (&[u8], usize)> {
        self.children(node).iter().map(|(name, child)| (&**name, child.node))
    }

    /// Goes through all that lies below a directory, by the order of names: a directory comes before what is in it.
    pub(in crate::ops) fn walk<'o, E>(
        &'o self,
        from: usize,
        mut visit: impl FnMut(Visit<'_, 'o>) -> Result<Onward, E>,
    ) -> Result<(), E> {
        let mut path = Vec::new();
        let mut todo: Vec<(usize, usize, btree_map::Iter<'o, _, _>)> = vec![(from, 0, self.children(from).iter())];
        while let Some((directory, length, names)) = todo.last_mut() {
            path.truncate(*length);
            let Some((name, child)) = names.next() else {
                todo.pop();
                continue;
            };
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let seen = Visit { path: &path, directory: *directory, name, node: child.node };
            if visit(seen)? == Onward::Into {
                todo.push((child.node, path.len(), self.children(child.node).iter()));
            }
        }
        Ok(())
    }

    /// Finds what a path leads to, through links as a program in the image would go.
    pub(in crate::ops) fn find(&self, parts: &[&[u8]], last: Last) -> Option<usize> {
        let mut at = vec![ROOT];
        let mut todo: Vec<&[u8]> = parts.iter().rev().copied().collect();
        let mut way = Way::default();
        while let Some(part) = todo.pop() {
            way.step(part, at.len() - 1).ok()?;
            let node = self.step(&mut at, part)?;
            match &self.nodes[node].kind {
                NodeKind::Link(target) if last == Last::Followed || !todo.is_empty() => {
                    way.link().ok()?;
                    follow(target, &mut at, &mut todo);
                }
                _ => at.push(node),
            }
        }
        at.pop()
    }

    /// Goes one part on; `..` goes back, and stays at the root.
    fn step(&self, way: &mut Vec<usize>, part: &[u8]) -> Option<usize> {
        let at = *way.last()?;
        if part == b".." {
            self.nodes[at].is_directory().then_some(())?;
            way.pop();
            return way.pop().or(Some(ROOT));
        }
        self.child(at, part)
    }

    /// Finds a name in a directory; a link is not followed.
    pub(in crate::ops) fn child(&self, directory: usize, name: &[u8]) -> Option<usize> {
        self.children(directory).get(name).map(|child| child.node)
    }

    fn children(&self, node: usize) -> &Names {
        static NONE: Names = Names::new();
        match &self.nodes[node].kind {
            NodeKind::Directory(names) => names,
            _ => &NONE,
        }
    }

    fn new_node(&mut self, kind: NodeKind, entry: &StreamEntry) -> Result<usize, String> {
        let attributes = self.attributes_of(entry)?;
        self.push(Node { kind, attributes })
    }

    fn attributes_of(&mut self, entry: &StreamEntry) -> Result<Attributes, String> {
        let xattrs = entry.attributes.xattrs.iter();
        self.take_room(xattrs.map(|(name, value)| EACH + name.len() + value.len()).sum())?;
        Ok(entry.attributes.clone())
    }

    fn push(&mut self, node: Node) -> Result<usize, String> {
        self.take_room(EACH)?;
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn take_room(&mut self, bytes: usize) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes as u64).ok_or_else(|| {
            let most = human_size(LARGEST);
            format!("the names and attributes of the image take more than {most}: it may be a bomb")
        })?;
        Ok(())
    }

    /// Puts something under a name, in the place of what stood there.
    fn name(&mut self, directory: usize, name: &[u8], child: Child) -> Result<(), String> {
        self.take_room(name.len())?;
        if let NodeKind::Directory(names) = &mut self.nodes[directory].kind {
            names.insert(name.into(), child);
        }
        Ok(())
    }

    /// Finds the directory that an entry describes, or makes it.
    fn directory_of(&mut self, parent: usize, name: &[u8], entry: &StreamEntry) -> Result<usize, String> {
        match self.child(parent, name).filter(|node| self.nodes[*node].is_directory()) {
            None => self.new_node(NodeKind::Directory(Names::new()), entry),
            Some(node) => {
                self.nodes[node].attributes = self.attributes_of(entry)?;
                Ok(node)
            }
        }
    }

    /// Finds what a hard link is another name of. What stands under its own name goes first, and the rest with it.
    fn linked(&mut self, directory: usize, name: &[u8], target: &[u8]) -> Result<usize, String> {
        let wrong =
            |reason: &str| format!("it is a hard link to {}, which {reason}", quoted(&String::from_utf8_lossy(target)));
        let parts = names::parts(target).map_err(|reason| wrong(&reason))?;
        let Some((last, above)) = parts.split_last() else { return Err(wrong("is the root")) };
        let find = |outline: &mut Self| -> Result<Option<usize>, String> {
            Ok(outline.directory(above, Missing::Leave)?.and_then(|directory| outline.child(directory, last)))
        };
        let node = find(self)?.ok_or_else(|| wrong("is not there"))?;
        if self.nodes[node].is_directory() {
            return Err(wrong("is a directory"));
        }
        if self.child(directory, name).is_some_and(|standing| standing != node) {
            if let NodeKind::Directory(names) = &mut self.nodes[directory].kind {
                names.remove(name);
            }
            if find(self)?.is_none() {
                return Err(wrong("it takes the place of"));
            }
        }
        Ok(node)
    }

    /// Goes to the directory of an entry.
    fn directory(&mut self, parts: &[&[u8]], missing: Missing) -> Result<Option<usize>, String> {
        let mut at = vec![ROOT];
        let mut todo: Vec<Vec<u8>> = parts.iter().rev().map(|part| part.to_vec()).collect();
        let mut way = Way::default();
        while let Some(part) = todo.pop() {
            way.step(&part, at.len() - 1)?;
            let node = match (self.step(&mut at, &part), missing) {
                (Some(node), _) => node,
                (None, Missing::Leave) => return Ok(None),
                (None, Missing::Make(layer)) => {
                    let node = self.push(Node::implied())?;
                    if let Some(last) = at.last() {
                        self.name(*last, &part, Child { node, layer })?;
                    }
                    node
                }
            };
            match (&self.nodes[node].kind, missing) {
                (NodeKind::Directory(_), _) => at.push(node),
                (NodeKind::Link(target), _) => {
                    way.link()?;
                    let mut steps = Vec::new();
                    follow(target, &mut at, &mut steps);
                    todo.extend(steps.into_iter().map(<[u8]>::to_vec));
                }
                (_, Missing::Leave) => return Ok(None),
                (_, Missing::Make(_)) => {
                    let part = quoted(&String::from_utf8_lossy(&part));
                    return Err(format!("it lies below {part}, which is no directory"));
                }
            }
            if at.len() > DEEPEST + 1 {
                return Err(format!("it lies more than {DEEPEST} directories deep"));
            }
        }
        Ok(at.pop())
    }

    fn hide_all(&mut self, directory: usize, layer: usize) {
        let (last, emptied) = &mut self.emptied;
        if *last != layer {
            *last = layer;
            emptied.clear();
        }
        if !self.nodes[directory].is_directory() || !emptied.insert(directory) {
            return;
        }
        let names: Vec<Box<[u8]>> = self.children(directory).keys().cloned().collect();
        for name in names {
            self.hide(directory, &name, layer);
        }
    }

    /// Removes what lies under a name, but for what the present layer has made. Recurs as deep as directories may lie,
    /// which is bounded.
    fn hide(&mut self, directory: usize, name: &[u8], layer: usize) {
        let Some(child) = self.children(directory).get(name).copied() else { return };
        self.hide_all(child.node, layer);
        if child.layer < layer
            && self.children(child.node).is_empty()
            && let NodeKind::Directory(names) = &mut self.nodes[directory].kind
        {
            names.remove(name);
        }
    }
}

impl Node {
    /// Makes a directory that no layer has an entry for.
    fn implied() -> Self {
        let attributes = Attributes { mode: IMPLIED, ..Attributes::default() };
        Self { kind: NodeKind::Directory(Names::new()), attributes }
    }

    /// Returns whether it is a directory.
    pub(in crate::ops) const fn is_directory(&self) -> bool {
        matches!(self.kind, NodeKind::Directory(_))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, kind: EntryKind) -> StreamEntry {
        StreamEntry { at: 0, name: name.into(), kind, size: 0, attributes: Attributes::default() }
    }

    #[test]
    fn names_that_would_fill_the_memory_are_refused() {
        let long = "n".repeat(4000);
        let xattrs = BTreeMap::from([(b"user.x".to_vec(), vec![0; 4000])]);
        let attributes = Attributes { xattrs, ..Attributes::default() };
        let link = EntryKind::SymLink(vec![b'x'; 4000].into());
        for (reason, fits, entry) in [
            ("a usual name", true, entry("usr/bin/tool", EntryKind::Regular)),
            ("a long name", false, entry(&long, EntryKind::Regular)),
            ("a deep name", false, entry(&"d/".repeat(100), EntryKind::Directory)),
            ("a long link", false, entry("link", link)),
            ("a large attribute", false, StreamEntry { attributes, ..entry("x", EntryKind::Regular) }),
        ] {
            let mut outline = Outline { left: 3000, ..Outline::new() };
            assert_eq!(outline.add(0, &entry).is_ok(), fits, "{reason}");
        }
        // what is replaced again and again is counted each time
        let mut outline = Outline { left: 3000, ..Outline::new() };
        assert!((0..100).any(|_| outline.add(0, &entry("same", EntryKind::Regular)).is_err()));
    }

    #[test]
    fn nothing_lies_below_a_file() {
        let mut outline = Outline::new();
        for (name, kind) in [
            ("file", EntryKind::Regular),
            ("link", EntryKind::SymLink(b"file/../other"[..].into())),
            ("other", EntryKind::Regular),
        ] {
            outline.add(0, &entry(name, kind)).unwrap();
        }
        assert_eq!(outline.find(&[b"link"], Last::Followed), None);
        assert_eq!(outline.find(&[b"file", b"x"], Last::Followed), None);
        assert!(outline.find(&[b"..", b"other"], Last::Followed).is_some());
    }
}
