//! Following a packer on several threads: each takes the next stretch of the stream.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::regzip::find::{Differs, Followed};
use crate::regzip::stretch::{Divider, Joined, Stretch};
use crate::regzip::{Checkpoint, Way};

/// A stream of which stretches are followed, as many at once as there are threads, and one that is ready.
pub(super) struct Shared<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    threads: usize,
    divider: Divider,
    /// The oldest first.
    under_way: VecDeque<(Arc<Stretch>, ScopedJoinHandle<'scope, Option<Followed>>)>,
    joined: Joined,
}

impl<'scope, 'env> Shared<'scope, 'env> {
    /// Makes one, with checkpoints after so many plain bytes, of stretches that have so many at least. None if this way cannot be divided.
    pub(super) fn new(
        way: Way,
        checkpoints_every: u64,
        least: u64,
        scope: &'scope Scope<'scope, 'env>,
        threads: usize,
    ) -> Option<Self> {
        let divider = Divider::new(way, least)?;
        Some(Self { scope, threads, divider, under_way: VecDeque::new(), joined: Joined::new(checkpoints_every) })
    }

    /// Takes some of both sides, and whether a block ends with them.
    pub(super) fn take(&mut self, packed: &[u8], plain: &[u8], block_ends: bool) -> Result<(), Differs> {
        match self.divider.take(packed, plain, block_ends)? {
            Some(stretch) => self.start(stretch),
            None => Ok(()),
        }
    }

    /// Ends, and returns the edges and the checkpoints.
    pub(super) fn done(self) -> Result<(Vec<u64>, Vec<Checkpoint>), Differs> {
        let Self { divider, under_way, mut joined, .. } = self;
        let last = divider.finish();
        // on this thread, beside those that are under way
        let followed = last.follow();
        for (stretch, thread) in under_way {
            joined.join(&stretch, thread.join().unwrap_or_else(|panic| resume_unwind(panic)))?;
        }
        joined.join(&last, followed)?;
        Ok(joined.done())
    }

    fn start(&mut self, stretch: Stretch) -> Result<(), Differs> {
        while self.under_way.len() > self.threads {
            self.join_first()?;
        }
        let stretch = Arc::new(stretch);
        let it = Arc::clone(&stretch);
        match Builder::new().name("stretch".to_owned()).spawn_scoped(self.scope, move || it.follow()) {
            Ok(thread) => self.under_way.push_back((stretch, thread)),
            // no further thread is to be had: here, after all that stand before it
            Err(_) => {
                while !self.under_way.is_empty() {
                    self.join_first()?;
                }
                self.joined.join(&stretch, None)?;
            }
        }
        Ok(())
    }

    fn join_first(&mut self) -> Result<(), Differs> {
        let Some((stretch, thread)) = self.under_way.pop_front() else { return Ok(()) };
        self.joined.join(&stretch, thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regzip::{Encoder, Follower, Level};

    const EVERY: u64 = 250_000;

    /// What comes of a stream and what it unpacks to, which are told block by block.
    fn shared(
        deflate: &[u8],
        blocks: &[(usize, usize)],
        data: &[u8],
        threads: usize,
    ) -> Option<(Vec<u64>, Vec<Checkpoint>)> {
        std::thread::scope(|scope| {
            let mut shared = Shared::new(Way::Go(Level::USUAL), EVERY, 150_000, scope, threads)?;
            let (mut packed, mut plain) = (0, 0);
            for (packed_end, plain_end) in blocks {
                shared.take(&deflate[packed..*packed_end], &data[plain..*plain_end], true).ok()?;
                (packed, plain) = (*packed_end, *plain_end);
            }
            shared.take(&deflate[packed..], &data[plain..], false).ok()?;
            shared.done().ok()
        })
    }

    #[test]
    fn any_number_of_threads_finds_what_one_does() {
        let mut data = Vec::new();
        let mut state = 1_u32;
        for line in 0..45_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let word = ["libc6", "coreutils", "debian-archive-keyring", "zlib1g"][(state >> 30) as usize];
            data.extend(format!("/usr/share/doc/{word}/copyright-{:05}-{line}\n", state >> 15).bytes());
        }
        let (mut deflate, mut encoder) = (Vec::new(), Encoder::new(Level::USUAL).checkpoints_every(0));
        encoder.write(&data, &mut deflate).unwrap();
        encoder.finish(&mut deflate).unwrap();
        let ends = encoder.take_checkpoints();
        let blocks: Vec<(usize, usize)> = ends
            .iter()
            .map(|one| (one.bits.div_ceil(8) as usize, one.position as usize - usize::from(one.waiting)))
            .collect();
        let mut follower = Follower::new(Level::USUAL).checkpoints_every(EVERY);
        follower.expect(&deflate).unwrap();
        follower.write(&data).unwrap();
        let followed = follower.finish().unwrap();
        let (kept, blocks_there) = (followed.checkpoints.len(), ends.len());
        assert!(kept > 2 && blocks_there > kept + 2, "{kept} of {blocks_there}");
        for threads in [1, 2, 5] {
            let found = shared(&deflate, &blocks, &data, threads);
            assert_eq!(found, Some((followed.early.clone(), followed.checkpoints.clone())), "{threads}");
        }
        // a bit in the last stretch but one
        let at = deflate.len() - deflate.len() / 4;
        deflate[at] ^= 4;
        assert_eq!(shared(&deflate, &blocks, &data, 5), None);
    }
}
