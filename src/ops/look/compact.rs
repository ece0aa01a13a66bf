//! What is to be known of a compact archive before it is used: that it is one, and what it needs.

use std::collections::BTreeSet;

use crate::compact::BaseLayer;
use crate::content::total;
use crate::ops::open::Store;
use crate::store::StoreError;

/// A compact archive, from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactFacts {
    /// How many layers are made again.
    pub layers: u64,
    /// Their bytes together.
    pub layer_bytes: u64,
    /// The bytes of what stands in their place.
    pub bytes: u64,
    /// The layers of whose bytes they are made, and that are not in it.
    pub bases: Vec<BaseLayer>,
    /// Those of them that are not to be found here.
    pub missing: Vec<BaseLayer>,
}

impl CompactFacts {
    /// Looks at a place; `None` when it is not compact.
    ///
    /// # Errors
    /// When it cannot be told whether what it needs is here.
    pub fn of(store: &Store) -> Result<Option<Self>, StoreError> {
        let Store::Archive(archive) = store else { return Ok(None) };
        let Some(index) = archive.compact() else { return Ok(None) };
        Ok(Some(Self {
            layers: index.layers.len() as u64,
            layer_bytes: total(index.layers.iter().map(|layer| layer.size)),
            bytes: total(index.pieces.iter().map(|piece| piece.size)),
            bases: index.bases.clone(),
            missing: archive.missing_bases()?,
        }))
    }

    /// Returns the images whose layers it needs, or the digests of those layers where nobody wrote down the image.
    #[must_use]
    pub fn needed(&self) -> BTreeSet<String> {
        self.bases.iter().map(BaseLayer::called).collect()
    }
}
