//! How long reading and hashing would take: measured on a sample.

use std::io::Read as _;
use std::time::{Duration, Instant};

use crate::blob::{CHUNK, Cancel};
use crate::content::{Content, total};
use crate::ops::Error;
use crate::plan::Plan;
use crate::store::{Location, Source as _, StoreError};

/// How much is read at most for an estimate, and for how long.
const SAMPLE: (u64, Duration) = (128 << 20, Duration::from_secs(1));

/// How long it would take to read and hash everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// How many bytes there are.
    pub bytes: u64,
    /// How many of them were read to find out.
    pub sample: u64,
    /// How long all of them take at the same speed.
    pub time: Duration,
}

/// Reads and hashes the beginning of the largest pieces of a plan, and says how long all would take. `None` when there is
/// nothing here to read: what is in registries is not asked for.
///
/// # Errors
/// When something cannot be read, or somebody asked to stop.
pub fn estimate(plan: &Plan<'_>, cancel: &Cancel) -> Result<Option<Estimate>, Error> {
    let contents = &plan.inventory().contents;
    let mut largest: Vec<&Content> =
        contents.iter().filter(|content| !matches!(plan.origin(content), Location::Registry(_))).collect();
    largest.sort_by_key(|content| std::cmp::Reverse(content.size));
    let bytes = total(contents.iter().map(|content| content.size));
    let began = Instant::now();
    let mut buffer = vec![0; CHUNK];
    let mut sample: u64 = 0;
    'sampling: for content in largest {
        let mut reader = plan.open(content)?.cancelled_by(cancel);
        loop {
            if sample >= SAMPLE.0 || began.elapsed() >= SAMPLE.1 {
                break 'sampling;
            }
            let count = reader.read(&mut buffer).map_err(|error| {
                let error = crate::blob::BlobError::from_io(error);
                StoreError::reading(error, content, &plan.origin(content))
            })?;
            if count == 0 {
                break;
            }
            sample += count as u64;
        }
    }
    if sample == 0 {
        return Ok(None);
    }
    #[allow(clippy::cast_precision_loss)] // an estimate
    let seconds = began.elapsed().as_secs_f64() * (bytes as f64 / sample as f64);
    let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    Ok(Some(Estimate { bytes, sample, time }))
}
