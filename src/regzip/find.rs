//! Which program and which level it was: by making the stream again, and comparing as it comes.

use super::checkpoint::{Checkpoint, ResumeError};
use super::encoder::Encoder;
use super::gzip::Header;
use super::klauspost::Headers;
use super::level::Level;
use super::way::Way;
use super::zlib::PigzBlocks;

/// How many choices are followed side by side at most.
const MOST_BRANCHES: usize = 8;

/// The beginning of a deflate stream, with what it unpacks to.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The stream, at least as much of it as stands for `data`. What follows it does no harm.
    pub deflate: &'a [u8],
    /// What it unpacks to.
    pub data: &'a [u8],
    /// Whether this is all that it unpacks to.
    pub whole: bool,
}

/// Returns the first of these ways that makes the same bytes as far as the sample goes. A way that does not costs a block
/// or two. Of a small sample several levels make the same: the others are in what follows the one that was found.
///
/// Nothing can be said of a sample that is neither whole nor contains a block: one of Go's has 64 KiB at level 1, several
/// hundred KiB are enough for all others; one of barge's has 512 KiB. And ways that differ in the size of their blocks alone
/// differ behind the first block. Two MiB are enough for all of them.
#[must_use]
pub fn find<W: Copy + Into<Way>>(sample: Sample<'_>, ways: &[W]) -> Option<W> {
    ways.iter().copied().find(|way| makes(sample, (*way).into()))
}

/// Returns all ways that have been in use, those first that the header speaks for.
#[must_use]
pub fn likely_ways(header: &Header) -> Vec<Way> {
    /// What barge has packed with, the latest first.
    const BARGE: [Way; 2] = [Way::Barge { level: 5, block: 512 << 10 }, Way::Barge { level: 6, block: 128 << 10 }];
    /// Go, barge and python do not say on which system they run.
    const NO_SYSTEM: u8 = 255;
    /// The year 1, as far as 32 bits hold it: what pgzip says of the time, and nobody else.
    const PGZIP_TIME: u32 = 0x886e_0900;
    /// pgzip's own size, that of umoci, and others that are at hand.
    const BLOCKS: [Option<u32>; 5] = [Some(1 << 20), Some(256 << 10), None, Some(512 << 10), Some(128 << 10)];
    // Go from 1.27 on says so of its fastest level
    let levels = if header.hint == 4 { [1, 5, 6, 4, 3, 2] } else { [5, 6, 1, 4, 3, 2] };
    let klauspost = levels.into_iter().flat_map(|level| {
        [Headers::Full, Headers::Exact]
            .into_iter()
            .flat_map(move |headers| BLOCKS.map(|block| Way::Klauspost { level, headers, block }))
    });
    let others = [6, 9, 1, 7, 8, 4, 3, 2, 0].map(|level| Way::Barge { level, block: 512 << 10 });
    let barge = BARGE.into_iter().chain(others);
    let zlib = zlib_levels(header).map(|level| Way::Zlib { level });
    let go = likely(header).into_iter().map(Way::Go);
    if header.modified == PGZIP_TIME {
        klauspost.chain(go).chain(barge).chain(of_zlib(header)).collect()
    } else if header.system != NO_SYSTEM {
        of_zlib(header).chain(go).chain(klauspost).chain(barge).collect()
    } else {
        // what is usual stands first: one of Go's, then the others'
        let usual = go.clone().take(1).chain(BARGE).chain(zlib.into_iter().take(2)).chain(klauspost);
        usual.chain(go.skip(1)).chain(zlib.into_iter().skip(2)).chain(others).chain(of_zlib(header)).collect()
    }
}

/// Returns the levels of zlib, that first which the header speaks for.
fn zlib_levels(header: &Header) -> [u8; 9] {
    match header.hint {
        2 => [9, 6, 8, 7, 5, 4, 3, 2, 1],
        4 => [1, 6, 2, 3, 4, 5, 7, 8, 9],
        _ => [6, 9, 1, 8, 7, 5, 4, 3, 2],
    }
}

/// Returns zlib and those who came before it or use it, level by level.
fn of_zlib(header: &Header) -> impl Iterator<Item = Way> {
    /// What pigz's blocks have when nothing was said.
    const USUAL: u32 = 128 << 10;
    const OTHERS: [u32; 6] = [64 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];
    let levels = zlib_levels(header);
    let all = levels.into_iter().flat_map(|level| {
        let pigz = |blocks| Way::Pigz { level, block: USUAL, blocks };
        let [chained, single] = [PigzBlocks::Chained, PigzBlocks::Single].map(pigz);
        [Way::Zlib { level }, Way::Gzip { level }, chained, pigz(PigzBlocks::Independent), single]
    });
    let kinds = [PigzBlocks::Chained, PigzBlocks::Independent];
    let others = OTHERS.into_iter().flat_map(move |block| kinds.map(move |blocks| (block, blocks)));
    // whoever says another size seldom says another level, too
    all.chain(
        [6, 9, 1]
            .into_iter()
            .flat_map(move |level| others.clone().map(move |(block, blocks)| Way::Pigz { level, block, blocks })),
    )
}

/// Returns all levels of Go, those first that the header of a gzip stream and common use speak for.
#[must_use]
pub fn likely(header: &Header) -> Vec<Level> {
    let first = match header.hint {
        4 => Level::FASTEST,
        2 => Level::BEST,
        _ => Level::USUAL,
    };
    let others = [6, 1, 9, 5, 4, 7, 8, 3, 2, 0, -2].into_iter().filter_map(Level::new);
    std::iter::once(first).chain(others.filter(|level| *level != first)).collect()
}

fn makes(sample: Sample<'_>, way: Way) -> bool {
    /// Between comparisons.
    const STEP: usize = 1 << 16;
    let mut follower = Follower::new(way);
    if follower.expect(sample.deflate).is_err() {
        return false;
    }
    for data in sample.data.chunks(STEP) {
        if follower.write(data).is_err() {
            return false;
        }
    }
    if sample.whole { follower.finish().is_ok() } else { follower.compared() > 0 }
}

/// Makes a stream again and compares it with what is expected, piece by piece.
///
/// What cannot be known of how it was written ([`Encoder::early`]) is tried side by side until the bytes tell.
#[derive(Debug)]
pub struct Follower {
    /// The bit at which it began.
    begin: u64,
    branches: Vec<Branch>,
    expected: Vec<u8>,
    /// How many bytes stood before `expected`.
    passed: u64,
    /// How far the best of those came that do not agree.
    differs: u64,
}

#[derive(Debug)]
struct Branch {
    encoder: Encoder,
    /// How many bytes agree.
    compared: u64,
}

/// Not the bytes that are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream differs from what this makes, at byte {at}")]
pub struct Differs {
    /// How many bytes of deflate agree.
    pub at: u64,
}

/// What makes a stream again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// At which bit of the stream it was begun to follow it.
    pub begin: u64,
    /// How many bytes of deflate it has.
    pub length: u64,
    /// What to tell [`Encoder::early`].
    pub early: Vec<u64>,
    /// Where to go on.
    pub checkpoints: Vec<Checkpoint>,
    /// What was expected after the end of the stream: of gzip the trailer.
    pub rest: Vec<u8>,
}

impl Follower {
    /// Makes one at the beginning of a stream.
    #[must_use]
    pub fn new(way: impl Into<Way>) -> Self {
        let first = Branch { encoder: Encoder::new(way).branching(), compared: 0 };
        Self { begin: 0, branches: vec![first], expected: Vec::new(), passed: 0, differs: 0 }
    }

    /// Makes one that goes on at a checkpoint, as [`Encoder::resume`] does: what it expects begins with the byte in which that lies.
    ///
    /// # Errors
    /// Those of [`Encoder::resume`].
    pub(super) fn resume(way: Way, from: &Checkpoint, history: &[u8]) -> Result<Self, ResumeError> {
        let compared = from.bits / 8;
        let first = Branch { encoder: Encoder::resume(way, from, history)?.branching(), compared };
        Ok(Self { begin: from.bits, branches: vec![first], expected: Vec::new(), passed: compared, differs: 0 })
    }

    /// Takes checkpoints, as [`Encoder::checkpoints_every`] does.
    #[must_use]
    pub fn checkpoints_every(mut self, bytes: u64) -> Self {
        for branch in &mut self.branches {
            branch.encoder.set_checkpoints_every(bytes);
        }
        self
    }

    /// Returns how many bytes agree for certain.
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.branches.iter().map(|branch| branch.compared).min().unwrap_or(self.differs)
    }

    /// Hears more of the stream. It is best told before what it unpacks to: what cannot be compared yet is kept.
    ///
    /// # Errors
    /// When it differs.
    pub fn expect(&mut self, deflate: &[u8]) -> Result<(), Differs> {
        self.expected.extend_from_slice(deflate);
        let branches = std::mem::take(&mut self.branches);
        for branch in branches {
            self.keep(branch);
        }
        self.settle()
    }

    /// Takes more of what the stream unpacks to.
    ///
    /// # Errors
    /// When it differs.
    pub fn write(&mut self, data: &[u8]) -> Result<(), Differs> {
        let mut todo: Vec<_> = self.branches.drain(..).map(|branch| (branch, data)).collect();
        while let Some((mut branch, mut rest)) = todo.pop() {
            while !rest.is_empty() && self.agrees(&mut branch) {
                let count = branch.encoder.advance(rest);
                for encoder in branch.encoder.take_branches() {
                    if todo.len() + self.branches.len() + 1 < MOST_BRANCHES {
                        todo.push((Branch { encoder, compared: branch.compared }, rest));
                    }
                }
                rest = &rest[count..];
            }
            self.keep(branch);
        }
        self.merge();
        self.settle()
    }

    /// Puts those first that slid early less often, and forgets a branch if one before it goes on alike: of what makes no difference
    /// nothing is told.
    fn merge(&mut self) {
        if self.branches.len() < 2 {
            return;
        }
        self.branches.sort_by(|one, two| {
            let (one, two) = (one.encoder.edges(), two.encoder.edges());
            one.len().cmp(&two.len()).then_with(|| one.cmp(two))
        });
        for branch in std::mem::take(&mut self.branches) {
            let goes_on = |kept: &Branch| kept.compared == branch.compared && kept.encoder.goes_on_as(&branch.encoder);
            if !self.branches.iter().any(goes_on) {
                self.branches.push(branch);
            }
        }
    }

    /// Ends.
    ///
    /// # Errors
    /// When it differs, or when not all of the stream was told.
    pub fn finish(mut self) -> Result<Followed, Differs> {
        for mut branch in std::mem::take(&mut self.branches) {
            branch.encoder.end();
            if self.agrees(&mut branch) && branch.encoder.ready().is_empty() {
                let rest = self.expected.split_off((branch.compared - self.passed) as usize);
                return Ok(Followed {
                    begin: self.begin,
                    length: branch.compared,
                    early: branch.encoder.edges().to_vec(),
                    checkpoints: branch.encoder.take_checkpoints(),
                    rest,
                });
            }
            self.differs = self.differs.max(branch.compared);
        }
        Err(Differs { at: self.differs })
    }

    /// Ends at the end of a block after so many plain bytes, where `last` is the byte in which it lies: all before that was expected.
    ///
    /// # Errors
    /// When it differs, or no block ends there.
    pub(super) fn finish_block(mut self, end: u64, last: u8) -> Result<Followed, Differs> {
        for mut branch in std::mem::take(&mut self.branches) {
            // what comes of the bytes behind it is no matter
            branch.encoder.end();
            let agrees = self.agrees(&mut branch) && branch.compared == self.passed + self.expected.len() as u64;
            let mut checkpoints = branch.encoder.take_checkpoints();
            let found = checkpoints.iter().position(|one| one.position - u64::from(one.waiting) == end);
            checkpoints.truncate(found.map_or(0, |at| at + 1));
            if let Some(at) = checkpoints.last().filter(|_| agrees) {
                let bytes = at.bits / 8;
                let same = match at.bits % 8 {
                    0 => bytes == branch.compared + 1 && branch.encoder.ready().first() == Some(&last),
                    bits => bytes == branch.compared && at.partial == last & ((1 << bits) - 1),
                };
                if same {
                    let early = branch.encoder.edges().iter().copied().filter(|edge| *edge < at.position).collect();
                    return Ok(Followed {
                        begin: self.begin,
                        length: branch.compared,
                        early,
                        checkpoints,
                        rest: Vec::new(),
                    });
                }
            }
            self.differs = self.differs.max(branch.compared);
        }
        Err(Differs { at: self.differs })
    }

    fn keep(&mut self, mut branch: Branch) {
        if self.agrees(&mut branch) {
            self.branches.push(branch);
        } else {
            self.differs = self.differs.max(branch.compared);
        }
    }

    /// Compares as much as there is of both.
    fn agrees(&self, branch: &mut Branch) -> bool {
        let expected = &self.expected[(branch.compared - self.passed) as usize..];
        let agree = branch.encoder.ready();
        let count = agree.len().min(expected.len());
        let same = super::chain::common(agree, expected);
        branch.compared += same as u64;
        branch.encoder.clear_first(same);
        same == count
    }

    fn settle(&mut self) -> Result<(), Differs> {
        if self.branches.is_empty() {
            return Err(Differs { at: self.differs });
        }
        let all = (self.compared() - self.passed) as usize;
        self.expected.drain(..all);
        self.passed += all as u64;
        Ok(())
    }
}
