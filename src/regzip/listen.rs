//! Which stretches of a stream are echoes: both streams are read side by side where their inputs are known to be equal.
//!
//! That the tokens are equal is seen, not concluded: it does not matter who packed the other stream, nor what stands before.

use std::iter::Peekable;
use std::sync::Arc;

use super::echo::Echo;
use super::read::{BlockPlace, Packed, ReadError, TokenReader};

/// How many plain bytes a stretch has at least: 64 KiB. To find where a shorter one begins costs about as much as to search it.
pub const SHORTEST_ECHO: u64 = 64 << 10;
/// How many plain bytes of a block come before a stretch at most: 1 MiB. They are read to no other end.
pub const LONGEST_SKIP: u64 = 1 << 20;
/// Near the end of all input an encoder does not go on as it does before: there are no stretches in its last so many bytes.
const FROM_END: u64 = 256 << 10;

/// A stream that may be echoed.
pub struct Original {
    packed: Arc<dyn Packed>,
    /// The blocks, by the plain bytes before them.
    blocks: Vec<BlockPlace>,
}

impl std::fmt::Debug for Original {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Original").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

impl Original {
    /// Reads a stream whose first block lies at this bit, to know where its blocks are. `may_go_on` is asked now and then.
    ///
    /// # Errors
    /// When it cannot be read, is no deflate, or somebody asked to stop.
    pub fn read(packed: Arc<dyn Packed>, bits: u64, may_go_on: &dyn Fn() -> bool) -> Result<Self, ReadError> {
        let mut reader = TokenReader::new(Arc::clone(&packed), bits);
        let mut blocks: Vec<BlockPlace> = Vec::new();
        while reader.next()?.is_some() {
            if blocks.last().is_none_or(|last| last.bits != reader.block().bits) {
                blocks.push(reader.block());
                asked(may_go_on)?;
            }
        }
        Ok(Self { packed, blocks })
    }

    /// Begins to read it with the last block that begins at or before a plain byte, and returns the plain bytes before that.
    fn reader(&self, plain: u64) -> Option<(TokenReader, u64)> {
        let at = self.blocks.partition_point(|block| block.plain <= plain).checked_sub(1)?;
        let block = self.blocks.get(at)?;
        Some((TokenReader::new(Arc::clone(&self.packed), block.bits), block.plain))
    }
}

/// Input that is equal: `length` bytes of the stream, and of one of the originals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Where in the input it begins.
    pub at: u64,
    /// The number of the original.
    pub original: usize,
    /// Where in its input it begins.
    pub from: u64,
    /// How many bytes it has.
    pub length: u64,
}

/// What is listened to.
#[derive(Clone, Copy, Debug)]
pub struct Listening<'a> {
    /// What may be echoed, as far as something is known of it.
    pub originals: &'a [Option<&'a Original>],
    /// Where it may, in order.
    pub matches: &'a [Match],
    /// Where stretches are cut, in order: each that was begun before ends soon behind, and another begins.
    pub cuts: &'a [u64],
    /// How many plain bytes the stream has.
    pub plain: u64,
}

/// Finds the echoes in a stream whose first block lies at this bit, each with the number of the original.
///
/// # Errors
/// As [`Original::read`].
pub fn listen(
    packed: Arc<dyn Packed>,
    bits: u64,
    to: Listening<'_>,
    may_go_on: &dyn Fn() -> bool,
) -> Result<Vec<(usize, Echo)>, ReadError> {
    let mut ear = Ear {
        reader: TokenReader::new(packed, bits),
        matches: to.matches.iter().peekable(),
        originals: to.originals,
        walk: None,
        after_repetition: false,
        run: None,
        found: Vec::new(),
    };
    let mut cuts = to.cuts.iter().peekable();
    let end = to.plain.saturating_sub(FROM_END);
    let mut asked_at = 0;
    while ear.reader.plain() < end {
        let position = ear.reader.plain();
        if position - asked_at > 1 << 20 {
            asked(may_go_on)?;
            asked_at = position;
        }
        while cuts.next_if(|cut| **cut <= position).is_some() {
            ear.close();
        }
        if !ear.step()? {
            break;
        }
    }
    ear.close();
    Ok(ear.found)
}

fn asked(may_go_on: &dyn Fn() -> bool) -> Result<(), ReadError> {
    if may_go_on() { Ok(()) } else { Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into()) }
}

struct Ear<'a> {
    reader: TokenReader,
    matches: Peekable<std::slice::Iter<'a, Match>>,
    originals: &'a [Option<&'a Original>],
    walk: Option<Walk>,
    /// Whether the last token was a repetition: then nothing waits.
    after_repetition: bool,
    run: Option<(usize, Echo)>,
    found: Vec<(usize, Echo)>,
}

/// Reading an original.
struct Walk {
    original: usize,
    reader: TokenReader,
    /// Where in its input reading began.
    begin: u64,
    /// How much farther its bytes stand than those that are equal, or less far, modulo 2^64.
    shift: u64,
}

impl Ear<'_> {
    /// Reads on. False: that was all.
    fn step(&mut self) -> Result<bool, ReadError> {
        let position = self.reader.plain();
        self.choose(position);
        let Some(walk) = &mut self.walk else { return self.pass() };
        let target = position.wrapping_add(walk.shift);
        let there = walk.begin + walk.reader.plain();
        if there > target {
            return self.pass();
        }
        let theirs = walk.reader.next()?;
        if theirs.is_none() {
            // it has no more, whatever was said of it
            self.matches.next_if(|it| it.at <= position);
            self.walk = None;
            self.close();
            return Ok(true);
        }
        if there < target {
            return Ok(true);
        }
        let Some(token) = self.reader.next()? else { return Ok(false) };
        let is_known = !self.reader.is_stored() && !walk.reader.is_stored();
        if is_known && theirs == Some(token) {
            let block = walk.reader.block();
            let skip = there - (walk.begin + block.plain);
            if self.run.is_none() && self.after_repetition && skip <= LONGEST_SKIP {
                self.run = Some((walk.original, Echo { at: position, length: 0, bits: block.bits, skip }));
            }
            if let Some((_, echo)) = self.run.as_mut().filter(|_| token.repeated().is_some()) {
                echo.length = self.reader.plain() - echo.at;
            }
        } else {
            self.close();
        }
        self.after_repetition = token.repeated().is_some();
        Ok(true)
    }

    /// Passes a token to which nothing is compared.
    fn pass(&mut self) -> Result<bool, ReadError> {
        self.close();
        let token = self.reader.next()?;
        self.after_repetition = token.is_some_and(|token| token.repeated().is_some());
        Ok(token.is_some())
    }

    /// Goes to where the bytes from here on stand in an original, if they stand elsewhere than those before.
    fn choose(&mut self, position: u64) {
        while self.matches.next_if(|it| it.at + it.length <= position).is_some() {}
        let Some(it) = self.matches.peek().filter(|it| it.at <= position) else { return };
        let shift = it.from.wrapping_sub(it.at);
        let is_other = self.walk.as_ref().is_none_or(|walk| (walk.original, walk.shift) != (it.original, shift));
        if !is_other || it.at + it.length - position < SHORTEST_ECHO {
            return;
        }
        let original = it.original;
        let found =
            self.originals.get(original).copied().flatten().and_then(|it| it.reader(position.wrapping_add(shift)));
        let Some((reader, begin)) = found else { return };
        self.close();
        self.walk = Some(Walk { original, reader, begin, shift });
    }

    fn close(&mut self) {
        self.found.extend(self.run.take().filter(|(_, echo)| echo.length >= SHORTEST_ECHO));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Checkpoint, Encoder, LOOKAHEAD, Level};
    use super::*;

    /// Words that repeat near and far.
    fn text(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed;
        let mut data = Vec::with_capacity(length + 40);
        while data.len() < length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match state >> 62 {
                0 if data.len() > 100 => {
                    let from = data.len() - 1 - (state >> 33) as usize % data.len().min(40_000);
                    (0..3 + (state >> 20) as usize % 60).for_each(|at| data.push(data[from + at]));
                }
                1 => data.extend((0..30).map(|at| (state >> at) as u8)),
                _ => data.extend(format!("/usr/share/doc/{:03}\n", state >> 54).bytes()),
            }
        }
        data.truncate(length);
        data
    }

    fn packed(level: Level, data: &[u8]) -> (Vec<u8>, Vec<Checkpoint>) {
        let (mut packed, mut encoder) = (Vec::new(), Encoder::new(level).checkpoints_every(300_000));
        encoder.write(data, &mut packed).unwrap();
        encoder.finish(&mut packed).unwrap();
        (packed, encoder.take_checkpoints())
    }

    /// What does not repeat but for few places: blocks of it are stored, and what their packer found nobody sees.
    fn dense(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed;
        let mut data = Vec::with_capacity(length + 40);
        while data.len() < length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            data.extend_from_slice(&state.to_be_bytes()[..3]);
            if data.len() % 5000 < 3 && data.len() > 2000 {
                data.extend_from_within(data.len() - 2000..data.len() - 1990);
            }
        }
        data.truncate(length);
        data
    }

    #[test]
    fn with_the_tokens_of_another_stream_the_same_comes_out() {
        let old = [text(1, 1_200_000), dense(1, 200_000), text(5, 1_100_000)].concat();
        // something before, something that is stored, something changed, something new, something that stood elsewhere, noise
        let parts = [&b"another header"[..], &old[..600_000], b"changed", &old[600_007..1_400_000]];
        let noise: Vec<u8> =
            text(9, 3_000_000).iter().zip(text(7, 300_000)).map(|(a, b)| a ^ b.rotate_left(3)).collect();
        let after =
            [&text(2, 200_000)[..], &old[1_900_000..2_400_000], &noise, &old[100_000..500_000], &text(4, 300_000)];
        let new = [parts.concat(), after.concat()].concat();
        let at_moved = parts.concat().len() as u64 + 200_000;
        let matches = [
            Match { at: 14, original: 0, from: 0, length: 600_000 },
            Match { at: 600_021, original: 0, from: 600_007, length: 799_993 },
            Match { at: at_moved, original: 0, from: 1_900_000, length: 500_000 },
            Match { at: at_moved + 800_000, original: 0, from: 100_000, length: 400_000 },
        ];
        for level in [4, 5, 6, 9].map(|level| Level::new(level).unwrap()) {
            let bytes: Arc<dyn Packed> = Arc::new(packed(level, &old).0);
            let original = Original::read(Arc::clone(&bytes), 0, &|| true).unwrap();
            let (expected, checkpoints) = packed(level, &new);
            let cuts: Vec<u64> = checkpoints.iter().map(|one| one.position).collect();
            let to =
                Listening { originals: &[Some(&original)], matches: &matches, cuts: &cuts, plain: new.len() as u64 };
            let found = listen(Arc::new(expected.clone()), 0, to, &|| true).unwrap();
            let length: u64 = found.iter().map(|(_, echo)| echo.length).sum();
            assert!(length > 1_700_000, "{level:?}: {length} in {found:?}");
            assert!(found.iter().all(|(_, echo)| echo.length < 460_000), "{found:?}");
            let echoes: Vec<(Echo, Arc<dyn Packed>)> =
                found.iter().map(|(_, echo)| (*echo, Arc::clone(&bytes))).collect();
            for piece in [new.len(), 70_001] {
                let (mut out, mut encoder) = (Vec::new(), Encoder::new(level).echoing(echoes.clone()));
                new.chunks(piece).for_each(|piece| encoder.write(piece, &mut out).unwrap());
                encoder.finish(&mut out).unwrap();
                assert!(encoder.echo_failure().is_none());
                assert!(out == expected, "{level:?}");
            }
            // segment by segment, of which all have some
            let mut all = Vec::new();
            let starts: Vec<Checkpoint> = [Checkpoint::start()].into_iter().chain(checkpoints).collect();
            for (at, from) in starts.iter().enumerate() {
                let until = starts.get(at + 1).map(|next| next.position);
                let end = until.map_or(new.len(), |until| new.len().min(until as usize + LOOKAHEAD));
                let mine = echoes.iter().filter(|(echo, _)| echo.at >= from.position && echo.at < end as u64);
                let position = from.position as usize;
                let history = &new[position - from.history(level)..position];
                let mut encoder = Encoder::resume(level, from, history).unwrap().echoing(mine.cloned().collect());
                encoder = until.into_iter().fold(encoder, Encoder::until);
                encoder.write(&new[position..end], &mut all).unwrap();
                encoder.finish(&mut all).unwrap();
            }
            assert!(all == expected, "{level:?}");
        }
    }

    #[test]
    fn what_is_wrong_about_a_stretch_does_no_harm() {
        let data = text(3, 400_000);
        let (good, _) = packed(Level::USUAL, &data);
        let bytes: Arc<dyn Packed> = Arc::new(good.clone());
        let to = Listening {
            originals: &[Some(&Original::read(Arc::clone(&bytes), 0, &|| true).unwrap())],
            matches: &[Match { at: 0, original: 0, from: 0, length: 400_000 }],
            cuts: &[],
            plain: 1 << 30,
        };
        let right = listen(Arc::clone(&bytes), 0, to, &|| true).unwrap()[0].1;
        let made = |echo: Echo, bytes: &Arc<dyn Packed>| {
            let (mut out, mut encoder) =
                (Vec::new(), Encoder::new(Level::USUAL).echoing(vec![(echo, Arc::clone(bytes))]));
            encoder.write(&data, &mut out).unwrap();
            encoder.finish(&mut out).unwrap();
            (out == good, encoder.echo_failure().map(|failure| failure.to_string()))
        };
        let right = Echo { length: right.length / 2, ..right };
        // whether it ends with a token is another matter
        let cut = made(right, &bytes);
        assert!(cut == (true, None) || cut.1.as_deref() == Some("it is no deflate: no token ends there"), "{cut:?}");
        // nobody comes to be there: not used at all
        assert_eq!(made(Echo { at: right.at + 1, ..right }, &bytes).1, None);
        let wrong = |echo: Echo, bytes: &Arc<dyn Packed>| made(echo, bytes).1.unwrap_or_default();
        assert!(wrong(Echo { bits: right.bits + 1, ..right }, &bytes).contains("no deflate"));
        assert!(wrong(Echo { bits: u64::MAX, ..right }, &bytes).contains("too early"));
        assert!(wrong(Echo { skip: u64::MAX, ..right }, &bytes).contains("before a stretch does"));
        let short: Arc<dyn Packed> = Arc::new(good[..20_000].to_vec());
        assert!(wrong(right, &short).contains("too early"));
    }
}
