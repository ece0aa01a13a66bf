//! What of layers is packed as it is in bases: both are at hand here, so it is seen by comparing them.

use std::sync::Arc;

use super::bases::Base;
use super::survey::{Again, LONGEST_HEADER};
use crate::blob::Cancel;
use crate::compact::{Echoes, Packer, Recipe, Space, Step};
use crate::content::Content;
use crate::ops::Error;
use crate::ops::layer::Keeping;
use crate::plan::Plan;
use crate::regzip::listen::{Listening, Match, Original, SHORTEST_ECHO, listen};
use crate::regzip::{Header, Packed};
use crate::store::{Source as _, StoreError};

/// What is kept of a layer to look for its echoes.
pub(super) struct Listener {
    content: Content,
    /// At which bit of it the first block begins.
    bits: u64,
    matches: Vec<Match>,
    cuts: Vec<u64>,
    plain: u64,
}

impl Listener {
    /// Takes note of where a layer has bytes of bases. None: it has none that are worth it, or its packer has no use for echoes.
    pub(super) fn of(again: &Again, recipe: &Recipe) -> Option<Self> {
        let Packer::Gzip { way, header, .. } = &again.packer else { return None };
        if !way.takes_echoes() {
            return None;
        }
        let mut at = 0;
        let mut matches = Vec::new();
        for step in &recipe.body {
            if let Step::Copy(span) = step
                && let Space::Base(base) = span.space
                && span.length >= SHORTEST_ECHO
            {
                matches.push(Match { at, original: base as usize, from: span.from, length: span.length });
            }
            at += step.length();
        }
        let guide = again.guide.as_ref().filter(|_| !matches.is_empty())?;
        let cuts = guide.checkpoints.iter().map(|one| one.position).collect();
        let bits = 8 * header.len() as u64;
        Some(Self { content: again.content.clone(), bits, matches, cuts, plain: again.plain })
    }

    /// Finds them. None where a side cannot be read by position: then all is searched again.
    ///
    /// # Errors
    /// When somebody asked to stop, or the layer cannot be read.
    pub(super) fn listen(&self, plan: &Plan<'_>, bases: &[Base], cancel: &Cancel) -> Result<Echoes, Error> {
        let may_go_on = || !cancel.is_cancelled();
        let Some(packed) = Keeping::of(&plan.open(&self.content)?, || None).done() else {
            return Ok(Echoes::default());
        };
        let mut originals = Vec::new();
        for (number, base) in bases.iter().enumerate() {
            let is_wanted = self.matches.iter().any(|it| it.original == number);
            originals.push(if is_wanted { base.original(&may_go_on) } else { None });
        }
        let to = Listening { originals: &originals, matches: &self.matches, cuts: &self.cuts, plain: self.plain };
        let found = listen(packed, self.bits, to, &may_go_on);
        if cancel.is_cancelled() {
            return Err(StoreError::Cancelled.into());
        }
        let numbered = |(base, echo)| Some((u32::try_from(base).ok()?, echo));
        Ok(Echoes(found.unwrap_or_default().into_iter().filter_map(numbered).collect()))
    }
}

/// Reads the stream of a base, if it is gzip. What cannot be read as one has no echoes.
pub(super) fn original(packed: Arc<dyn Packed>, may_go_on: &dyn Fn() -> bool) -> Option<Original> {
    let mut start = vec![0; LONGEST_HEADER];
    let count = packed.read_at(&mut start, 0).ok()?;
    let (_, length) = Header::parse(&start[..count]).ok()?;
    Original::read(packed, 8 * length as u64, may_go_on).ok()
}
