//! `pull`: what names of registries mean now, and what is needed to plan with them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Error;
use super::carry::{CarryOptions, carry};
use crate::blob::Cancel;
use crate::plan::Plan;
use crate::reference::ImageName;
use crate::store::lanes::in_lanes;
use crate::store::registry::{Registries, Repository};
use crate::store::{Source as _, StoreError};

/// How many images are looked up at once.
const LANES: usize = 8;

/// Looks up images in their registries, many at once, and reads their documents: whoever plans with them then waits for
/// nothing.
///
/// # Errors
/// When one cannot be reached, or is not there: the first of the list.
pub fn resolve(
    registries: &Registries,
    names: &[ImageName],
    options: &CarryOptions,
    cancel: &Cancel,
) -> Result<Vec<Repository>, Error> {
    read(registries, names, cancel, &|repository| {
        // what is wrong with them is for the plan to say, which reads them again and finds them here
        let _ = carry(&mut Plan::new(), repository, &repository.roots()?, options);
        Ok(())
    })
}

/// Looks up images in their registries, many at once, and nothing but the one manifest that each name means.
///
/// # Errors
/// As [`resolve`].
pub fn look_up(registries: &Registries, names: &[ImageName], cancel: &Cancel) -> Result<Vec<Repository>, Error> {
    read(registries, names, cancel, &|_| Ok(()))
}

fn read(
    registries: &Registries,
    names: &[ImageName],
    cancel: &Cancel,
    then: &(dyn Fn(&Repository) -> Result<(), StoreError> + Sync),
) -> Result<Vec<Repository>, Error> {
    let found: Mutex<HashMap<usize, Repository>> = Mutex::default();
    // a registry that must not be reached is said before any other one is asked
    let repositories = names.iter().map(|name| registries.repository(name)).collect::<Result<Vec<_>, _>>()?;
    let numbered: Vec<(usize, (&ImageName, &Repository))> = names.iter().zip(&repositories).enumerate().collect();
    let looked_up = in_lanes(&numbered, LANES, cancel, |(at, (name, repository)), _| {
        let repository = (*repository).clone().with_image(name)?;
        then(&repository)?;
        found.lock().unwrap_or_else(PoisonError::into_inner).insert(*at, repository);
        Ok::<_, StoreError>(())
    });
    looked_up.map_err(|(_, error)| error)?;
    // lanes that stop between two images have no failure to tell
    if cancel.is_cancelled() {
        return Err(StoreError::Cancelled.into());
    }
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((0..names.len()).filter_map(|at| found.remove(&at)).collect())
}
