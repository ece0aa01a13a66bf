//! What is to be done for one target.

use std::collections::HashMap;

use super::super::Error;
use super::super::attached::{Referrers, called};
use super::super::bundle::{Packing, deltas, leave_out, read_base, refuse_replacing, trusted_base};
use super::super::carry::{CarryOptions, IndexPolicy};
use super::super::copy::{CopySource, Copying, Extent, Naming, copy};
use super::super::lookup::name_of;
use super::super::manifest::Lent;
use super::super::merge::named;
use super::super::open::{Context, Store};
use super::super::push::{Destinations, NameMap, PushOptions, Pushing, push_all};
use super::super::target::{Existing, Split, Standing, Target as Written, WriteOptions};
use super::{Found, Image, SyncOptions, within};
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::reference::{ImageName, Place, Prefix, Word, parse_word};
use crate::store::{Location, Source as _};
use crate::sync_file::{Belonging, Bundle, Entry, FileError, Target, TargetKind};
use crate::text::{escaped, quoted};

/// A target, and what is to be done there.
#[derive(Debug)]
pub enum Prepared<'a> {
    /// Images are copied into a layout or an archive, or become a bundle.
    Copy {
        /// Where to.
        target: Box<Written>,
        /// What.
        copying: Box<Copying<'a>>,
        /// In which parts.
        split: Option<Split>,
    },
    /// Images are pushed.
    Push {
        /// What, and where to.
        pushing: Box<Pushing<'a>>,
        /// How.
        options: Box<PushOptions>,
    },
    /// The bundle is there already.
    Same {
        /// Where.
        location: Location,
        /// What is in it, as it is named there.
        roots: Vec<Descriptor>,
    },
}

/// Plans what is to be done for one target of an entry; `then` gets it. Nothing has been written by then.
///
/// # Errors
/// When something cannot be read, an image has no name that can be used there, or a file is in the way that is no bundle.
pub fn prepare<T>(
    entry: &Entry,
    target: &Target,
    found: &Found,
    options: &SyncOptions,
    context: &Context<'_>,
    then: impl FnOnce(Prepared<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let roots = renamed(entry, target, found)?;
    let carry = carry_options(entry);
    let step = Step { roots: &roots, found, carry: &carry, options, context };
    let done = match &target.kind {
        TargetKind::Registry(prefix) => step.push(prefix, then),
        TargetKind::Layout(path) => step.copy(Place::Layout(options.path(path)), then),
        TargetKind::Archive(path) => step.copy(Place::Archive(options.path(path)), then),
        TargetKind::Bundle(bundle) => step.bundle(bundle, then),
    };
    done.map_err(within(&target.kind.to_string(), &target.at))
}

fn carry_options(entry: &Entry) -> CarryOptions {
    CarryOptions {
        platforms: entry.platforms.clone(),
        index: if entry.keep_index { IndexPolicy::Keep } else { IndexPolicy::Shrink },
        referrers: match &entry.referrers {
            Belonging::All => Referrers::All,
            Belonging::None => Referrers::None,
            Belonging::Types(types) => Referrers::Only(types.clone()),
        },
        digest_tags: entry.referrers != Belonging::None,
    }
}

/// Gives the images their names at the target.
fn renamed(entry: &Entry, target: &Target, found: &Found) -> Result<Vec<Descriptor>, Error> {
    let Some(template) = target.rename.as_ref().or(entry.rename.as_ref()) else {
        return Ok(found.images.iter().map(|image| image.root.clone()).collect());
    };
    let mut taken: HashMap<ImageName, &Image> = HashMap::new();
    let mut roots = Vec::new();
    for image in &found.images {
        let place = found.stores[image.store].location();
        let refuse = |message: String, hint: Option<String>| Error::from(FileError::at(&target.at, message, hint));
        let name = template.apply(&image.known.parts(&image.root)).map_err(|reason| {
            refuse(format!("{} of {place} cannot be named {template}: {reason}", called(&image.root)), None)
        })?;
        let other = taken.insert(name.clone(), image).filter(|other| name_of(&other.root) != name_of(&image.root));
        if let Some(other) = other.filter(|other| other.root.digest() != image.root.digest()) {
            let message = format!("{} and {} would both be {name}", called(&other.root), called(&image.root));
            return Err(refuse(
                message,
                Some("use more of the old name in `rename:`, such as {repository}".to_owned()),
            ));
        }
        let bare = image.root.clone().without_annotations(&[CONTAINERD_NAME, REF_NAME]);
        roots.push(named(&bare, &name));
    }
    Ok(roots)
}

struct Step<'s> {
    /// The images, named as they are to be.
    roots: &'s [Descriptor],
    found: &'s Found,
    carry: &'s CarryOptions,
    options: &'s SyncOptions,
    context: &'s Context<'s>,
}

impl Step<'_> {
    fn copy<T>(&self, place: Place, then: impl FnOnce(Prepared<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let target = Written::at(place, self.context, self.options.write)?;
        let held = target.held(self.context)?;
        let stores = self.stores();
        let deltas = deltas(&stores, held.as_ref())?;
        let sources = self.sources(&stores, &deltas);
        let copying = copy(&sources, &Naming::Keep, self.carry)?;
        for delta in deltas.iter().flatten() {
            delta.check(&copying.plan, &target.location())?;
        }
        then(Prepared::Copy { target: Box::new(target), copying: Box::new(copying), split: None })
    }

    fn push<T>(&self, prefix: &Prefix, then: impl FnOnce(Prepared<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let keep_going = self.options.keep_going;
        let mut options = PushOptions { carry: self.carry.clone(), keep_going, ..PushOptions::default() };
        let stores = self.stores();
        let deltas = deltas(&stores, None)?;
        let mut sources = self.sources(&stores, &deltas);
        // of a list that was made from a registry, that one has the rest
        let mut lents = Vec::new();
        for source in &sources {
            lents.push(Lent::new(source.source, &source.roots, self.context.registries)?);
        }
        for (source, lent) in sources.iter_mut().zip(&lents) {
            let before = options.origins.len();
            options.origins.extend(lent.repositories().map(|(host, path)| (host.to_owned(), path.to_owned())));
            if options.origins.len() > before {
                source.source = lent;
            }
        }
        let place = match &sources[..] {
            [one] => one.source.location().clone(),
            _ => Location::Memory("the sources".to_owned()),
        };
        let destinations = Destinations::Registries(vec![prefix.clone()]);
        let mut pushing = push_all(&sources, &place, &destinations, &NameMap::default(), &options)?;
        for delta in deltas.iter().flatten() {
            pushing.check_base(delta, self.context, options.taken)?;
        }
        then(Prepared::Push { pushing: Box::new(pushing), options: Box::new(options) })
    }

    fn bundle<T>(&self, bundle: &Bundle, then: impl FnOnce(Prepared<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let path = self.options.path(&bundle.path);
        let existing = Existing::Replace;
        let split = bundle.split.map(|(part_size, mode)| Split { part_size, existing, mode });
        let mut bases = Vec::new();
        let keys = self.options.keys.publics(&bundle.base_key)?;
        for word in &bundle.base {
            let word = self.word(word);
            let base = read_base(&word, self.context)?;
            if !keys.is_empty() {
                trusted_base(&word, &base, &keys)?;
            }
            bases.push(base);
        }
        refuse_replacing(&bases, &path)?;
        let sign = bundle.sign_key.as_deref().map(|path| self.options.keys.private(path)).transpose()?;
        let stores = self.stores();
        let deltas = deltas(&stores, None)?;
        let sources = self.sources(&stores, &deltas);
        let mut copying = copy(&sources, &Naming::Spell, self.carry)?;
        for delta in deltas.iter().flatten() {
            delta.check(&copying.plan, &Location::Archive(path.clone()))?;
        }
        let packing = Packing { sign, ..leave_out(&mut copying, &bases)? };
        let write = WriteOptions { split, ..self.options.write };
        let text = path.to_string_lossy();
        let is_path = matches!(parse_word(&text), Ok(Word::Local { .. } | Word::Bare { .. }));
        let word = if is_path { text.into_owned() } else { format!("./{text}") };
        let target = Written::create(&word, existing, self.context, write)?.with_packing(packing);
        match target.standing(&mut copying.plan, self.context.cancel)? {
            Standing::Same => {
                let roots = copying.images.iter().map(|image| image.to.clone()).collect();
                then(Prepared::Same { location: target.location(), roots })
            }
            Standing::Foreign => Err(Error::Unsupported {
                message: format!("cannot write {}: a file is there that is no bundle", escaped(&word)),
                cause: None,
                hint: Some("give the bundle another name, or remove the file".to_owned()),
            }),
            Standing::Nothing | Standing::Bundle => {
                then(Prepared::Copy { target: Box::new(target), copying: Box::new(copying), split })
            }
        }
    }

    /// Returns the word for a base: a path is relative to the file, a registry is where it is.
    fn word(&self, text: &str) -> String {
        match parse_word(text) {
            Ok(Word::Local { .. } | Word::Bare { .. }) => self.options.path(text).to_string_lossy().into_owned(),
            _ => text.to_owned(),
        }
    }

    /// Returns the places that images are taken from.
    fn stores(&self) -> Vec<&Store> {
        self.found.stores.iter().collect()
    }

    fn sources<'a>(
        &'a self,
        stores: &[&'a Store],
        deltas: &'a [Option<super::super::bundle::Delta<'a>>],
    ) -> Vec<CopySource<'a>> {
        let mut sources = Vec::new();
        for (at, (store, delta)) in stores.iter().zip(deltas).enumerate() {
            let of_it = self.found.images.iter().zip(self.roots).filter(|(image, _)| image.store == at);
            let roots: Vec<Descriptor> = of_it.map(|(_, root)| root.clone()).collect();
            if roots.is_empty() {
                continue;
            }
            let source: &dyn crate::store::Source = match delta {
                Some(delta) => delta,
                None => *store,
            };
            sources.push(CopySource { label: store.location().to_string(), source, roots, extent: Extent::Chosen });
        }
        sources
    }
}

/// Says in one line what an entry brings to a target, for messages.
#[must_use]
pub fn described(entry: &Entry, target: &Target) -> String {
    format!("{} to {}", quoted(&entry.name), target.kind)
}
