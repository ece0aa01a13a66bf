//! Places: everything that only looks at one, and one copy of all that is in it.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use barge::blob::Cancel;
use barge::digest::Digest;
use barge::ops::carry::CarryOptions;
use barge::ops::choose::choose_image;
use barge::ops::copy::{CopySource, Naming, copy};
use barge::ops::look::{Part, inspect, list, tree};
use barge::ops::open::{Context, Store, open_path};
use barge::ops::parts::SplitArchives;
use barge::ops::report::{SurveyOptions, page, survey};
use barge::ops::target::{ArchiveFormat, Target, WriteOptions};
use barge::ops::verify::{Depth, verify};
use barge::platform::PlatformFilter;
use barge::reference::Place;
use barge::store::layout::KnownIndexes;
use barge::store::registry::Registries;
use barge::store::{Durability, Source};
use barge::transfer::{Event, Observer};

use crate::{directory, is_plain, shown};

/// Hears warnings, which are shown as they are.
pub(crate) struct Careful;

impl Observer for Careful {
    fn hear(&self, event: Event<'_>) {
        match event {
            Event::Warning(text) | Event::Told(text) | Event::Note(text) => is_plain(&text),
            Event::Started { about, .. } | Event::Finished { about, .. } => is_plain(about),
            _ => (),
        }
    }
}

/// Documents with the digests that they ought to have: the input is cut at bytes that stand in no text, each document
/// may have the digest of an earlier one, as `@0` to `@9`, and its size, as `#0` to `#9`; the last one is `index.json`.
pub fn documents(input: &[u8]) {
    let place = directory();
    let layout = place.path().join("in");
    fs::create_dir_all(layout.join("blobs/sha256")).expect("a directory");
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
    let mut known: Vec<(String, String)> = Vec::new();
    let mut pieces = input.split(|byte| *byte == 0xff).take(12).peekable();
    while let Some(piece) = pieces.next() {
        let bytes = filled_in(piece, &known);
        if pieces.peek().is_none() {
            fs::write(layout.join("index.json"), &bytes).expect("a file");
        }
        let digest = Digest::of(&bytes);
        fs::write(layout.join(digest.blob_path()), &bytes).expect("a file");
        known.push((digest.to_string(), bytes.len().to_string()));
    }
    look_at(&layout, place.path());
}

fn filled_in(piece: &[u8], known: &[(String, String)]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(piece.len());
    let mut bytes = piece.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let of = |next: u8| known.get(usize::from(next.checked_sub(b'0')?));
        match (byte, bytes.peek().and_then(|next| of(*next))) {
            (b'@', Some((digest, _))) => filled.extend(digest.as_bytes()),
            (b'#', Some((_, size))) => filled.extend(size.as_bytes()),
            _ => {
                filled.push(byte);
                continue;
            }
        }
        bytes.next();
    }
    filled
}

/// Looks at a place in every way, and copies it to a layout beside it, which has to be whole then.
pub(crate) fn look_at(path: &Path, beside: &Path) {
    let (cancel, split, indexes) = (Cancel::default(), SplitArchives::default(), KnownIndexes::default());
    let registries = Registries::forbidden("this is no network", None, &cancel);
    let context = Context {
        layout: None,
        bases: &[],
        tmpdir: Some(beside),
        part_dirs: &[],
        split: &split,
        indexes: &indexes,
        cancel: &cancel,
        observer: &Careful,
        registries: &registries,
    };
    let store = match open_path(path, &context) {
        Ok(store) => store,
        Err(error) => return shown(&error),
    };
    for looked in [list(&store, None, NonZeroUsize::MIN, &cancel).map(drop), tree(&store, None).map(drop)] {
        looked.unwrap_or_else(|error| shown(&error));
    }
    let options = SurveyOptions {
        depth: Depth::Presence,
        keys: &[],
        jobs: NonZeroUsize::MIN,
        cancel: &cancel,
        observer: &Careful,
    };
    match survey(&store, None, &options) {
        // what comes from the place cannot end the page, begin a script or leave an attribute
        Ok(survey) => {
            let page = page(&survey);
            assert!(!page.contains("<script") && page.ends_with("</html>\n"), "a page that is not ours");
        }
        Err(error) => shown(&error),
    }
    let ours = PlatformFilter::parse(["linux/amd64"]).expect("a platform");
    for (filter, part) in [(PlatformFilter::default(), Part::Manifest), (ours, Part::Config)] {
        inspect(&store, None, &filter, part).map(drop).unwrap_or_else(|error| shown(&error));
        choose_image(&store, None, &filter).map(drop).unwrap_or_else(|error| shown(&error));
    }
    let whole = |store: &Store| match verify(store, None, Depth::DiffIds, NonZeroUsize::MIN, &cancel, &Careful) {
        Ok(verified) => verified.problems.is_empty(),
        Err(error) => {
            shown(&error);
            false
        }
    };
    let before = whole(&store);
    let to = beside.join("out");
    match copied(&store, &to, &context) {
        Ok(()) => {
            let copy = open_path(&to, &context).expect("what was written can be opened");
            // what is unpacked only, nobody has looked at on the way
            assert!(whole(&copy) || !before, "the copy of what is whole is not");
            let names =
                |roots: Vec<barge::content::Descriptor>| roots.iter().map(|root| *root.digest()).collect::<Vec<_>>();
            let mut expected = names(store.roots().expect("what was copied has names"));
            let mut found = names(copy.roots().expect("a copy has names"));
            for digests in [&mut expected, &mut found] {
                digests.sort_unstable();
                digests.dedup();
            }
            assert_eq!(found, expected, "a copy of everything has everything");
        }
        Err(error) => {
            shown(&error);
            assert!(!to.join("index.json").exists(), "nothing has a name when something is wrong");
        }
    }
}

fn copied(store: &Store, to: &Path, context: &Context<'_>) -> Result<(), barge::ops::Error> {
    let options = WriteOptions {
        format: ArchiveFormat::default(),
        compression: barge::media::Compression::None,
        alignment: None,
        split: None,
        jobs: NonZeroUsize::MIN,
        durability: Durability::Unsynced,
        lock_timeout: Duration::ZERO,
    };
    let target = Target::at(Place::Layout(to.to_owned()), context, options)?;
    let source = CopySource::select("it".to_owned(), store, None)?;
    let copying = copy(&[source], &Naming::Keep, &CarryOptions::default())?;
    target.deliver(copying.plan, context.cancel, context.observer)?;
    Ok(())
}
