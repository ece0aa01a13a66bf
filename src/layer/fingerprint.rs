//! Whether two trees will give the same tar, told before anything is read: two platforms can then share a layer.

use std::collections::HashMap;

use super::tree::{Content, Entry, Facts, Kind, Tarred, Tree};
use super::write::{Shared, shared};
use crate::digest::{Algorithm, Digest, Hasher};

/// What a fingerprint is made of, number after number and text after text, each with its length.
struct Print(Hasher);

impl Tree {
    /// Returns a digest that is the same for two trees only if they will give the same tar, as long as no file changes. A
    /// file of a context counts as the file it is, by device, inode and size; its content is not read. `None` when nothing
    /// can be told of some content: it was unpacked from a tar.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Digest> {
        let mut print = Print(Algorithm::Sha256.hasher());
        let mut first: HashMap<Shared, u64> = HashMap::new();
        for (number, (path, entry)) in (0_u64..).zip(&self.entries) {
            print.text(path);
            print.facts(&entry.facts);
            if let Entry { kind: Kind::File(content), .. } = entry
                && let Some(shared) = shared(content)
            {
                // another name of the same content becomes a hard link to the first one
                print.number(1 + *first.entry(shared).or_insert(number));
            } else {
                print.number(0);
            }
            self.print_kind(&mut print, &entry.kind)?;
        }
        Some(print.0.finish())
    }

    fn print_kind(&self, print: &mut Print, kind: &Kind) -> Option<()> {
        match kind {
            Kind::Directory => print.text(b"directory"),
            Kind::Symlink(target) => {
                print.text(b"symlink");
                print.text(target);
            }
            Kind::Device { flag, major, minor } => {
                print.text(&[*flag]);
                print.numbers(&[*major, *minor].map(u64::from));
            }
            Kind::Fifo => print.text(b"fifo"),
            Kind::File(Content::Bytes(bytes)) => {
                print.text(b"bytes");
                print.number(bytes.len() as u64);
                print.text(Digest::of(bytes).hex().as_bytes());
            }
            Kind::File(Content::File { origin, identity, size, .. }) => {
                print.text(b"file");
                print.numbers(&[identity.device, identity.inode, *size]);
                // which extended attributes are kept is looked at when the file is written
                let asked_for = &self.origins.get(*origin as usize)?.xattrs;
                print.number(asked_for.len() as u64);
                asked_for.iter().for_each(|name| print.text(name.as_bytes()));
            }
            Kind::File(Content::Tarred { tar, at, size, .. }) => {
                let Tarred { identity, .. } = self.tars.get(*tar as usize)?;
                let identity = (*identity)?;
                print.text(b"tarred");
                print.numbers(&[identity.device, identity.inode, *at, *size]);
            }
        }
        Some(())
    }
}

impl Print {
    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn numbers(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|number| self.number(*number));
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.0.update(text);
    }

    fn facts(&mut self, facts: &Facts) {
        let Facts { mode, uid, gid, mtime, xattrs } = facts;
        self.numbers(&[*mode, *uid, *gid].map(u64::from));
        self.0.update(&mtime.to_le_bytes());
        self.number(xattrs.as_ref().map_or(0, |xattrs| xattrs.len()) as u64);
        for (name, value) in xattrs.iter().flat_map(|xattrs| xattrs.iter()) {
            self.text(name);
            self.text(value);
        }
    }
}
