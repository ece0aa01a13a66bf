//! What is under way: how much there is to do, how much is done, and how fast it goes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use barge::content::Content;
use barge::digest::Digest;
use barge::store::Location;
use barge::text::escaped;

/// How far back a rate looks: long enough that it can be read, short enough that a standstill shows.
const WINDOW: Duration = Duration::from_secs(10);

/// All that is under way; several runs add up until all of them have ended.
#[derive(Debug)]
pub(super) struct Board {
    total: u64,
    done: u64,
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
    began: Instant,
    pace: Pace,
}

/// What is known at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Snapshot {
    pub(super) all: Count,
    pub(super) pieces: Vec<Seen>,
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
    /// Bytes a second; none when nothing was seen to move yet.
    pub(super) rate: Option<u64>,
}

impl Count {
    /// Returns how long the rest takes, when it goes on like this.
    pub(super) fn left(&self) -> Option<Duration> {
        let rate = self.rate.filter(|rate| *rate > 0)?;
        Some(Duration::from_secs(self.total.saturating_sub(self.done).div_ceil(rate)))
    }
}

impl Board {
    pub(super) fn new(now: Instant) -> Self {
        Self { total: 0, done: 0, pace: Pace::new(now), pieces: Vec::new() }
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
            place: place.clone(),
            began: now,
            pace: Pace::new(now),
        });
    }

    pub(super) fn advance(&mut self, content: &Content, place: &Location, bytes: u64) {
        let at = self.find(content, place);
        self.count(at, bytes);
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
        let all = self.pace.look(now, self.done, self.total);
        let look = |piece: &mut Piece| {
            let count = piece.pace.look(now, piece.done, piece.total);
            Seen { digest: piece.digest, about: piece.about.clone(), place: piece.place.clone(), count }
        };
        Snapshot { all, pieces: self.pieces.iter_mut().map(look).collect() }
    }

    fn find(&self, content: &Content, place: &Location) -> Option<usize> {
        self.pieces.iter().position(|piece| piece.digest == Some(content.digest) && piece.place == *place)
    }

    fn find_making(&self, about: &str, place: &Location) -> Option<usize> {
        let about = escaped(about);
        self.pieces.iter().position(|piece| piece.digest.is_none() && piece.about == about && piece.place == *place)
    }
}

/// How fast something goes, from what was seen lately.
#[derive(Debug)]
struct Pace(VecDeque<(Instant, u64)>);

impl Pace {
    fn new(now: Instant) -> Self {
        Self(VecDeque::from([(now, 0)]))
    }

    fn look(&mut self, now: Instant, done: u64, total: u64) -> Count {
        self.0.push_back((now, done));
        // one look from before the window is kept: the rate is about all of it
        while self.0.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW) {
            self.0.pop_front();
        }
        let (since, before) = self.0.front().copied().unwrap_or((now, done));
        let millis = now.saturating_duration_since(since).as_millis();
        let bytes = u128::from(done.saturating_sub(before));
        let rate = (bytes * 1000).checked_div(millis).map(|rate| u64::try_from(rate).unwrap_or(u64::MAX));
        Count { done: done.min(total), total, rate: rate.filter(|_| done > 0) }
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
        assert_eq!(board.look(began).all, Count { done: 0, total: 100 * MIB, rate: None });
        board.start(&one, "layer 1", &Location::Stdio, began);
        for second in 1..=20 {
            board.advance(&one, &Location::Stdio, 2 * MIB);
            let count = board.look(after(began, second)).all;
            assert_eq!((count.done, count.rate), (second * 2 * MIB, Some(2 * MIB)));
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
        assert_eq!(seen.all, Count { done: u64::MAX, total: u64::MAX, rate: Some(u64::MAX) });
        assert_eq!(seen.pieces[0].about, "a\\u{1b}[2J");
    }
}
