//! WORKDIR: the directory is made where it is absent.

use std::path::Path;

use super::copy::{Beneath, Terms, make_directories};
use super::owner;
use crate::layer::{AddOptions, Modes, Owner, Standing, Tree};
use crate::ops::Error;

/// Makes the directory that WORKDIR names, and those above it, where they are absent. Returns whether any was: docker
/// adds a layer only then. They belong to the `user` of the config, as BuildKit and buildah have it, else to root, and have
/// the mode 0755.
///
/// # Errors
/// When something else stands there, or the image does not know the user.
pub(crate) fn work_dir(
    tree: &mut Tree,
    path: &str,
    user: Option<&str>,
    terms: &Terms<'_>,
    beneath: &Beneath<'_>,
) -> Result<bool, Error> {
    let options = AddOptions {
        modes: Modes::Keep,
        epoch: terms.epoch,
        below: beneath.standing,
        ..AddOptions::new(Path::new(path))
    };
    if tree.leads_to(&options)? == Some(Standing::Directory) {
        return Ok(false);
    }
    let user = user.filter(|user| !user.is_empty()).map(|user| owner::resolve(user, beneath.accounts));
    let (uid, gid) = user.transpose()?.unwrap_or((0, 0));
    let before = tree.len();
    make_directories(tree, &AddOptions { owner: Owner::Is { uid, gid }, ..options })?;
    Ok(tree.len() > before)
}
