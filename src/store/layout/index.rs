//! The one visible step: `index.json` is read, changed and replaced under its lock.

use std::io::Write as _;

use super::arrived::Arrived;
use super::beneath::Directory;
use super::files::{self, INDEX};
use super::lock::IndexLock;
use super::standing::refuse_linked_index;
use super::temporary::{TOP, Temporary};
use super::write::{ATTEMPTS, LayoutOptions};
use crate::blob::Cancel;
use crate::document::LARGEST_INDEX_JSON;
use crate::json::JsonError;
use crate::store::names::Present;
use crate::store::referrer_list::overtaken;
use crate::store::{Committed, Durability, Inventory, StoreError};
use crate::text::human_size;

/// Changes `index.json` under its lock: gives what comes its names, and takes out what is to go, which has to stand in it still.
/// What arrived in this run is forgotten just before the names show: who dies after that leaves no journal that nobody needs, and
/// who dies between only has to read again.
pub(super) fn change(
    root: &Directory,
    coming: &Inventory,
    arrived: &Arrived,
    options: &LayoutOptions,
    cancel: &Cancel,
) -> Result<Committed, StoreError> {
    for _ in 0..ATTEMPTS {
        let lock = IndexLock::wait_for(root, options.lock_timeout, cancel)?;
        refuse_linked_index(root)?;
        let current = files::read_index(root)?;
        let unusable = |error: JsonError| files::unusable_index(root, error);
        let held = current.as_deref().map(|bytes| options.indexes.parse(bytes)).transpose().map_err(unusable)?;
        let present = Present::of(current.as_deref().zip(held.as_deref()));
        if let Some(lost) = present.lost(&coming.gone).or_else(|| overtaken(present.held(), coming)) {
            return Err(StoreError::changed(&lost, root.location()));
        }
        let edited = present.edit(&coming.roots, &coming.gone).map_err(unusable)?;
        let Some(bytes) = edited else { return Ok(Committed::Unchanged) };
        if bytes.len() as u64 > LARGEST_INDEX_JSON {
            let (size, limit) = (human_size(bytes.len() as u64), human_size(LARGEST_INDEX_JSON));
            return Err(StoreError::Unsupported {
                action: "add names to".to_owned(),
                place: root.location().clone(),
                reason: format!("its index.json would have {size}, and {limit} is the most that is read").into(),
                hint: Some("spread the images over several layouts".to_owned()),
            });
        }
        let mut temporary = Temporary::create(root, TOP[0])?;
        temporary.file().write_all(&bytes).map_err(StoreError::io("write", root.path_of(INDEX)))?;
        temporary.flush(INDEX, options.durability)?;
        // if the lock was taken from us, what we read may be old by now; asked last, so that little time is left for it
        if lock.counts()? {
            arrived.forget();
            temporary.name_index()?;
            if options.durability == Durability::Synced {
                root.sync()?;
            }
            return Ok(Committed::Changed);
        }
    }
    Err(StoreError::Busy { place: root.location().clone() })
}
