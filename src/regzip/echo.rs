//! Stretches of a stream whose tokens are those of another stream: what is equal in both need not be searched once more.

use std::collections::VecDeque;
use std::sync::Arc;

use super::read::{Packed, ReadError, TokenReader};
use super::token::Token;

/// A stretch of a stream of which all tokens are those of a stretch of another one. It begins behind a repetition, and ends with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Where in the input it begins.
    pub at: u64,
    /// How many plain bytes it has.
    pub length: u64,
    /// In the other stream the bit at which a block begins, from the beginning of its bytes.
    pub bits: u64,
    /// How many plain bytes of that block come first.
    pub skip: u64,
}

/// The stretches of a part of a stream, in order, each with the bytes of the other one.
#[derive(Clone)]
pub(super) struct Echoes {
    left: VecDeque<(Echo, Arc<dyn Packed>)>,
    /// The stretch that is under way, and where it ends among what was read.
    now: Option<(TokenReader, u64)>,
    failed: Option<Arc<ReadError>>,
}

impl std::fmt::Debug for Echoes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Echoes").field("left", &self.left.len()).field("now", &self.now).finish_non_exhaustive()
    }
}

impl Echoes {
    pub(super) fn new(stretches: Vec<(Echo, Arc<dyn Packed>)>) -> Self {
        Self { left: stretches.into(), now: None, failed: None }
    }

    /// Returns how far there is none, for somebody at a place in the input. Stretches that begin before it are passed.
    pub(super) fn next_from(&mut self, position: u64) -> u64 {
        while self.left.front().is_some_and(|(echo, _)| echo.at < position) {
            self.left.pop_front();
        }
        self.left.front().map_or(u64::MAX, |(echo, _)| echo.at)
    }

    /// Begins the next stretch.
    pub(super) fn begin(&mut self) {
        let Some((echo, packed)) = self.left.pop_front() else { return };
        let mut reader = TokenReader::new(packed, echo.bits);
        while reader.plain() < echo.skip {
            if !self.hears(reader.next()) {
                return;
            }
        }
        match reader.plain() == echo.skip {
            true => self.now = Some((reader, echo.skip + echo.length)),
            false => self.fail(ReadError::Wrong("no token begins there")),
        }
    }

    pub(super) const fn is_under_way(&self) -> bool {
        self.now.is_some()
    }

    /// Returns the next token of the stretch that is under way; after the last one none is.
    pub(super) fn next(&mut self) -> Option<Token> {
        let (reader, end) = self.now.as_mut()?;
        match reader.next() {
            Ok(Some(_)) if reader.is_stored() => {
                self.fail(ReadError::Wrong("a stored block has no tokens"));
                None
            }
            Ok(Some(token)) if reader.plain() <= *end => {
                if reader.plain() == *end {
                    self.now = None;
                }
                Some(token)
            }
            Ok(Some(_)) => {
                self.fail(ReadError::Wrong("no token ends there"));
                None
            }
            other => {
                self.hears(other);
                None
            }
        }
    }

    /// Returns why a stretch could not be read: what was made then is wrong.
    pub(super) fn failure(&self) -> Option<&Arc<ReadError>> {
        self.failed.as_ref()
    }

    fn hears(&mut self, read: Result<Option<Token>, ReadError>) -> bool {
        match read {
            Ok(Some(_)) => return true,
            Ok(None) => self.fail(ReadError::Wrong("it ends before a stretch does")),
            Err(error) => self.fail(error),
        }
        false
    }

    fn fail(&mut self, error: ReadError) {
        (self.now, self.failed) = (None, Some(Arc::new(error)));
        self.left.clear();
    }
}
