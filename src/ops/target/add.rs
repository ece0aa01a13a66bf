//! Adding to an archive: it is written anew beside itself with all that it holds, unless it holds what is coming already.

use std::collections::HashSet;
use std::io::Read as _;

use super::super::Error;
use super::super::bundle::Packed;
use super::super::referred::{Searched, referred_to};
use super::form::archive_options;
use super::{Unreferenced, WriteOptions, archive_file};
use crate::blob::Cancel;
use crate::content::{Content, Kind, total};
use crate::digest::Digest;
use crate::document::{Document, LARGEST_DOCUMENT};
use crate::graph::{self, Finding, Reach};
use crate::plan::Plan;
use crate::store::archive::{self, Archive, ArchiveLock};
use crate::store::lanes::in_lanes;
use crate::store::names::Present;
use crate::store::{Source, StoreError, names};
use crate::text::quoted;
use crate::transfer::{Event, Observer, Outcome, Piece, Summary};

/// Writes an archive anew with all that it holds and what is coming, unless it holds that already, where it is to stand.
pub(super) fn add_to<'a>(
    lock: ArchiveLock,
    held: &'a Archive,
    mut plan: Plan<'a>,
    unreferenced: &Unreferenced,
    options: WriteOptions,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let malformed = |error| StoreError::malformed("index.json", held.location(), crate::store::Reason::from(error));
    let present = Present::read(held.index_json().map(Document::raw)).map_err(malformed)?;
    if let Some(lost) = present.lost(&plan.inventory().gone) {
        return Err(StoreError::changed(&lost, held.location()).into());
    }
    let edited = present.edit(&plan.inventory().roots, &plan.inventory().gone).map_err(malformed)?;
    let is_placed = options.alignment.is_none_or(|alignment| held.is_aligned(alignment));
    if edited.is_none()
        && is_placed
        && let Some(summary) = all_held(held, &plan, options, cancel, observer)?
    {
        return Ok(summary);
    }
    if held.compact().is_some() {
        return Err(Error::Unsupported {
            message: format!("cannot change {}", held.location()),
            cause: Some("it is compact: its layers are made again of what is in it".to_owned()),
            hint: Some("load it into a layout, change that, and save it again with --compact".to_owned()),
        });
    }
    if Packed::of(held)?.is_some_and(|packed| packed.list.is_delta()) {
        return Err(Error::Unsupported {
            message: format!("cannot change {}", held.location()),
            cause: Some("it leaves out what its base has: it is to be taken in as it is, or not at all".to_owned()),
            hint: Some("load it into a layout that has its base, and change that".to_owned()),
        });
    }
    let reach = graph::reach(held, &held.roots()?, &mut |_, _| ());
    let (reach, _) = graph::without_foreign(held, reach);
    // one that is cut off has lost something, and would look whole afterwards
    let (reach, lacking) = if held.has_end() { sparse(reach) } else { (reach, 0) };
    plan.add_reach(held, &reach.whole()?.all_there(held)?);
    for (digest, size) in held.blobs() {
        // nothing happens to what is in the plan already
        plan.add(held, &Content { digest, size, kind: Kind::Blob }, "an unreferenced blob".to_owned());
    }
    if let Unreferenced::Drop(candidates) = unreferenced {
        let index = edited.or_else(|| held.index_json().map(|index| index.raw().to_vec())).unwrap_or_default();
        let roots = names::parse(&index).map_err(malformed)?;
        let contents = plan.inventory().contents.iter();
        let mut blobs: Vec<_> = contents.map(|content| (content.digest, content.size)).collect();
        blobs.sort_unstable();
        let place = Searched { source: &plan, roots: &roots, index: &index, blobs: &blobs, recent: &[] };
        let in_use = referred_to(&place)?.blobs;
        let used: HashSet<Digest> =
            blobs.iter().zip(in_use).filter(|(_, used)| *used).map(|(blob, _)| blob.0).collect();
        plan.retain(|content| used.contains(&content.digest) || !candidates.contains(&content.digest));
    }
    if lacking > 0 {
        observer.hear(Event::Warning(format!(
            "{} lists {lacking} images that it does not hold: it is sparse, now as before",
            held.location()
        )));
    }
    let options = archive_options(&mut plan, Some(held), None, options, observer)?;
    archive_file(&plan, archive::Place::Instead(lock), options, cancel, observer)
}

/// Takes out the images that an index lists and that are not there, and returns how many: a sparse image stays what it was.
/// Whatever else is missing was lost, and is for the caller to refuse.
fn sparse(mut reach: Reach) -> (Reach, usize) {
    let is_absent =
        |finding: &Finding| matches!(finding.error, StoreError::Missing { .. }) && !finding.referenced_by.is_empty();
    let absent: Vec<_> = reach.findings.iter().filter(|finding| is_absent(finding)).map(|it| it.digest).collect();
    reach.findings.retain(|finding| !is_absent(finding));
    reach.nodes.retain(|node| !absent.contains(&node.content.digest));
    (reach, absent.len())
}

/// Checks whether an archive holds everything of a plan, whole.
fn all_held(
    held: &Archive,
    plan: &Plan<'_>,
    options: WriteOptions,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Option<Summary>, Error> {
    let contents = &plan.inventory().contents;
    let bytes = total(contents.iter().map(|content| content.size));
    let pieces = contents.len() as u64;
    observer.hear(Event::Begun { pieces, bytes });
    let checked = in_lanes(contents, options.jobs.get(), cancel, |content, cancel| {
        let about = plan.about(&content.digest).unwrap_or_default();
        let piece = Piece::start(observer, content, &about, held.location());
        let count = |bytes| piece.count(bytes);
        let reader = held.open(content)?.cancelled_by(cancel).metered_by(&count);
        reader.check().map_err(|error| StoreError::reading(error, content, held.location()))?;
        piece.finish(Outcome::Present);
        Ok(())
    });
    observer.hear(Event::Ended);
    match checked {
        // lanes that stop between two pieces have no failure to tell
        Ok(()) if cancel.is_cancelled() => Err(StoreError::Cancelled.into()),
        Ok(()) => Ok(Some(Summary { present: pieces, present_bytes: bytes, ..Summary::default() })),
        Err((_, StoreError::Cancelled)) => Err(StoreError::Cancelled.into()),
        Err((_, error @ StoreError::Io { .. })) => Err(error.into()),
        Err((_, error)) => {
            // what is wrong there is replaced by what is coming
            observer.hear(Event::Warning(format!("{error}: the archive is written anew")));
            Ok(None)
        }
    }
}

/// Reads a file of an archive that is none of the format's own, to be kept.
pub(super) fn read_other(held: &Archive, name: &str, size: u64) -> Result<Vec<u8>, Error> {
    if size > LARGEST_DOCUMENT {
        return Err(Error::Unsupported {
            message: format!("cannot add to {}", held.location()),
            cause: Some(format!("it holds {}, {size} bytes that belong to no image", quoted(name))),
            hint: Some("give another file with -o, and this one as a source".to_owned()),
        });
    }
    let mut bytes = Vec::new();
    if let Some(mut entry) = held.read_entry_unverified(name) {
        entry.read_to_end(&mut bytes).map_err(StoreError::io("read", held.location().to_string()))?;
    }
    Ok(bytes)
}
