//! What is under way: how much there is to do, how much is done, and how fast it goes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use barge::content::Content;
use barge::digest::Digest;
use barge::store::Location;
use barge::text::escaped;

/// How far back a rate looks: long enough that it can be read, short enough that a standstill shows.
const WINDOW: Duration = Duration::from_secs(10);
/// The same for what is made: it is counted when a piece of it is packed, which may take many seconds.
const MAKING: Duration = Duration::from_secs(90);
/// How long something moves before anybody says when it ends: the first bytes go into buffers, and say nothing.
const SETTLED: Duration = Duration::from_secs(2);
/// A time longer than this is no forecast.
const FORESEEABLE: Duration = Duration::from_secs(100 * 24 * 60 * 60);

/// All that is under way; several runs add up until all of them have ended.
#[derive(Debug)]
pub(super) struct Board {
    began: Instant,
    total: u64,
    done: u64,
    /// Of what is done, what was there before: no speed follows from it.
    skipped: u64,
    pace: Pace,
    /// The pieces under way, in the order in which they began.
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    /// None when it is being made.
    digest: Option<Digest>,
    place: Location,
    about: String,
    total: u64,
    done: u64,
    skipped: u64,
    began: Instant,
    pace: Pace,
}

impl Piece {
    const fn is_made(&self) -> bool {
        self.digest.is_none()
    }
}

/// What is known at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Snapshot {
    pub(super) all: Count,
    pub(super) pieces: Vec<Seen>,
    /// Since it began.
    pub(super) took: Duration,
}

/// A piece under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    /// None when it is being made.
    pub(super) digest: Option<Digest>,
    pub(super) about: String,
    pub(super) place: Location,
    pub(super) count: Count,
}

/// How far something is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Count {
    pub(super) done: u64,
    pub(super) total: u64,
    /// Of what is done, what was there before.
    pub(super) skipped: u64,
    /// Bytes a second, of what moved lately; none when nothing was seen to move yet.
    pub(super) rate: Option<u64>,
    /// Whether it has moved for long enough to say when it ends.
    pub(super) settled: bool,
}

impl Count {
    /// Returns how long the rest takes when it goes on like this; none when nobody can tell yet.
    pub(super) fn left(&self) -> Option<Duration> {
        let rest = self.total.saturating_sub(self.done);
        if rest == 0 {
            return Some(Duration::ZERO);
        }
        let rate = self.rate.filter(|rate| *rate > 0 && self.settled)?;
        Some(Duration::from_secs(rest.div_ceil(rate))).filter(|left| *left < FORESEEABLE)
    }
}

impl Board {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, total: 0, done: 0, skipped: 0, pace: Pace::new(now), pieces: Vec::new() }
    }

    /// There is more to do.
    pub(super) fn begin(&mut self, bytes: u64) {
        self.total = self.total.saturating_add(bytes);
    }

    pub(super) fn start(&mut self, content: &Content, about: &str, place: &Location, now: Instant) {
        self.push(Some(content.digest), about, place, content.size, now);
    }

    /// Content begins to be made from so many bytes.
    pub(super) fn make(&mut self, about: &str, place: &Location, bytes: u64, now: Instant) {
        self.push(None, about, place, bytes, now);
    }

    fn push(&mut self, digest: Option<Digest>, about: &str, place: &Location, total: u64, now: Instant) {
        self.pieces.push(Piece {
            digest,
            // its platform came from outside
            about: escaped(about),
            total,
            done: 0,
            skipped: 0,
            place: place.clone(),
            began: now,
            pace: Pace::new(now),
        });
    }

    pub(super) fn advance(&mut self, content: &Content, place: &Location, bytes: u64) {
        let at = self.find(content, place);
        self.count(at, bytes);
    }

    /// Bytes were there before.
    pub(super) fn skip(&mut self, content: &Content, place: &Location, bytes: u64) {
        let at = self.find(content, place);
        self.count(at, bytes);
        self.skipped = self.skipped.saturating_add(bytes);
        if let Some(piece) = at.and_then(|at| self.pieces.get_mut(at)) {
            piece.skipped = piece.skipped.saturating_add(bytes);
        }
    }

    /// Bytes were read for content that is made.
    pub(super) fn advance_making(&mut self, about: &str, place: &Location, bytes: u64) {
        let at = self.find_making(about, place);
        self.count(at, bytes);
    }

    fn count(&mut self, at: Option<usize>, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        if let Some(piece) = at.and_then(|at| self.pieces.get_mut(at)) {
            piece.done = piece.done.saturating_add(bytes);
        }
    }

    /// A piece is done. Returns how long it took, when it was under way.
    pub(super) fn finish(&mut self, content: &Content, place: &Location, now: Instant) -> Option<Duration> {
        let at = self.find(content, place)?;
        Some(now.saturating_duration_since(self.pieces.remove(at).began))
    }

    /// Content was made, or could not be.
    pub(super) fn made(&mut self, about: &str, place: &Location) {
        if let Some(at) = self.find_making(about, place) {
            self.pieces.remove(at);
        }
    }

    /// Takes a look at everything; rates follow from one look to the next.
    pub(super) fn look(&mut self, now: Instant) -> Snapshot {
        let makes = self.pieces.iter().any(Piece::is_made);
        let all = self.pace.look(now, makes, self.done, self.skipped, self.total);
        let look = |piece: &mut Piece| {
            let count = piece.pace.look(now, piece.is_made(), piece.done, piece.skipped, piece.total);
            Seen { digest: piece.digest, about: piece.about.clone(), place: piece.place.clone(), count }
        };
        let took = now.saturating_duration_since(self.began);
        Snapshot { all, pieces: self.pieces.iter_mut().map(look).collect(), took }
    }

    fn find(&self, content: &Content, place: &Location) -> Option<usize> {
        self.pieces.iter().position(|piece| piece.digest == Some(content.digest) && piece.place == *place)
    }

    fn find_making(&self, about: &str, place: &Location) -> Option<usize> {
        let about = escaped(about);
        self.pieces.iter().position(|piece| piece.is_made() && piece.about == about && piece.place == *place)
    }
}

/// How fast something goes, from what was seen lately.
#[derive(Debug)]
struct Pace {
    /// When, and how much had moved by then.
    looks: VecDeque<(Instant, u64)>,
    /// When it was last seen that nothing had moved yet.
    still: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { looks: VecDeque::from([(now, 0)]), still: now }
    }

    fn look(&mut self, now: Instant, makes: bool, done: u64, skipped: u64, total: u64) -> Count {
        let window = if makes { MAKING } else { WINDOW };
        let moved = done.saturating_sub(skipped);
        if moved == 0 {
            self.still = now;
        }
        self.looks.push_back((now, moved));
        // one look from before the window is kept: the rate is about all of it
        while self.looks.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= window) {
            self.looks.pop_front();
        }
        let (since, before) = self.looks.front().copied().unwrap_or((now, moved));
        // what was looked at or waited for before the first byte is no slowness
        let millis = now.saturating_duration_since(since.max(self.still)).as_millis();
        let bytes = u128::from(moved.saturating_sub(before));
        let rate = (bytes * 1000).checked_div(millis).map(|rate| u64::try_from(rate).unwrap_or(u64::MAX));
        let settled = now.saturating_duration_since(self.still) >= SETTLED;
        Count { done: done.min(total), total, skipped, rate: rate.filter(|_| moved > 0), settled }
    }
}

#[cfg(test)]
mod tests {
    use barge::content::Kind;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn content(name: &str, size: u64) -> Content {
        Content { digest: Digest::of(name.as_bytes()), size, kind: Kind::Blob }
    }

    fn after(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    #[test]
    fn rates_are_of_the_last_seconds_and_fall_in_a_standstill() {
        let began = Instant::now();
        let mut board = Board::new(began);
        let one = content("one", 100 * MIB);
        board.begin(100 * MIB);
        assert_eq!(board.look(began).all, Count { done: 0, total: 100 * MIB, skipped: 0, rate: None, settled: false });
        board.start(&one, "layer 1", &Location::Stdio, began);
        for second in 1..=20 {
            board.advance(&one, &Location::Stdio, 2 * MIB);
            let count = board.look(after(began, second)).all;
            assert_eq!((count.done, count.rate), (second * 2 * MIB, Some(2 * MIB)));
            assert_eq!(count.left().is_some(), second >= 2, "too soon or too late: {second}");
        }
        assert_eq!(board.look(after(began, 20)).all.left(), Some(Duration::from_secs(30)));
        let slower = board.look(after(began, 25)).all;
        assert_eq!(slower.rate, Some(MIB));
        for second in 26..=31 {
            board.look(after(began, second));
        }
        let still = board.look(after(began, 31)).all;
        assert_eq!((still.rate, still.left()), (Some(0), None));
    }

    #[test]
    fn what_is_made_in_large_pieces_has_a_rate_all_the_time() {
        let began = Instant::now();
        let mut board = Board::new(began);
        board.begin(800 * MIB);
        board.make("layer 1", &Location::Stdio, 800 * MIB, began);
        for second in 1..=300 {
            if second % 30 == 0 {
                board.advance_making("layer 1", &Location::Stdio, 8 * MIB);
            }
            let count = board.look(after(began, second)).all;
            let rate = 8 * MIB / 30;
            let is_near = count.rate.is_some_and(|seen| seen > rate / 2 && seen < rate * 2);
            assert!(second < 120 || is_near && count.left().is_some(), "{second}: {count:?}");
        }
        for second in 301..=400 {
            board.look(after(began, second));
        }
        assert_eq!(board.look(after(began, 400)).all.rate, Some(0), "a standstill shows");
    }

    #[test]
    fn what_is_there_is_done_and_is_no_speed() {
        let began = Instant::now();
        let mut board = Board::new(began);
        let (there, lacking) = (content("there", 1000 * MIB), content("lacking", 100 * MIB));
        board.begin(1100 * MIB);
        board.start(&there, "layer 1", &Location::Stdio, began);
        board.skip(&there, &Location::Stdio, 1000 * MIB);
        let seen = board.look(after(began, 5));
        assert_eq!((seen.all.done, seen.all.skipped), (1000 * MIB, 1000 * MIB));
        assert_eq!((seen.all.rate, seen.all.left(), seen.pieces[0].count.rate), (None, None, None));
        board.finish(&there, &Location::Stdio, after(began, 5));
        board.start(&lacking, "layer 2", &Location::Stdio, after(began, 5));
        for second in 6..=10 {
            board.advance(&lacking, &Location::Stdio, 2 * MIB);
            board.look(after(began, second));
        }
        let seen = board.look(after(began, 10)).all;
        assert_eq!((seen.rate, seen.left()), (Some(2 * MIB), Some(Duration::from_secs(45))));
    }

    #[test]
    fn nobody_says_when_what_hardly_moves_will_end() {
        let began = Instant::now();
        let mut board = Board::new(began);
        let one = content("one", u64::MAX);
        board.begin(u64::MAX);
        board.start(&one, "layer 1", &Location::Stdio, began);
        board.look(began);
        board.advance(&one, &Location::Stdio, 1);
        assert_eq!(board.look(after(began, 5)).all.left(), None);
    }

    #[test]
    fn what_two_runs_bring_at_once_adds_up() {
        let began = Instant::now();
        let mut board = Board::new(began);
        let one = content("one", 10);
        let places = ["a.example", "b.example"].map(|host| Location::Registry(host.to_owned()));
        for place in &places {
            board.begin(10);
            board.start(&one, "layer 1", place, began);
        }
        board.advance(&one, &places[1], 10);
        let seen = board.look(after(began, 1));
        assert_eq!((seen.all.done, seen.all.total), (10, 20));
        let counts: Vec<_> = seen.pieces.iter().map(|piece| (&piece.place, piece.count.done)).collect();
        assert_eq!(counts, [(&places[0], 0), (&places[1], 10)]);
        assert_eq!(board.finish(&one, &places[1], after(began, 2)), Some(Duration::from_secs(2)));
        assert_eq!(board.finish(&one, &places[1], after(began, 3)), None);
        assert_eq!(board.look(after(began, 3)).pieces.len(), 1);
    }

    #[test]
    fn sizes_that_lie_are_no_overflow() {
        let began = Instant::now();
        let mut board = Board::new(began);
        let one = content("one", u64::MAX);
        for _ in 0..2 {
            board.begin(u64::MAX);
            board.start(&one, "a\u{1b}[2J", &Location::Stdio, began);
            board.advance(&one, &Location::Stdio, u64::MAX);
        }
        let seen = board.look(after(began, 1));
        assert_eq!((seen.all.done, seen.all.total, seen.all.rate), (u64::MAX, u64::MAX, Some(u64::MAX)));
        assert_eq!(seen.pieces[0].about, "a\\u{1b}[2J");
    }
}
