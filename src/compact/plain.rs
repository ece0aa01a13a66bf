//! A reader of the plain bytes of a layer: it follows the recipe, step by step.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use super::recipe::Steps;
use super::stock::LastPool;
use super::{CompactLayer, LARGEST_RECIPE, RebuildError, Span, Step, Stock};

/// How many bytes the patches of a recipe are made against together at most: each of them costs reading all of its own. 1 GiB is
/// always let through, more only up to so many times what the recipe yields.
const MOST_PREFIXES: u64 = 1 << 30;
const PREFIXES_PER_BYTE: u64 = 16;

/// The plain bytes of a layer, as they come to be. As many as the index says, or an error: whether they are the right ones is
/// seen by the digest of what is made of them.
///
/// It holds the recipe in the form in which it is written, one frame unpacked for the body and one for the heads, and the pool
/// that each of them took from last.
pub struct Plain {
    stock: Arc<Stock>,
    heads: Row,
    body: Row,
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").finish_non_exhaustive()
    }
}

/// Steps of which one is under way.
struct Row {
    steps: Steps,
    now: Now,
    pool: LastPool,
}

/// What is left of a step.
enum Now {
    Nothing,
    Over,
    Heads(u64),
    Copy(Span),
    Made { bytes: Vec<u8>, taken: usize },
}

impl Plain {
    /// Reads the recipe of a layer, and checks that there is all that it takes, without reading it.
    ///
    /// # Errors
    /// When the recipe is none, takes what is not there, or yields more or less than the index says; when a base was not provided
    /// that it takes from, or reading fails.
    pub fn open(stock: &Arc<Stock>, layer: &CompactLayer) -> Result<Self, RebuildError> {
        let recipe = Arc::from(stock.frames(&layer.recipe, LARGEST_RECIPE, "recipe")?);
        let mut prefixes: u64 = 0;
        let (heads, body, length) = Steps::check(&recipe, |step| match step {
            Step::Heads(_) => Ok(()),
            Step::Copy(span) => stock.check(span),
            Step::Patch { frame, against } => {
                stock.check_frame(frame)?;
                prefixes = prefixes.saturating_add(against.map_or(0, |span| span.length));
                against.as_ref().map_or(Ok(()), |span| stock.check(span))
            }
        })?;
        if length != layer.plain {
            let expected = layer.plain;
            return Err(RebuildError::Wrong(format!("its recipe yields {length} bytes, expected {expected}")));
        }
        if prefixes > MOST_PREFIXES.saturating_add(length.saturating_mul(PREFIXES_PER_BYTE)) {
            return Err(RebuildError::Wrong(format!(
                "its patches are made against {prefixes} bytes, too many for {length}"
            )));
        }
        Ok(Self { stock: Arc::clone(stock), heads: Row::new(heads), body: Row::new(body) })
    }

    /// Fills the buffer as far as there are bytes.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, RebuildError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            if !self.body.begin(&self.stock)? {
                break;
            }
            filled += match &mut self.body.now {
                Now::Heads(left) => {
                    let room = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    if !self.heads.begin(&self.stock)? {
                        return Err(RebuildError::Wrong("its heads end too early".to_owned()));
                    }
                    let count = self.heads.take(&self.stock, &mut rest[..room])?;
                    *left -= count as u64;
                    count
                }
                _ => self.body.take(&self.stock, rest)?,
            };
        }
        Ok(filled)
    }
}

impl Row {
    fn new(steps: Steps) -> Self {
        Self { steps, now: Now::Nothing, pool: LastPool::default() }
    }

    /// Begins the next step if none is under way. False: there is none.
    fn begin(&mut self, stock: &Stock) -> Result<bool, RebuildError> {
        let is_done = match &self.now {
            Now::Nothing => true,
            // behind the end of the heads stand the steps of the body
            Now::Over => return Ok(false),
            Now::Heads(left) => *left == 0,
            Now::Copy(span) => span.length == 0,
            Now::Made { bytes, taken } => *taken == bytes.len(),
        };
        if !is_done {
            return Ok(true);
        }
        // what was unpacked goes before more is
        self.now = Now::Nothing;
        let Some(step) = self.steps.next()? else {
            self.now = Now::Over;
            return Ok(false);
        };
        self.now = match step {
            Step::Heads(length) => Now::Heads(length),
            Step::Copy(span) => Now::Copy(span),
            Step::Patch { frame, against } => {
                Now::Made { bytes: stock.frame(&frame, against, &mut self.pool)?, taken: 0 }
            }
        };
        Ok(true)
    }

    /// Takes some bytes of the step that is under way.
    fn take(&mut self, stock: &Stock, buffer: &mut [u8]) -> Result<usize, RebuildError> {
        match &mut self.now {
            Now::Copy(span) => stock.take(span, buffer, &mut self.pool),
            Now::Made { bytes, taken } => {
                let rest = &bytes[*taken..];
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                *taken += count;
                Ok(count)
            }
            Now::Heads(_) | Now::Nothing | Now::Over => {
                Err(RebuildError::Wrong("its heads take from the heads".to_owned()))
            }
        }
    }
}

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.fill(buffer)?)
    }
}
