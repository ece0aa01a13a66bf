//! Cutting the plain bytes of a layer into heads and content, the same way for whoever writes and whoever reads.
//!
//! Heads are all that is not content of files: headers, extensions, padding, the end. The rules are few and never change, since
//! what a recipe takes from the heads of a base rests on them; they know less of tar than a reader of archives does.
//!
//! 1. A block of 512 bytes that is zero ends the tar. It and all zero blocks that follow, and a zero beginning of one, are heads;
//!    what comes then is content.
//! 2. Any other block is a header. It is one when its check sum (the sum of its bytes, its own field taken for spaces) stands in
//!    bytes 148 to 155 and its size in bytes 124 to 135, both as octal digits between spaces and zeros, or the size in base 256:
//!    bit 7 of the first byte set, the others of it and the next three zero.
//! 3. Types `x`, `g`, `L` and `K` are extensions: as many bytes as the size says, at most 1 MiB, and padding to 512 are heads. The
//!    last `size` among the records of `x`, "LENGTH KEY=VALUE\n", is the size of the entry that follows.
//! 4. Types `1` to `6` have the size 0, whatever their header says. Those that say otherwise, `S`, `X`, `N`, what is no header,
//!    an extension that is too large, records that are none, and more than 4 MiB of extensions for one entry: from the first byte
//!    behind the padding of the last entry on all is content.
//! 5. All others are files: as many bytes as the size says are content, the padding to 512 that follows is heads.

/// The size of a header, and what all is padded to, in bytes.
const BLOCK: usize = 512;
/// The largest extension in bytes.
const LARGEST_EXTENSION: u64 = 1 << 20;
/// How many bytes of extensions an entry has at most.
const MOST_EXTENSIONS: usize = 4 << 20;

/// What comes out, in the order of the tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut<'a> {
    /// Some bytes that are no content.
    Heads(&'a [u8]),
    /// The content of a file follows, unless the tar ends within it.
    File {
        /// The name, as it is written.
        name: &'a [u8],
        /// How many bytes it has: not none.
        size: u64,
    },
    /// Everything that follows is content, and cannot be told apart.
    Rest,
    /// Some bytes of what was announced last.
    Content(&'a [u8]),
}

/// Cuts a tar that comes in pieces of any size. What comes out together is what goes in; how it is cut does not depend on the
/// pieces. It holds no more than one entry's header and extensions.
#[derive(Debug)]
pub struct Cutter {
    /// Headers and extensions of which it is not known yet whether they hold.
    pending: Vec<u8>,
    /// How much of `pending` is to be there before it is looked at.
    until: usize,
    /// What it is then that came last.
    wanted: Wanted,
    state: State,
    size: Option<u64>,
    name: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    Header,
    /// Its type, where in `pending` its bytes begin, how many they are.
    Extension(u8, usize, usize),
}

#[derive(Clone, Copy, Debug)]
enum State {
    Entry,
    /// So many bytes of content, then of padding.
    Content(u64, u64),
    Padding(u64),
    End,
    Rest,
}

impl Default for Cutter {
    fn default() -> Self {
        Self::new()
    }
}

impl Cutter {
    /// Makes one at the beginning of a tar.
    #[must_use]
    pub const fn new() -> Self {
        Self { pending: Vec::new(), until: BLOCK, wanted: Wanted::Header, state: State::Entry, size: None, name: None }
    }

    /// Takes more of the tar.
    ///
    /// # Errors
    /// What `to` fails with.
    pub fn write<E>(&mut self, mut bytes: &[u8], to: &mut impl FnMut(Cut<'_>) -> Result<(), E>) -> Result<(), E> {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Rest => {
                    to(Cut::Content(bytes))?;
                    bytes.len()
                }
                State::Content(left, padding) => {
                    let count = at_most(bytes, left);
                    to(Cut::Content(&bytes[..count]))?;
                    self.state = match left - count as u64 {
                        0 if padding == 0 => State::Entry,
                        0 => State::Padding(padding),
                        left => State::Content(left, padding),
                    };
                    count
                }
                State::Padding(left) => {
                    let count = at_most(bytes, left);
                    to(Cut::Heads(&bytes[..count]))?;
                    self.state = match left - count as u64 {
                        0 => State::Entry,
                        left => State::Padding(left),
                    };
                    count
                }
                State::Entry | State::End => {
                    let count = bytes.len().min(self.until - self.pending.len());
                    self.pending.extend_from_slice(&bytes[..count]);
                    if self.pending.len() == self.until {
                        self.look(to)?;
                    }
                    count
                }
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Ends: hands out what waited for more.
    ///
    /// # Errors
    /// What `to` fails with.
    pub fn finish<E>(mut self, to: &mut impl FnMut(Cut<'_>) -> Result<(), E>) -> Result<(), E> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if is_zero(&self.pending) { self.heads(to) } else { self.rest(to) }
    }

    fn heads<E>(&mut self, to: &mut impl FnMut(Cut<'_>) -> Result<(), E>) -> Result<(), E> {
        to(Cut::Heads(&self.pending))?;
        self.pending.clear();
        self.until = BLOCK;
        Ok(())
    }

    fn rest<E>(&mut self, to: &mut impl FnMut(Cut<'_>) -> Result<(), E>) -> Result<(), E> {
        self.state = State::Rest;
        to(Cut::Rest)?;
        to(Cut::Content(&self.pending))?;
        self.pending = Vec::new();
        Ok(())
    }

    /// Looks at what was waited for.
    fn look<E>(&mut self, to: &mut impl FnMut(Cut<'_>) -> Result<(), E>) -> Result<(), E> {
        let holds = match std::mem::replace(&mut self.wanted, Wanted::Header) {
            Wanted::Extension(flag, at, length) => {
                self.until += BLOCK;
                self.extension(flag, at, length)
            }
            Wanted::Header => {
                let at = self.pending.len() - BLOCK;
                let block = &self.pending[at..];
                if is_zero(block) && (matches!(self.state, State::End) || at == 0) {
                    self.state = State::End;
                    return self.heads(to);
                }
                match header(block).filter(|_| !matches!(self.state, State::End)) {
                    Some((flag, size)) => return self.header(flag, size, to),
                    None => false,
                }
            }
        };
        if holds { Ok(()) } else { self.rest(to) }
    }

    fn header<E>(&mut self, flag: u8, size: u64, to: &mut impl FnMut(Cut<'_>) -> Result<(), E>) -> Result<(), E> {
        let at = self.pending.len();
        if matches!(flag, b'x' | b'g' | b'L' | b'K') {
            if size > LARGEST_EXTENSION || at + size as usize > MOST_EXTENSIONS {
                return self.rest(to);
            }
            let size = size as usize;
            if size > 0 {
                self.wanted = Wanted::Extension(flag, at, size);
            }
            self.until += if size > 0 { size.next_multiple_of(BLOCK) } else { BLOCK };
            return Ok(());
        }
        let size = self.size.take().unwrap_or(size);
        let long_name = self.name.take();
        match flag {
            b'S' | b'X' | b'N' => self.rest(to),
            b'1'..=b'6' if size > 0 => self.rest(to),
            b'1'..=b'6' => self.heads(to),
            _ => {
                let name = long_name.unwrap_or_else(|| name(&self.pending[at - BLOCK..]));
                self.heads(to)?;
                if size > 0 {
                    // below 2^63, as all sizes that are read
                    self.state = State::Content(size, size.next_multiple_of(BLOCK as u64) - size);
                    to(Cut::File { name: &name, size })?;
                }
                Ok(())
            }
        }
    }

    /// Takes an extension; false when it is none.
    fn extension(&mut self, flag: u8, at: usize, length: usize) -> bool {
        let body = &self.pending[at..at + length];
        match flag {
            b'x' => match records(body) {
                Some((size, path)) => {
                    self.size = size.or(self.size);
                    self.name = path.or(self.name.take());
                    true
                }
                None => false,
            },
            b'L' => {
                self.name = Some(until_zero(body).to_vec());
                true
            }
            _ => true,
        }
    }
}

fn at_most(bytes: &[u8], count: u64) -> usize {
    bytes.len().min(usize::try_from(count).unwrap_or(usize::MAX))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Returns the type and the size that a header says.
fn header(block: &[u8]) -> Option<(u8, u64)> {
    let around = block[..148].iter().chain(&block[156..]);
    let sum = around.map(|byte| u64::from(*byte)).sum::<u64>() + 8 * u64::from(b' ');
    if octal(&block[148..156])? != sum {
        return None;
    }
    let size = match &block[124..136] {
        [0x80, 0, 0, 0, rest @ ..] => rest.iter().fold(0, |size, byte| size << 8 | u64::from(*byte)),
        field => octal(field)?,
    };
    Some((block[156], size)).filter(|(_, size)| *size < 1 << 62)
}

/// Reads octal digits between spaces and zeros; none are 0.
fn octal(field: &[u8]) -> Option<u64> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
    let end = field[start..].iter().position(blank).map_or(field.len(), |count| start + count);
    let digits = field[start..end].iter();
    digits.copied().try_fold(0, |value, byte| matches!(byte, b'0'..=b'7').then(|| value << 3 | u64::from(byte - b'0')))
}

/// Returns the name in a header: with the prefix, where it is one of POSIX.
fn name(block: &[u8]) -> Vec<u8> {
    let prefix = if block[257..263] == *b"ustar\0" { until_zero(&block[345..500]) } else { &[] };
    let last = until_zero(&block[..100]);
    if prefix.is_empty() { last.to_vec() } else { [prefix, b"/", last].concat() }
}

/// Returns the size and the path that the records of an extension say; `None` when they are none.
fn records(mut body: &[u8]) -> Option<(Option<u64>, Option<Vec<u8>>)> {
    let (mut size, mut path) = (None, None);
    while !body.is_empty() {
        let space = body.iter().take(8).position(|byte| *byte == b' ')?;
        let length = decimal(&body[..space])? as usize;
        if length <= space + 2 || length > body.len() || body[length - 1] != b'\n' {
            return None;
        }
        let record = &body[space + 1..length - 1];
        let (key, value) = record.split_at(record.iter().position(|byte| *byte == b'=')?);
        match (key, &value[1..]) {
            (b"size", value) => size = Some(decimal(value)?),
            (b"path", value) => path = Some(value.to_vec()),
            _ => {}
        }
        body = &body[length..];
    }
    Some((size, path))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::made::{Block as Made, Tar};
    use std::convert::Infallible;

    /// What a tar is cut into: each with the name of its file, [`HEADS`], or `None` for the rest.
    type Parts = Vec<(Option<String>, Vec<u8>)>;

    const HEADS: &str = "heads";

    fn cut(tar: &[u8], step: usize) -> Parts {
        let mut parts: Parts = Vec::new();
        let mut heads = false;
        let mut cutter = Cutter::new();
        let mut take = |part: Cut<'_>| {
            match part {
                Cut::Heads(bytes) => {
                    if !heads {
                        parts.push((Some(HEADS.to_owned()), Vec::new()));
                    }
                    heads = true;
                    parts.last_mut().unwrap().1.extend_from_slice(bytes);
                }
                Cut::File { name, .. } => {
                    heads = false;
                    parts.push((Some(String::from_utf8(name.to_vec()).unwrap()), Vec::new()));
                }
                Cut::Rest => {
                    heads = false;
                    parts.push((None, Vec::new()));
                }
                Cut::Content(bytes) => {
                    assert!(!heads);
                    parts.last_mut().unwrap().1.extend_from_slice(bytes);
                }
            }
            Ok::<_, Infallible>(())
        };
        for piece in tar.chunks(step) {
            cutter.write(piece, &mut take).unwrap();
        }
        cutter.finish(&mut take).unwrap();
        let whole: Vec<u8> = parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        assert!(whole == tar, "what comes out is what went in");
        parts
    }

    fn lengths(tar: &[u8]) -> Vec<(Option<String>, usize)> {
        let whole = cut(tar, usize::MAX);
        for step in [1, 7, 511, 512, 513, 4096] {
            assert!(cut(tar, step) == whole, "in steps of {step}");
        }
        whole.into_iter().map(|(name, bytes)| (name, bytes.len())).collect()
    }

    fn expected(parts: &[(&str, usize)]) -> Vec<(Option<String>, usize)> {
        parts.iter().map(|(name, length)| ((*name != "rest").then(|| (*name).to_owned()), *length)).collect()
    }

    #[test]
    fn content_is_told_from_all_else() {
        let long = format!("{}/{}", "d".repeat(120), "n".repeat(180));
        let tar = Tar::new()
            .directory("./")
            .file("a", b"hello")
            .file("empty", b"")
            .file("b", &[7; 512])
            .pax(&[("path", &long), ("mtime", "1.5")])
            .file("cut", &[8; 600])
            .symlink("l", "a")
            .extension(b'L', format!("{long}\0").as_bytes())
            .file("cut", b"x")
            .pax(&[("size", "3")])
            .entry(Made::ustar("c"), b"abc");
        let finished = tar.clone().finished();
        let end = finished.len() - tar.clone().unfinished().len();
        assert_eq!(
            lengths(&finished),
            expected(&[
                (HEADS, 1024),
                ("a", 5),
                (HEADS, 507 + 1024),
                ("b", 512),
                (HEADS, 512 + 512 + 512),
                (&long, 600),
                (HEADS, 424 + 512 + 512 + 512 + 512),
                (&long, 1),
                (HEADS, 511 + 1024 + 512),
                ("c", 3),
                (HEADS, 509 + end),
            ])
        );
    }

    #[test]
    fn from_where_it_is_no_tar_all_is_content() {
        let file = || Tar::new().file("f", b"x");
        let padded = (HEADS, 511);
        for (what, tar, behind) in [
            ("garbage", file().bytes(&[b'x'; 700]).unfinished(), vec![padded, ("rest", 700)]),
            (
                "a large extension",
                file().extension(b'x', &[b'x'; (1 << 20) + 1]).unfinished(),
                vec![padded, ("rest", 1_049_600)],
            ),
            (
                "records that are none",
                file().extension(b'x', b"12 size=x\n").unfinished(),
                vec![padded, ("rest", 1024)],
            ),
            ("sparse", file().entry(Made::gnu("s").flag(b'S'), b"").unfinished(), vec![padded, ("rest", 512)]),
            (
                "a link with content",
                file().entry(Made::ustar("d").flag(b'2').size(3), b"abc").unfinished(),
                vec![padded, ("rest", 1024)],
            ),
            (
                "behind the end",
                file().bytes(&[0; 1024]).bytes(b"more").unfinished(),
                vec![(HEADS, 511 + 1024), ("rest", 4)],
            ),
            (
                "a tar behind the end",
                file().bytes(&[0; 512]).file("g", b"").unfinished(),
                vec![(HEADS, 511 + 512), ("rest", 512)],
            ),
            (
                "a zero block behind an extension",
                file().pax(&[("a", "b")]).bytes(&[0; 512]).unfinished(),
                vec![padded, ("rest", 1536)],
            ),
            ("zeros", file().bytes(&[0; 1000]).unfinished(), vec![(HEADS, 511 + 1000)]),
            ("a header cut off", file().bytes(b"abc").unfinished(), vec![padded, ("rest", 3)]),
        ] {
            let mut all = vec![(HEADS, 512), ("f", 1)];
            all.extend(behind);
            assert_eq!(lengths(&tar), expected(&all), "{what}");
        }
        let many = (0..5).fold(Tar::new(), |tar, _| tar.extension(b'g', &[b'x'; 1 << 20]));
        assert_eq!(lengths(&many.clone().unfinished()), expected(&[("rest", many.unfinished().len())]));
        let tar = Tar::new().file("f", &[1; 2000]).unfinished();
        assert_eq!(lengths(&tar[..1000]), expected(&[(HEADS, 512), ("f", 488)]), "cut in content");
        assert_eq!(lengths(&tar[..2512]), expected(&[(HEADS, 512), ("f", 2000)]), "without padding");
        assert_eq!(lengths(b""), []);
        assert_eq!(lengths(b"no tar at all"), expected(&[("rest", 13)]));
    }
}
