//! Which table knows what, and the choice between the searches.

use super::Headers;
use super::fast::{FAR, Kept};
use crate::regzip::token::Token;

/// Two places for one hash.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pair {
    pub(super) last: i32,
    pub(super) before: i32,
}

/// A search with its tables. Places in them count on from [`Kept::now`].
#[derive(Clone, Debug)]
pub(super) struct Search {
    level: u8,
    headers: Headers,
    pub(super) kept: Kept,
    /// One place for each hash.
    pub(super) short: Box<[i32]>,
    /// Two.
    pub(super) long: Box<[Pair]>,
}

impl Search {
    pub(super) fn new(level: u8, headers: Headers) -> Self {
        let (short, long) = Self::table_sizes(level);
        Self {
            level,
            headers,
            kept: Kept::new(),
            short: vec![0; short].into_boxed_slice(),
            long: vec![Pair::default(); long].into_boxed_slice(),
        }
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        self.kept.reset();
        self.short.fill(0);
        self.long.fill(Pair::default());
    }

    /// Makes the tokens of a piece. None of them: nothing repeats, or the piece is too short to look.
    pub(super) fn run(&mut self, piece: &[u8], tokens: &mut Vec<Token>) {
        if self.kept.is_far() {
            let less = self.kept.renew();
            let renewed = |position: i32| position.saturating_sub(less).max(0);
            self.short.iter_mut().for_each(|it| *it = renewed(*it));
            self.long.iter_mut().for_each(|it| *it = Pair { last: renewed(it.last), before: renewed(it.before) });
        }
        let Some(run) = self.kept.add(piece) else { return };
        match self.level {
            ..=1 => self.level1(run, tokens),
            2 => self.level2(run, tokens),
            3 => self.level3(run, tokens),
            4 => self.level4(run, self.headers, tokens),
            5 => self.level5(run, tokens),
            _ => self.level6(run, tokens),
        }
    }

    #[inline]
    pub(super) fn remember_long(&mut self, hash: usize, position: i32) {
        let pair = &mut self.long[hash];
        *pair = Pair { last: position, before: pair.last };
    }

    /// Whether these four bytes stand at a place that is near enough.
    #[inline]
    pub(super) fn stands(&self, at: i32, before: i32, eight: u64) -> bool {
        at - before < FAR && eight as u32 == self.kept.four(before)
    }
}
