//! Copying by sharing blocks: on btrfs and xfs no byte is written, and no room is taken.
//!
//! A clone is a copy like any other: what is in it is read and hashed before it gets a name. Where the file system cannot
//! do it, or the two files lie on different ones, the bytes are copied: they have to be read to be hashed, and reading,
//! hashing and writing them at once is faster than a copy by the system that is read afterwards.

use std::fs::File;
#[cfg(target_os = "linux")]
use std::os::unix::fs::FileExt as _;

use crate::blob::Extent;

/// How large content is that is cloned out of a file or into one, in bytes. The system brings what it clones to the medium
/// first, and each clone is an entry in its tables: for small content a copy is cheaper.
pub(super) const LEAST: u64 = 64 << 10;
/// How many bytes are cloned by one call: it cannot be interrupted.
#[cfg(target_os = "linux")]
const MOST: u64 = 1 << 30;
/// The smallest block of a file system that clones, in bytes (xfs).
#[cfg(target_os = "linux")]
const SMALLEST_BLOCK: u64 = 1 << 10;
/// The largest block of a file system that is reckoned with, in bytes.
#[cfg(target_os = "linux")]
const LARGEST_BLOCK: u64 = 1 << 20;

/// Returns whether a file is in a file system that clones whatever its blocks allow: what is cloned takes no room there.
#[cfg(target_os = "linux")]
pub(super) fn is_usual_in(file: &File) -> bool {
    block_of_cloning(file).is_some()
}

/// Returns how large the blocks of a file system are that clones, in bytes; none for one of which that is not known.
#[cfg(target_os = "linux")]
fn block_of_cloning(file: &File) -> Option<u64> {
    // linux/magic.h; xfs.h
    const BTRFS: u64 = 0x9123_683e;
    const XFS: u64 = 0x5846_5342;
    let there = rustix::fs::fstatfs(file).ok()?;
    let block = u64::try_from(there.f_bsize).ok()?;
    let clones = matches!(u64::try_from(there.f_type), Ok(BTRFS | XFS));
    (clones && block.is_power_of_two() && block <= LARGEST_BLOCK).then_some(block)
}

/// Makes an empty file a clone of another (`FICLONE`); `false` when that is not possible, and the file is empty still.
#[cfg(target_os = "linux")]
pub(super) fn whole(from: &File, to: &File) -> bool {
    // whatever the reason is, copying the bytes either works or tells it
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => true,
        Err(_) => {
            // a clone that failed half-way may have left something
            let empty = to.metadata().is_ok_and(|metadata| metadata.len() == 0);
            let _ = empty || to.set_len(0).is_ok();
            false
        }
    }
}

/// Clones `length` bytes from one place to another: all whole blocks; the rest of the last is copied. `false` when that is
/// not possible: where they were to go anything may stand then, but nothing behind.
#[cfg(target_os = "linux")]
pub(super) fn part(from: Extent<'_>, to: Extent<'_>, length: u64) -> bool {
    // what nearly never lies well costs no call
    let lies_well = |block: u64| from.at.is_multiple_of(block) && to.at.is_multiple_of(block);
    if length < LEAST || !lies_well(SMALLEST_BLOCK) {
        return false;
    }
    let Some(block) = block_of_cloning(to.file).filter(|block| length >= 2 * block && lies_well(*block)) else {
        return false;
    };
    let rest = length % block;
    let mut passed = 0;
    while passed < length - rest {
        // The call says whether it clones by how far it comes: a clone ends with a whole block, and where the system
        // copies instead there is the byte more.
        let asked = if passed == 0 { block + 1 } else { (length - rest - passed).min(MOST) };
        let (mut at, mut to_at) = (from.at + passed, to.at + passed);
        let asked = usize::try_from(asked).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(from.file, Some(&mut at), to.file, Some(&mut to_at), asked) {
            Ok(count) if count > 0 && (count as u64).is_multiple_of(block) => passed += count as u64,
            _ => return false, // as above: copying the bytes either works or tells why
        }
    }
    // its block can be shared at the end of a file only
    let mut last = vec![0; usize::try_from(rest).unwrap_or(0)];
    from.file.read_exact_at(&mut last, from.at + passed).is_ok() && to.file.write_all_at(&last, to.at + passed).is_ok()
}

/// Other systems have other ways, and no way that is the same everywhere.
#[cfg(not(target_os = "linux"))]
pub(super) fn whole(_: &File, _: &File) -> bool {
    false
}

/// As [`whole`].
#[cfg(not(target_os = "linux"))]
pub(super) fn is_usual_in(_: &File) -> bool {
    false
}

/// As [`whole`].
#[cfg(not(target_os = "linux"))]
pub(super) fn part(_: Extent<'_>, _: Extent<'_>, _: u64) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_cloned_is_the_same_and_what_is_small_or_lies_elsewhere_is_not() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|at| (at / 7) as u8).collect();
        let from = tempfile::tempfile().unwrap();
        from.write_all_at(&bytes, 0).unwrap();
        let to = tempfile::tempfile().unwrap();
        let largest = 2 * LARGEST_BLOCK;
        for (at, to_at, length, may_be) in [
            (0, 0, LEAST - 1, false),
            (512, 0, 200_000, false),
            (0, 512, 200_000, false),
            (0, 0, 200_000, true),
            (0, largest, 200_001, true),
            (0, 0, 300_001, false), // longer than there is
        ] {
            to.set_len(0).unwrap();
            let cloned = part(Extent { file: &from, at }, Extent { file: &to, at: to_at }, length);
            assert!(!cloned || may_be, "{length} bytes from {at} to {to_at}");
            if cloned {
                let mut there = vec![0; usize::try_from(length).unwrap()];
                to.read_exact_at(&mut there, to_at).unwrap();
                assert!(there == bytes[..there.len()], "{length} bytes from {at} to {to_at}");
                assert_eq!(to.metadata().unwrap().len(), to_at + length);
            }
        }
    }
}
