//! The encoder of zlib, at its levels 1 to 9: in one stream, as python, Java and libarchive pack with it, and as pigz uses it. And that of
//! GNU gzip, from which zlib descends.
//!
//! zlib has been the same since 1.2.5 at least, whatever the sizes of writes; pigz since 2.2.4 (2012), with independent blocks since 2.3.4.
//!
//! | file | what |
//! |---|---|
//! | `window` | 64 KiB of input, and the search for repetitions |
//! | `stream` | which repetition is taken, and where a block ends |
//! | `pigz` | blocks that end with a whole byte |
//! | `tree` | Huffman codes |

mod pigz;
mod stream;
mod tree;
mod window;

pub(super) use pigz::Pigz;
pub use pigz::PigzBlocks;
pub(super) use stream::{Program, Stream, is_lazy};
pub(super) use window::SHORTEST;

use self::tree::Tree;
use super::bits::BitWriter;
use super::block::{FIXED, Header, write_tokens};
use super::token::{DISTANCES, END, LITERALS, Token, extra_bits_of_distance, extra_bits_of_length};

/// The longest word of a code for lengths of words.
const LONGEST_OF_LENGTHS: usize = 7;
/// The longest word of the others.
const LONGEST: usize = 15;

/// Writes a block of these tokens in the shortest way. `input` is what they stand for, if it is still at hand, and `length` its
/// length.
fn write_block(bits: &mut BitWriter, tokens: &[Token], input: Option<&[u8]>, length: usize, last: bool) {
    let (mut literals, mut distances) = ([0_u32; LITERALS], [0_u32; DISTANCES]);
    let mut extra = 0;
    for token in tokens {
        match token.parts() {
            Ok(byte) => literals[usize::from(byte)] += 1,
            Err((length, distance)) => {
                literals[usize::from(length.symbol)] += 1;
                distances[usize::from(distance.symbol)] += 1;
            }
        }
    }
    literals[END] = 1;
    for (symbol, &frequency) in literals.iter().enumerate() {
        extra += frequency as usize * extra_bits_of_length(symbol);
    }
    for (symbol, &frequency) in distances.iter().enumerate() {
        extra += frequency as usize * extra_bits_of_distance(symbol);
    }
    let literal_tree = Tree::new(&literals, LONGEST);
    let distance_tree = Tree::new(&distances, LONGEST);
    let header = Header::in_two_runs(
        &literal_tree.code.words[..literal_tree.used],
        &distance_tree.code.words[..distance_tree.used],
        |frequencies| Tree::new(frequencies, LONGEST_OF_LENGTHS).code,
    );
    let own = header.cost + literal_tree.code.cost(&literals) + distance_tree.code.cost(&distances) + extra;
    let fixed = 3 + FIXED.0.cost(&literals) + FIXED.1.cost(&distances) + extra;
    let (own_bytes, fixed_bytes) = (own.div_ceil(8), fixed.div_ceil(8));
    let kind = u32::from(last);
    match input {
        Some(input) if length + 4 <= own_bytes.min(fixed_bytes) => {
            bits.put(kind, 3);
            bits.align();
            bits.put_bytes(&(length as u16).to_le_bytes());
            bits.put_bytes(&(!(length as u16)).to_le_bytes());
            bits.put_bytes(input);
        }
        _ if fixed_bytes <= own_bytes => {
            bits.put(0b010 | kind, 3);
            write_tokens(bits, tokens, &FIXED.0, &FIXED.1);
        }
        _ => {
            header.write(bits, last);
            write_tokens(bits, tokens, &literal_tree.code, &distance_tree.code);
        }
    }
    bits.settle();
    if last {
        bits.align();
    }
}
