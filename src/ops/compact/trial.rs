//! Which program packed a layer, and whether it makes all of it again: seen while the layer is unpacked, on threads of its own if
//! there are some.

use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::shared::Shared;
use super::survey::CHECKPOINTS;
use crate::compact::Guide;
use crate::regzip::find::{Sample, find};
use crate::regzip::{Follower, Way};

/// How much is looked at to find the packer: plain bytes, and packed ones; and how many plain bytes at most.
const SAMPLE: (usize, usize, usize) = (2 << 20, 128 << 10, 16 << 20);
/// How many plain bytes a stretch has at least that a thread follows.
const STRETCH: u64 = 4 << 20;
/// How many pieces whoever unpacks may be ahead: of each side a piece has as much as is read at once.
const AHEAD: usize = 16;

/// How many packed bytes there may be beyond two for each plain one: no packer has that much to say of nothing, and what cannot be
/// compared yet is kept.
const EMPTY: u64 = 4 << 20;

/// What packs a layer, and what it needs for that.
pub(super) type Found = Option<(Way, Guide)>;

/// What was just unpacked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unpacked<'a> {
    pub(super) packed: &'a [u8],
    /// What of the plain bytes they were enough for.
    pub(super) plain: &'a [u8],
    /// Whether a block ends with them for certain.
    pub(super) block_ends: bool,
    /// Whether that was all.
    pub(super) ended: bool,
}

/// Hears what was unpacked. Returns whether it is worth while to go on.
pub(super) type Take<'a> = dyn FnMut(Unpacked<'_>) -> bool + 'a;

/// Runs what unpacks a layer, and looks beside it for what packs it: with more than one thread on all of them.
pub(super) fn beside<R>(ways: &[Way], threads: usize, unpack: impl FnOnce(&mut Take<'_>) -> R) -> (R, Found) {
    thread::scope(|scope| {
        let trial = move |threads| Trial::new(scope, threads, ways);
        let (send, receive) = sync_channel::<(Vec<u8>, Vec<u8>, bool, bool)>(AHEAD);
        let follow = move || {
            let mut trial = trial(threads);
            while let Ok((packed, plain, block_ends, ended)) = receive.recv() {
                if !trial.take(Unpacked { packed: &packed, plain: &plain, block_ends, ended }) {
                    break;
                }
            }
            trial.done()
        };
        let thread =
            (threads > 1).then(|| thread::Builder::new().name("follow".to_owned()).spawn_scoped(scope, follow));
        if let Some(Ok(thread)) = thread {
            let result =
                unpack(&mut |it| send.send((it.packed.to_vec(), it.plain.to_vec(), it.block_ends, it.ended)).is_ok());
            drop(send);
            return (result, thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        let mut trial = trial(1);
        let result = unpack(&mut |it| trial.take(it));
        (result, trial.done())
    })
}

/// Looking for the packer, then following it.
struct Trial<'scope, 'env> {
    scope: &'scope thread::Scope<'scope, 'env>,
    threads: usize,
    /// How many packed and plain bytes were heard of.
    heard: (u64, u64),
    stage: Stage<'scope, 'env>,
}

enum Stage<'scope, 'env> {
    Sample { deflate: Vec<u8>, plain: Vec<u8>, ways: Vec<Way> },
    Following(Way, Box<Follower>),
    Shared(Way, Box<Shared<'scope, 'env>>),
    Failed,
}

impl<'scope, 'env> Trial<'scope, 'env> {
    fn new(scope: &'scope thread::Scope<'scope, 'env>, threads: usize, ways: &[Way]) -> Self {
        let stage = Stage::Sample { deflate: Vec::new(), plain: Vec::new(), ways: ways.to_vec() };
        Self { scope, threads, heard: (0, 0), stage }
    }

    /// Takes some of both sides; false when no packer makes it.
    fn take(&mut self, it: Unpacked<'_>) -> bool {
        let (packed, plain) = &mut self.heard;
        *packed += it.packed.len() as u64;
        *plain += it.plain.len() as u64;
        if *packed > plain.saturating_mul(2).saturating_add(EMPTY) {
            self.stage = Stage::Failed;
        }
        if let Stage::Sample { deflate, plain, ways } = &mut self.stage {
            deflate.extend_from_slice(it.packed);
            plain.extend_from_slice(it.plain);
            let is_enough = plain.len() >= SAMPLE.2 || plain.len() >= SAMPLE.0 && deflate.len() >= SAMPLE.1;
            if is_enough || it.ended {
                let found = find(Sample { deflate, data: plain, whole: it.ended }, ways);
                let all = Unpacked { packed: deflate, plain, ..it };
                self.stage = found.map_or(Stage::Failed, |way| Stage::of(way, all, self.scope, self.threads));
            }
        } else if !self.stage.follow(it) {
            self.stage = Stage::Failed;
        }
        !matches!(self.stage, Stage::Failed)
    }

    fn done(self) -> Found {
        let (way, early, checkpoints) = match self.stage {
            Stage::Following(way, follower) => {
                let followed = follower.finish().ok().filter(|followed| followed.rest.is_empty())?;
                (way, followed.early, followed.checkpoints)
            }
            Stage::Shared(way, shared) => {
                let (early, checkpoints) = shared.done().ok()?;
                (way, early, checkpoints)
            }
            Stage::Sample { .. } | Stage::Failed => return None,
        };
        Some((way, Guide { early, checkpoints }))
    }
}

impl<'scope, 'env> Stage<'scope, 'env> {
    /// What follows a way from the beginning.
    fn of(way: Way, all: Unpacked<'_>, scope: &'scope thread::Scope<'scope, 'env>, threads: usize) -> Self {
        let shared = if threads > 1 { Shared::new(way, CHECKPOINTS, STRETCH, scope, threads) } else { None };
        let mut stage = match shared {
            Some(shared) => Self::Shared(way, Box::new(shared)),
            None => Self::Following(way, Box::new(Follower::new(way).checkpoints_every(CHECKPOINTS))),
        };
        if stage.follow(all) { stage } else { Self::Failed }
    }

    fn follow(&mut self, it: Unpacked<'_>) -> bool {
        match self {
            Self::Following(_, follower) => follower.expect(it.packed).and_then(|()| follower.write(it.plain)).is_ok(),
            Self::Shared(_, shared) => shared.take(it.packed, it.plain, it.block_ends).is_ok(),
            Self::Sample { .. } | Self::Failed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regzip::Level;

    #[test]
    fn a_stream_of_empty_blocks_is_not_kept() {
        let empty = [0, 0, 0, 0xff, 0xff].repeat(200_000);
        for threads in [1, 3] {
            let mut pieces = 0;
            let (ended, found) = beside(&[Way::Go(Level::USUAL)], threads, |take| {
                let mut told = |packed, plain| take(Unpacked { packed, plain, block_ends: true, ended: false });
                // the beginning is that of a stream of some way; then nothing comes for as long as anybody likes
                told(&[1, 0, 0, 0xff, 0xff], b"")
                    && (0..100_000).all(|_| {
                        pieces += 1;
                        told(&empty, b"")
                    })
            });
            assert!(!ended && found.is_none());
            assert!(pieces < 100, "{pieces}");
        }
    }
}
