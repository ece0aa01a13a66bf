//! Which program packed a layer, and whether it makes all of it again: seen while the layer is unpacked, on a thread of its own if
//! there is one.

use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::survey::CHECKPOINTS;
use crate::compact::Guide;
use crate::regzip::find::{Sample, find};
use crate::regzip::{Follower, Way};

/// How much is looked at to find the packer: plain bytes, and packed ones; and how many plain bytes at most.
const SAMPLE: (usize, usize, usize) = (2 << 20, 128 << 10, 16 << 20);
/// How many pieces whoever unpacks may be ahead: of each side a piece has as much as is read at once.
const AHEAD: usize = 16;

/// What packs a layer, and what it needs for that.
pub(super) type Found = Option<(Way, Guide)>;

/// Hears some of the packed bytes, what of the plain ones they were enough for, and whether that was all. Returns whether it is worth
/// while to go on.
pub(super) type Take<'a> = dyn FnMut(&[u8], &[u8], bool) -> bool + 'a;

/// Runs what unpacks a layer, and looks beside it for what packs it.
pub(super) fn beside<R>(ways: &[Way], threads: usize, unpack: impl FnOnce(&mut Take<'_>) -> R) -> (R, Found) {
    let trial = || Trial::Sample { deflate: Vec::new(), plain: Vec::new(), ways: ways.to_vec() };
    thread::scope(|scope| {
        let (send, receive) = sync_channel::<(Vec<u8>, Vec<u8>, bool)>(AHEAD);
        let follow = move || {
            let mut trial = trial();
            while let Ok((packed, plain, ended)) = receive.recv() {
                if !trial.take(&packed, &plain, ended) {
                    break;
                }
            }
            trial.done()
        };
        let thread =
            (threads > 1).then(|| thread::Builder::new().name("follow".to_owned()).spawn_scoped(scope, follow));
        if let Some(Ok(thread)) = thread {
            let result =
                unpack(&mut |packed, plain, ended| send.send((packed.to_vec(), plain.to_vec(), ended)).is_ok());
            drop(send);
            return (result, thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        let mut trial = trial();
        let result = unpack(&mut |packed, plain, ended| trial.take(packed, plain, ended));
        (result, trial.done())
    })
}

/// Looking for the packer, then following it.
enum Trial {
    Sample { deflate: Vec<u8>, plain: Vec<u8>, ways: Vec<Way> },
    Following(Way, Box<Follower>),
    Failed,
}

impl Trial {
    /// Takes some of both sides; false when no packer makes it.
    fn take(&mut self, packed: &[u8], unpacked: &[u8], ended: bool) -> bool {
        if let Self::Sample { deflate, plain, ways } = self {
            deflate.extend_from_slice(packed);
            plain.extend_from_slice(unpacked);
            let is_enough = plain.len() >= SAMPLE.2 || plain.len() >= SAMPLE.0 && deflate.len() >= SAMPLE.1;
            if is_enough || ended {
                let found = find(Sample { deflate, data: plain, whole: ended }, ways);
                let next = found.map(|way| {
                    let mut follower = Box::new(Follower::new(way).checkpoints_every(CHECKPOINTS));
                    let same = follower.expect(deflate).and_then(|()| follower.write(plain));
                    same.map_or(Self::Failed, |()| Self::Following(way, follower))
                });
                *self = next.unwrap_or(Self::Failed);
            }
        } else if let Self::Following(_, follower) = self
            && follower.expect(packed).and_then(|()| follower.write(unpacked)).is_err()
        {
            *self = Self::Failed;
        }
        !matches!(self, Self::Failed)
    }

    fn done(self) -> Found {
        let Self::Following(way, follower) = self else { return None };
        let followed = follower.finish().ok().filter(|followed| followed.rest.is_empty())?;
        Some((way, Guide { early: followed.early, checkpoints: followed.checkpoints }))
    }
}
