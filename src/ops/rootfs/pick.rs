//! A part of the file system becomes a part of a layer: `COPY --from`.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Rootfs;
use super::fault::Fault;
use super::outline::{Last, NodeKind, Onward};
use super::read::{Room, cleaned, shown};
use crate::blob::CHUNK;
use crate::layer::{AddOptions, Choice, Picked, Thing, ThingKind, Tree, spool_file};
use crate::ops::Error;
use crate::ops::build::origin::{Found, Origin};
use crate::recipe::pattern::Pattern;
use crate::store::{StoreError, TEMPORARY};
use crate::tar::stream::TarError;

/// A file system to copy from, and a directory for temporary files without a name.
#[derive(Debug)]
pub struct Picking<'a, 'l> {
    rootfs: &'a Rootfs<'l>,
    name: String,
    spool: PathBuf,
}

impl<'a, 'l> Picking<'a, 'l> {
    /// Copies from a file system; `name` is what it is called in messages. What is copied is kept in temporary files
    /// in `spool` until the layer is written.
    #[must_use]
    pub fn new(rootfs: &'a Rootfs<'l>, name: impl Into<String>, spool: impl Into<PathBuf>) -> Self {
        Self { rootfs, name: name.into(), spool: spool.into() }
    }

    fn absent(&self, path: &Path, cause: &str) -> Error {
        let message = format!("cannot copy {} from {}", shown(path), self.name);
        Error::Absent { message, cause: Some(cause.to_owned()), hint: None }
    }

    /// Finds the paths for the part of a pattern from its first wildcard on, below a directory.
    ///
    /// # Errors
    /// When there are too many.
    fn below(&self, directory: (Vec<u8>, usize), parts: &[Part<'_>]) -> Result<Vec<(Vec<u8>, usize)>, Error> {
        let outline = self.rootfs.outline();
        let mut found = vec![directory];
        let mut room = Room::new();
        for part in parts {
            let mut next = Vec::new();
            for (path, node) in &found {
                let mut take = |name: &[u8], node: usize| {
                    room.take(path.len() + name.len())?;
                    next.push((join(path, name), node));
                    Ok::<_, Error>(())
                };
                match part {
                    Part::Name(name) => outline.child(*node, name).map_or(Ok(()), |node| take(name, node))?,
                    Part::Pattern(pattern) => outline
                        .names(*node)
                        .filter(|(name, _)| pattern.matches(&String::from_utf8_lossy(name)))
                        .try_for_each(|(name, node)| take(name, node))?,
                }
            }
            found = next;
        }
        Ok(found)
    }

    /// Puts the content of files into a file without a name, and returns where each starts.
    fn spooled(&self, files: &mut [usize]) -> Result<(File, HashMap<usize, u64>), Error> {
        let failed = |error| StoreError::io(TEMPORARY, &self.spool)(error);
        let file = spool_file(&self.spool)?;
        let mut starts = HashMap::with_capacity(files.len());
        let mut to = BufWriter::with_capacity(CHUNK, file);
        let mut at = 0;
        self.rootfs.contents(files, &mut |node, entry, stream| {
            starts.insert(node, at);
            stream.copy_content(&mut to).map_err(|error| match error {
                TarError::Write(error) => failed(error).into(),
                other => Fault::tar(other, Default::default),
            })?;
            // with a byte behind each, no two start at one place
            to.write_all(&[0]).map_err(failed)?;
            at += entry.size + 1;
            Ok(())
        })?;
        let file = to.into_inner().map_err(|error| failed(error.into_error()))?;
        Ok((file, starts))
    }
}

/// A part of a pattern.
enum Part<'a> {
    Name(&'a [u8]),
    Pattern(Pattern),
}

impl Origin for Picking<'_, '_> {
    fn look(&self, path: &Path) -> Result<Option<Found>, Error> {
        let (outline, parts) = (self.rootfs.outline(), cleaned(path));
        Ok(match outline.find(&parts, Last::Followed) {
            Some(node) => Some(match outline.node(node).kind {
                NodeKind::Directory(_) => Found::Directory,
                NodeKind::File(..) => Found::File,
                NodeKind::Link(_) | NodeKind::Special(_) => Found::Other,
            }),
            None => outline.find(&parts, Last::Itself).map(|_| Found::Other),
        })
    }

    /// Links are followed on the way up to the first wildcard, and no further: as docker does, and so that links which
    /// lead around in a circle multiply nothing.
    fn matches(&self, pattern: &str) -> Result<Vec<PathBuf>, Error> {
        let wrong = |reason: &str| Error::Usage {
            message: format!("cannot use the pattern {}", crate::text::quoted(pattern)),
            hint: Some(format!("{reason}: write it as Go's filepath.Match takes it")),
        };
        let names = cleaned(Path::new(pattern));
        let mut parts = Vec::new();
        for name in &names {
            // a pattern that is text has parts that are text
            let text = std::str::from_utf8(name).unwrap_or_default();
            parts.push(match Pattern::is_needed_for(text) {
                true => Part::Pattern(Pattern::new(text).map_err(wrong)?),
                false => Part::Name(name),
            });
        }
        let first = parts.iter().position(|part| matches!(part, Part::Pattern(_)));
        let last = if first.is_some() { Last::Followed } else { Last::Itself };
        let (plain, rest) = (first.unwrap_or(names.len()), first.map_or(&[][..], |first| &parts[first..]));
        let Some(start) = self.rootfs.outline().find(&names[..plain], last) else { return Ok(Vec::new()) };
        let mut found = self.below((names[..plain].join(&b'/'), start), rest)?;
        found.sort_unstable();
        Ok(found.into_iter().map(|(path, _)| PathBuf::from(OsStr::from_bytes(&path))).collect())
    }

    fn add(&self, tree: &mut Tree, options: &AddOptions<'_>, path: &Path) -> Result<(), Error> {
        let (outline, parts) = (self.rootfs.outline(), cleaned(path));
        let base = parts.join(&b'/');
        let Some(top) = outline.find(&parts, Last::Followed) else {
            let is_link = outline.find(&parts, Last::Itself).is_some();
            return Err(self.absent(path, if is_link { "it is a link to nothing" } else { "it is not there" }));
        };
        let mut found: Vec<(Vec<u8>, usize)> = Vec::new();
        let mut room = Room::new();
        let mut pending: Vec<(Vec<u8>, usize)> = Vec::new(); // directories that are taken with what is in them
        outline.walk(top, |seen| {
            if self.rootfs.cancel.is_cancelled() {
                return Err(Error::from(StoreError::Cancelled));
            }
            room.take(seen.path.len())?;
            while pending.last().is_some_and(|(above, _)| !lies_below(seen.path, above)) {
                pending.pop();
            }
            let is_directory = outline.node(seen.node).is_directory();
            let choice = (options.choose)(Path::new(OsStr::from_bytes(&join(&base, seen.path))), is_directory);
            let named = (seen.path.to_vec(), seen.node);
            match choice {
                Choice::Take => {
                    found.append(&mut pending);
                    found.push(named);
                    Ok(Onward::Into)
                }
                Choice::Below if is_directory => {
                    pending.push(named);
                    Ok(Onward::Into)
                }
                Choice::Below | Choice::Leave => Ok(Onward::Past),
            }
        })?;
        let mut names: HashMap<usize, usize> = HashMap::new();
        let all = std::iter::once(top).chain(found.iter().map(|(_, node)| *node));
        for node in all.filter(|node| matches!(outline.node(*node).kind, NodeKind::File(..))) {
            *names.entry(node).or_default() += 1;
        }
        let (content, starts) = self.spooled(&mut names.keys().copied().collect::<Vec<_>>())?;
        let thing = |number: usize| {
            let node = outline.node(number);
            let kind = match &node.kind {
                NodeKind::Directory(_) => ThingKind::Directory,
                NodeKind::Link(target) => ThingKind::Symlink(target.clone()),
                NodeKind::Special(flag) => ThingKind::Special(*flag),
                NodeKind::File(_, size) => {
                    let at = starts.get(&number).copied().unwrap_or_default();
                    ThingKind::File { at, size: *size, linked: names.get(&number).is_some_and(|count| *count > 1) }
                }
            };
            Thing { kind, attributes: node.attributes.clone() }
        };
        let from = Path::new("/").join(OsStr::from_bytes(&base));
        let below = found.into_iter().map(|(path, node)| (path, thing(node))).collect();
        let picked = Picked { from, top: thing(top), below, content, spool: self.spool.clone() };
        Ok(tree.add_picked(options, picked)?)
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

fn lies_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"))
}
