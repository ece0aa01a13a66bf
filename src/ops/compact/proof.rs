//! The proof: each layer is made again of what is in stock, as whoever reads the archive will, and compared with its digest.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::CompactOptions;
use super::bases::Base;
use super::staged::{Spool, StagedPieces};
use crate::blob::{BlobError, BlobReader};
use crate::compact::{BaseBytes, CompactIndex, CompactLayer, Rebuild, Stock};
use crate::digest::Digest;
use crate::ops::Error;
use crate::ops::open::Context;
use crate::store::StoreError;
use crate::text::human_size;
use crate::transfer::Making;

/// Returns the layers that do not come out as they were.
///
/// # Errors
/// When somebody asked to stop.
pub(super) fn unproven(
    index: &mut CompactIndex,
    spool: &Arc<Spool>,
    bases: Vec<Base>,
    options: &CompactOptions<'_>,
    context: &Context<'_>,
) -> Result<HashSet<Digest>, Error> {
    let digests = index.pieces.iter().map(|piece| piece.digest).collect();
    let pieces = StagedPieces { spool: Arc::clone(spool), digests };
    let threads = NonZeroUsize::new(options.jobs.get()).unwrap_or(NonZeroUsize::MIN);
    let stock = Arc::new(Stock::new(index.clone(), Box::new(pieces), threads));
    for (number, base) in bases.into_iter().enumerate() {
        let (heads, heads_length) = (Box::new(base.anatomy.heads), base.anatomy.heads_length);
        stock.provide(number, BaseBytes { plain: Box::new(base.plain), heads, heads_length, packed: base.packed });
    }
    let mut wrong = HashSet::new();
    for layer in &mut index.layers {
        let mut is_proved = proved(&stock, layer, options, context)?;
        if !is_proved && !layer.echoes.is_empty() {
            // it is as right without them
            layer.echoes.clear();
            is_proved = proved(&stock, layer, options, context)?;
        }
        if !is_proved {
            wrong.insert(layer.digest);
        }
    }
    Ok(wrong)
}

/// Whether a layer comes out as it was.
fn proved(
    stock: &Arc<Stock>,
    layer: &CompactLayer,
    options: &CompactOptions<'_>,
    context: &Context<'_>,
) -> Result<bool, Error> {
    let content = layer.content();
    let about = format!("proof of a layer, {}", human_size(content.size));
    let progress = Making::start(context.observer, &about, options.place, content.size);
    let count = |bytes| progress.count(bytes);
    let made = Rebuild::open(stock, layer).map(|rebuild| {
        BlobReader::new(content.clone(), rebuild).cancelled_by(context.cancel).metered_by(&count).check()
    });
    if let Ok(Err(BlobError::Cancelled)) = made {
        return Err(StoreError::Cancelled.into());
    }
    // whatever it was: the layer itself is right
    progress.finish(&content);
    Ok(matches!(made, Ok(Ok(_))))
}
