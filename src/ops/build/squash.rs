//! All layers become one.

use std::io;

use super::Error;
use super::stage::{Shop, Stage};
use crate::content::{Kind, total};
use crate::layer::build_tar;
use crate::ops::draft::DraftLayer;
use crate::ops::rootfs::FlattenError;
use crate::store::{StoreError, TEMPORARY};
use crate::transfer::Making;

/// What stops the packing, on its way through a writer, which knows I/O errors only.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stop(Box<Error>);

enum Failed {
    Store(StoreError),
    Source(Box<Error>),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<'a> Shop<'_, 'a> {
    /// Makes one layer of all that a stage has: what upper layers hide or remove is gone.
    ///
    /// # Errors
    /// When a layer cannot be read, is wrong, or the new one cannot be kept.
    pub(crate) fn squashed(&self, stage: &Stage<'a>) -> Result<DraftLayer<'a>, Error> {
        let count = stage.draft.layers.len();
        let rootfs = self.rootfs(stage)?;
        let about = format!("one layer for the {count} of {}", stage.platform);
        let size = total(stage.draft.layers.iter().map(|layer| layer.descriptor.size()));
        let making = Making::start(self.observer, &about, self.bench.location(), size);
        let made = self.bench.make(Kind::Blob, |to| {
            let built = build_tar(&self.pack, to, |tar| match rootfs.flatten(tar) {
                Ok(_) => Ok(()),
                Err(FlattenError::From(error)) => Err(io::Error::other(Stop(Box::new(error)))),
                Err(FlattenError::To(error)) => Err(error),
            });
            built.map_err(|error| match error.downcast::<Stop>() {
                Ok(Stop(error)) => Failed::Source(error),
                Err(error) => Failed::Store(StoreError::io(TEMPORARY, self.bench.spool())(error)),
            })
        });
        let (content, built) = made.map_err(|failed| match failed {
            Failed::Store(error) => error.into(),
            Failed::Source(error) => *error,
        })?;
        making.finish(&content);
        Ok(DraftLayer { descriptor: built.descriptor(), diff_id: built.diff_id, source: self.made })
    }
}
