//! Huffman codes as zlib makes them: of a tree, whose branches are cut where they are too long.

use crate::regzip::code::{Code, LONGEST, Word};

/// The most nodes that a tree has: leaves, and all but one as many that join two.
const NODES: usize = 2 * 286;

/// A code with what zlib says of it.
#[derive(Clone, Debug)]
pub(super) struct Tree<const N: usize> {
    pub(super) code: Code<N>,
    /// How many symbols there are, up to the last one that has a word.
    pub(super) used: usize,
}

/// Nodes in a heap, the rarest on top; of those that are as rare the flattest.
struct Heap {
    /// From the first on; the place before it is not used.
    items: Vec<u16>,
    frequencies: [u32; NODES],
    depths: [u8; NODES],
}

impl Heap {
    fn is_smaller(&self, one: u16, other: u16) -> bool {
        let of = |node: u16| (self.frequencies[usize::from(node)], self.depths[usize::from(node)]);
        of(one) <= of(other)
    }

    fn sink(&mut self, mut at: usize) {
        let node = self.items[at];
        let last = self.items.len() - 1;
        while 2 * at <= last {
            let mut son = 2 * at;
            if son < last && self.is_smaller(self.items[son + 1], self.items[son]) {
                son += 1;
            }
            if self.is_smaller(node, self.items[son]) {
                break;
            }
            self.items[at] = self.items[son];
            at = son;
        }
        self.items[at] = node;
    }

    fn pop(&mut self) -> u16 {
        let top = self.items.swap_remove(1);
        if self.items.len() > 1 {
            self.sink(1);
        }
        top
    }
}

impl<const N: usize> Tree<N> {
    /// Makes the code for symbols that occur this often, with no word longer than `limit`. Two symbols at least have words.
    pub(super) fn new(frequencies: &[u32; N], limit: usize) -> Self {
        let mut heap = Heap { items: vec![0], frequencies: [0; NODES], depths: [0; NODES] };
        heap.frequencies[..N].copy_from_slice(frequencies);
        heap.items.extend((0..N as u16).filter(|symbol| frequencies[usize::from(*symbol)] > 0));
        let mut used = usize::from(heap.items[heap.items.len() - 1]) + usize::from(heap.items.len() > 1);
        while heap.items.len() < 3 {
            let node = if used < 3 { used } else { 0 };
            used = used.max(node + 1);
            heap.items.push(node as u16);
            heap.frequencies[node] = 1;
        }
        for at in (1..heap.items.len().div_ceil(2)).rev() {
            heap.sink(at);
        }
        // the tree from its root on, and of each node the one above it
        let (mut order, mut above) = (Vec::with_capacity(NODES), [0_u16; NODES]);
        let mut node = N;
        while heap.items.len() > 2 {
            let one = heap.pop();
            let other = heap.items[1];
            order.extend([one, other]);
            let of = |node: u16| usize::from(node);
            heap.frequencies[node] = heap.frequencies[of(one)] + heap.frequencies[of(other)];
            heap.depths[node] = heap.depths[of(one)].max(heap.depths[of(other)]) + 1;
            (above[of(one)], above[of(other)]) = (node as u16, node as u16);
            heap.items[1] = node as u16;
            heap.sink(1);
            node += 1;
        }
        order.reverse();
        Self { code: with_lengths(&lengths(&order, &above, node - 1, limit)), used }
    }
}

/// Returns the lengths of words: the depths in the tree, and where they are beyond the limit, what zlib does about it.
fn lengths<const N: usize>(order: &[u16], above: &[u16; NODES], root: usize, limit: usize) -> [u8; N] {
    let mut depths = [0_u8; NODES];
    let mut counts = [0_usize; LONGEST + 1];
    let mut beyond = 0_i32;
    depths[root] = 0;
    for &node in order {
        let node = usize::from(node);
        let mut depth = usize::from(depths[usize::from(above[node])]) + 1;
        if depth > limit {
            depth = limit;
            beyond += 1;
        }
        depths[node] = depth as u8;
        if node < N {
            counts[depth] += 1;
        }
    }
    if beyond > 0 {
        while beyond > 0 {
            let mut length = limit - 1;
            while counts[length] == 0 {
                length -= 1;
            }
            // one leaf goes down, and one of those that were too deep becomes its brother
            counts[length] -= 1;
            counts[length + 1] += 2;
            counts[limit] -= 1;
            beyond -= 2;
        }
        let mut leaves = order.iter().rev().map(|node| usize::from(*node)).filter(|node| *node < N);
        for length in (1..=limit).rev() {
            for leaf in leaves.by_ref().take(counts[length]) {
                depths[leaf] = length as u8;
            }
        }
    }
    std::array::from_fn(|symbol| depths[symbol])
}

/// Makes the code of words with these lengths (RFC 1951, section 3.2.2).
fn with_lengths<const N: usize>(lengths: &[u8; N]) -> Code<N> {
    let mut next = [0_u32; LONGEST + 2];
    for length in 1..=LONGEST {
        let count = lengths.iter().filter(|it| usize::from(**it) == length).count() as u32;
        next[length + 1] = (next[length] + count) << 1;
    }
    let mut code = Code::new();
    for (word, &length) in code.words.iter_mut().zip(lengths).filter(|(_, length)| **length > 0) {
        let bits = next[usize::from(length)];
        next[usize::from(length)] += 1;
        *word = Word { bits: (bits as u16).reverse_bits() >> (16 - length), length };
    }
    code
}
