//! Whether a new archive is there already.

use super::form::archive_options;
use super::{Target, TargetKind};
use crate::blob::Cancel;
use crate::bundle::{BUNDLE_JSON, BUNDLE_SIGNATURE};
use crate::ops::Error;
use crate::ops::bundle::Packed;
use crate::plan::Plan;
use crate::store::archive::{Archive, ReadOptions};
use crate::transfer::Deaf;

/// What stands where a new archive is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing, or what cannot be told from here.
    Nothing,
    /// The archive that would be written, as its packing list says; its blobs are not read.
    Same,
    /// Another bundle.
    Bundle,
    /// Something that is no bundle.
    Foreign,
}

impl Target {
    /// Tells what stands where a plan is to become a new archive in one file: the same archive has the same packing list and
    /// the same signature, byte for byte, and the `index.json` that the list covers.
    ///
    /// # Errors
    /// When documents of the plan cannot be read, or the file cannot.
    pub fn standing(&self, plan: &mut Plan<'_>, cancel: &Cancel) -> Result<Standing, Error> {
        let TargetKind::NewArchive(place) = &self.kind else { return Ok(Standing::Nothing) };
        if self.options.split.is_some() || !place.path().exists() {
            return Ok(Standing::Nothing);
        }
        let Ok(archive) = Archive::open(place.path(), &ReadOptions::default(), cancel) else {
            return Ok(Standing::Foreign);
        };
        let Some(packed) = Packed::of(&archive)? else { return Ok(Standing::Foreign) };
        let form = archive_options(plan, None, self.packing.as_ref(), self.options, &Deaf)?;
        let would_be =
            |name: &str| form.companions.iter().find(|file| file.name == name).map(|file| file.bytes.as_slice());
        let same = packed.is_current
            && would_be(BUNDLE_JSON) == Some(&packed.raw)
            && would_be(BUNDLE_SIGNATURE) == packed.signature.as_deref();
        Ok(if same { Standing::Same } else { Standing::Bundle })
    }
}
